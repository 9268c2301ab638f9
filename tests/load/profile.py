#!/usr/bin/env python3
"""Counts the instructions that the server takes for a request, under callgrind, and tells where they go.

    tests/load/profile.py PROGRAM create|apply|get|list|export|import|fanout|replay [REQUESTS] [CONNECTIONS]

It runs `relay dev` with an account that has 600 posts. `apply` is a commit of 200 posts; `import` puts a repo of 2,600 into the
place of one that has 600 of them; `fanout` is `create` with 50 subscribers; `replay` reads 400 commits of one post each from the
beginning. What the system does is not counted, and hashing counts more than it takes. The whole profile stays beside the data,
for callgrind_annotate.
"""

import collections
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading

# By the names of functions; the first that matches counts.
KINDS = [
    ("signature", r"k256|crypto_bigint|primeorder|ecdsa|rfc6979"),
    ("SHA-256", r"sha2::"),
    ("packing of events (zstd)", r"ZSTD|FSE_|HUF_|HIST_"),
    ("SQLite", r"sqlite3|rusqlite|:wal[A-Z]|:pager|:pcache|:btree[A-Z]|:unix[A-Z]|:balance|:vdbe"),
    ("allocator", r":_?mi_|malloc|__rust_alloc|__rust_dealloc"),
    ("copying, comparing", r"mem(cpy|move|set|cmp)|strlen"),
    ("HTTP and layers", r"hyper|httparse|http::|axum|tower|relay::layers"),
    ("log and counts", r"tracing|relay::telemetry"),
    ("WebSocket", r"tungstenite|relay::firehose"),
]
SUBSCRIBERS = 50
NSID = "app.bsky.feed.post"
WORKS = ["create", "apply", "get", "list", "export", "import", "fanout", "replay"]


