"""Checks what is in the Docker image or in the OCI bundle, without running it.

    check_container.py image IMAGE.tar.gz LIMIT_BYTES
    check_container.py bundle FOLDER LIMIT_BYTES

Every link, interpreter, library and store path has to resolve inside, nothing of the compiler may be there, the user, the
data folder and the environment have to fit, and the files together have to stay below the limit.
"""

import io
import json
import os
import posixpath
import re
import stat
import struct
import sys
import tarfile

STORE_PATH = re.compile(rb"/nix/store/([0-9a-z]{32})-[0-9A-Za-z+._?=-]+")
# What nuke-refs writes over the hash of a reference that is to be no more.
NOWHERE = b"e" * 32
OWNER = 10001


class Entry:
    def __init__(self, mode, uid=None, gid=None, link=None, data=None):
        self.mode, self.uid, self.gid, self.link, self.data = mode, uid, gid, link, data


class Root:
    """A root file system in memory: entries by absolute path."""

    def __init__(self):
        self.entries = {"/": Entry(stat.S_IFDIR | 0o755)}

    def resolve(self, path, depth=40):
        """Returns the real path of `path`, or None where it leads nowhere."""
        real = "/"
        for part in path.split("/"):
            if part in ("", "."):
                continue
            if part == "..":
                real = posixpath.dirname(real)
                continue
            real = posixpath.join(real, part)
            entry = self.entries.get(real)
            if entry is None or depth == 0:
                return None
            if entry.link is not None:
                real = self.resolve(posixpath.join(posixpath.dirname(real), entry.link), depth - 1)
                if real is None:
                    return None
        return real

    def find(self, path):
        real = self.resolve(path)
        return None if real is None else self.entries[real]


def from_layer(root, data):
    """Adds a layer's files; returns the names of the store paths in it."""
    names = set()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            path = posixpath.normpath("/" + member.name)
            kind = stat.S_IFDIR if member.isdir() else stat.S_IFLNK if member.issym() else stat.S_IFREG
            content = tar.extractfile(member).read() if member.isfile() else None
            if member.islnk():
                content = root.entries[posixpath.normpath("/" + member.linkname)].data
            link = member.linkname if member.issym() else None
            root.entries[path] = Entry(kind | member.mode, member.uid, member.gid, link, content)
            if path.startswith("/nix/store/"):
                names.add(path.split("/")[3])
    return names


def from_folder(top):
    root = Root()
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            full = os.path.join(folder, name)
            info = os.lstat(full)
            link = os.readlink(full) if stat.S_ISLNK(info.st_mode) else None
            data = None
            if stat.S_ISREG(info.st_mode):
                with open(full, "rb") as file:
                    data = file.read()
            root.entries["/" + os.path.relpath(full, top)] = Entry(info.st_mode, link=link, data=data)
    return root


