# The module system, as far as nix/module.nix needs it: imports, nested options with types and defaults, mkIf, mkDefault.
lib:
{ modules }:
let
  inherit (builtins)
    attrNames
    concatLists
    concatMap
    concatStringsSep
    filter
    foldl'
    head
    isAttrs
    isFunction
    isList
    length
    map
    ;

  anything = lib.mkOption { default = { }; };
  # The options of NixOS that the module and its test set.
  nixos = {
    options = {
      boot.isContainer = anything;
      assertions = lib.mkOption { default = [ ]; };
      environment = {
        etc = anything;
        systemPackages = lib.mkOption { default = [ ]; };
      };
      networking.firewall.allowedTCPPorts = lib.mkOption { default = [ ]; };
      nixpkgs.pkgs = anything;
      system.stateVersion = anything;
      systemd.services = anything;
      systemd.tmpfiles.rules = lib.mkOption { default = [ ]; };
      users.users = anything;
      users.groups = anything;
    };
  };

  args = {
    inherit config lib;
    inherit (config.nixpkgs) pkgs;
  };
  load =
    module:
    let
      read = if builtins.isPath module then import module else module;
      # An argument is looked at only when the module uses it.
      body = if isFunction read then read (builtins.intersectAttrs (builtins.functionArgs read) args) else read;
      settings = removeAttrs body [ "imports" "options" "config" ];
    in
    concatMap load (body.imports or [ ])
    ++ [
      {
        options = body.options or { };
        config = body.config or settings;
      }
    ];
  loaded = concatMap load ([ nixos ] ++ modules);

  isOption = value: (value._type or "") == "option";
  isSpecial = value: isAttrs value && builtins.elem (value._type or "") [ "if" "default" ];
  merge =
    a: b:
    a // builtins.mapAttrs (name: value: if a ? ${name} && !isOption value then merge a.${name} value else value) b;
  options = foldl' merge { } (map (module: module.options) loaded);

  # The definitions at a path. A condition is looked at only when its content has that path.
  dig =
    path: value:
    if isSpecial value && value._type == "if" then
      let
        found = dig path value.content;
      in
      if found == [ ] || !value.condition then [ ] else found
    else if path == [ ] then
      [ value ]
    else if isAttrs value && value ? ${head path} then
      dig (builtins.tail path) value.${head path}
    else
      [ ];

  plain = value: if isSpecial value then value.content else value;
  combine =
    name: values:
    if length values == 1 then
      head values
    else if builtins.all isList values then
      concatLists values
    else if builtins.all isAttrs values then
      foldl' merge { } values
    else
      throw "The option `${name}' is defined several times";

  evaluate =
    path: option:
    let
      name = concatStringsSep "." path;
      found = concatMap (module: dig path module.config) loaded;
      own = filter (value: !isSpecial value) found;
      defined = if own != [ ] then own else map plain found;
      value = combine name defined;
    in
    if defined == [ ] then
      option.default
    else if option ? type && !option.type.check value then
      throw "A definition for option `${name}' is not of type `${option.type.description}'"
    else
      value;

  strangers =
    path: known: value:
    if isSpecial value then
      strangers path known value.content
    else
      concatMap (
        name:
        let
          here = path ++ [ name ];
        in
        if !(known ? ${name}) then
          throw "The option `${concatStringsSep "." here}' does not exist"
        else if isOption known.${name} then
          [ ]
        else
          strangers here known.${name} value.${name}
      ) (attrNames value);

  build =
    path: known:
    builtins.mapAttrs (
      name: value: if isOption value then evaluate (path ++ [ name ]) value else build (path ++ [ name ]) value
    ) known;
  config = build [ ] options;
in
{
  inherit options;
  config = builtins.seq (length (concatMap (module: strangers [ ] options module.config) loaded)) config;
}
