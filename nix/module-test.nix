# Evaluates the NixOS module as operators use it, and lets the program check the file that it writes.
{
  pkgs,
  relay,
  nixosSystem,
  module,
}:
let
  inherit (pkgs) lib;

  evaluate =
    ezpds:
    (nixosSystem {
      modules = [
        module
        {
          nixpkgs.pkgs = pkgs;
          # So that it needs no disk and no boot loader.
          boot.isContainer = true;
          system.stateVersion = "26.05";
          services.ezpds = {
            enable = true;
          }
          // ezpds;
        }
      ];
    }).config;

  unit = ezpds: (evaluate ezpds).systemd.services.ezpds.serviceConfig;
  # What NixOS refuses to build a system with.
  refusals =
    ezpds: map (refused: refused.message) (
      lib.filter (a: !a.assertion && lib.hasInfix "services.ezpds" a.message) (evaluate ezpds).assertions
    );
  # Whether a value's type is refused as soon as somebody looks.
  wrong = settings: !(builtins.tryEval (builtins.deepSeq (unit { inherit settings; }) true)).success;

  server.public_url = "https://pds.example.com";
  minimal.settings = {
    inherit server;
  };
  full = {
    settings = {
      server = server // {
        bind = [
          "0.0.0.0:80"
          "[::]:443"
        ];
        max_connections = 2000;
      };
      data.dir = "/srv/pds";
      accounts.invite_required = false;
      mail = {
        host = "mail.example.com";
        from = "Example Social <pds@example.com>";
        tls = "starttls";
        port = 2525;
      };
      limits = {
        blob_upload = "50MB";
        import = 200000000;
        backfill = "24h";
      };
      services.crawlers = [ "https://bsky.network" ];
    };
    openFirewall = true;
    environmentFile = "/run/secrets/ezpds.env";
    credentials."secrets.admin_password" = "/run/secrets/admin";
  };

  says =
    what: message: lib.any (lib.hasInfix message) what || throw "no refusal has ${message}: ${toString what}";

  facts = {
    "a minimal configuration is accepted" = refusals minimal == [ ];
    "it has no capabilities" = (unit minimal).AmbientCapabilities == [ ];
    "the root is read-only" = (unit minimal).ProtectSystem == "strict";
    "systemd hears that the server is up, and whether it works" =
      let
        inherit (unit minimal) Type NotifyAccess WatchdogSec;
      in
      [
        Type
        NotifyAccess
        WatchdogSec
      ] == [
        "notify"
        "main"
        "60s"
      ];
    "systemd makes the data folder" = (unit minimal).StateDirectory == "ezpds";
    "the firewall stays closed" = (evaluate minimal).networking.firewall.allowedTCPPorts == [ ];
    "a full configuration is accepted" = refusals full == [ ];
    "low ports need a capability" = (unit full).AmbientCapabilities == [ "CAP_NET_BIND_SERVICE" ];
    "another data folder is writable" = (unit full).ReadWritePaths == [ "/srv/pds" ];
    "folders for backups are writable" =
      (unit (
        full
        // {
          settings = full.settings // {
            backup = {
              to = [
                "/mnt/backup"
                "s3://bucket/pds"
              ];
              passphrase_file = "/run/secrets/backup";
            };
          };
        }
      )).ReadWritePaths == [
        "/srv/pds"
        "-/mnt/backup"
      ];
    "the firewall opens the ports" =
      (evaluate full).networking.firewall.allowedTCPPorts == [
        80
        443
      ];
    "a server that speaks TLS has its ports, and the capability to bind them" =
      let
        secure = {
          settings = {
            inherit server;
            tls.mode = "auto";
          };
          openFirewall = true;
          credentials."tls.dns_secret" = "/run/secrets/dns-token";
        };
      in
      refusals secure == [ ]
      && (unit secure).AmbientCapabilities == [ "CAP_NET_BIND_SERVICE" ]
      && (evaluate secure).networking.firewall.allowedTCPPorts == [
        2583
        443
        80
      ];
    "credentials reach the server" =
      (unit full).LoadCredential == [ "secrets.admin_password:/run/secrets/admin" ];
    "the environment is read from a file" = (unit full).EnvironmentFile == "/run/secrets/ezpds.env";
    "a file replaces the settings" =
      lib.hasSuffix "serve --config /etc/my.toml" (unit { configFile = "/etc/my.toml"; }).ExecStart;

    "a missing public URL is named" = says (refusals { }) "services.ezpds.settings.server.public_url is not set";
    "file and settings together are named" =
      says (refusals (minimal // { configFile = "/etc/my.toml"; })) "services.ezpds.configFile replaces";
    "an unknown secret is named" =
      says (refusals (minimal // { credentials."mail.host" = "/x"; })) "services.ezpds.credentials has mail.host";

    "a text is no number" = wrong { server = server // { max_connections = "many"; }; };
    "an address has a port" = wrong { server = server // { bind = [ "localhost" ]; }; };
    "a URL has a scheme" = wrong { server.public_url = "pds.example.com"; };
    "a misspelt setting is refused" = wrong { server = server // { pulbic_url = "x"; }; };
    "a size has a unit that exists" = wrong { inherit server; limits.import = "1 furlong"; };
  };
  broken = lib.attrNames (lib.filterAttrs (_: holds: !holds) facts);
  configFile = ezpds: (evaluate ezpds).environment.etc."relay/relay.toml".source;
in
assert lib.assertMsg (broken == [ ]) "the NixOS module: not true: ${lib.concatStringsSep "; " broken}";
pkgs.runCommand "relay-module" { } ''
  for file in ${configFile minimal} ${configFile full}; do
    ${lib.getExe relay} config check --config $file
  done
  touch $out
''
