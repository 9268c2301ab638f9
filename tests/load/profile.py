#!/usr/bin/env python3
"""Counts the instructions that the server takes for a request, under callgrind, and tells where they go.

    tests/load/profile.py PROGRAM create|get|list|export [REQUESTS] [CONNECTIONS]

It runs `relay dev` with an account that has 600 posts. What the system does is not counted, and hashing counts more than it
takes. The whole profile stays beside the data, for callgrind_annotate.
"""

import collections
import http.client
import json
import os
import re
import signal
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
]
NSID = "app.bsky.feed.post"


class Client:
    def __init__(self, host):
        self.connection = http.client.HTTPConnection(host, timeout=120)

    def call(self, verb, path, body=None, token=None):
        headers = {"content-type": "application/json"} if body else {}
        if token:
            headers["authorization"] = "Bearer " + token
        self.connection.request(verb, "/xrpc/" + path, json.dumps(body) if body else None, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        assert answer.status == 200, (path, answer.status, text)
        return text


def post(number):
    text = f"A post of the usual length, number {number}, which says little but says it in so many words as people do."
    return {"$type": NSID, "text": text, "createdAt": "2026-11-21T10:00:00.000Z", "langs": ["en"]}


def main():
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
    uris = []
    for batch in range(3):
        writes = [
            {"$type": "com.atproto.repo.applyWrites#create", "collection": NSID, "value": post(200 * batch + number)}
            for number in range(200)
        ]
        answer = first.call("POST", "com.atproto.repo.applyWrites", {"repo": did, "writes": writes}, token)
        uris += [result["uri"] for result in json.loads(answer)["results"]]

    def one(client, number):
        if work == "create":
            body = {"repo": did, "collection": NSID, "record": post(number)}
            client.call("POST", "com.atproto.repo.createRecord", body, token)
        elif work == "get":
            rkey = uris[number % len(uris)].rsplit("/", 1)[1]
            client.call("GET", f"com.atproto.repo.getRecord?repo={did}&collection={NSID}&rkey={rkey}")
        elif work == "list":
            client.call("GET", f"com.atproto.repo.listRecords?repo={did}&collection={NSID}&limit=100")
        elif work == "export":
            client.call("GET", f"com.atproto.sync.getRepo?did={did}")
        else:
            sys.exit(__doc__)

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

    run(max(20, 4 * connections))
    control = ["callgrind_control", str(server.pid), "-i"]
    subprocess.run(control + ["on"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    run(requests)
    subprocess.run(control + ["off"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
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
