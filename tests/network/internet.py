"""A small internet: hosts in network namespaces, joined by a router, with DNS, a certificate authority and a PLC directory.

    backbone (router, DNS at 1.1.1.1 and 9.9.9.9) --- vps        a server with public addresses
                                                  \\-- services   certificate authority, PLC directory, a crawler
                                                  |-- client     somebody elsewhere, with both kinds of addresses
                                                  |-- client6    somebody with IPv6 only
                                                  \\-- box ------ home   a server behind a home router: NAT, UPnP

The addresses are public by their number, so that the server's own protections stay on; nothing leaves the namespaces.
"""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

RELAY = os.environ.get("EZPDS_RELAY", "relay")

# name: (IPv4 address, IPv6 address), each in a network of its own with the backbone at .1 and ::1.
HOSTS = {
    "vps": ("20.0.1.2", "2a00:20:1::2"),
    "services": ("20.0.2.2", "2a00:20:2::2"),
    "client": ("20.0.3.2", "2a00:20:3::2"),
    "client6": (None, "2a00:20:4::2"),
    "box": ("20.0.5.2", None),
}
RESOLVERS = ["1.1.1.1", "9.9.9.9", "8.8.8.8"]
RESOLVER6 = "2606:4700:4700::1111"
# What leads where; with all names below.
NAMES = {"pds.example.net": "vps", "home.example.net": "box", "ca.example.net": "services", "plc.example.net": "services",
         "crawler.example.net": "services", "appview.example.net": "services"}


