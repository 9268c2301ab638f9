# The NixOS module. Without the flake: `imports = [ ./nix/module.nix ]`, and set `services.ezpds.package`.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) types;

  cfg = config.services.ezpds;

  # null is left to the server.
  written = lib.filterAttrs (_: section: section != { }) (
    lib.mapAttrs (_: lib.filterAttrs (_: value: value != null)) cfg.settings
  );
  configFile =
    if cfg.configFile != null then
      cfg.configFile
    else
      (pkgs.formats.toml { }).generate "relay.toml" written;

  bind = if cfg.settings.server.bind == null then [ ] else cfg.settings.server.bind;
  # Where the server speaks TLS itself, it listens there too; the defaults are those of the server.
  tls = cfg.settings.tls;
  servesTls = cfg.configFile == null && lib.elem tls.mode [ "auto" "files" ];
  orDefault = value: default: if value == null then default else value;
  tlsBind =
    if servesTls then
      orDefault tls.https_bind [ "0.0.0.0:443" ] ++ orDefault tls.http_bind [ "0.0.0.0:80" ]
    else
      [ ];
  ports = map (address: lib.toInt (lib.last (lib.splitString ":" address))) (bind ++ tlsBind);
  privileged = lib.any (port: port < 1024) ports;

  stateDir = "/var/lib/ezpds";
  dataDir = cfg.settings.data.dir;
  # Where backups go, as far as it is a folder; with a dash, since a disk that is not there is no reason not to start.
  backupFolders =
    if cfg.configFile == null && cfg.settings.backup.to != null then
      map (folder: "-${folder}") (lib.filter (lib.hasPrefix "/") (lib.toList cfg.settings.backup.to))
    else
      [ ];
  writable = lib.optional ownDir dataDir ++ backupFolders;
  ownDir = cfg.configFile == null && dataDir != null && dataDir != stateDir;

  secrets = [
    "limits.rate_limit_bypass_key"
    "mail.moderation_url"
    "mail.password"
    "mail.url"
    "secrets.admin_password"
    "secrets.master_key"
    "tls.dns_secret"
  ];
  strangers = lib.filter (name: !lib.elem name secrets) (lib.attrNames cfg.credentials);
