// Writes crates/common/tests/verdicts.json: records, good and bad, with what the official validator says of each.
//
// The records are random, but the same at each run: made after the schemas in facts.json, with mistakes mixed in. Of those that
// the official validator refuses for one reason at one property, one is kept.
//
//   npm ci && npm run verdicts

import { readFileSync, writeFileSync } from "node:fs";
import { LexiconIterableIndexer, LexiconSchemaBuilder } from "@atproto/lex-document";
import { jsonToLex } from "@atproto/lex-json";

const ROUNDS = 40_000;
const VALID_PER_COLLECTION = 4;
const MAX_RECORD_CHARS = 500;
const CID = "bafkreiclp443lavogvhj3d2ob2cxbfuscni2k5jk7bebjzg7khl3esabwq";
const POST = "at://did:plc:ewvi7nxzyoun6zhxrhs64oiz/app.bsky.feed.post/3kznmn7xqxl22";

// The first of each format is good. What is left out on purpose, because this server is stricter than the official one: days
// that the calendar does not have, the year 0000, AT URIs with a fragment, and CIDs of version 0.
const FORMATS = {
  "at-identifier": ["did:web:example.com", "alice.test", "x"],
  "at-uri": [POST, "at://alice.test", "at://alice.test/app.bsky.feed.post/", "at://alice.test/x/y", "https://x", `${POST} b`, `${POST}/b`],
  cid: [CID, "x", "", "bafyreiclp443lavogvhj3d2ob2cxbfuscni2k5jk7bebjzg7khl3esabwq"],
  datetime: [
    "2026-01-31T12:00:00.000Z",
    "2026-01-31T12:00:00+01:00",
    "1985-04-12T23:20:50.123456789Z",
    "2026-01-31",
    "2026-01-31 12:00:00Z",
    "2026-01-31T12:00:00",
    "2026-13-31T12:00:00Z",
    "2026-01-31T12:00:00.Z",
    "2026-01-31T12:00:00-00:00",
    "2026-01-31t12:00:00z",
  ],
  did: ["did:plc:ewvi7nxzyoun6zhxrhs64oiz", "did:web:example.com", "did:x", "alice.test", "DID:web:a"],
  handle: ["alice.test", "ALICE.test", "alice", "a..b", "1.2.3.4"],
  language: ["en", "pt-BR", "zh-Hant-TW", "i-default", "x-private", "123", "e", "en_US", "", "en-"],
  nsid: ["com.example.thing", "com.example", "com.example.1x"],
  "record-key": ["self", ".", "a b"],
  tid: ["3kznmn7xqxl22", "x"],
  uri: ["https://example.com", "ftp:x", "mailto:a@b", "http://[::1]/", "nope", "http://a b", ""],
};
const LETTERS = ["a", "a", "\u00e9", "\u{1F468}\u200D\u{1F469}\u200D\u{1F467}", "\r\n", "e\u0301", "\u{1F1E9}\u{1F1EA}"];
const JUNK = [null, 1, -1, true, "x", "", [], {}, { $type: "com.example.other" }, { $link: CID }, { $bytes: "YWJj" }, [1], { a: 1 }];

const facts = JSON.parse(readFileSync(new URL("../../crates/common/src/lexicon/facts.json", import.meta.url), "utf8"));
const lexicons = new Map(facts.lexicons.map((lexicon) => [lexicon.id, lexicon]));

let state = 1;
function random() {
  // mulberry32
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}
const chance = (share) => random() < share;
const pick = (list) => list[Math.floor(random() * list.length)];
const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

