#!/usr/bin/env bash
# Checks flake.nix and nix/: evaluation for all four systems, and on Linux real builds and running containers.
#
#   tests/nix/run.sh                             without network: stub/ stands in for nixpkgs and crane
#   EZPDS_NIX_INPUTS=locked tests/nix/run.sh     with the inputs of flake.lock, from the network or the store
#
# Where Nix or a container engine is missing, its part is skipped, unless CI=true.
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root" || exit 1
failed=0

skip() {
  echo "SKIP $1"
  [ "${CI:-}" != true ] || failed=1
}

# part NAME COMMAND...: runs a part, says how it went, and goes on.
part() {
  local name=$1 begun=$SECONDS
  shift
  if "$@"; then
    printf 'ok      %s (%d s)\n' "$name" $((SECONDS - begun))
  else
    printf 'FAILED  %s\n' "$name"
    failed=1
    return 1
  fi
}

# fails COMMAND...: succeeds when the command fails.
fails() {
  ! "$@" >"$work/expected.log" 2>&1
}

command -v nix >/dev/null || { echo 'SKIP nix: nix is not installed'; exit 77; }
# A flake is what git tracks.
git -c safe.directory='*' rev-parse --git-dir >/dev/null 2>&1 || { echo 'SKIP nix: this is not a git repository'; exit 77; }

work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT

# The checkout may belong to somebody else, as in a container.
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'
flake="git+file://$root?shallow=1"
NIX_CONFIG="${NIX_CONFIG:-}
experimental-features = nix-command flakes
warn-dirty = false"
locked=(--no-update-lock-file)
if [ "${EZPDS_NIX_INPUTS:-stub}" = stub ]; then
  NIX_CONFIG+='
substituters =
flake-registry =
build-users-group =
sandbox = false'
  inputs=(--impure --no-write-lock-file)
  for input in nixpkgs crane; do inputs+=(--override-input "$input" "path:$here/stub/$input"); done
else
  inputs=("${locked[@]}")
fi
export NIX_CONFIG

system=$(nix eval --impure --raw --expr builtins.currentSystem) || { echo 'SKIP nix: it has no store here'; exit 77; }

# Warnings about inputs that are replaced are left out.
quiet() { grep -vE '^(warning: not writing modified lock|• Updated|evaluating flake|    .github:|  → )' >&2 || true; }
evaluate() { nix eval "${inputs[@]}" --json "$flake#$1" "${@:2}" 2> >(quiet); }
build() { nix build "${inputs[@]}" --out-link "$work/$2" "$flake#$1" "${@:3}" 2>"$work/build.log" || { tail -n 60 "$work/build.log"; return 1; }; }

tracked() {
  local files
  files=$(python3 nix/embedded.py .) || return
  # shellcheck disable=SC2086
  git ls-files --error-unmatch flake.nix flake.lock nix/docker.nix nix/oci-rootfs.nix nix/module.nix $files >/dev/null
}

# With one file gone, or one that a build cannot know, the list of embedded files is no longer accepted.
embedding_is_checked() {
  mkdir -p "$work/source"
  git ls-files -z Cargo.toml 'crates/*.toml' 'crates/*.rs' | tar --null -T - -cf - | tar -xf - -C "$work/source"
  fails python3 nix/embedded.py "$work/source"
  grep -q '^MISSING crates/relay/src/store/migrate.rs embeds crates/relay/src/store/migrations/' "$work/expected.log"
}

lock_is_current() { nix flake metadata "${locked[@]}" "$flake" >/dev/null 2>"$work/lock.log" || { cat "$work/lock.log"; return 1; }; }

staleness_is_noticed() {
  mkdir -p "$work/stale"
  cp flake.nix flake.lock "$work/stale/"
  nix flake metadata --offline "${locked[@]}" "path:$work/stale" >/dev/null || return
  sed -i.old 's|NixOS/nixpkgs/[a-z0-9.-]*|NixOS/nixpkgs/nixos-25.11|' "$work/stale/flake.nix"
  fails nix flake metadata --offline "${locked[@]}" "path:$work/stale"
}

names() {
  evaluate packages --apply 'builtins.mapAttrs (_: builtins.attrNames)' | python3 -c '
import json, sys
own, linux = ["default", "relay"], ["default", "docker-image", "oci-rootfs", "relay"]
expected = {f"{cpu}-{kind}": names for kind, names in (("linux", linux), ("darwin", own)) for cpu in ("x86_64", "aarch64")}
found = json.load(sys.stdin)
sys.exit(0 if found == expected else f"packages are {found}")'
}

