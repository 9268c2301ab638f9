#!/usr/bin/env python3
"""Fills a data folder with copies of its first account, to see how the server bears many.

    relay dev --data-dir DATA      # make an account, write what each copy shall have, stop the server
    tests/load/seed.py DATA 100000

A copy has a DID, a handle and all records and tree nodes of the first account, but the commit is that account's own, and its signing
key opens for nobody: copies can be listed, read and exported, not written to, and `relay verify` rightly calls them wrong.
"""
import hashlib, base64, sqlite3, sys, time

data, copies = sys.argv[1], int(sys.argv[2])
db = sqlite3.connect(f"{data}/relay.sqlite", isolation_level=None)
db.execute("PRAGMA journal_mode = WAL")
db.execute("PRAGMA synchronous = OFF")
db.execute("PRAGMA cache_size = -200000")
template = db.execute("SELECT min(account) FROM repo").fetchone()[0]
columns = [row[1] for row in db.execute("PRAGMA table_info(account)")]
row = dict(zip(columns, db.execute("SELECT * FROM account WHERE id = ?", [template]).fetchone()))
begun, first = time.time(), db.execute("SELECT max(id) FROM account").fetchone()[0] + 1
for start in range(0, copies, 1000):
    db.execute("BEGIN")
    for n in range(start, min(start + 1000, copies)):
        account = first + n
        name = base64.b32encode(hashlib.sha256(f"{account}".encode()).digest()).decode().lower()[:24]
        copy = row | {"id": account, "did": f"did:plc:{name}", "handle": f"copy{account}.test", "email": f"copy{account}@example.com"}
        db.execute(f"INSERT INTO account ({','.join(columns)}) VALUES ({','.join('?' * len(columns))})", [copy[c] for c in columns])
        for table, key in [("repo", "account"), ("node", "repo"), ("record", "repo")]:
            rest = ",".join(r[1] for r in db.execute(f"PRAGMA table_info({table})") if r[1] != key)
            db.execute(f"INSERT INTO {table} ({key},{rest}) SELECT ?,{rest} FROM {table} WHERE {key} = ?", [account, template])
    db.execute("COMMIT")
    if start % 10000 == 0:
        print(f"{start + 1000} copies, {time.time() - begun:.0f} s", file=sys.stderr, flush=True)
db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
db.close()
