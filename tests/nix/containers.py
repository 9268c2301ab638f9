"""Runs the image and the bundle: containers.py RELAY IMAGE.tar.gz BUNDLE

RELAY is the program that the image was made of; `relay dev` is the PLC directory of the accounts that are made here.
"""

import contextlib
import gzip
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIMIT_BYTES = 50_000_000
START_S = 30
STOP_S = 15
OWNER = 10001
# What a program says when a part of it is missing.
BROKEN = re.compile(r'no such file|cannot open shared object|error while loading|not found', re.I)


def run(*args, ok=True):
    """Runs a command and returns what it printed; `ok` tells whether it has to succeed."""
    done = subprocess.run([str(arg) for arg in args], capture_output=True, text=True, timeout=300)
    if ok is not None and (done.returncode == 0) != ok:
        raise AssertionError(f'{args} ended with {done.returncode}: {done.stdout}{done.stderr}')
    return (done.stdout + done.stderr).strip()


def podman(*args, ok=True):
    return run('podman', *args, ok=ok)


def flags():
    """The limits that podman sets by default are more than a machine without privileges can give."""
    # Without systemd nothing calls a health check; one test does.
    own = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=4096:4096', '--no-healthcheck']
    # `runc` is less demanding than `crun`.
    return own + (['--runtime', 'runc'] if shutil.which('runc') and os.geteuid() == 0 else [])


def free_port():
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return listener.getsockname()[1]


def call(url, body=None, token=None):
    headers = {'content-type': 'application/json'} | ({'authorization': f'Bearer {token}'} if token else {})
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=10) as answer:
        return json.load(answer)


def wait_until_well(url, log):
    """Returns the health answer of a server that is starting."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            return call(f'{url}/xrpc/_health')
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > deadline:
                raise AssertionError(f'{url} does not answer ({error}): {log()}') from error
            time.sleep(0.05)


@contextlib.contextmanager
def network(relay):
    """Runs `relay dev` for its PLC directory; yields the directory's port."""
    args = [relay, 'dev', '--no-accounts', '--json-ready', '--bind', '127.0.0.1:0', '--plc-bind', '0.0.0.0:0']
    process = subprocess.Popen(args, stdout=subprocess.PIPE, text=True)
    try:
        line = next((line for line in process.stdout if line.startswith('READY ')), None)
        assert line, f'`relay dev` ended with {process.wait()}'
        yield json.loads(line[len('READY ') :])['plc'].rsplit(':', 1)[1]
    finally:
        process.terminate()
        process.wait(STOP_S)


class Container:
    """The server in a container with a read-only root and nothing to write but its volume."""

    def __init__(self, image, volume, port, plc):
        settings = {
            'RELAY_SERVER_PUBLIC_URL': f'http://localhost:{port}',
            'RELAY_IDENTITY_PLC_URL': f'http://host.containers.internal:{plc}',
            'RELAY_NETWORK_PROTECT_PRIVATE_ADDRESSES': 'false',
            'RELAY_ACCOUNTS_INVITE_REQUIRED': 'false',
        }
        env = [part for name, value in settings.items() for part in ('-e', f'{name}={value}')]
        self.url = f'http://127.0.0.1:{port}'
        self.id = podman(
            'run', '-d', *flags(), '--read-only', '--cap-drop=all', '--security-opt=no-new-privileges', *env,
            '-v', f'{volume}:/data', '-p', f'127.0.0.1:{port}:2583', image,
        ).splitlines()[-1]  # fmt: skip

    def __enter__(self):
        self.health = wait_until_well(self.url, self.log)
        return self

    def __exit__(self, *error):
        if error[0]:
            print(self.log(), file=sys.stderr)
        podman('rm', '-f', self.id, ok=None)

    def log(self):
        return podman('logs', self.id, ok=None)

    def stop(self):
        podman('stop', '-t', STOP_S, self.id)
        code = podman('inspect', '-f', '{{.State.ExitCode}}', self.id)
        assert code == '0', f'stopped with {code}: {self.log()}'
        assert not BROKEN.search(self.log()), self.log()

    def xrpc(self, nsid, body=None, token=None):
        return call(f'{self.url}/xrpc/{nsid}', body, token)


def load(image):
    """Loads the image and returns its name; older versions of podman do not read compressed archives."""
    with tempfile.NamedTemporaryFile(suffix='.tar') as plain:
        with gzip.open(image) as packed:
            shutil.copyfileobj(packed, plain)
        plain.flush()
        return re.search(r'\S*relay:latest', podman('load', '-i', plain.name)).group(0)


def image_runs(image):
    version = podman('run', '--rm', *flags(), '--read-only', '--network=none', image, '--version')
    assert re.fullmatch(r'relay [0-9.]+', version), version
    # Without its one setting, the server says which.
    refusal = podman('run', '--rm', *flags(), '--network=none', image, 'serve', ok=False)
    assert 'server.public_url' in refusal and not BROKEN.search(refusal), refusal
    size = int(podman('image', 'inspect', '-f', '{{.Size}}', image))
    assert size < LIMIT_BYTES, f'{size} bytes'
    print(f'        {version}, {size / 1e6:.1f} MB')


