#!/usr/bin/env bash
# Usage: nix/sign-release.sh VERSION SECRET_KEY FOLDER [NOTES_URL]
#
# Signs the programs of a release, relay-VERSION-TARGET in FOLDER, and writes their index, as `relay update` reads it:
# index.json and index.json.minisig, to be published beside the programs. SECRET_KEY is a file of minisign; when the key has a
# password, it is taken from the variable MINISIGN_PASSWORD. MINIMUM names the oldest version that this one can follow.
set -euo pipefail

[ $# -ge 3 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
version=$1 key=$2 folder=$3 notes=${4:-}
case $key in /*) ;; *) key=$PWD/$key ;; esac

sign() { # FILE
  rm -f "$1.minisig"
  minisign -S -s "$key" -m "$1" -t "relay $version ${1##*/}" <<<"${MINISIGN_PASSWORD:-}" >/dev/null
}

sha256() { # FILE
  if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1
}

text() { # text as JSON; what is written here has no other characters that need it
  printf '"%s"' "$(awk '{ gsub(/\\/, "\\\\"); gsub(/"/, "\\\""); printf "%s\\n", $0 }')"
}

cd "$folder"
programs=
for file in relay-"$version"-*; do
  case $file in *.minisig | *'*') continue ;; esac
  sign "$file"
  programs+="${programs:+,}
    \"${file#relay-"$version"-}\": {
      \"file\": \"$file\",
      \"bytes\": $(wc -c <"$file" | tr -d ' '),
      \"sha256\": \"$(sha256 "$file")\",
      \"signature\": $(text <"$file.minisig")
    }"
done
[ -n "$programs" ] || { echo "no relay-$version-TARGET in $folder" >&2; exit 1; }

{
  printf '{\n  "version": "%s",\n' "$version"
  [ -z "${MINIMUM:-}" ] || printf '  "minimum": "%s",\n' "$MINIMUM"
  [ -z "$notes" ] || printf '  "notes": "%s",\n' "$notes"
  printf '  "programs": {%s\n  }\n}\n' "$programs"
} >index.json
sign index.json
echo "signed version $version in $folder"
