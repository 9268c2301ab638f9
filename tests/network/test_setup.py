"""One command, from an empty folder to a server that people reach by its name."""

import json
import re
import tempfile
import unittest

from internet import RELAY, Internet, Program, at, curl, reaches, until


def setUpModule():
    global net
    net = Internet()
    unittest.addModuleCleanup(net.close)


class Machine:
    """A host with an empty folder."""

    def __init__(self, host, name):
        self.host, self.name = host, name
        self.folder = tempfile.TemporaryDirectory()
        self.data = f"{self.folder.name}/data"

    def set_up(self, *arguments, **options):
        """The one command; gives what it says."""
        settings = {
            "tls.acme_directory": "https://ca.example.net:14000/dir",
            "network.extra_root_certificates": net.roots,
            "identity.plc_url": "https://plc.example.net",
            "services.crawlers": "https://crawler.example.net",
            "services.appview_url": "https://appview.example.net",
            "services.appview_did": "did:web:appview.example.net",
        }
        settings = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
        account = ["--handle", "alice", "--email", "alice@example.net", "--backup-to", f"{self.folder.name}/backups"]
        command = ["setup", "--yes", "--hostname", self.name, "--data-dir", self.data, *account, *arguments, *settings]
        return at(self.host, RELAY, *command, **options)

    def serve(self):
        """`relay`, as it is written at the end."""
        program = Program(self.host, RELAY, env={"RELAY_DATA_DIR": self.data}, ready="the server is up")
        health = f"https://{self.name}/xrpc/_health"
        until(lambda: reaches("client", health, "--cacert", net.roots), 30, program.output)
        return program

    def doctor(self):
        """What the doctor finds."""
        return json.loads(at(self.host, RELAY, "doctor", "--json", "--data-dir", self.data, check=False))


def sign_in(name, password):
    """Signs in from elsewhere, by the handle's own host name and a verified certificate; gives the session."""
    handle = f"alice.{name}"
    did = curl("client", f"https://{handle}/.well-known/atproto-did", "--cacert", net.roots).strip()
    body = ["--header", "content-type: application/json", "--data", json.dumps({"identifier": handle, "password": password})]
    session = json.loads(curl("client", f"https://{name}/xrpc/com.atproto.server.createSession", "--cacert", net.roots, *body))
    return did, session


def said(text, name):
    """What a line of the output says."""
    return re.search(rf"^{name}: (.+)$", text, re.MULTILINE).group(1)


class OnAServerWithPublicAddresses(unittest.TestCase):
    def test_one_command_from_nothing_to_live(self):
        machine = Machine("vps", "pds.example.net")
        self.addCleanup(machine.folder.cleanup)
        text = machine.set_up()
        self.assertRegex(text, r"pds\.example\.net +A +20\.0\.1\.2")
        self.assertRegex(text, r"\*\.pds\.example\.net +AAAA +2a00:20:1::2")
        self.assertIn("The server's name is right", text)
        server = machine.serve()
        self.addCleanup(server.end)
        did, session = sign_in(machine.name, said(text, "password"))
        self.assertEqual(session["did"], did)
        self.assertTrue(said(text, "account").endswith(did), text)
        # The person's own key stands above the server's.
        keys = json.loads(curl("client", f"https://plc.example.net/{did}/data", "--cacert", net.roots))["rotationKeys"]
        self.assertEqual(len(keys), 2)
        bad = [finding for finding in machine.doctor() if finding["outcome"] not in ("good", "notice")]
        self.assertEqual(bad, [])


class BehindAHomeRouter(unittest.TestCase):
    def test_the_router_is_asked_for_its_ports(self):
        """By each of the languages of routers; the first time none answers."""
        for by, named in [("upnp", "UPnP"), ("natpmp", "NAT-PMP")]:
            with self.subTest(by):
                machine = Machine("home", "home.example.net")
                self.addCleanup(machine.folder.cleanup)
                closed = machine.set_up("--open-ports", check=False)
                self.assertIn("No router answered, neither by UPnP", closed)
                router = net.open_ports_on_request(by)
                # It goes on where it was.
                text = machine.set_up("--open-ports")
                self.assertTrue(said(text, "account").startswith("alice.home.example.net"), router.output())
                server = machine.serve()
                did, session = sign_in(machine.name, said(text, "password"))
                self.assertEqual(session["did"], did)
                # The server that runs now asks anew.
                until(lambda: "router.ports" in {finding["id"] for finding in machine.doctor() if finding["outcome"] == "good"},
                      tell=server.output)
                found = {finding["id"]: finding for finding in machine.doctor()}
                self.assertIn(f"20.0.5.2 passes ports 443, 80 on to this machine (by {named})", found["router.ports"]["sentence"])
                server.end()
                router.end()
                net.forget_ports()


if __name__ == "__main__":
    unittest.main()