class Client:
    def __init__(self, host):
        self.connection = http.client.HTTPConnection(host, timeout=120)

    def call(self, verb, path, body=None, token=None, media_type="application/json"):
        headers = {"content-type": media_type} if body else {}
        if token:
            headers["authorization"] = "Bearer " + token
        if isinstance(body, dict):
            body = json.dumps(body)
        self.connection.request(verb, "/xrpc/" + path, body, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        assert answer.status == 200, (path, answer.status, text)
        return text


class Subscriber:
    """Reads the firehose, and counts its frames."""

    def __init__(self, host, cursor=None):
        name, port = host.split(":")
        self.socket = socket.create_connection((name, int(port)), timeout=300)
        path = "/xrpc/com.atproto.sync.subscribeRepos" + (f"?cursor={cursor}" if cursor is not None else "")
        lines = [f"GET {path} HTTP/1.1", f"host: {host}", "upgrade: websocket", "connection: upgrade"]
        lines += ["sec-websocket-version: 13", "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==", "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        self.file = self.socket.makefile("rb", buffering=1 << 16)
        while self.file.readline() != b"\r\n":
            pass

    def read(self, frames):
        while frames:
            kind, size = self.file.read(2)
            size = int.from_bytes(self.file.read({126: 2, 127: 8}[size]), "big") if size > 125 else size
            self.file.read(size)
            frames -= kind & 15 == 2


def post(number):
    text = f"A post of the usual length, number {number}, which says little but says it in so many words as people do."
    return {"$type": NSID, "text": text, "createdAt": "2026-11-21T10:00:00.000Z", "langs": ["en"]}


def main():
    if len(sys.argv) < 3 or sys.argv[2] not in WORKS:
        sys.exit(__doc__)
    program, work = sys.argv[1:3]
    requests = int(sys.argv[3]) if len(sys.argv) > 3 else 400
    connections = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    data = tempfile.mkdtemp(prefix="relay-profile-")
    profile = os.path.join(data, "callgrind.out")
    server = subprocess.Popen(
        ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=" + profile, program]
        + ["dev", "--json-ready", "--no-accounts", "--plc-bind", "127.0.0.1:0", "--bind", "127.0.0.1:0", "--data-dir", data],
        stdout=subprocess.PIPE,
        stderr=open(os.path.join(data, "log"), "w"),
        # Valgrind does not know all instructions that the C library would choose.
        env=dict(os.environ, GLIBC_TUNABLES="glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX2,-ERMS,-FSRM"),
        text=True,
    )
    ready = next(line for line in server.stdout if line.startswith("READY "))
    host = json.loads(ready[6:])["pds"].split("//")[1]
    first = Client(host)
    account = {"handle": "alice.test", "email": "alice@example.com", "password": "a long password"}
    account = json.loads(first.call("POST", "com.atproto.server.createAccount", account))
    did, token = account["did"], account["accessJwt"]
    def apply(client):
        creates = [{"$type": "com.atproto.repo.applyWrites#create", "collection": NSID, "value": post(n)} for n in range(200)]
        return client.call("POST", "com.atproto.repo.applyWrites", {"repo": did, "writes": creates}, token)

    uris = []
    for _ in range(3):
        uris += [result["uri"] for result in json.loads(apply(first))["results"]]
    if work == "import":
        small = first.call("GET", f"com.atproto.sync.getRepo?did={did}")
        for _ in range(10):
            apply(first)
        large = first.call("GET", f"com.atproto.sync.getRepo?did={did}")
    if work == "replay":
        for number in range(400):
            first.call("POST", "com.atproto.repo.createRecord", {"repo": did, "collection": NSID, "record": post(number)}, token)

    def one(client, number):
        if work == "create":
            body = {"repo": did, "collection": NSID, "record": post(number)}
            client.call("POST", "com.atproto.repo.createRecord", body, token)
        elif work == "apply":
            apply(client)
        elif work == "get":
            rkey = uris[number % len(uris)].rsplit("/", 1)[1]
            client.call("GET", f"com.atproto.repo.getRecord?repo={did}&collection={NSID}&rkey={rkey}")
        elif work == "list":
            client.call("GET", f"com.atproto.repo.listRecords?repo={did}&collection={NSID}&limit=100")
        elif work == "export":
            client.call("GET", f"com.atproto.sync.getRepo?did={did}")
        elif work == "import":
            client.call("POST", "com.atproto.repo.importRepo", large, token, "application/vnd.ipld.car")
        elif work == "fanout":
            client.call("POST", "com.atproto.repo.createRecord", {"repo": did, "collection": NSID, "record": post(number)}, token)
            for subscriber in subscribers:
                subscriber.read(1)
        elif work == "replay":
            Subscriber(host, 0).read(400)

    subscribers = [Subscriber(host) for _ in range(SUBSCRIBERS if work == "fanout" else 0)]

    def run(total):
        def some(part):
            client = Client(host)
            for number in range(part, total, connections):
                one(client, number)

        threads = [threading.Thread(target=some, args=(part,)) for part in range(connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def count(state):
        command = ["callgrind_control", str(server.pid), "-i", state]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)

    if work == "import":
        for number in range(requests):
            first.call("POST", "com.atproto.repo.importRepo", small, token, "application/vnd.ipld.car")
            count("on")
            one(first, number)
            count("off")
    else:
        run(max(20, 4 * connections) if work != "replay" else 1)
        count("on")
        run(requests)
        count("off")
    server.send_signal(signal.SIGTERM)
    server.wait(timeout=120)

    listing = subprocess.run(["callgrind_annotate", "--threshold=100", profile], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    counts = collections.Counter()
    for line in listing.stdout.splitlines():
        found = re.match(r"\s*([\d,]+) \([^)]*\)\s+(\S*:.*)", line)
        if found:
            kind = next((name for name, pattern in KINDS if re.search(pattern, found[2])), "everything else")
            counts[kind] += int(found[1].replace(",", ""))
    total = sum(counts.values())
    for kind, count in counts.most_common():
        print(f"{count / requests:12,.0f} {100 * count / total:5.1f} %  {kind}")
    print(f"{total / requests:12,.0f} instructions for each {work}; {profile}")


main()
