# What a build reads, and nothing else, so that a change to any other file rebuilds nothing.
#
# `package` is for the program, `tests` adds what its tests open while they run. nix/embedded.py fails the check of that
# name when code embeds a file that is missing from `package`: add it to `embedded` then.
{ lib }:
let
  inherit (lib) fileset;

  code = fileset.difference (fileset.unions [
    ../Cargo.toml
    ../Cargo.lock
    ../clippy.toml
    ../rustfmt.toml
    (fileset.fileFilter (file: file.name == "Cargo.toml" || file.hasExt "rs") ../crates)
  ]) ../crates/repo-engine/fuzz;

  embedded = fileset.unions [
    ../crates/common/src/lexicon/facts.json
    ../crates/relay/src/store/migrations
    ../crates/relay/assets
    ../crates/relay/templates
    # By tests.
    ../crates/common/tests/verdicts.json
    ../crates/crypto/tests/fixtures
    ../crates/repo-engine/fuzz/bodies.rs
    ../docs/PROXIES.md
  ];

  opened = fileset.unions [
    ../crates/repo-engine/fuzz
    ../docs/CONFIG.md
    ../docs/INSTALL.md
    ./sign-release.sh
    ../docs/OBSERVE.md
    ../docs/alerts.yml
    ../tests/lexicons/methods.json
  ];

  source =
    files:
    fileset.toSource {
      root = ../.;
      fileset = fileset.unions files;
    };
in
{
  package = source [
    code
    embedded
  ];
  tests = source [
    code
    embedded
    opened
  ];
}
