// The firehose as others subscribe to it: the reference consumer, cursors, and many readers at once.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { AtUri } from '@atproto/api'
import { Firehose, MemoryRunner } from '@atproto/sync'
import WebSocket from 'ws'
import { within } from './deadline.mjs'
import { Follower, framesUntil, framesUntilClose } from './follower.mjs'
import { startNetwork } from './harness.mjs'
import { png } from './images.mjs'

let net, alice, bob
const consumed = []
const consumerErrors = []
let consumer
let onConsumed = () => {}

before(async () => {
  net = await startNetwork()
  // The reference consumer follows from the beginning and verifies every commit's signature and proof.
  consumer = new Firehose({
    service: net.ws,
    idResolver: net.idResolver,
    runner: new MemoryRunner({ startCursor: 0 }),
    // The handles of the test network are in no DNS.
    unauthenticatedHandles: true,
    handleEvent: (event) => {
      consumed.push(event)
      onConsumed()
    },
    onError: (err) => consumerErrors.push(err),
  })
  consumer.start()
  alice = await net.account('alice')
  bob = await net.account('bob')
})
after(async () => {
  await consumer?.destroy()
  await net?.stop()
})

const told = (what) => within(30_000, what, new Promise((resolve) => (onConsumed = () => resolve())))
const lastSeq = () => net.follower.events.at(-1).seq

/** Creates something, and awaits that the follower has seen it, so that the server is at rest again. */
async function settled() {
  const { uri } = await alice.post({ text: 'settled' })
  const path = new AtUri(uri).pathname.slice(1)
  await net.follower.event('the last post', (e) => e.t === '#commit' && e.ops.some((op) => op.path === path))
}

test('a new account is told as identity, account, first commit and sync', async () => {
  await settled()
  const mine = net.follower.events.filter((e) => (e.did ?? e.repo) === bob.did)
  assert.deepEqual(
    mine.map((e) => e.t),
    ['#identity', '#account', '#commit', '#sync'],
  )
  const [identity, account, commit, sync] = mine
  assert.equal(identity.handle, bob.handle)
  assert.equal(account.active, true)
  assert.equal('status' in account, false)
  assert.deepEqual(commit.ops, [])
  assert.equal(commit.since, null)
  assert.equal('prevData' in commit, false)
  assert.equal(sync.rev, commit.rev)
})

test('the reference consumer verifies everything that happens', async () => {
  const { data } = await alice.uploadBlob(png(16, [7, 7, 7]), { encoding: 'image/png' })
  const post = await alice.post({
    text: 'x',
    embed: { $type: 'app.bsky.embed.images', images: [{ image: data.blob, alt: '' }] },
  })
  await bob.like(post.uri, post.cid)
  await bob.like(post.uri, post.cid)
  await bob.follow(alice.did)
  await alice.upsertProfile(() => ({ displayName: 'Alice', avatar: data.blob }))
  await alice.upsertProfile((old) => ({ ...old, displayName: 'Alice again' }))
  const writes = Array.from({ length: 120 }, (_, i) => ({
    $type: 'com.atproto.repo.applyWrites#create',
    collection: 'com.example.note',
    rkey: `n${i}`,
    value: { $type: 'com.example.note', i },
  }))
  await bob.com.atproto.repo.applyWrites({ repo: bob.did, writes })
  for (let i = 0; i < 120; i += 10) {
    await bob.com.atproto.repo.deleteRecord({ repo: bob.did, collection: 'com.example.note', rkey: `n${i}` })
  }
  await alice.deletePost(post.uri)
  await settled()

  const wanted = net.follower.events.flatMap((e) => {
    if (e.t !== '#commit') return [`${e.seq} ${e.t.slice(1)} ${e.did}`]
    return e.ops.map((op) => `${e.seq} ${op.action} ${e.repo}/${op.path} ${op.cid ?? ''}`)
  })
  while (consumed.length < wanted.length && consumerErrors.length === 0) await told('the reference consumer')
  assert.deepEqual(consumerErrors, [])
  const got = consumed.map((e) => {
    if (!e.collection) return `${e.seq} ${e.event} ${e.did}`
    return `${e.seq} ${e.event} ${e.did}/${e.collection}/${e.rkey} ${e.cid ?? ''}`
  })
  const bySeq = (a, b) => parseInt(a) - parseInt(b) || (a < b ? -1 : 1)
  assert.deepEqual(got.sort(bySeq), wanted.sort(bySeq))
  const created = consumed.find((e) => e.event === 'create' && e.uri?.toString() === post.uri)
  assert.equal(created.record.text, 'x')
})

test('a cursor continues after it, with the same bytes for every reader', async () => {
  await settled()
  const all = net.follower.events.slice()
  const middle = all[Math.floor(all.length / 2)].seq
  const rest = all.filter((e) => e.seq > middle)
  const readers = Array.from({ length: 20 }, (_, i) => (i % 2 ? middle : 0))
  const read = await Promise.all(
    readers.map((cursor) => framesUntil(net, { cursor }, (frames) => frames.at(-1)?.body.seq >= all.at(-1).seq)),
  )
  for (const [i, frames] of read.entries()) {
    const expected = readers[i] === 0 ? all : rest
    assert.deepEqual(
      frames.map(({ t, body }) => ({ t, ...body })),
      expected,
    )
  }
})

test('from its last cursor a reader gets only what comes then', async () => {
  await settled()
  const cursor = lastSeq()
  const next = framesUntil(net, { cursor }, (frames) => frames.length > 0)
  const post = await bob.post({ text: 'next' })
  const [frame] = await next
  assert.equal(frame.t, '#commit')
  assert.equal(frame.body.ops[0].path, new AtUri(post.uri).pathname.slice(1))
})

test('without a cursor, or with an empty one, a reader begins now', async () => {
  for (const cursor of [undefined, '']) {
    await settled()
    const before = lastSeq()
    const live = await Follower.connect(net, cursor)
    const newcomer = await net.account('live')
    await live.event('the new account', (e) => e.t === '#identity' && e.did === newcomer.did)
    assert(live.events[0].seq > before)
    await live.close()
  }
})

test('a cursor in the future is refused', async () => {
  await settled()
  const { frames, code, reason } = await framesUntilClose(net, { cursor: lastSeq() + 1_000_000 })
  assert.equal(frames.length, 1)
  assert.equal(frames[0].op, -1)
  assert.equal(frames[0].body.error, 'FutureCursor')
  assert.equal(typeof frames[0].body.message, 'string')
  assert.equal(code, 1008)
  assert.equal(reason, 'FutureCursor')
})

test('a cursor that is no number is refused', async () => {
  for (const cursor of ['abc', '1.5']) {
    // Before the upgrade with a status, or after it with a frame: the specification leaves it open.
    const socket = new WebSocket(`${net.ws}/xrpc/com.atproto.sync.subscribeRepos?cursor=${cursor}`)
    const answer = new Promise((resolve, reject) => {
      socket.on('unexpected-response', (_, response) => {
        response.resume()
        resolve(response.statusCode)
      })
      socket.on('close', resolve)
      socket.on('error', reject)
    })
    assert([400, 1008].includes(await within(30_000, 'the refusal', answer)))
  }
})

test('without an upgrade there is no stream', async () => {
  const { status } = await net.xrpc('com.atproto.sync.subscribeRepos')
  assert([400, 426].includes(status), `${status}`)
})

test('the firehose told all of it', () => net.assertFirehoseAgrees())
