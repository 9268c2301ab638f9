"""From nothing to live, as the operator and as people elsewhere see it."""

import json
import pathlib
import tempfile
import unittest

from internet import RELAY, Internet, Program, at, curl, reaches, until


HERE = pathlib.Path(__file__).parent


def setUpModule():
    global net
    net = Internet()
    unittest.addModuleCleanup(net.close)


class Server:
    """A server that its operator starts on a host."""

    def __init__(self, host, name):
        self.host, self.name = host, name
        self.folder = tempfile.TemporaryDirectory()
        self.config = pathlib.Path(self.folder.name) / "relay.toml"
        self.config.write_text(f"""
            [server]
            public_url = "https://{name}"
            [data]
            dir = "{self.folder.name}/data"
            [tls]
            mode = "auto"
            acme_directory = "https://ca.example.net:14000/dir"
            [network]
            extra_root_certificates = "{net.roots}"
            [identity]
            plc_url = "https://plc.example.net"
            [services]
            crawlers = "https://crawler.example.net"
            appview_url = "https://appview.example.net"
            appview_did = "did:web:appview.example.net"
            [accounts]
            invite_required = false
            [backup]
            to = "{self.folder.name}/backups"
            passphrase = "to be kept elsewhere"
        """)
        self.start()

    def start(self):
        self.program = Program(self.host, RELAY, "serve", "--config", self.config, ready="the server is up")

    def restart(self):
        self.program.end()
        self.start()

    def relay(self, *command, **options):
        """Runs a command of the operator."""
        return at(self.host, RELAY, *command, "--config", self.config, **options)

    def doctor(self):
        """What the doctor finds."""
        return json.loads(self.relay("doctor", "--json", check=False))

    def becomes_well(self):
        """Waits until the doctor finds nothing; the first backup and its drill take a moment."""
        bad = []

        def is_well():
            bad[:] = [finding for finding in self.doctor() if finding["outcome"] not in ("good", "notice")]
            return not bad

        until(is_well, 60, lambda: json.dumps(bad, indent=1) + self.program.output())

    def end(self):
        self.program.end()
        self.folder.cleanup()


def call(host, server, method, body=None, token=None, *options):
    """Calls a method of the server, trusting the authority's root; gives the answer."""
    options = ["--cacert", net.roots, *options]
    if body is not None:
        options += ["--header", "content-type: application/json", "--data", json.dumps(body)]
    if token:
        options += ["--header", f"authorization: Bearer {token}"]
    return json.loads(curl(host, f"https://{server}/xrpc/{method}", *options))


class OnAServerWithPublicAddresses(unittest.TestCase):
    NAME = "pds.example.net"

    @classmethod
    def setUpClass(cls):
        cls.server = Server("vps", cls.NAME)
        cls.addClassCleanup(cls.server.end)
        health = f"https://{cls.NAME}/xrpc/_health"
        until(lambda: reaches("client", health, "--cacert", net.roots), 60, cls.server.program.output)
        cls.follower = net.start("client", "python3", "-u", HERE / "follow.py", cls.NAME, net.roots, ready="answered 101")

    def test_it_answers_with_a_certificate_over_both_kinds_of_addresses(self):
        for host in ["client", "client6"]:
            with self.subTest(host):
                described = call(host, self.NAME, "com.atproto.server.describeServer")
                self.assertEqual(described["availableUserDomains"], [f".{self.NAME}"])

    def test_a_browser_that_asks_without_tls_is_sent_on(self):
        head = curl("client6", f"http://{self.NAME}/", "--head")
        self.assertIn(f"location: https://{self.NAME}/", head.lower())

    def test_no_certificate_is_ordered_for_a_name_that_is_nobodys(self):
        self.assertFalse(reaches("client", f"https://nobody.{self.NAME}/", "--cacert", net.roots))
        elsewhere = ["--resolve", "elsewhere.example.org:443:20.0.1.2", "--insecure"]
        self.assertFalse(reaches("client", "https://elsewhere.example.org/", *elsewhere))

    def test_an_account_is_live_for_all_at_once(self):
        handle = f"alice.{self.NAME}"
        account = {"handle": handle, "email": "alice@example.net", "password": "a password of alice"}
        made = call("client", self.NAME, "com.atproto.server.createAccount", account)
        # The handle's own name has a certificate when the account is there.
        said = curl("client6", f"https://{handle}/.well-known/atproto-did", "--cacert", net.roots)
        self.assertEqual(said.strip(), made["did"])
        document = json.loads(curl("client", f"https://plc.example.net/{made['did']}", "--cacert", net.roots))
        self.assertEqual(document["service"][0]["serviceEndpoint"], f"https://{self.NAME}")
        post = {"$type": "app.bsky.feed.post", "text": "from everywhere", "createdAt": "2026-01-01T00:00:00Z"}
        record = {"repo": made["did"], "collection": "app.bsky.feed.post", "record": post}
        call("client6", self.NAME, "com.atproto.repo.createRecord", record, made["accessJwt"])
        listed = call("client", self.NAME, f"com.atproto.repo.listRecords?repo={handle}&collection=app.bsky.feed.post")
        self.assertEqual([record["value"]["text"] for record in listed["records"]], ["from everywhere"])
        for kind in ["#identity", "#account", "#commit"]:
            self.follower.says(f"message {kind}")
        net.crawler.says(f"/xrpc/com.atproto.sync.requestCrawl {self.NAME}")

    def test_the_doctor_finds_it_well(self):
        self.server.becomes_well()


class BehindAHomeRouter(unittest.TestCase):
    NAME = "home.example.net"

    def test_from_a_closed_port_to_one_that_the_world_reaches(self):
        server = Server("home", self.NAME)
        self.addCleanup(server.end)
        found = {finding["id"]: finding for finding in server.doctor()}
        self.assertIn("192.168.1.10", found["ip.address"]["sentence"])
        self.assertEqual(found["dns.host"]["outcome"], "good")
        self.assertEqual(found["tls.certificate"]["outcome"], "error")
        net.forward(80, 443)
        server.restart()
        health = f"https://{self.NAME}/xrpc/_health"
        until(lambda: reaches("client", health, "--cacert", net.roots), 60, server.program.output)
        found = {finding["id"]: finding for finding in server.doctor()}
        self.assertIn("cannot call itself", found["tls.certificate"]["sentence"])
        self.assertEqual(found["tls.certificate"]["outcome"], "warning")
        net.lead_home_back()
        server.becomes_well()


if __name__ == "__main__":
    unittest.main()
