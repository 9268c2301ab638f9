# The image: `nix build .#docker-image && docker load < result`.
#
# Each store path is a layer, so an update pushes the program alone. The same inputs make the same bytes.
{
  pkgs,
  relay,
  revision ? "dev",
  created ? "1970-01-01T00:00:01Z",
}:
let
  inherit (pkgs) lib;

  container = import ./container.nix { inherit pkgs relay; };
  owner = "${toString container.uid}:${toString container.gid}";
  seconds = count: count * 1000000000;
in
pkgs.dockerTools.buildLayeredImage {
  name = "relay";
  tag = "latest";
  inherit created;
  inherit (container) contents;

  extraCommands = ''
    mkdir -p dev proc sys etc
    mkdir -m 1777 tmp
    echo '${container.nsswitch}' > etc/nsswitch.conf
  '';
  # A new volume takes over the owner of the folder below it.
  fakeRootCommands = ''
    mkdir -m 0750 .${container.stateDir}
    chown ${owner} .${container.stateDir}
  '';

  config = {
    Entrypoint = container.entrypoint;
    Cmd = container.command;
    Env = lib.mapAttrsToList (name: value: "${name}=${value}") container.environment;
    User = owner;
    WorkingDir = container.stateDir;
    Volumes.${container.stateDir} = { };
    ExposedPorts."${toString container.port}/tcp" = { };
    StopSignal = "SIGTERM";
    Healthcheck = {
      Test = [ "CMD" ] ++ container.entrypoint ++ [ "health" ];
      Interval = seconds 30;
      Timeout = seconds 10;
      StartPeriod = seconds 10;
      Retries = 3;
    };
    Labels = {
      "org.opencontainers.image.title" = "relay";
      "org.opencontainers.image.description" = relay.meta.description;
      "org.opencontainers.image.version" = relay.version;
      "org.opencontainers.image.revision" = revision;
      "org.opencontainers.image.created" = created;
      "org.opencontainers.image.licenses" = "MIT OR Apache-2.0";
    };
  };
}
