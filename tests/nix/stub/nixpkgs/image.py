"""Writes a Docker archive as dockerTools.buildLayeredImage does: a layer for each store path, and one for the rest."""

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile

env = os.environ


def add(tar, name, data):
    info = tarfile.TarInfo(name)
    info.size, info.mtime = len(data), 1
    tar.addfile(info, io.BytesIO(data))


def layer_of(path):
    def plain(info):
        info.uid = info.gid = 0
        info.uname = info.gname = "root"
        info.mtime = 1
        return info

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in ("nix", "nix/store"):
            info = tarfile.TarInfo(folder)
            info.type, info.mode, info.mtime = tarfile.DIRTYPE, 0o755, 1
            tar.addfile(info)
        tar.add(path, arcname=path.lstrip("/"), filter=plain)
    return buffer.getvalue()


def last_layer():
    """Links to the contents, and what the image's own commands make."""
    root = os.path.join(os.getcwd(), "root")
    os.makedirs(root)
    for path in env["contents"].split():
        for folder, folders, files in os.walk(path):
            here = os.path.normpath(os.path.join(root, os.path.relpath(folder, path)))
            os.makedirs(here, exist_ok=True)
            for name in files + [name for name in folders if os.path.islink(os.path.join(folder, name))]:
                if not os.path.lexists(os.path.join(here, name)):
                    os.symlink(os.path.join(folder, name), os.path.join(here, name))
    subprocess.run(["bash", "-euc", env["extraCommands"]], cwd=root, check=True)
    pack = "tar --sort=name --numeric-owner --mtime=@1 -cf ../last.tar ."
    commands = f"chown -R 0:0 .\n{env['fakeRootCommands']}\n{pack}"
    subprocess.run(["fakeroot", "bash", "-euc", commands], cwd=root, check=True)
    with open("last.tar", "rb") as file:
        return file.read()


with open(env["closure"], encoding="utf-8") as file:
    layers = [layer_of(path) for path in file.read().split()] + [last_layer()]
digests = [hashlib.sha256(layer).hexdigest() for layer in layers]
config = {
    "created": env["created"],
    "architecture": env["architecture"],
    "os": "linux",
    "config": json.loads(env["config"]),
    "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
    "history": [{"created": env["created"]} for _ in layers],
}
config = json.dumps(config, sort_keys=True).encode()
config_name = hashlib.sha256(config).hexdigest() + ".json"
files = [(f"{digest}/layer.tar", layer) for digest, layer in zip(digests, layers)]
manifest = [{"Config": config_name, "RepoTags": [env["repoTag"]], "Layers": [name for name, _ in files]}]
with gzip.GzipFile(env["out"], "wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
    for name, data in [*files, (config_name, config), ("manifest.json", json.dumps(manifest).encode())]:
        add(tar, name, data)
