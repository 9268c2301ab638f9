// Writes the lexicon facts of the server, out of the schemas that a pinned package ships:
//
//   crates/common/src/lexicon/facts.json   the known record schemas and all that they reach, compiled into the server
//   tests/lexicons/methods.json            the com.atproto methods and all that they reach, for conformance tests
//
// Prose is left out. One lexicon per line, so that an update shows what changed.
//
//   npm ci && npm run generate

import { readFileSync, writeFileSync } from "node:fs";
import { schemas } from "@atproto/api";

const PACKAGE = "@atproto/api";
const VERSION = JSON.parse(readFileSync(new URL(`node_modules/${PACKAGE}/package.json`, import.meta.url), "utf8")).version;

const RECORDS = [
  "app.bsky.actor.profile",
  "app.bsky.actor.status",
  "app.bsky.feed.generator",
  "app.bsky.feed.like",
  "app.bsky.feed.post",
  "app.bsky.feed.postgate",
  "app.bsky.feed.repost",
  "app.bsky.feed.threadgate",
  "app.bsky.graph.block",
  "app.bsky.graph.follow",
  "app.bsky.graph.list",
  "app.bsky.graph.listblock",
  "app.bsky.graph.listitem",
  "app.bsky.graph.starterpack",
  "app.bsky.graph.verification",
  "app.bsky.labeler.service",
  "app.bsky.notification.declaration",
  "chat.bsky.actor.declaration",
  "com.atproto.lexicon.schema",
  "com.germnetwork.declaration",
];
const METHODS = ["query", "procedure", "subscription"];
// What a validator does not read: prose, and hints that accept any value.
const PROSE = new Set(["description", "knownValues", "default"]);

const lexicons = new Map(schemas.map((lexicon) => [lexicon.id, lexicon]));

// The package spells references as `lex:<nsid>#<name>` once it has loaded them.
const plain = (reference) => reference.replace(/^lex:/, "").replace(/#main$/, "");

// `names` is set where the keys of `node` are names that authors chose, such as a property called "description".
function strip(node, names = false) {
  if (Array.isArray(node)) return node.map((item) => strip(item));
  if (node === null || typeof node !== "object") return node;
  if (!names && node.type === "ref") return { type: "ref", ref: plain(node.ref) };
  if (!names && node.type === "union") node = { ...node, refs: node.refs.map(plain) };
  return Object.fromEntries(
    Object.entries(node)
      .filter(([key]) => names || !PROSE.has(key))
      .map(([key, value]) => [key, strip(value, !names && (key === "properties" || key === "defs"))]),
  );
}

function references(node, found = []) {
  if (Array.isArray(node)) node.forEach((item) => references(item, found));
  else if (node !== null && typeof node === "object") {
    if (node.type === "ref") found.push(plain(node.ref));
    if (node.type === "union") found.push(...node.refs.map(plain));
    Object.values(node).forEach((item) => references(item, found));
  }
  return found;
}

// Returns the definitions that `roots` reach, as lexicons with only these.
function reachable(roots) {
  const kept = new Map();
  const queue = roots.map((id) => [id, "main"]);
  for (let next = queue.pop(); next; next = queue.pop()) {
    const [id, name] = next;
    const def = lexicons.get(id)?.defs[name];
    if (!def) throw new Error(`${id}#${name} is not in ${PACKAGE} ${VERSION}`);
    if (!kept.has(id)) kept.set(id, new Set());
    if (kept.get(id).has(name)) continue;
    kept.get(id).add(name);
    for (const reference of references(def)) {
      const [target, fragment = "main"] = reference.split("#");
      queue.push([target || id, fragment]);
    }
  }
  return [...kept.keys()].sort().map((id) => {
    const defs = Object.entries(lexicons.get(id).defs).filter(([name]) => kept.get(id).has(name));
    return { lexicon: 1, id, defs: strip(Object.fromEntries(defs), true) };
  });
}

function write(path, found) {
  const head = `{"package":${JSON.stringify(PACKAGE)},"version":${JSON.stringify(VERSION)},"lexicons":[\n`;
  const lines = found.map((lexicon) => JSON.stringify(lexicon));
  writeFileSync(new URL(path, import.meta.url), `${head}${lines.join(",\n")}\n]}\n`);
  console.log(`${path}: ${found.length} lexicons of ${PACKAGE} ${VERSION}`);
}

const methods = [...lexicons.values()]
  .filter(({ id, defs }) => id.startsWith("com.atproto.") && METHODS.includes(defs.main?.type))
  .map(({ id }) => id);

write("../../crates/common/src/lexicon/facts.json", reachable(RECORDS));
write("methods.json", reachable(methods));
