// A consumer of the firehose that takes nothing on trust.
//
// It reads frames from the WebSocket itself, holds every one of them against the lexicon and the sync
// specification, and keeps its own copy of every repository out of the events alone, so that this copy can be
// compared with what the server says it holds.
import assert from 'node:assert/strict'
import { lexicons } from '@atproto/api'
import { BlockMap, MST, MemoryBlockstore, def, parseDataKey, verifyCommitSig, verifyRepoCar } from '@atproto/repo'
import { CarReader } from '@ipld/car'
import * as dagCbor from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import { sha256 } from 'multiformats/hashes/sha2'
import WebSocket from 'ws'
import { within } from './deadline.mjs'

const SUBSCRIBE = 'com.atproto.sync.subscribeRepos'
const WAIT_MS = 30_000
const DAG_CBOR = 0x71
const SHA2_256 = 0x12
const TID = /^[234567abcdefghij][234567abcdefghijklmnopqrstuvwxyz]{12}$/

const KINDS = ['#commit', '#sync', '#identity', '#account', '#info']
// There is one canonical encoding of a header, so a frame is split by comparing bytes.
const HEADERS = KINDS.map((t) => ({ t, op: 1, bytes: dagCbor.encode({ op: 1, t }) }))
HEADERS.push({ t: null, op: -1, bytes: dagCbor.encode({ op: -1 }) })

/** Takes a frame apart into its header's `op` and `t` and its body, both in canonical DAG-CBOR. */
export function decodeFrame(bytes) {
  const header = HEADERS.find((h) => Buffer.from(h.bytes).equals(bytes.subarray(0, h.bytes.length)))
  assert(header, `frame with an unknown header: ${Buffer.from(bytes.subarray(0, 32)).toString('hex')}`)
  return { op: header.op, t: header.t, body: decodeCanonical(bytes.subarray(header.bytes.length), 'frame body') }
}

function decodeCanonical(bytes, what) {
  const value = dagCbor.decode(bytes)
  assert(Buffer.from(dagCbor.encode(value)).equals(bytes), `${what} is not canonical DAG-CBOR`)
  return value
}

/** Reads a CAR strictly: version 1, these roots, every block's bytes under its hash, no block twice. */
export async function readBlocks(bytes, roots) {
  const car = await CarReader.fromBytes(bytes)
  assert.equal(car.version, 1)
  assert.deepEqual((await car.getRoots()).map(String), roots.map(String), 'roots of the CAR')
  const blocks = new BlockMap()
  for await (const { cid, bytes: block } of car.blocks()) {
    assert.equal(cid.version, 1)
    assert.equal(cid.code, DAG_CBOR)
    assert.equal(cid.multihash.code, SHA2_256)
    assert(CID.createV1(DAG_CBOR, await sha256.digest(block)).equals(cid), `bytes of block ${cid}`)
    assert(!blocks.has(cid), `block ${cid} twice in one CAR`)
    blocks.set(cid, block)
  }
  return blocks
}

/** Connects, and resolves with all frames, the close code and its reason once the server has closed. */
export async function framesUntilClose(net, params) {
  const socket = new WebSocket(`${net.ws}/xrpc/${SUBSCRIBE}?${new URLSearchParams(params)}`)
  const frames = []
  const closed = new Promise((resolve, reject) => {
    socket.on('message', (data) => frames.push(decodeFrame(data)))
    socket.on('close', (code, reason) => resolve({ frames, code, reason: String(reason) }))
    socket.on('error', reject)
  })
  return within(WAIT_MS, 'the server to close the stream', closed)
}

