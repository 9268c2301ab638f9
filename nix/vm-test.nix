# Boots NixOS with the module: the server answers, keeps its data over a restart, and is confined.
{ pkgs, module }:
pkgs.testers.runNixOSTest {
  name = "ezpds";

  nodes.machine = {
    imports = [ module ];
    services.ezpds = {
      enable = true;
      settings.server = {
        public_url = "https://pds.example.com";
        bind = [ "127.0.0.1:80" ];
      };
      credentials."secrets.admin_password" = "${pkgs.writeText "admin-password" "a-password-for-tests"}";
    };
  };

  testScript = ''
    machine.wait_for_unit("ezpds.service")
    machine.wait_for_open_port(80)
    machine.succeed("relay health --url http://127.0.0.1:80")
    machine.succeed("curl --fail --silent http://127.0.0.1/xrpc/com.atproto.server.describeServer | grep did:web:pds.example.com")
    machine.succeed("sudo -u ezpds relay account list")
    key = machine.succeed("cat /var/lib/ezpds/master.key")
    machine.succeed("systemctl restart ezpds.service")
    machine.wait_for_open_port(80)
    assert key == machine.succeed("cat /var/lib/ezpds/master.key")
    assert "700 ezpds" in machine.succeed("stat -c '%a %U' /var/lib/ezpds")
    exposure = machine.succeed("systemd-analyze security ezpds.service --no-pager | tail -1")
    assert "OK" in exposure, exposure
  '';
}