other_outputs() {
  evaluate apps --apply 'builtins.mapAttrs (_: a: a.default.program)' | grep -q '"x86_64-darwin":"/nix/store/[^"]*/bin/relay"' &&
    evaluate overlays.default --apply 'f: builtins.attrNames (f { } { })' | grep -qx '\["ezpds"\]' &&
    evaluate formatter --apply builtins.attrNames | grep -q aarch64-darwin &&
    evaluate devShells --apply 'builtins.mapAttrs (_: s: s.default.drvPath)' | grep -q aarch64-linux &&
    evaluate nixosModules.default --apply builtins.isFunction | grep -qx true &&
    evaluate legacyPackages.x86_64-linux.vm-test.name | grep -q ezpds
}

flake_check() { nix flake check --no-build "${inputs[@]}" "$flake" 2> >(quiet); }

# Options of the NixOS module are the settings of docs/CONFIG.md; for secrets, their files.
options() {
  local documented optional
  documented=$(python3 - <<'PYTHON'
import re
text = open("docs/CONFIG.md", encoding="utf-8").read()
for part in re.split(r"^### ", text, flags=re.M)[1:]:
    name = re.match(r"`([a-z0-9_.]+)`", part).group(1)
    print(name + ("_file" if "*secret*" in part else ""))
PYTHON
)
  optional=$(nix eval --impure --json --expr "
    let lib = import $here/stub/nixpkgs/lib.nix; in
    builtins.mapAttrs (_: builtins.attrNames) (import $root/nix/settings.nix { inherit lib; })" |
    python3 -c 'import json, sys; [print(f"{s}.{k}") for s, keys in json.load(sys.stdin).items() for k in keys]')
  diff <(sort <<<"$documented") <(sort <<<"$optional")
}