def elf(data):
    """Returns interpreter, needed libraries and search path of a 64-bit little-endian ELF file."""
    (table,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    segments = [struct.unpack_from("<IIQQQQQQ", data, table + i * size) for i in range(count)]

    def offset(address):
        for kind, _, start, virtual, _, length, _, _ in segments:
            if kind == 1 and virtual <= address < virtual + length:
                return address - virtual + start
        raise SystemExit("an ELF file's string table is outside of its segments")

    def text(at):
        return data[at : data.index(b"\0", at)].decode()

    interpreter, needed, search = None, [], []
    for kind, _, start, _, _, length, _, _ in segments:
        if kind == 3:
            interpreter = text(start)
        if kind == 2:
            pairs = [struct.unpack_from("<QQ", data, start + i) for i in range(0, length, 16)]
            strings = next((offset(value) for tag, value in pairs if tag == 5), None)
            for tag, value in pairs:
                if tag == 0:
                    break
                if tag == 1:
                    needed.append(text(strings + value))
                if tag in (15, 29):
                    search += [part for part in text(strings + value).split(":") if part]
    return interpreter, needed, search


def walk(root):
    """Returns what does not resolve inside, as sentences."""
    wrong = []
    here = {path.split("/")[3].encode() for path in root.entries if path.startswith("/nix/store/")}
    for path, entry in sorted(root.entries.items()):
        if entry.link is not None and root.resolve(path) is None:
            wrong.append(f"{path} links to {entry.link}, which is not there")
        data = entry.data
        if not data:
            continue
        if data[:4] == b"\x7fELF":
            interpreter, needed, search = elf(data)
            if interpreter and not root.find(interpreter):
                wrong.append(f"{path} needs the interpreter {interpreter}, which is not there")
            for folder in search:
                if not root.find(folder.replace("$ORIGIN", posixpath.dirname(path))):
                    wrong.append(f"{path} searches {folder}, which is not there")
            for name in needed:
                # The loader is in memory before anything is searched for.
                if not name.startswith("ld-linux") and not any(root.find(posixpath.join(folder, name)) for folder in search):
                    # So is the C library, when a program needed it first.
                    if interpreter or not name.startswith("libc.so"):
                        wrong.append(f"{path} needs {name}, which is not in {search}")
        if data[:2] == b"#!" and entry.mode & 0o111:
            interpreter = data[2:200].split()[0].decode()
            if not root.find(interpreter):
                wrong.append(f"{path} is a script for {interpreter}, which is not there")
        for match in STORE_PATH.finditer(data):
            name = match.group(0)[len(b"/nix/store/") :]
            if match.group(1) != NOWHERE and not any(name.startswith(known) for known in here):
                wrong.append(f"{path} names {match.group(0).decode()}, which is not there")
    for name in sorted(here):
        if re.search(rb"-(rustc|cargo|gcc|glibc)-[0-9]", name):
            wrong.append(f"{name.decode()} is not for running")
    return wrong


def facts(root, args, env, user, state):
    """Checks what both kinds say about the process."""
    wrong = []
    entry = root.find(args[0])
    if entry is None or not entry.mode & 0o111:
        wrong.append(f"the entry point {args[0]} is not a program")
    if user != f"{OWNER}:{OWNER}":
        wrong.append(f"the user is {user}")
    values = dict(pair.split("=", 1) for pair in env)
    certificates = root.find(values["SSL_CERT_FILE"])
    if certificates is None or b"BEGIN CERTIFICATE" not in (certificates.data or b""):
        wrong.append("SSL_CERT_FILE has no certificates")
    if root.find(values["TZDIR"] + "/Europe/Berlin") is None:
        wrong.append("TZDIR has no time zones")
    if root.find(values["RELAY_DATA_DIR"]) is None or values["RELAY_DATA_DIR"] != state:
        wrong.append("RELAY_DATA_DIR is not the data folder")
    if not any(re.search(r"/libsqlite3\.so", path) for path in root.entries):
        wrong.append("there is no SQLite")
    return wrong


def image(file):
    with tarfile.open(file) as tar:
        read = lambda name: tar.extractfile(name).read()
        manifest = json.loads(read("manifest.json"))[0]
        config = json.loads(read(manifest["Config"]))
        root, layers = Root(), []
        for name in manifest["Layers"]:
            layers.append(from_layer(root, read(name)))
    process = config["config"]
    wrong = walk(root) + facts(root, process["Entrypoint"], process["Env"], process["User"], "/data")
    if manifest["RepoTags"] != ["relay:latest"]:
        wrong.append(f"the tags are {manifest['RepoTags']}")
    data, tmp = root.entries["/data"], root.entries["/tmp"]
    if (data.uid, data.gid, stat.S_IMODE(data.mode)) != (OWNER, OWNER, 0o750):
        wrong.append(f"/data is of {data.uid}:{data.gid} with mode {data.mode:o}")
    if stat.S_IMODE(tmp.mode) != 0o1777:
        wrong.append(f"/tmp has mode {tmp.mode:o}")
    program = process["Entrypoint"][0].split("/")[3]
    if {program} not in layers:
        wrong.append("the program has no layer of its own, so an update pushes more than the program")
    if process["Healthcheck"]["Test"] != ["CMD", *process["Entrypoint"], "health"]:
        wrong.append("the health check is not the program's own")
    return root, wrong


def bundle(folder):
    root = from_folder(os.path.join(folder, "rootfs"))
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    process = config["process"]
    user = f"{process['user']['uid']}:{process['user']['gid']}"
    wrong = walk(root) + facts(root, process["args"], process["env"], user, process["cwd"])
    if not config["root"]["readonly"]:
        wrong.append("the root is not read-only")
    if any(process["capabilities"].values()) or not process["noNewPrivileges"]:
        wrong.append("the process has privileges")
    mounts = {mount["destination"]: mount for mount in config["mounts"]}
    for mount in mounts:
        if root.find(mount) is None:
            wrong.append(f"there is nothing to mount {mount} on")
    if mounts["/tmp"]["type"] != "tmpfs" or "rw" not in mounts["/data"]["options"]:
        wrong.append("/tmp or /data is not for writing")
    return root, wrong


def main():
    kind, what, limit = sys.argv[1:]
    root, wrong = {"image": image, "bundle": bundle}[kind](what)
    size = sum(len(entry.data) for entry in root.entries.values() if entry.data)
    if size > int(limit):
        wrong.append(f"the files have {size} bytes, more than {limit}")
    print(f"{kind}: {len(root.entries)} entries, {size / 1e6:.1f} MB unpacked")
    for sentence in wrong:
        print(f"WRONG {sentence}")
    sys.exit(1 if wrong else 0)


main()
