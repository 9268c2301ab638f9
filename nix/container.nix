# What the Docker image and the OCI bundle have in common: the files, the environment and the user.
#
# Of glibc a container needs the loader and a few libraries, a tenth of the package: the rest is translations, character
# sets and locale sources. So the libraries are copied into a package of their own, and the program is pointed at it. The
# libraries do not depend on the program: a new version of it leaves them, and the layer they are in, as they are.
{ pkgs, relay }:
let
  inherit (pkgs) lib;

  tools = {
    nativeBuildInputs = [
      pkgs.patchelf
      pkgs.nukeReferences
    ];
  };

  libraries = pkgs.runCommand "relay-libraries" tools ''
    search="${pkgs.sqlite.out}/lib ${pkgs.zlib.out}/lib ${lib.getLib pkgs.stdenv.cc.cc}/lib ${lib.getLib pkgs.stdenv.cc.libc}/lib"
    mkdir -p $out/lib
    add() {
      if [ -e "$out/lib/$1" ]; then return; fi
      for dir in $search; do
        if [ -e "$dir/$1" ]; then
          cp -L "$dir/$1" "$out/lib/$1"
          chmod u+w "$out/lib/$1"
          for needed in $(patchelf --print-needed "$out/lib/$1"); do add "$needed"; done
          return
        fi
      done
      echo "no library $1 in $search" >&2
      exit 1
    }
    # Its own name, as the program knows it, if it has one.
    soname=$(patchelf --print-soname ${pkgs.sqlite.out}/lib/libsqlite3.so || true)
    add "''${soname:-libsqlite3.so}"
    add libgcc_s.so.1
    add libm.so.6
    for file in $out/lib/*; do
      case "$(basename "$file")" in
        ld-*) ;;
        # A program too, and what the loader has in memory before it searches for anything.
        libc.so.*) patchelf --set-interpreter $out/lib/ld-linux*.so.? "$file" ;;
        *) patchelf --set-rpath $out/lib "$file" ;;
      esac
    done
    chmod 555 $out/lib/*
    nuke-refs -e $out $out/lib/*
  '';

  program = pkgs.runCommand relay.name tools ''
    mkdir -p $out/bin
    cp ${lib.getExe relay} $out/bin/relay
    chmod 755 $out/bin/relay
    patchelf --set-interpreter ${libraries}/lib/ld-linux*.so.? --set-rpath ${libraries}/lib $out/bin/relay
    nuke-refs -e $out -e ${libraries} $out/bin/relay
  '';
in
rec {
  # From what changes least to what changes most.
  contents = [
    pkgs.tzdata
    libraries
    pkgs.cacert
    program
  ];

  entrypoint = [ "${program}/bin/relay" ];
  # Without configuration it serves the pages of the set-up.
  command = [ ];

  environment = {
    RELAY_DATA_DIR = stateDir;
    RELAY_SERVER_BIND = "0.0.0.0:${toString port}";
    SSL_CERT_FILE = "${pkgs.cacert}/etc/ssl/certs/ca-bundle.crt";
    TZDIR = "${pkgs.tzdata}/share/zoneinfo";
  };

  stateDir = "/data";
  port = 2583;

  # No user of the host is likely to have this number.
  uid = 10001;
  gid = 10001;

  # Without it, glibc asks name services that are not there.
  nsswitch = "hosts: files dns";
}
