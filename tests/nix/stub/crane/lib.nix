pkgs:
let
  inherit (pkgs) lib;

  env =
    name: default:
    let
      value = builtins.getEnv name;
    in
    if value == "" then default else value;
  inherit (pkgs) cargoHome;
  rustupHome = env "RUSTUP_HOME" "${builtins.getEnv "HOME"}/.rustup";

  known = [
    "buildInputs"
    "cargoArtifacts"
    "cargoClippyExtraArgs"
    "cargoExtraArgs"
    "doCheck"
    "env"
    "meta"
    "nativeBuildInputs"
    "pname"
    "src"
    "strictDeps"
    "version"
  ];

  run =
    kind: args: script:
    let
      unknown = lib.filter (name: !lib.elem name known) (lib.attrNames args);
      variables = {
        CARGO_PROFILE = "release";
      }
      // args.env or { };
      name = "${args.pname}${if kind == "package" then "" else "-${kind}"}-${args.version}";
    in
    assert lib.assertMsg (unknown == [ ]) "crane: unknown arguments ${toString unknown}";
    pkgs.runCommand name
      (
        variables
        // {
          inherit (args) src;
          meta = args.meta or { };
        }
      )
      ''
        export PATH=${env "EZPDS_NIX_CARGO_BIN" "${cargoHome}/bin"}:$PATH RUSTUP_HOME=${rustupHome}
        export PKG_CONFIG_PATH=${pkgs.sqlite.out}/lib/pkgconfig
        export CARGO_HOME=$TMPDIR/cargo CARGO_NET_OFFLINE=true CARGO_INCREMENTAL=0
        export CARGO_TARGET_DIR=$TMPDIR/target
        mkdir -p $CARGO_HOME $out
        ln -s ${cargoHome}/registry $CARGO_HOME/registry
        cp -r $src $TMPDIR/source
        chmod -R u+w $TMPDIR/source
        cd $TMPDIR/source
        ${script}
      ''
    // {
      inherit (args) pname version;
      recorded = args;
    };

  cargo =
    command: args: extra:
    "cargo ${command} --profile $CARGO_PROFILE ${args.cargoExtraArgs or "--locked"} ${extra}";
in
{
  buildDepsOnly = args: run "deps" args "";
  buildPackage =
    args:
    run "package" args ''
      ${cargo "build" args ""}
      mkdir -p $out/bin
      cp $CARGO_TARGET_DIR/$CARGO_PROFILE/relay $out/bin/
      patchelf --set-interpreter ${pkgs.stdenv.cc.libc}/lib/ld-linux*.so.? \
        --set-rpath ${pkgs.sqlite.out}/lib:${pkgs.stdenv.cc.cc.lib}/lib:${pkgs.stdenv.cc.libc}/lib $out/bin/relay
    '';
  cargoClippy = args: run "clippy" args (cargo "clippy" args args.cargoClippyExtraArgs);
  cargoFmt = args: run "fmt" args "cargo fmt ${args.cargoExtraArgs} -- --check";
  cargoTest = args: run "tests" args (cargo "test" args "");
  devShell = pkgs.mkShell;
}
