{ lib, system }:
let
  isLinux = lib.hasSuffix "linux" system;
  home = builtins.getEnv "HOME";
  cargoHome =
    let
      set = builtins.getEnv "CARGO_HOME";
    in
    if set == "" then "${home}/.cargo" else set;

  libdir = "/usr/lib/${if lib.hasPrefix "x86_64" system then "x86_64" else "aarch64"}-linux-gnu";

  # A derivation that bash builds on the machine as it is.
  build =
    name: attrs: script:
    let
      tools = map (tool: "${tool}/bin:") (attrs.nativeBuildInputs or [ ]);
    in
    derivation (
      {
        inherit name system;
        builder = "/bin/bash";
        args = [
          "-c"
          ''
            set -eu -o pipefail
            export PATH=${lib.concatStringsSep "" tools}/usr/bin:/bin HOME=$TMPDIR
            ${script}
            true
          ''
        ];
      }
      // removeAttrs attrs [
        "meta"
        "nativeBuildInputs"
      ]
    )
    // {
      inherit name;
      meta = attrs.meta or { };
      recorded = attrs;
    };

  host = name: build name { };
  # A program of the machine.
  program = name: host name "mkdir -p $out/bin; ln -s /usr/bin/${name} $out/bin/";
  # Something that is only named.
  nothing = name: host name "mkdir -p $out";

  glibc = host "glibc-2" ''
    mkdir -p $out/lib
    cp -L ${libdir}/{libc.so.6,libm.so.6} /lib*/ld-linux*.so.? $out/lib/
    chmod u+w $out/lib/*
    patchelf --set-rpath $out/lib $out/lib/libm.so.6
    patchelf --set-interpreter $out/lib/ld-linux*.so.? $out/lib/libc.so.6
  '';
  gcc = host "gcc-lib" ''
    mkdir -p $out/lib
    cp -L ${libdir}/libgcc_s.so.1 $out/lib/
    chmod u+w $out/lib/*
    patchelf --set-rpath ${glibc}/lib $out/lib/libgcc_s.so.1
  '';
  # The machine's may be too old, so this is made of the source that comes with the crate.
  libsqlite = host "sqlite" ''
    source=$(ls -d ${cargoHome}/registry/src/*/libsqlite3-sys-*/sqlite3 | tail -n 1)
    version=$(sed -n 's/^#define SQLITE_VERSION  *"\(.*\)"/\1/p' $source/sqlite3.h)
    mkdir -p $out/lib/pkgconfig $out/include
    cp $source/sqlite3.h $source/sqlite3ext.h $out/include/
    cc -O2 -fPIC -shared -Wl,-soname,libsqlite3.so.0 -Wl,-rpath,${glibc}/lib -o $out/lib/libsqlite3.so.0 \
      -DSQLITE_ENABLE_COLUMN_METADATA -DSQLITE_ENABLE_DBSTAT_VTAB -DSQLITE_ENABLE_FTS5 -DSQLITE_ENABLE_MATH_FUNCTIONS \
      -DSQLITE_ENABLE_RTREE -DSQLITE_ENABLE_STMT_VTAB -DSQLITE_ENABLE_UNLOCK_NOTIFY -DSQLITE_SECURE_DELETE \
      $source/sqlite3.c -lm
    ln -s libsqlite3.so.0 $out/lib/libsqlite3.so
    printf 'Name: SQLite\nDescription: SQL database\nVersion: %s\nLibs: -L%s -lsqlite3\nCflags: -I%s\n' \
      "$version" $out/lib $out/include > $out/lib/pkgconfig/sqlite3.pc
  '';
in
rec {
  inherit lib system cargoHome;

  stdenv = {
    hostPlatform = { inherit system isLinux; };
    cc = {
      cc = gcc // {
        lib = gcc;
      };
      libc = glibc;
    };
  };
  sqlite = libsqlite // {
    out = libsqlite;
  };
  cacert = host "cacert" ''
    mkdir -p $out/etc/ssl/certs
    cp -L /etc/ssl/certs/ca-certificates.crt $out/etc/ssl/certs/ca-bundle.crt
  '';
  tzdata = host "tzdata" ''
    mkdir -p $out/share/zoneinfo
    cd /usr/share/zoneinfo
    cp -aL [A-Z]* $out/share/zoneinfo/
  '';
  zlib = nothing "zlib" // {
    out = nothing "zlib";
  };
  nukeReferences = host "nuke-refs" ''
    mkdir -p $out/bin
    cp ${./nuke-refs} $out/bin/nuke-refs
    chmod +x $out/bin/nuke-refs
  '';
  patchelf = program "patchelf";
  python3 = program "python3";
  pkg-config = program "pkg-config";
  nodejs = nothing "nodejs";
  rust-analyzer = nothing "rust-analyzer";
  nixfmt-tree = program "true" // {
    meta.mainProgram = "true";
  };

  mkShell = attrs: build "nix-shell" { } "mkdir -p $out" // { recorded = attrs; };
  runCommand = build;
  testers.runNixOSTest = test: nothing "vm-test-${test.name}" // { recorded = test; };

  # Sections of settings are tables, and a setting in JSON is the same in TOML.
  formats.toml = _: {
    generate =
      name: value:
      let
        line = key: setting: "${key} = ${builtins.toJSON setting}\n";
        table = key: section: "[${key}]\n${lib.concatStringsSep "" (lib.mapAttrsToList line section)}";
      in
      builtins.toFile name (lib.concatStringsSep "\n" (lib.mapAttrsToList table value));
  };

  writeClosure =
    paths:
    build "closure" {
      exportReferencesGraph = builtins.concatLists (
        builtins.genList (i: [
          "graph${toString i}"
          (builtins.elemAt paths i)
        ]) (builtins.length paths)
      );
    } "cat graph* | grep '^/nix/store/' | sort -u > $out";

  dockerTools.buildLayeredImage =
    {
      name,
      tag,
      created,
      contents,
      extraCommands,
      fakeRootCommands,
      config,
    }@args:
    build "${name}.tar.gz" {
      inherit
        contents
        created
        extraCommands
        fakeRootCommands
        ;
      repoTag = "${name}:${tag}";
      config = builtins.toJSON config;
      closure = writeClosure contents;
      architecture = if lib.hasPrefix "x86_64" system then "amd64" else "arm64";
    } "python3 ${./image.py}"
    // {
      recorded = args;
    };
}
