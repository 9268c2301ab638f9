"""Follows the firehose of a host over TLS: `follow.py HOST ROOTS`. Prints the size of each message."""

import base64
import os
import socket
import ssl
import sys

host, roots = sys.argv[1:]
context = ssl.create_default_context(cafile=roots)
stream = context.wrap_socket(socket.create_connection((host, 443)), server_hostname=host).makefile("rwb")
key = base64.b64encode(os.urandom(16)).decode()
stream.write(
    f"GET /xrpc/com.atproto.sync.subscribeRepos HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
)
stream.flush()
status = stream.readline().split()[1]
while stream.readline().strip():
    pass
print("answered", status.decode(), flush=True)
while status == b"101":
    opcode, length = stream.read(2)
    if length in (126, 127):
        length = int.from_bytes(stream.read(2 if length == 126 else 8), "big")
    message = stream.read(length)
    if opcode & 0x0F == 2:
        kind = next((kind for kind in ("#commit", "#identity", "#account", "#sync") if kind.encode() in message[:64]), "?")
        print("message", kind, len(message), flush=True)
