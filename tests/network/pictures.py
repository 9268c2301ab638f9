"""The pictures of the README: from one command in an empty folder to a server that is live, in a browser, as it really goes.

    EZPDS_RELAY=target/release/relay tests/network/run.sh pictures     # writes docs/pictures

It takes what tests/browser takes besides (its packages installed, Chromium), and Pillow. EZPDS_PICTURES names another folder.
"""

import json
import os
import pathlib
import pty
import re
import subprocess
import tempfile
import threading
import unittest

from internet import RELAY, Internet, at, reaches, run, until

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = pathlib.Path(os.environ.get("EZPDS_PICTURES", ROOT / "docs/pictures"))
BROWSER = ROOT / "tests/browser/pictures.mjs"
# A terminal has fewer.
COLOURS, TERMINAL_COLOURS = 24, 8


class Terminal:
    """A program on a host that thinks a person sits in front of it."""

    def __init__(self, host, *command, env):
        self.text = ""
        master, slave = pty.openpty()
        clean = {"PATH": os.environ["PATH"], "HOME": "/root", "TERM": "xterm", **env}
        self.process = subprocess.Popen(["ip", "netns", "exec", host, *command], stdin=slave, stdout=slave, stderr=slave, env=clean)
        os.close(slave)
        threading.Thread(target=self.read, args=(master,), daemon=True).start()

    def read(self, master):
        while True:
            try:
                part = os.read(master, 4096)
            except OSError:
                return
            self.text += part.decode(errors="replace")

    def end(self):
        self.process.terminate()
        self.process.wait(30)


def pack(folder):
    """Makes small pictures of those that the browser took."""
    from PIL import Image

    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.glob("*.webp"):
        old.unlink()
    for file in sorted(folder.glob("*.png")):
        colours = COLOURS if file.stem.endswith(("-light", "-dark")) else TERMINAL_COLOURS
        image = Image.open(file).convert("RGB").quantize(colours, dither=Image.Dither.NONE).convert("RGB")
        image.save(OUT / f"{file.stem}.webp", lossless=True, quality=100, method=6)


class Pictures(unittest.TestCase):
    def test_the_way_from_nothing_to_live(self):
        net = Internet()
        self.addCleanup(net.close)
        machine = self.machine()
        env = {
            "RELAY_TLS_ACME_DIRECTORY": "https://ca.example.net:14000/dir",
            "RELAY_NETWORK_EXTRA_ROOT_CERTIFICATES": str(net.roots),
            "RELAY_IDENTITY_PLC_URL": "https://plc.example.net",
            "RELAY_SERVICES_CRAWLERS": "https://crawler.example.net",
            "RELAY_SERVICES_APPVIEW_URL": "https://appview.example.net",
            "RELAY_SERVICES_APPVIEW_DID": "did:web:appview.example.net",
        }
        program = Terminal("vps", *machine, RELAY, env=env)
        self.addCleanup(program.end)
        until(lambda: "instead.\r\n" in program.text, tell=lambda: program.text)
        link = re.search(r"http://\S+token=[\w-]+", program.text).group()
        taken = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        said = {"1-terminal": f"$ relay\n{program.text}"}
        self.browser("walk", link, taken)

        health = "https://pds.example.net/xrpc/_health"
        until(lambda: reaches("client", health, "--cacert", net.roots), tell=lambda: program.text)
        doctor = [*machine, RELAY, "doctor", "--config", "/var/lib/relay/relay.toml"]
        findings = json.loads(at("vps", *doctor, "--json", env={**os.environ, **env}))
        self.assertEqual([finding for finding in findings if finding["outcome"] not in ("good", "notice")], [])
        said["8-doctor"] = "$ relay doctor\n" + at("vps", *doctor, env={**os.environ, **env})
        for name, text in said.items():
            (taken / name).write_text(text)
            self.browser("draw", taken / name, taken, name)
        pack(taken)

    def machine(self):
        """The files of a machine on which nothing was installed yet: this one's, but not what marks a container."""
        root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        run("mount", "-t", "tmpfs", "tmpfs", root)
        self.addCleanup(run, "umount", "--recursive", "--lazy", root)
        for entry in pathlib.Path("/").iterdir():
            if entry.is_symlink():
                (root / entry.name).symlink_to(entry.readlink())
            elif entry.is_dir() and entry.name not in ("data", "mnt"):
                (root / entry.name).mkdir()
                run("mount", "--rbind", entry, root / entry.name)
        run("mount", "-t", "tmpfs", "tmpfs", root / "var/lib")
        for folder in ["var/lib/relay", "mnt/backup"]:
            (root / folder).mkdir(parents=True)
            # On a disk, which the doctor asks for.
            run("mount", "--bind", self.enterContext(tempfile.TemporaryDirectory()), root / folder)
        return ["chroot", str(root)]

    def browser(self, *arguments):
        self.assertTrue((BROWSER.parent / "node_modules").exists(), "tests/browser/run.sh installs what the browser takes")
        command = ["ip", "netns", "exec", "vps", "node", BROWSER, *arguments]
        done = subprocess.run([str(part) for part in command], timeout=400, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    unittest.main()
