# Stands in for nixpkgs where there is no network: just the names that flake.nix and nix/ use.
#
# Every call's arguments are kept in `.recorded`. On Linux it really builds, out of the machine's own compiler, C library,
# certificates and time zones; so it needs --impure and `sandbox = false`. A name that it lacks is an error.
{
  outputs =
    _:
    let
      lib = import ./lib.nix // {
        nixosSystem = import ./modules.nix lib;
      };
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];
    in
    {
      inherit lib;
      legacyPackages = lib.genAttrs systems (system: import ./pkgs.nix { inherit lib system; });
    };
}