in
{
  options.services.ezpds = {
    enable = lib.mkEnableOption "ezpds, a Personal Data Server of the AT Protocol";

    package = lib.mkOption {
      type = types.package;
      default =
        pkgs.ezpds
          or (throw "services.ezpds.package is not set: take it from the flake, or use the flake's overlay or module");
      defaultText = lib.literalExpression "pkgs.ezpds";
      description = "The package with the program `relay`.";
    };

    settings = import ./settings.nix { inherit lib; };

    configFile = lib.mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/etc/ezpds/relay.toml";
      description = "A `relay.toml` that replaces the settings.";
    };

    environmentFile = lib.mkOption {
      type = types.nullOr (types.strMatching "/.+");
      default = null;
      example = "/run/secrets/ezpds.env";
      description = "A file of `RELAY_…=` lines that systemd reads as root, for secrets.";
    };

    credentials = lib.mkOption {
      type = types.attrsOf (types.strMatching "/.+");
      default = { };
      example = {
        "secrets.admin_password" = "/run/secrets/ezpds-admin-password";
      };
      description = ''
        The files of secrets, by the path of their setting: ${lib.concatStringsSep ", " secrets}. systemd reads them as
        root and shows them to the server alone.
      '';
    };

    openFirewall = lib.mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether to open the ports of `settings.server.bind` in the firewall, and of `settings.tls` where the server speaks TLS.
      '';
    };
  };

  config = lib.mkIf cfg.enable {
    services.ezpds.settings = lib.mkIf (cfg.configFile == null) {
      server.bind = lib.mkDefault [ "127.0.0.1:2583" ];
      data.dir = lib.mkDefault stateDir;
    };

    assertions = [
      {
        assertion = cfg.configFile != null || cfg.settings.server.public_url != null;
        message = ''
          services.ezpds.settings.server.public_url is not set. Write the address that people reach the server by, such as
          "https://pds.example.com".
        '';
      }
      {
        assertion = cfg.configFile == null || written == { };
        message = ''
          services.ezpds.configFile replaces services.ezpds.settings, but both are set. Move the settings
          (${lib.concatStringsSep ", " (lib.attrNames written)}) to the file.
        '';
      }
      {
        assertion = cfg.configFile == null || !cfg.openFirewall;
        message = ''
          services.ezpds.openFirewall knows the ports from services.ezpds.settings only. With services.ezpds.configFile, open
          them with networking.firewall.allowedTCPPorts.
        '';
      }
      {
        assertion = strangers == [ ];
        message = ''
          services.ezpds.credentials has ${lib.concatStringsSep ", " strangers}, which the server does not know as secrets.
          It knows ${lib.concatStringsSep ", " secrets}.
        '';
      }
    ];

    users.users.ezpds = {
      isSystemUser = true;
      group = "ezpds";
      home = stateDir;
    };
    users.groups.ezpds = { };

    networking.firewall.allowedTCPPorts = lib.mkIf cfg.openFirewall ports;

    # Where the operator's commands look by themselves: `sudo -u ezpds relay account list`.
    environment.systemPackages = [ cfg.package ];
    environment.etc."relay/relay.toml".source = configFile;

    systemd.services.ezpds = {
      description = "AT Protocol Personal Data Server";
      documentation = [ "https://atproto.com/guides/self-hosting" ];
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ];
      after = [ "network-online.target" ];

      serviceConfig = {
        Type = "notify";
        NotifyAccess = "main";
        # The server says that its database answers; when it no longer does, it is started again.
        WatchdogSec = "60s";
        ExecStart = "${lib.getExe cfg.package} serve --config ${configFile}";
        Restart = "on-failure";
        RestartSec = "2s";
        # Requests in flight are finished first.
        TimeoutStopSec = "90s";
        LimitNOFILE = 65536;

        User = "ezpds";
        Group = "ezpds";
        WorkingDirectory = stateDir;
        StateDirectory = "ezpds";
        StateDirectoryMode = "0700";
        UMask = "0077";

        AmbientCapabilities = lib.optional privileged "CAP_NET_BIND_SERVICE";
        CapabilityBoundingSet = if privileged then [ "CAP_NET_BIND_SERVICE" ] else [ "" ];
        # The capability to bind means nothing in a user namespace.
        PrivateUsers = !privileged;

        LockPersonality = true;
        MemoryDenyWriteExecute = true;
        NoNewPrivileges = true;
        PrivateDevices = true;
        PrivateTmp = true;
        ProcSubset = "pid";
        ProtectClock = true;
        ProtectControlGroups = true;
        ProtectHome = true;
        ProtectHostname = true;
        ProtectKernelLogs = true;
        ProtectKernelModules = true;
        ProtectKernelTunables = true;
        ProtectProc = "invisible";
        ProtectSystem = "strict";
        RemoveIPC = true;
        RestrictAddressFamilies = [
          "AF_INET"
          "AF_INET6"
          "AF_UNIX"
        ];
        RestrictNamespaces = true;
        RestrictRealtime = true;
        RestrictSUIDSGID = true;
        SystemCallArchitectures = "native";
        SystemCallErrorNumber = "EPERM";
        SystemCallFilter = [
          "@system-service"
          "~@privileged"
        ];
      }
      // lib.optionalAttrs (writable != [ ]) {
        ReadWritePaths = writable;
      }
      // lib.optionalAttrs (cfg.environmentFile != null) {
        EnvironmentFile = cfg.environmentFile;
      }
      // lib.optionalAttrs (cfg.credentials != { }) {
        LoadCredential = lib.mapAttrsToList (name: file: "${name}:${file}") cfg.credentials;
      };
    };

    # systemd makes its state directory; another one is made here.
    systemd.tmpfiles.rules = lib.optional ownDir "d ${dataDir} 0700 ezpds ezpds -";
  };
}
