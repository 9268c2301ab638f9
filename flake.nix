{
  description = "ezpds: an AT Protocol Personal Data Server in one program";

  inputs = {
    # 26.05 is the last release for x86_64-darwin.
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
    crane.url = "github:ipetkov/crane";
  };

  outputs =
    {
      self,
      nixpkgs,
      crane,
    }:
    let
      inherit (nixpkgs) lib;

      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];

      forAllSystems = f: lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});

      revision = self.shortRev or "dev";

      # 20260102030405 becomes 2026-01-02T03:04:05Z, as an image has it.
      created =
        let
          part = from: count: builtins.substring from count (self.lastModifiedDate or "19700101000001");
        in
        "${part 0 4}-${part 4 2}-${part 6 2}T${part 8 2}:${part 10 2}:${part 12 2}Z";

      buildFor =
        pkgs:
        import ./nix/package.nix {
          inherit pkgs;
          craneLib = crane.mkLib pkgs;
        };

      imagesFor =
        pkgs:
        let
          args = {
            inherit pkgs revision created;
            inherit (buildFor pkgs) relay;
          };
        in
        lib.optionalAttrs pkgs.stdenv.hostPlatform.isLinux {
          docker-image = import ./nix/docker.nix args;
          oci-rootfs = import ./nix/oci-rootfs.nix args;
        };
    in
    {
      packages = forAllSystems (
        pkgs:
        let
          inherit (buildFor pkgs) relay;
        in
        {
          inherit relay;
          default = relay;
        }
        // imagesFor pkgs
      );

      apps = forAllSystems (
        pkgs:
        let
          relay = {
            type = "app";
            program = lib.getExe (buildFor pkgs).relay;
            meta.description = "The server and its operator's commands";
          };
        in
        {
          inherit relay;
          default = relay;
        }
      );

      checks = forAllSystems (
        pkgs:
        import ./nix/checks.nix {
          inherit pkgs;
          build = buildFor pkgs;
          images = imagesFor pkgs;
          inherit (lib) nixosSystem;
          module = self.nixosModules.default;
        }
      );

      # Boots a virtual machine, so `nix flake check` leaves it alone:
      # nix build .#legacyPackages.x86_64-linux.vm-test
      legacyPackages = forAllSystems (
        pkgs:
        lib.optionalAttrs pkgs.stdenv.hostPlatform.isLinux {
          vm-test = import ./nix/vm-test.nix {
            inherit pkgs;
            module = self.nixosModules.default;
          };
        }
      );

      devShells = forAllSystems (pkgs: {
        default = (crane.mkLib pkgs).devShell {
          inputsFrom = [ (buildFor pkgs).relay ];
          packages = [
            pkgs.rust-analyzer
            pkgs.nodejs
            pkgs.python3
          ];
          LIBSQLITE3_SYS_USE_PKG_CONFIG = "1";
        };
      });

      formatter = forAllSystems (pkgs: pkgs.nixfmt-tree);

      overlays.default = final: _prev: { ezpds = (buildFor final).relay; };

      nixosModules.default =
        { lib, pkgs, ... }:
        {
          imports = [ ./nix/module.nix ];
          services.ezpds.package =
            lib.mkDefault
              self.packages.${pkgs.stdenv.hostPlatform.system}.relay;
        };
    };
}