# A new program leaves every other part of the image as it is.
parts_are_stable() {
  nix eval --impure --json --expr "
    let
      pkgs = import $here/stub/nixpkgs/pkgs.nix { lib = import $here/stub/nixpkgs/lib.nix; system = \"x86_64-linux\"; };
      parts = version: map toString (import $root/nix/container.nix {
        inherit pkgs;
        relay = pkgs.runCommand \"relay-\${version}\" { meta.mainProgram = \"relay\"; } \"\";
      }).contents;
      same = builtins.filter (part: builtins.elem part (parts \"2\")) (parts \"1\");
    in builtins.length (parts \"1\") - builtins.length same" | grep -qx 1
}

image_arguments() {
  evaluate "packages.$1.docker-image.recorded" --apply 'a: removeAttrs a [ "contents" ] // { contents = map (c: c.name) a.contents; }' |
    python3 -c '
import json, re, sys
a = json.load(sys.stdin)
c = a["config"]
env = dict(pair.split("=", 1) for pair in c["Env"])
store = r"/nix/store/[0-9a-z]{32}-"
facts = {
    "name": (a["name"], a["tag"]) == ("relay", "latest"),
    "contents": [re.sub(r"-\d.*", "", name) for name in a["contents"]] == ["tzdata", "relay-libraries", "cacert", "relay"],
    "entry point": len(c["Entrypoint"]) == 1 and re.fullmatch(store + r"relay-[0-9.]+/bin/relay", c["Entrypoint"][0]),
    "command": c["Cmd"] == [],
    "certificates": re.fullmatch(store + r"cacert[^/]*/etc/ssl/certs/ca-bundle.crt", env["SSL_CERT_FILE"]),
    "time zones": re.fullmatch(store + r"tzdata[^/]*/share/zoneinfo", env["TZDIR"]),
    "settings": (env["RELAY_DATA_DIR"], env["RELAY_SERVER_BIND"]) == ("/data", "0.0.0.0:2583"),
    "user": re.fullmatch(r"[1-9]\d+:[1-9]\d+", c["User"]),
    "volume": c["Volumes"] == {"/data": {}} and c["WorkingDir"] == "/data",
    "port": c["ExposedPorts"] == {"2583/tcp": {}},
    "stop signal": c["StopSignal"] == "SIGTERM",
    "health check": c["Healthcheck"]["Test"] == ["CMD", *c["Entrypoint"], "health"],
    "labels": {"org.opencontainers.image." + name for name in
               ("title", "description", "version", "revision", "created", "licenses")} == set(c["Labels"]),
    "time": re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", a["created"]),
}
wrong = [name for name, holds in facts.items() if not holds]
sys.exit(f"wrong: {wrong} in {a}" if wrong else 0)'
}

# What the checks of contents are there to find, they find.
contents_are_checked() {
  mkdir "$work/broken"
  cp -r "$work/bundle/." "$work/broken/"
  chmod -R u+w "$work/broken"
  ln -s /nowhere "$work/broken/rootfs/etc/dangling"
  rm "$work"/broken/rootfs/nix/store/*-relay-libraries/lib/libm.so.*
  mkdir "$work/broken/rootfs/nix/store/00000000000000000000000000000000-rustc-1.95.0"
  fails python3 nix/check_container.py bundle "$work/broken" 1000000
  for sentence in 'links to /nowhere' 'needs libm.so.6' 'rustc-1.95.0 is not for running' 'more than 1000000'; do
    grep -q "^WRONG .*$sentence" "$work/expected.log" || { cat "$work/expected.log"; return 1; }
  done
}

# The files that docs/INSTALL.md has for systemd, launchd and the server are valid.
installation_files() {
  python3 - "$work" <<'PYTHON' || return
import pathlib, plistlib, re, sys
text = pathlib.Path("docs/INSTALL.md").read_text()
part = lambda kind: re.search(rf"^```{kind}\n(.*?)^```", text, re.M | re.S).group(1)
program = f"{sys.argv[1]}/relay/bin/relay"
pathlib.Path(sys.argv[1], "relay.toml").write_text(part("toml"))
pathlib.Path(sys.argv[1], "relay.service").write_text(part("ini").replace("/usr/local/bin/relay", program))
job = plistlib.loads(part("xml").encode())
assert job["ProgramArguments"][1:3] == ["serve", "--config"], job
PYTHON
  "$work/relay/bin/relay" config check --config "$work/relay.toml" >/dev/null || return
  command -v systemd-analyze >/dev/null || { echo '        without systemd, its unit is not checked'; return 0; }
  systemd-analyze verify --man=no "$work/relay.service" >"$work/unit.log" 2>&1
  ! grep -F relay.service "$work/unit.log"
}

# Starts a network, and ends it when it is ready.
runs() {
  nix run "${inputs[@]}" "$flake" -- --version 2> >(quiet) | grep -qE '^relay [0-9]' || return
  nix run "${inputs[@]}" "$flake" -- dev --no-accounts --json-ready --bind 127.0.0.1:0 --plc-bind 127.0.0.1:0 \
    >"$work/ready" 2>"$work/dev.log" &
  local process=$! tries
  for tries in $(seq 300); do
    if grep -q '^READY {' "$work/ready" || ! kill -0 "$process" 2>/dev/null; then break; fi
    sleep 0.1
  done
  kill "$process" 2>/dev/null
  wait "$process"
  grep -q '^READY {' "$work/ready" || { echo "not ready after $tries tries"; cat "$work/dev.log"; return 1; }
}

part 'files that a build needs are tracked by git' tracked
part 'an embedded file that is missing is noticed' embedding_is_checked
part 'flake.lock is what flake.nix asks for' lock_is_current
[ "${EZPDS_NIX_INPUTS:-stub}" != stub ] || part 'a stale flake.lock is noticed' staleness_is_noticed
part 'packages of all four systems' names
part 'apps, overlay, formatter, shells, module' other_outputs
part 'nix flake check --no-build' flake_check
part 'module options are those of docs/CONFIG.md' options
part 'a new program changes one part of the image' parts_are_stable
if [ "${EZPDS_NIX_INPUTS:-stub}" = stub ]; then
  for linux in x86_64-linux aarch64-linux; do part "arguments of the image for $linux" image_arguments "$linux"; done
fi

case "$system" in
  *-linux)
    if [ "${EZPDS_NIX_INPUTS:-stub}" = stub ]; then
      for tool in cc cargo pkg-config patchelf fakeroot; do
        command -v "$tool" >/dev/null || { skip "nix builds: the stand-in for nixpkgs needs $tool"; exit "$failed"; }
      done
      # A daemon would build in a sandbox, where the machine's tools are not.
      [ -w /nix/store ] || { skip 'nix builds: the stand-in for nixpkgs needs a store of its own user'; exit "$failed"; }
      cargo fetch --locked --quiet || exit 1
      EZPDS_NIX_CARGO_BIN=$(dirname "$(command -v cargo)")
      export EZPDS_NIX_CARGO_BIN
    fi
    part 'build of relay' build relay relay && part 'nix run . -- dev' runs &&
      part 'build of docker-image' build docker-image image &&
      part 'the image is the same when built again' build docker-image image --rebuild &&
      part 'build of oci-rootfs' build oci-rootfs bundle &&
      for check in embedded closure image bundle module; do
        part "check: $check" build "checks.$system.$check" "check-$check" && cat "$work/check-$check" 2>/dev/null | grep unpacked
      done
    [ "$failed" = 0 ] || exit 1
    part 'files in docs/INSTALL.md' installation_files
    part 'a broken bundle is noticed' contents_are_checked
    if command -v podman >/dev/null; then
      part 'containers' python3 "$here/containers.py" "$work/relay/bin/relay" "$work/image" "$work/bundle"
    else
      skip 'containers: podman is not installed'
    fi
    ;;
  *)
    if [ "${EZPDS_NIX_INPUTS:-stub}" = stub ]; then
      echo "SKIP nix builds: the stand-in for nixpkgs builds on Linux only"
    else
      part 'build of relay' build relay relay && part 'nix run . -- dev' runs
    fi
    ;;
esac
exit "$failed"