/** Connects, and resolves with all frames as soon as they are `enough`. */
export async function framesUntil(net, params, enough) {
  const socket = new WebSocket(`${net.ws}/xrpc/${SUBSCRIBE}?${new URLSearchParams(params)}`)
  const frames = []
  const read = new Promise((resolve, reject) => {
    socket.on('message', (data) => {
      frames.push(decodeFrame(data))
      if (enough(frames)) resolve(frames.slice())
    })
    socket.on('close', (code) => reject(new Error(`the stream was closed (${code})`)))
    socket.on('error', reject)
  })
  try {
    return await within(WAIT_MS, 'frames of the firehose', read)
  } finally {
    socket.terminate()
  }
}

export class Follower {
  /** Every message so far, as `{ t, ...body }`, in order. */
  events = []
  /** What the events say about every repository: `{ rev, data, head, records: Map(path -> CID) }` by DID. */
  repos = new Map()
  #net
  #socket
  #work = Promise.resolve()
  #waiting = new Set()
  #failure = null
  #closing = false
  #keys = new Map()

  /** Follows from `cursor`; without one, from now on. */
  static async connect(net, cursor) {
    const follower = new Follower()
    follower.#net = net
    await follower.#open(cursor)
    return follower
  }

  async #open(cursor) {
    const query = cursor === undefined ? '' : `?cursor=${cursor}`
    const socket = new WebSocket(`${this.#net.ws}/xrpc/${SUBSCRIBE}${query}`)
    this.#socket = socket
    this.#closing = false
    socket.on('message', (data, isBinary) => {
      this.#work = this.#work.then(() => this.#take(data, isBinary)).catch((err) => this.#fail(err))
    })
    socket.on('close', (code) => this.#closing || this.#fail(new Error(`the stream was closed (${code})`)))
    const open = new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
    await within(WAIT_MS, 'the stream to open', open)
  }

  /** Lets the server end the stream; `resume` opens it again after the last event. */
  expectClose() {
    this.#closing = true
  }

  async resume() {
    await this.#work
    this.#socket.terminate()
    await this.#open(this.events.at(-1).seq)
  }

