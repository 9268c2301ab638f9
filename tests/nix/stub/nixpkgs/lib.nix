# The functions of nixpkgs' lib that the flake uses.
let
  inherit (builtins)
    any
    attrNames
    elemAt
    filter
    isAttrs
    isList
    length
    listToAttrs
    map
    match
    pathExists
    split
    stringLength
    substring
    ;

  hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
  hasSuffix =
    suffix: text:
    let
      from = stringLength text - stringLength suffix;
    in
    from >= 0 && substring from (stringLength suffix) text == suffix;
in
rec {
  inherit
    any
    attrNames
    filter
    hasPrefix
    hasSuffix
    ;
  inherit (builtins)
    concatStringsSep
    elem
    mapAttrs
    ;

  genAttrs = names: f: listToAttrs (map (name: { inherit name; value = f name; }) names);
  filterAttrs = keep: set: removeAttrs set (filter (name: !keep name set.${name}) (attrNames set));
  mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
  optional = yes: value: if yes then [ value ] else [ ];
  optionalAttrs = yes: set: if yes then set else { };
  toList = value: if builtins.isList value then value else [ value ];
  last = list: elemAt list (length list - 1);
  splitString = separator: text: filter builtins.isString (split (escape separator) text);
  hasInfix = part: text: length (split (escape part) text) > 1;
  toInt = text: builtins.fromJSON text;
  assertMsg = holds: message: holds || throw message;
  importTOML = file: builtins.fromTOML (builtins.readFile file);
  getExe = package: "${package}/bin/${package.meta.mainProgram}";
  getLib = package: package.lib or package.out or package;
  literalExpression = text: text;

  # A plain text as a regular expression.
  escape =
    let
      special = [ "\\" "." "*" "+" "?" "(" ")" "[" "]" "{" "}" "|" "^" "$" ];
    in
    builtins.replaceStrings special (map (c: "\\${c}") special);

  platforms.unix = [ "unix" ];
  licenses = {
    mit.spdxId = "MIT";
    asl20.spdxId = "Apache-2.0";
  };

  # Options, for modules.nix.
  mkOption = option: option // { _type = "option"; };
  mkEnableOption =
    what:
    mkOption {
      type = types.bool;
      default = false;
      description = "Whether to enable ${what}.";
    };
  mkIf = condition: content: { _type = "if"; inherit condition content; };
  mkDefault = content: { _type = "default"; inherit content; };

  types =
    let
      type = description: check: { inherit description check; };
    in
    rec {
      bool = type "boolean" builtins.isBool;
      str = type "string" builtins.isString;
      path = type "path" (value: builtins.isPath value || (builtins.isString value && hasPrefix "/" value));
      package = type "package" (value: value ? outPath);
      port = type "port" (value: builtins.isInt value && value >= 0 && value < 65536);
      ints.unsigned = type "unsigned integer" (value: builtins.isInt value && value >= 0);
      strMatching = pattern: type "string matching ${pattern}" (value: builtins.isString value && match pattern value != null);
      enum = words: type "one of ${toString words}" (value: builtins.elem value words);
      nullOr = of: type "null or ${of.description}" (value: value == null || of.check value);
      either = a: b: type "${a.description} or ${b.description}" (value: a.check value || b.check value);
      listOf = of: type "list of ${of.description}" (value: isList value && builtins.all of.check value);
      attrsOf = of: type "set of ${of.description}" (value: isAttrs value && builtins.all of.check (builtins.attrValues value));
    };

  # A file set is a predicate over the path as text and the kind of file.
  fileset =
    let
      below = root: path: path == root || hasPrefix (root + "/") path;
      set = files: if files ? has then files else { has = path: _: below (toString files) path; };
    in
    rec {
      unions = sets: { has = path: kind: any (files: (set files).has path kind) sets; };
      difference = a: b: { has = path: kind: (set a).has path kind && !(set b).has path kind; };
      maybeMissing = path: if pathExists path then path else unions [ ];
      fileFilter = keep: root: {
        has =
          path: type:
          let
            name = baseNameOf path;
          in
          type == "regular" && below (toString root) path && keep { inherit name type; hasExt = ext: hasSuffix ".${ext}" name; };
      };
      # Unlike the real one, this leaves folders that are empty.
      toSource =
        { root, fileset }:
        {
          outPath = builtins.path {
            path = root;
            name = "source";
            filter = path: kind: kind == "directory" || (set fileset).has path kind;
          };
        };
    };
}