function make(schema, depth) {
  if (chance(0.02)) return structuredClone(pick(JUNK));
  switch (schema.type) {
    case "boolean":
      return chance(0.5);
    case "integer": {
      const { minimum = 0, maximum = 5 } = schema;
      return pick([minimum, minimum + 1, maximum, minimum - 1, maximum + 1]);
    }
    case "string": {
      if (schema.format) return chance(0.8) ? FORMATS[schema.format][0] : pick(FORMATS[schema.format]);
      const { minLength = 1, maxLength = 5, maxGraphemes = 5 } = schema;
      const length = pick([minLength, minLength - 1, 5, 5, 5, maxGraphemes, maxGraphemes + 1, maxLength, maxLength + 1]);
      return pick(LETTERS).repeat(length);
    }
    case "bytes":
      return { $bytes: "YWJj" };
    case "blob": {
      const mimeType = pick([...(schema.accept ?? []).map((accept) => accept.replace("*", "png")), "text/plain", "image"]);
      const size = pick([0, 1000, schema.maxSize ?? 1000, (schema.maxSize ?? 1000) + 1]);
      return { $type: "blob", ref: { $link: CID }, mimeType, size };
    }
    case "array": {
      const length = chance(0.1) ? (schema.maxLength ?? 2) + 1 : Math.floor(random() * 3);
      return Array.from({ length }, () => make(schema.items, depth + 1));
    }
    case "object": {
      const made = {};
      for (const [name, property] of Object.entries(schema.properties ?? {})) {
        const share = schema.required?.includes(name) ? 0.98 : depth > 2 ? 0.15 : 0.4;
        if (chance(share)) made[name] = make(property, depth + 1);
      }
      if (chance(0.05)) made.extra = structuredClone(pick(JUNK));
      return made;
    }
    case "ref": {
      const made = follow(schema.ref, depth);
      if (isObject(made) && chance(0.1)) made.$type = pick([schema.ref, "com.example.other"]);
      return made;
    }
    case "union": {
      if (chance(0.1)) return { $type: pick(["com.example.other", `${schema.refs[0]}#main`, 5, ""]) };
      const type = pick(schema.refs);
      const made = follow(type, depth);
      if (isObject(made) && chance(0.97)) made.$type = type;
      return made;
    }
    default:
      throw new Error(`records have no ${schema.type} so far`);
  }
}

function follow(reference, depth) {
  const [id, name = "main"] = reference.split("#");
  return make(lexicons.get(id).defs[name], depth + 1);
}

// The builder wants `#main` spelled out.
function spelledOut(node) {
  if (Array.isArray(node)) return node.map(spelledOut);
  if (!isObject(node)) return node;
  const full = (reference) => (reference.includes("#") ? reference : `${reference}#main`);
  if (node.type === "ref") return { ...node, ref: full(node.ref) };
  if (node.type === "union") return { ...node, refs: node.refs.map(full) };
  return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, spelledOut(value)]));
}

const schemas = await LexiconSchemaBuilder.buildAll(new LexiconIterableIndexer(spelledOut(facts.lexicons)));

// Returns why the official validator refuses the record, or nothing.
function refusal(collection, record) {
  let value;
  try {
    value = jsonToLex(record, { strict: true });
  } catch (error) {
    return error.message;
  }
  const result = schemas.get(`${collection}#main`).safeValidate(value, { strict: true });
  return result.success ? undefined : result.reason.message;
}

const records = facts.lexicons.filter(({ defs }) => defs.main?.type === "record");
const kept = new Map();
for (let round = 0; round < ROUNDS; round++) {
  const { id, defs } = pick(records);
  const record = make(defs.main.record, 0);
  if (!isObject(record) || JSON.stringify(record).length > MAX_RECORD_CHARS) continue;
  record.$type = id;
  const reason = refusal(id, record);
  const place = reason?.match(/\.\w+$/)?.[0] ?? "";
  const key = reason === undefined ? `${id} ${round % VALID_PER_COLLECTION}` : reason.replace(/\(got.*|\d+/gs, "").slice(0, 40) + place;
  if (!kept.has(key)) kept.set(key, { collection: id, valid: reason === undefined, record });
}
const lines = [...kept.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, verdict]) => JSON.stringify(verdict));
writeFileSync(new URL("../../crates/common/tests/verdicts.json", import.meta.url), `[\n${lines.join(",\n")}\n]\n`);
console.log(`${lines.length} records`);
