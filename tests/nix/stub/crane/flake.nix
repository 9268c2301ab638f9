# Stands in for crane, beside ../nixpkgs: cargo as the machine has it, with the crates that `cargo fetch` has brought.
{
  outputs = _: { mkLib = import ./lib.nix; };
}
