# An OCI runtime bundle: config.json, and a root file system with the same files as the image.
#
# The runtime needs a copy that it may write to (`cp -r result/ FOLDER`, then `chmod -R u+w FOLDER`), in which the folder
# `state` belongs to 10001:10001: the server sees it as /data. It uses the host's network.
{
  pkgs,
  relay,
  revision ? "dev",
  created ? "1970-01-01T00:00:01Z",
}:
let
  inherit (pkgs) lib;

  container = import ./container.nix { inherit pkgs relay; };

  temporary = destination: size: {
    inherit destination;
    type = "tmpfs";
    source = "tmpfs";
    options = [
      "nosuid"
      "nodev"
      "noexec"
      "mode=1777"
      "size=${size}"
    ];
  };

  config = {
    ociVersion = "1.0.2";
    hostname = "relay";
    process = {
      terminal = false;
      user = { inherit (container) uid gid; };
      args = container.entrypoint ++ container.command;
      env = lib.mapAttrsToList (name: value: "${name}=${value}") container.environment;
      cwd = container.stateDir;
      capabilities = lib.genAttrs [ "bounding" "effective" "inheritable" "permitted" "ambient" ] (_: [ ]);
      noNewPrivileges = true;
    };
    root = {
      path = "rootfs";
      readonly = true;
    };
    mounts = [
      {
        destination = "/proc";
        type = "proc";
        source = "proc";
        options = [
          "nosuid"
          "noexec"
          "nodev"
        ];
      }
      {
        destination = "/dev";
        type = "tmpfs";
        source = "tmpfs";
        options = [
          "nosuid"
          "strictatime"
          "mode=755"
          "size=64k"
        ];
      }
      (temporary "/tmp" "64m")
      {
        destination = container.stateDir;
        type = "bind";
        source = "state";
        options = [
          "rbind"
          "rw"
          "nosuid"
          "nodev"
          "noexec"
        ];
      }
    ]
    # The host's names, as its network is used.
    ++ map (file: {
      destination = "/etc/${file}";
      type = "bind";
      source = "/etc/${file}";
      options = [
        "rbind"
        "ro"
        "nosuid"
        "nodev"
        "noexec"
      ];
    }) [ "resolv.conf" "hosts" ];
    linux = {
      namespaces = map (type: { inherit type; }) [
        "pid"
        "ipc"
        "uts"
        "mount"
      ];
      maskedPaths = [
        "/proc/kcore"
        "/proc/keys"
        "/proc/sysrq-trigger"
        "/proc/timer_list"
      ];
      readonlyPaths = [
        "/proc/bus"
        "/proc/fs"
        "/proc/irq"
        "/proc/sys"
      ];
    };
    annotations = {
      "org.opencontainers.image.version" = relay.version;
      "org.opencontainers.image.revision" = revision;
      "org.opencontainers.image.created" = created;
    };
  };
in
pkgs.runCommand "relay-oci-${relay.version}"
  {
    bundleConfig = builtins.toJSON config;
    closure = pkgs.writeClosure container.contents;
  }
  ''
    root=$out/rootfs
    mkdir -p $root/nix/store $root/etc $root/proc $root/dev $root/tmp $root${container.stateDir} $out/state
    while read -r path; do cp -a "$path" $root/nix/store/; done < $closure
    echo '${container.nsswitch}' > $root/etc/nsswitch.conf
    touch $root/etc/resolv.conf $root/etc/hosts
    printf '%s\n' "$bundleConfig" > $out/config.json
  ''