def run(*command, check=True, **options):
    """Runs a command to its end and gives its output."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def at(host, *command, **options):
    """Runs a command on a host."""
    return run("ip", "netns", "exec", host, *command, **options)


def curl(host, url, *options, check=True):
    """Asks as somebody on `host`; gives the body."""
    return at(host, "curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "20", *options, url, check=check)


def reaches(host, url, *options):
    """Whether somebody on `host` gets an answer."""
    command = ["ip", "netns", "exec", host, "curl", "--silent", "--fail", "--max-time", "5", "--output", "/dev/null", *options, url]
    return subprocess.run(command, timeout=60).returncode == 0


class Program:
    """A program that runs on a host until it is ended."""

    def __init__(self, host, *command, ready=None, env=None):
        self.log = tempfile.NamedTemporaryFile("w+", suffix=".log")
        self.process = subprocess.Popen(["ip", "netns", "exec", host, *map(str, command)], stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=subprocess.STDOUT, env={**os.environ, **(env or {})})
        if ready:
            self.says(ready)

    def output(self):
        return pathlib.Path(self.log.name).read_text()

    def says(self, text, within=60):
        """Waits until it has said this."""
        until(lambda: text in self.output() or self.process.poll() is not None, within, self.output)
        if text not in self.output():
            raise AssertionError(f"it ended before it said {text!r}:\n{self.output()}")

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"it does not stop:\n{self.output()}") from None
        finally:
            self.log.close()


def until(is_so, within=30, tell=lambda: ""):
    """Asks again and again, for what no event can be awaited across namespaces."""
    deadline = time.monotonic() + within
    while not is_so():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s\n{tell()}")
        time.sleep(0.05)


class Internet:
    """All hosts and services."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="internet-"))
        self.programs = contextlib.ExitStack()
        self.mount()
        self.hosts()
        self.home()
        dns = self.start("backbone", *self.dnsmasq())
        until(lambda: at("services", "getent", "hosts", "ca.example.net", check=False), tell=dns.output)
        self.authority()
        self.start("services", RELAY, "dev", "--no-accounts", ready="is up")
        self.crawler = self.start("services", "python3", "-u", pathlib.Path(__file__).with_name("crawler.py"))
        self.front()

    def start(self, host, *command, **options):
        program = Program(host, *command, **options)
        self.programs.callback(program.end)
        return program

    def mount(self):
        """Gives these namespaces files of their own where the programs look; the machine's stay as they are."""
        run("mount", "--make-rprivate", "/")
        run("mount", "-t", "tmpfs", "tmpfs", "/run")
        resolv = self.folder / "resolv.conf"
        resolv.write_text(f"nameserver {RESOLVERS[0]}\nnameserver {RESOLVER6}\noptions timeout:1 attempts:1\n")
        run("mount", "--bind", resolv, os.path.realpath("/etc/resolv.conf"))

    def hosts(self):
        self.host("backbone")
        for address in RESOLVERS:
            at("backbone", "ip", "address", "add", f"{address}/32", "dev", "lo")
        for number, (name, (v4, v6)) in enumerate(HOSTS.items()):
            self.host(name)
            self.cable("backbone", f"to{number}", name, "up0")
            if v4:
                gate = v4.rsplit(".", 1)[0] + ".1"
                at("backbone", "ip", "address", "add", f"{gate}/24", "dev", f"to{number}")
                at(name, "ip", "address", "add", f"{v4}/24", "dev", "up0")
                at(name, "ip", "route", "add", "default", "via", gate)
            if v6:
                gate = v6.rsplit("::", 1)[0] + "::1"
                at("backbone", "ip", "address", "add", f"{gate}/64", "dev", f"to{number}", "nodad")
                at(name, "ip", "address", "add", f"{v6}/64", "dev", "up0", "nodad")
                at(name, "ip", "-6", "route", "add", "default", "via", gate)
        at("backbone", "ip", "address", "add", f"{RESOLVER6}/128", "dev", "lo", "nodad")

    def host(self, name):
        run("ip", "netns", "add", name)
        at(name, "ip", "link", "set", "lo", "up")
        at(name, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding")

    def cable(self, one, one_end, other, other_end):
        run("ip", "link", "add", one_end, "netns", one, "type", "veth", "peer", "name", other_end, "netns", other)
        at(one, "ip", "link", "set", one_end, "up")
        at(other, "ip", "link", "set", other_end, "up")

    def home(self):
        """A home network behind `box`, which translates addresses and opens no port of itself."""
        self.host("home")
        self.cable("box", "lan0", "home", "up0")
        at("box", "ip", "address", "add", "192.168.1.1/24", "dev", "lan0")
        at("home", "ip", "address", "add", "192.168.1.10/24", "dev", "up0")
        at("home", "ip", "route", "add", "default", "via", "192.168.1.1")
        at("box", "nft", """
            table inet filter {
              chain forward {
                type filter hook forward priority filter; policy drop;
                ct state established,related accept
                iifname "lan0" accept
                jump miniupnpd
              }
              chain miniupnpd { }
              chain prerouting { type nat hook prerouting priority dstnat; jump prerouting_miniupnpd; }
              chain prerouting_miniupnpd { }
              chain postrouting {
                type nat hook postrouting priority srcnat;
                jump postrouting_miniupnpd
                oifname "up0" masquerade
              }
              chain postrouting_miniupnpd { }
            }
        """)

    def forward(self, *ports):
        """The router passes these ports on to the server, as its owner tells it; not for who is at home ("no hairpin")."""
        for port in ports:
            at("box", "nft", f"add rule inet filter prerouting iifname up0 tcp dport {port} dnat ip to 192.168.1.10")
        at("box", "nft", "insert rule inet filter forward ct status dnat accept")

    def lead_home_back(self):
        """The router passes on what people at home send to its public address, too."""
        at("box", "nft", "add rule inet filter prerouting iifname lan0 ip daddr 20.0.5.2 fib daddr type local dnat ip to 192.168.1.10")
        at("box", "nft", "insert rule inet filter postrouting iifname lan0 oifname lan0 masquerade")

    def open_ports_on_request(self, by):
        """The router grants what is asked for by "upnp" or "natpmp", from now on."""
        config = self.folder / "miniupnpd.conf"
        speaks = "".join(f"enable_{protocol}={'yes' if protocol == by else 'no'}\n" for protocol in ("upnp", "natpmp"))
        config.write_text(f"ext_ifname=up0\nlistening_ip=lan0\n{speaks}secure_mode=yes\n"
                          "ipv6_disable=yes\nuuid=5cdfc2f2-4c1c-4c5d-8d3f-0a2b9c3d4e5f\nallow 1-65535 192.168.1.0/24 1-65535\ndeny 0-65535 0.0.0.0/0 0-65535\n")
        return self.start("box", "miniupnpd", "-d", "-P", self.folder / "miniupnpd.pid", "-f", config, ready="listening on" if by == "upnp" else "Listening for")

    def forget_ports(self):
        """The router was restarted: it passes nothing on that it was asked for."""
        for chain in ["miniupnpd", "prerouting_miniupnpd", "postrouting_miniupnpd"]:
            at("box", "nft", f"flush chain inet filter {chain}")

    def dnsmasq(self):
        command = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--user=", "--group=",
                   "--pid-file="]
        command += ["--bind-interfaces", "--interface=lo", "--except-interface=none", "--local=/#/"]
        command += [f"--listen-address={address}" for address in [*RESOLVERS, RESOLVER6]]
        # The domain's own DNS server, as a record that dnsmasq has no words for: type 2, NS.
        server = b"\x02ns\x07example\x03net\x00"
        command += [f"--dns-rr=example.net,2,{server.hex()}", f"--address=/ns.example.net/{RESOLVERS[2]}"]
        for name, host in NAMES.items():
            command += [f"--address=/{name}/{address}" for address in HOSTS[host] if address]
        return command

    def authority(self):
        """A certificate authority that validates for real, on the ports that the real ones use."""
        key, pem = self.folder / "ca.key", self.folder / "ca.pem"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", pem,
            "-days", "2", "-subj", "/CN=ca.example.net", "-addext", "subjectAltName=DNS:ca.example.net,DNS:plc.example.net,"
            "DNS:crawler.example.net,DNS:appview.example.net", "-addext", "basicConstraints=critical,CA:FALSE")
        config = {"listenAddress": "0.0.0.0:14000", "managementListenAddress": "0.0.0.0:15000", "certificate": str(pem), "privateKey": str(key),
                  "httpPort": 80, "tlsPort": 443, "ocspResponderURL": "", "externalAccountBindingRequired": False}
        (self.folder / "ca.json").write_text(json.dumps({"pebble": config}))
        self.start("services", "pebble", "-strict", "-config", self.folder / "ca.json", "-dnsserver", f"{RESOLVERS[0]}:53",
                   env={"PEBBLE_VA_NOSLEEP": "1"}, ready="ACME directory available at")
        self.roots = self.folder / "roots.pem"
        given = curl("services", "https://ca.example.net:15000/roots/0", "--cacert", pem)
        # The one that the services themselves have, and the one that the authority certifies with.
        self.roots.write_text(pem.read_text() + given)

    def front(self):
        """HTTPS for the PLC directory and the crawler, and an AppView that is well and does no more."""
        tls = f"tls {self.folder}/ca.pem {self.folder}/ca.key"
        (self.folder / "Caddyfile").write_text(f"""
            {{
              admin off
              auto_https off
            }}
            https://plc.example.net {{
              {tls}
              reverse_proxy 127.0.0.1:2582
            }}
            https://crawler.example.net {{
              {tls}
              reverse_proxy 127.0.0.1:8080
            }}
            https://appview.example.net {{
              {tls}
              respond /xrpc/_health {{"version":"1"}}
            }}
        """)
        self.start("services", "caddy", "run", "--config", self.folder / "Caddyfile", ready="serving initial configuration",
                   env={"HOME": str(self.folder)})

    def close(self):
        self.programs.close()
        shutil.rmtree(self.folder)