def server_keeps_what_it_acknowledged(relay, image):
    port, volume = free_port(), f'ezpds-test-{os.getpid()}'
    try:
        with network(relay) as plc:
            with Container(image, volume, port, plc) as server:
                # As the image's health check does, by its full path.
                assert 'version' in json.loads(podman('exec', server.id, 'relay', 'health'))
                account = server.xrpc(
                    'com.atproto.server.createAccount',
                    {'handle': 'carol.test', 'email': 'carol@example.com', 'password': 'carol-password'},
                )
                post = {'$type': 'app.bsky.feed.post', 'text': 'from a container', 'createdAt': '2026-01-02T03:04:05.000Z'}
                made = server.xrpc(
                    'com.atproto.repo.createRecord',
                    {'repo': account['did'], 'collection': 'app.bsky.feed.post', 'record': post},
                    account['accessJwt'],
                )
                server.stop()
            # A new container, as after an update.
            with Container(image, volume, port, plc) as server:
                repo, collection, rkey = made['uri'].removeprefix('at://').split('/')
                found = server.xrpc(f'com.atproto.repo.getRecord?repo={repo}&collection={collection}&rkey={rkey}')
                assert found['cid'] == made['cid'] and found['value'] == post, found
                session = server.xrpc(
                    'com.atproto.server.createSession', {'identifier': 'carol.test', 'password': 'carol-password'}
                )
                assert session['did'] == account['did'], session
                server.stop()
    finally:
        podman('volume', 'rm', '-f', volume, ok=None)


def bundle_runs(bundle):
    """The runtime alone, without an engine."""
    if not shutil.which('runc') or os.geteuid() != 0:
        print('        SKIP runc is not installed, or this is not root')
        return
    port, name = free_port(), f'ezpds-bundle-{os.getpid()}'
    folder = tempfile.mkdtemp()
    try:
        here = pathlib.Path(folder, 'bundle')
        run('cp', '-r', bundle, here)
        run('chmod', '-R', 'u+w', here)
        os.chown(here / 'state', OWNER, OWNER)
        # Bind mounts name the state folder relative to the bundle.
        config = json.loads((here / 'config.json').read_text())
        settings = {'SERVER_PUBLIC_URL': f'http://localhost:{port}', 'SERVER_BIND': f'127.0.0.1:{port}'}
        env = [pair for pair in config['process']['env'] if not pair.startswith('RELAY_SERVER_BIND=')]
        config['process']['env'] = env + [f'RELAY_{key}={value}' for key, value in settings.items()]
        (here / 'config.json').write_text(json.dumps(config))
        with open(here / 'log', 'w+') as log:
            process = subprocess.Popen(['runc', 'run', name], cwd=here, stdout=log, stderr=log)
            try:
                wait_until_well(f'http://127.0.0.1:{port}', lambda: (here / 'log').read_text())
                run('runc', 'kill', name, 'TERM')
                code = process.wait(STOP_S)
                said = (here / 'log').read_text()
                assert code == 0 and not BROKEN.search(said), f'{code}: {said}'
                assert (here / 'state' / 'relay.sqlite').exists()
            finally:
                process.kill()
                run('runc', 'delete', '-f', name, ok=None)
    finally:
        shutil.rmtree(folder)


def other_architecture(image, copy):
    """Writes a copy of the image that says to be for the other architecture."""
    with tarfile.open(image) as old, tarfile.open(copy, 'w:gz', compresslevel=1) as new:
        manifest = json.load(old.extractfile('manifest.json'))
        config = json.load(old.extractfile(manifest[0]['Config']))
        config['architecture'] = {'amd64': 'arm64', 'arm64': 'amd64'}[config['architecture']]
        data = json.dumps(config).encode()
        for member in old:
            if member.name not in ('manifest.json', manifest[0]['Config']):
                new.addfile(member, old.extractfile(member) if member.isfile() else None)
        manifest[0]['Config'] = hashlib.sha256(data).hexdigest() + '.json'
        for name, content in ((manifest[0]['Config'], data), ('manifest.json', json.dumps(manifest).encode())):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            new.addfile(info, io.BytesIO(content))


def one_manifest_for_two_architectures(image):
    folder = tempfile.mkdtemp()
    try:
        other = pathlib.Path(folder, 'other.tar.gz')
        other_architecture(image, other)
        run(ROOT / 'nix/manifest.sh', f'oci:{folder}/index', image, other)
        blobs = pathlib.Path(folder, 'index', 'blobs', 'sha256')
        top = json.loads(pathlib.Path(folder, 'index', 'index.json').read_text())['manifests'][0]
        manifests = json.loads((blobs / top['digest'].split(':')[1]).read_text())['manifests']
        found = sorted(manifest['platform']['architecture'] for manifest in manifests)
        assert found == ['amd64', 'arm64'], found
        # The same architecture twice is a mistake of whoever calls.
        run(ROOT / 'nix/manifest.sh', f'oci:{folder}/twice', image, image, ok=False)
    finally:
        shutil.rmtree(folder)


def main():
    relay, image, bundle = (pathlib.Path(arg).resolve() for arg in sys.argv[1:])
    name = load(image)
    tests = {
        'the image runs, and is small': lambda: image_runs(name),
        'a server in a container keeps what it acknowledged': lambda: server_keeps_what_it_acknowledged(relay, name),
        'the bundle runs': lambda: bundle_runs(bundle),
        'one manifest is made for two architectures': lambda: one_manifest_for_two_architectures(image),
    }
    failed = False
    for sentence, test in tests.items():
        try:
            test()
            print(f'    ok      {sentence}')
        except Exception as error:  # noqa: BLE001: every failure is told, and the next test runs
            print(f'    FAILED  {sentence}: {type(error).__name__}: {error}')
            failed = True
    podman('rmi', '-f', name, ok=None)
    sys.exit(failed)


main()