  async close() {
    this.#closing = true
    const closed = new Promise((resolve) => this.#socket.once('close', resolve))
    if (this.#socket.readyState === WebSocket.CLOSED) return
    this.#socket.close()
    await within(WAIT_MS, 'the stream to close', closed)
  }

  /** Resolves with the first event, past or to come, that `matches`. */
  async event(what, matches) {
    await this.until(what, () => this.events.some(matches))
    return this.events.find(matches)
  }

  /** Resolves when `holds` does after some event. */
  until(what, holds) {
    if (this.#failure) return Promise.reject(this.#failure)
    if (holds()) return Promise.resolve()
    const waiter = { holds }
    const met = new Promise((resolve, reject) => Object.assign(waiter, { resolve, reject }))
    this.#waiting.add(waiter)
    return within(WAIT_MS, `the firehose: ${what}`, met)
  }

  #fail(err) {
    this.#failure ??= err
    for (const waiter of this.#waiting) waiter.reject(err)
    this.#waiting.clear()
  }

  async #take(data, isBinary) {
    if (this.#failure) return
    assert(isBinary, 'a text message on the firehose')
    const { op, t, body } = decodeFrame(data)
    assert.equal(op, 1, `error frame ${JSON.stringify(body)}`)
    assertLexicon(t, body)
    if (t !== '#info') {
      const last = this.events.findLast((event) => event.seq !== undefined)
      assert(Number.isSafeInteger(body.seq) && body.seq > (last?.seq ?? 0), `seq ${body.seq} after ${last?.seq}`)
    }
    if (t === '#commit') await this.#commit(body)
    if (t === '#sync') await this.#sync(body)
    if (t === '#account' && body.status === 'deleted') this.repos.delete(body.did)
    this.events.push({ t, ...body })
    for (const waiter of this.#waiting) {
      if (!waiter.holds()) continue
      this.#waiting.delete(waiter)
      waiter.resolve()
    }
  }

  async #commit(event) {
    const where = `#commit ${event.seq} of ${event.repo}`
    const before = this.repos.get(event.repo)
    assert.equal(event.rebase, false, where)
    assert.equal(event.tooBig, false, where)
    assert.deepEqual(event.blobs, [], `${where}: the deprecated list of blobs`)
    assert.equal(event.since, before?.rev ?? null, `${where}: since`)
    assert.equal(event.prevData?.toString(), before?.data.toString(), `${where}: prevData`)
    assert(!before || event.rev > before.rev, `${where}: rev ${event.rev} after ${before?.rev}`)

    const blocks = await readBlocks(event.blocks, [event.commit])
    const commit = await this.#signedCommit(blocks, event.commit, event.repo, event.rev, where)

    const records = new Map(before?.records)
    for (const op of event.ops) {
      const what = `${where}: ${op.action} ${op.path}`
      assert.equal(op.path.split('/').length, 2, what)
      const held = records.get(op.path)
      if (op.action === 'create') {
        assert.equal(held, undefined, `${what}: is there already`)
        assert.equal('prev' in op, false, `${what}: prev`)
      } else {
        assert.equal(op.prev?.toString(), held?.toString(), `${what}: prev`)
        assert(held, `${what}: was not there`)
      }
      if (op.action === 'delete') {
        assert.equal(op.cid, null, what)
        records.delete(op.path)
      } else {
        const bytes = blocks.get(op.cid)
        assert(bytes, `${what}: its record is not in the CAR`)
        const record = decodeCanonical(bytes, what)
        assert.equal(record.$type, parseDataKey(op.path).collection, what)
        records.set(op.path, op.cid)
      }
    }
    assert.equal(new Set(event.ops.map((op) => op.path)).size, event.ops.length, `${where}: a path twice`)
    if (event.prevData) await assertInverts(blocks, commit.data, event, where)
    this.repos.set(event.repo, { rev: event.rev, data: commit.data, head: event.commit, records })
  }

  async #sync(event) {
    const where = `#sync ${event.seq} of ${event.did}`
    const held = this.repos.get(event.did)
    const { cid } = await onlyRoot(event.blocks)
    const blocks = await readBlocks(event.blocks, [cid])
    assert.equal(blocks.size, 1, `${where}: holds the commit alone`)
    const { data } = await this.#signedCommit(blocks, cid, event.did, event.rev, where)
    if (held) {
      // No repository is replaced here, so this repeats what the commits before it have said.
      assert.equal(cid.toString(), held.head.toString(), `${where}: the head`)
    } else {
      // A repository that moved here: no event has told of its records, so they are fetched, as any consumer would.
      const records = new Map((await exported(this.#net, event.did)).map(([at, record]) => [at, CID.parse(record)]))
      this.repos.set(event.did, { rev: event.rev, data, head: cid, records })
    }
  }

  async #signedCommit(blocks, cid, did, rev, where) {
    const bytes = blocks.get(cid)
    assert(bytes, `${where}: the commit is not in the CAR`)
    const commit = def.commit.schema.parse(decodeCanonical(bytes, where))
    assert.deepEqual(Object.keys(commit).sort(), ['data', 'did', 'prev', 'rev', 'sig', 'version'], where)
    assert.equal(commit.did, did, where)
    assert.equal(commit.rev, rev, where)
    assert.match(commit.rev, TID, where)
    assert.equal(commit.prev, null, where)
    assert.equal(commit.sig.length, 64, where)
    if (!(await verifyCommitSig(commit, await this.#key(did)))) {
      this.#keys.delete(did)
      assert(await verifyCommitSig(commit, await this.#key(did)), `${where}: the signature`)
    }
    return commit
  }

  async #key(did) {
    if (!this.#keys.has(did)) this.#keys.set(did, await this.#net.signingKey(did))
    return this.#keys.get(did)
  }

  /** Awaits every repository's last commit, then compares all of them with getRepo and listRecords. */
  async assertAgrees() {
    const listed = await listAll(this.#net, 'com.atproto.sync.listRepos', { limit: 1000 }, 'repos')
    const active = listed.filter((repo) => repo.active)
    assert(active.length > 0, 'no repository to compare')
    for (const { did, rev, head } of active) {
      await this.until(`${did} at rev ${rev}`, () => this.repos.get(did)?.rev >= rev)
      const told = this.repos.get(did)
      assert.equal(told.rev, rev, `rev of ${did}`)
      assert.equal(told.head.toString(), head, `head of ${did}`)
      const records = sorted([...told.records].map(([at, cid]) => [at, cid.toString()]))
      assert.deepEqual(await exported(this.#net, did), records, `getRepo of ${did} against its events`)
      assert.deepEqual(await everyRecord(this.#net, did), records, `listRecords of ${did} against its events`)
    }
  }
}

const sorted = (pairs) => pairs.sort(([a], [b]) => (a < b ? -1 : 1))

async function onlyRoot(bytes) {
  const roots = await (await CarReader.fromBytes(bytes)).getRoots()
  assert.equal(roots.length, 1)
  return { cid: roots[0] }
}

/** Undoes the operations in the new tree, with the event's own blocks: what is left has to be the old tree. */
async function assertInverts(blocks, data, event, where) {
  let tree = MST.load(new MemoryBlockstore(blocks), data)
  for (const op of event.ops.toReversed()) {
    if (op.action === 'create') tree = await tree.delete(op.path)
    if (op.action === 'update') tree = await tree.update(op.path, op.prev)
    if (op.action === 'delete') tree = await tree.add(op.path, op.prev)
  }
  assert.equal((await tree.getPointer()).toString(), event.prevData.toString(), `${where}: does not invert`)
}

/** The lexicon's types and formats, and no field besides the lexicon's. */
function assertLexicon(t, body) {
  lexicons.assertValidXrpcMessage(SUBSCRIBE, { $type: SUBSCRIBE + t, ...body })
  const { required, properties } = lexicons.getDefOrThrow(SUBSCRIBE + t)
  const keys = Object.keys(body)
  for (const key of keys) assert(key in properties, `${t} has a field ${key} that the lexicon has not`)
  for (const key of required) assert(keys.includes(key), `${t} lacks ${key}`)
  for (const op of body.ops ?? []) {
    for (const key of Object.keys(op)) assert(['action', 'path', 'cid', 'prev'].includes(key), `${t}: ops.${key}`)
  }
}

async function exported(net, did) {
  const car = await net.xrpc('com.atproto.sync.getRepo', { params: { did } })
  assert.equal(car.status, 200)
  const { creates } = await verifyRepoCar(car.body, did, await net.signingKey(did))
  return sorted(creates.map(({ collection, rkey, cid }) => [`${collection}/${rkey}`, cid.toString()]))
}

async function everyRecord(net, did) {
  const { body } = await net.xrpc('com.atproto.repo.describeRepo', { params: { repo: did } })
  const pairs = []
  for (const collection of body.collections) {
    const params = { repo: did, collection, limit: 100 }
    const records = await listAll(net, 'com.atproto.repo.listRecords', params, 'records')
    assert(records.length > 0, `describeRepo names ${collection}, which is empty`)
    for (const { uri, cid } of records) pairs.push([uri.slice(`at://${did}/`.length), cid])
  }
  return sorted(pairs)
}

/** Follows a method's cursor to the end and returns everything listed under `field`. */
export async function listAll(net, nsid, params, field) {
  const all = []
  let cursor
  do {
    const { status, body } = await net.xrpc(nsid, { params: { ...params, ...(cursor && { cursor }) } })
    assert.equal(status, 200, JSON.stringify(body))
    all.push(...body[field])
    // The reference PDS names a cursor on its last page too, and an empty page ends the list.
    cursor = body[field].length > 0 ? body.cursor : undefined
  } while (cursor)
  return all
}
