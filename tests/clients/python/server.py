"""Starts the server under test; the environment variables are those of ../js/harness.mjs."""

import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

START_S = 60
# `relay` promises to stop within 10 s.
STOP_S = 10

OFFICIAL = os.environ.get('EZPDS_TARGET') == 'official'


class Server:
    """A server of its own for one test class, with its PLC directory."""

    def __init__(self):
        self._folder = tempfile.mkdtemp(prefix='ezpds-clients-')
        data = str(pathlib.Path(self._folder, 'data'))
        # The scripts of the reference PDS end with their stdin, so it is a pipe that stays open.
        self._process = subprocess.Popen(_command(data), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            ready = self._ready()
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise
        self.pds = ready['pds']
        self.plc = ready['plc']
        self.handle_domain = ready['handleDomain']

    def _ready(self):
        deadline = time.monotonic() + START_S
        pending = b''
        while True:
            readable, _, _ = select.select([self._process.stdout], [], [], max(0, deadline - time.monotonic()))
            if not readable:
                raise TimeoutError(f'no READY line within {START_S} s')
            part = os.read(self._process.stdout.fileno(), 65536)
            if not part:
                raise RuntimeError(f'the server ended before its READY line ({self._process.wait()})')
            *lines, pending = (pending + part).split(b'\n')
            for line in lines:
                if line.startswith(b'READY '):
                    return json.loads(line[len(b'READY ') :])

    def stop(self):
        """Stops the server, which has to end in time, with status 0."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.communicate(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._process.returncode != 0:
            raise RuntimeError(f'exit status {self._process.returncode} after SIGTERM')


def _command(data):
    if OFFICIAL:
        ports = ['--pds-port', str(_free_port()), '--plc-port', str(_free_port())]
        return ['node', os.environ['EZPDS_OFFICIAL_START'], '--dev', '--data', data, *ports]
    relay = os.environ.get('EZPDS_RELAY') or sys.exit('EZPDS_RELAY has to be the path of the relay binary')
    binds = ['--bind', '127.0.0.1:0', '--plc-bind', '127.0.0.1:0']
    return [os.path.abspath(relay), 'dev', '--data-dir', data, *binds, '--json-ready']


def _free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]
