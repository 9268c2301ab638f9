# The checks of `nix flake check`: code, sources, closure, and on Linux the module, the image and the bundle.
{
  pkgs,
  build,
  images,
  nixosSystem,
  module,
}:
let
  inherit (pkgs) lib;
  inherit (build) relay source;

  # Unpacked, tzdata and all. The goal is 40 MB.
  limitBytes = toString 50000000;
  python = {
    nativeBuildInputs = [ pkgs.python3 ];
  };
in
build.checks
// {
  inherit relay;

  embedded = pkgs.runCommand "relay-embedded" python ''
    python3 ${./embedded.py} ${source.package} > $out
    python3 ${./embedded.py} ${source.tests} > /dev/null
  '';

  closure = pkgs.runCommand "relay-closure" { closure = pkgs.writeClosure [ relay ]; } ''
    if grep -E -- '-(rustc|cargo|rust-std)-' $closure; then
      echo "the program keeps its compiler" >&2
      exit 1
    fi
    cp $closure $out
  '';
}
// lib.optionalAttrs pkgs.stdenv.hostPlatform.isLinux {
  image = pkgs.runCommand "relay-image-contents" python ''
    python3 ${./check_container.py} image ${images.docker-image} ${limitBytes} > $out || { cat $out >&2; exit 1; }
  '';

  bundle = pkgs.runCommand "relay-bundle-contents" python ''
    python3 ${./check_container.py} bundle ${images.oci-rootfs} ${limitBytes} > $out || { cat $out >&2; exit 1; }
  '';

  module = import ./module-test.nix {
    inherit
      pkgs
      relay
      nixosSystem
      module
      ;
  };
}
