"""Lists the files that code embeds, and fails when one is missing.

    embedded.py ROOT

ROOT is a folder with the sources, such as the one that a build sees. Code names a file in include_str!, include_bytes! or
include!, in the `path` of an Askama template, or in #[path]; what this program cannot read is a failure too.
"""

import os
import re
import sys

MACRO = re.compile(r"\binclude(?:_str|_bytes)?!\s*\(\s*([^)]*?)\s*,?\s*\)", re.S)
TEMPLATE = re.compile(r"#\[template\([^\]]*?\bpath\s*=\s*\"([^\"]+)\"", re.S)
MODULE = re.compile(r"#\[path\s*=\s*\"([^\"]+)\"\]")
LITERAL = re.compile(r"\"([^\"]+)\"")
FROM_CRATE = re.compile(r"concat!\(\s*env!\(\s*\"CARGO_MANIFEST_DIR\"\s*\Z")


def crate_of(path):
    while not os.path.exists(os.path.join(path, "Cargo.toml")):
        path = os.path.dirname(path)
    return path


def named_in(file, text):
    """Yields the paths that a file's code names, as absolute paths."""
    here, crate = os.path.dirname(file), crate_of(os.path.dirname(file))
    for match in MACRO.finditer(text):
        literal = LITERAL.fullmatch(match.group(1))
        if literal:
            yield os.path.join(here, literal.group(1))
        elif FROM_CRATE.match(match.group(1)):
            # The expression ends after this match: concat!(env!("CARGO_MANIFEST_DIR"), "/name")
            rest = re.match(r"\s*,\s*\"/?([^\"]+)\"", text[match.end() :])
            yield os.path.join(crate, rest.group(1)) if rest else f"{file}: {match.group(0)}"
        else:
            yield f"{file}: {match.group(0)}"
    for match in TEMPLATE.finditer(text):
        yield os.path.join(crate, "templates", match.group(1))
    for match in MODULE.finditer(text):
        yield os.path.join(here, match.group(1))


def main():
    root = os.path.realpath(sys.argv[1])
    missing, found = [], set()
    for folder, folders, files in os.walk(os.path.join(root, "crates")):
        folders[:] = [name for name in folders if name not in ("target", "fuzz")]
        for name in files:
            if not name.endswith(".rs"):
                continue
            file = os.path.join(folder, name)
            with open(file, encoding="utf-8") as source:
                text = source.read()
            for path in named_in(file, text):
                path = os.path.normpath(path)
                if os.path.isfile(path):
                    found.add(os.path.relpath(path, root))
                else:
                    missing.append(f"{os.path.relpath(file, root)} embeds {os.path.relpath(path, root)}")
    print("\n".join(sorted(found)))
    for line in missing:
        print(f"MISSING {line}", file=sys.stderr)
    sys.exit(1 if missing else 0)


main()
