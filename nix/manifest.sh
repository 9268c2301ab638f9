#!/usr/bin/env bash
# Makes one image of several architectures out of the images that Nix builds, and copies it to where it is to be.
#
#   nix/manifest.sh docker://REGISTRY/OWNER/relay:latest relay-amd64.tar.gz relay-arm64.tar.gz
#   nix/manifest.sh oci:FOLDER relay-amd64.tar.gz relay-arm64.tar.gz
#
# It needs podman; for a registry, `podman login` first. Several destinations are separated by commas.
set -euo pipefail

[ $# -ge 3 ] || {
  sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
  exit 2
}
destinations=$1
shift

list=localhost/relay-manifest-$$
work=$(mktemp -d)
trap 'podman manifest rm "$list" >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
podman manifest create "$list" >/dev/null
count=0
for image in "$@"; do
  count=$((count + 1))
  # Older versions of podman do not read compressed archives; all read them again when they push.
  gzip -dc "$image" >"$work/$count.tar"
  podman manifest add "$list" "docker-archive:$work/$count.tar" >/dev/null
done

architectures=$(podman manifest inspect "$list" | sed -n 's/.*"architecture": *"\([^"]*\)".*/\1/p' | sort)
if [ "$(uniq <<<"$architectures" | wc -l)" != $# ]; then
  echo "nix/manifest.sh: $# images, but these architectures: $(tr '\n' ' ' <<<"$architectures")" >&2
  exit 1
fi

IFS=, read -ra each <<<"$destinations"
for destination in "${each[@]}"; do
  format=oci
  # Docker's own format has room for the health check.
  [[ $destination != docker://* ]] || format=v2s2
  podman manifest push --all --format "$format" "$list" "$destination" >/dev/null
  echo "$destination: $(tr '\n' ' ' <<<"$architectures")"
done
