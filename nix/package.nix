# The program, and the checks of its code, on one build of the dependencies.
{ pkgs, craneLib }:
let
  inherit (pkgs) lib;

  source = import ./source.nix { inherit lib; };
  workspace = (lib.importTOML ../Cargo.toml).workspace.package;

  common = {
    pname = "relay";
    inherit (workspace) version;
    src = source.package;
    strictDeps = true;
    # All crates at once, so that features, and with them the built dependencies, are the same for each step.
    cargoExtraArgs = "--locked --workspace";
    nativeBuildInputs = [ pkgs.pkg-config ];
    buildInputs = [ pkgs.sqlite ];
    env = {
      CARGO_PROFILE = "dist";
      # The system's SQLite instead of the one in the crate.
      LIBSQLITE3_SYS_USE_PKG_CONFIG = "1";
    };
  };

  cargoArtifacts = craneLib.buildDepsOnly common;
  shared = common // {
    inherit cargoArtifacts;
  };
  tested = shared // {
    src = source.tests;
  };
in
{
  inherit source;

  relay = craneLib.buildPackage (
    shared
    // {
      # Tests are a check of their own.
      doCheck = false;
      meta = {
        description = "AT Protocol Personal Data Server";
        license = [
          lib.licenses.mit
          lib.licenses.asl20
        ];
        mainProgram = "relay";
        platforms = lib.platforms.unix;
      };
    }
  );

  checks = {
    clippy = craneLib.cargoClippy (
      tested // { cargoClippyExtraArgs = "--all-targets -- --deny warnings"; }
    );
    fmt = craneLib.cargoFmt {
      inherit (common) pname version src;
      cargoExtraArgs = "--all";
    };
    tests = craneLib.cargoTest tested;
  };
}
