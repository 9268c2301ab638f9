// Records and blobs, as the app writes and reads them.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { AtUri, BlobRef, RichText } from '@atproto/api'
import { cidForRecord } from '@atproto/repo'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'
import { listAll } from './follower.mjs'
import { assertError, assertRejects, startNetwork } from './harness.mjs'
import { jpeg, png } from './images.mjs'

let net
before(async () => (net = await startNetwork()))
after(() => net?.stop())

const POST = 'app.bsky.feed.post'
// A CID that nothing here has.
const OTHER_CID = 'bafyreiclp443lavogvhj3d2ob2cxbfuscni2k5jk7bebjzg7khl3esabwq'

const post = (text, fields) => ({ $type: POST, text, createdAt: new Date().toISOString(), ...fields })
const rawCid = async (bytes) => CID.createV1(raw.code, await sha256.digest(bytes)).toString()
const head = async (agent) => (await agent.com.atproto.sync.getLatestCommit({ did: agent.did })).data
const get = async (agent, uri) => {
  const { collection, rkey } = new AtUri(uri)
  return (await agent.com.atproto.repo.getRecord({ repo: agent.did, collection, rkey })).data
}
const assertGone = async (agent, uri) => assertRejects(get(agent, uri), 400, 'RecordNotFound')

/** Awaits the commit on the firehose and compares its operations with `action path`. */
async function assertOps(agent, rev, expected) {
  const event = await net.follower.event(
    `rev ${rev}`,
    (e) => e.t === '#commit' && e.repo === agent.did && e.rev === rev,
  )
  assert.deepEqual(event.ops.map((op) => `${op.action} ${op.path}`).sort(), expected.toSorted())
}

test('a post is created, read, edited and deleted', async () => {
  const agent = await net.account('writer')
  const text = new RichText({ text: 'Grüße 👋 https://example.com #test' })
  await text.detectFacets(agent)
  const record = post(text.text, { facets: text.facets, langs: ['de'] })
  const created = (await agent.com.atproto.repo.createRecord({ repo: agent.did, collection: POST, record })).data
  assert.deepEqual(Object.keys(created).sort(), ['cid', 'commit', 'uri', 'validationStatus'])
  assert.equal(created.validationStatus, 'valid')
  assert.deepEqual(created.commit, await head(agent))
  assert.equal(created.cid, (await cidForRecord(record)).toString())
  const { host, collection, rkey } = new AtUri(created.uri)
  assert.equal(host, agent.did)
  assert.equal(collection, POST)
  assert.match(rkey, /^[2-7a-z]{13}$/)
  await assertOps(agent, created.commit.rev, [`create ${POST}/${rkey}`])

  const read = await get(agent, created.uri)
  assert.deepEqual(read, { uri: created.uri, cid: created.cid, value: record })
  const byHandle = await agent.com.atproto.repo.getRecord({ repo: agent.handle, collection, rkey, cid: created.cid })
  assert.deepEqual(byHandle.data, read)
  const otherVersion = agent.com.atproto.repo.getRecord({ repo: agent.did, collection, rkey, cid: OTHER_CID })
  await assertRejects(otherVersion, 400, 'RecordNotFound')

  const edited = { ...record, text: 'edited', facets: [] }
  const put = (await agent.com.atproto.repo.putRecord({ repo: agent.did, collection, rkey, record: edited })).data
  assert.equal(put.uri, created.uri)
  assert.equal(put.cid, (await cidForRecord(edited)).toString())
  assert.deepEqual((await get(agent, created.uri)).value, edited)
  await assertOps(agent, put.commit.rev, [`update ${POST}/${rkey}`])

  const before = await head(agent)
  const same = (await agent.com.atproto.repo.putRecord({ repo: agent.did, collection, rkey, record: edited })).data
  assert.equal(same.cid, put.cid)
  assert.equal('commit' in same, false, 'a put that changes nothing makes no commit')
  assert.deepEqual(await head(agent), before)

  const gone = (await agent.com.atproto.repo.deleteRecord({ repo: agent.did, collection, rkey })).data
  assert.deepEqual(gone.commit, await head(agent))
  await assertOps(agent, gone.commit.rev, [`delete ${POST}/${rkey}`])
  await assertGone(agent, created.uri)
  const again = (await agent.com.atproto.repo.deleteRecord({ repo: agent.did, collection, rkey })).data
  assert.deepEqual(again, {})
})

test('a post carries a PNG and a JPEG, and both come back byte for byte', async () => {
  const agent = await net.account('pictures')
  const images = [
    { bytes: png(64, [200, 30, 60]), type: 'image/png' },
    { bytes: jpeg(3), type: 'image/jpeg' },
  ]
  const embed = { $type: 'app.bsky.embed.images', images: [] }
  for (const { bytes, type } of images) {
    const { data } = await agent.uploadBlob(bytes, { encoding: type })
    assert(data.blob instanceof BlobRef)
    assert.equal(data.blob.ref.toString(), await rawCid(bytes))
    assert.equal(data.blob.mimeType, type)
    assert.equal(data.blob.size, bytes.length)
    embed.images.push({ image: data.blob, alt: type, aspectRatio: { width: 1, height: 1 } })
  }
  const unused = await net.xrpc('com.atproto.sync.getBlob', {
    params: { did: agent.did, cid: await rawCid(images[0].bytes) },
  })
  assertError(unused, 400, /^(BlobNotFound|InvalidRequest)$/)

  const { uri } = await agent.post({ text: 'two pictures', embed })
  const { value } = await get(agent, uri)
  for (const [i, { bytes, type }] of images.entries()) {
    const { image } = value.embed.images[i]
    assert.deepEqual(image.ref.toString(), await rawCid(bytes))
    const cid = await rawCid(bytes)
    const blob = await agent.com.atproto.sync.getBlob({ did: agent.did, cid })
    assert(Buffer.from(bytes).equals(blob.data), `bytes of the ${type}`)
    assert.equal(blob.headers['content-type'], type)
    assert.equal(blob.headers['content-length'], String(bytes.length))
    assert.equal(blob.headers['x-content-type-options'], 'nosniff')
    assert.match(blob.headers['content-security-policy'], /default-src 'none'.*sandbox/)
  }
  const { data: listed } = await agent.com.atproto.sync.listBlobs({ did: agent.did })
  assert.deepEqual(listed.cids.toSorted(), (await Promise.all(images.map((i) => rawCid(i.bytes)))).sort())
  const { data: missing } = await agent.com.atproto.repo.listMissingBlobs()
  assert.deepEqual(missing.blobs, [])
})

test(
  'a part of a blob can be asked for',
  { skip: process.env.EZPDS_TARGET === 'official' && 'ignores Range' },
  async () => {
    const agent = await net.account('range')
    const bytes = png(64, [1, 2, 3])
    const { data } = await agent.uploadBlob(bytes, { encoding: 'image/png' })
    await agent.post({ text: 'x', embed: { $type: 'app.bsky.embed.images', images: [{ image: data.blob, alt: '' }] } })
    const params = { did: agent.did, cid: data.blob.ref.toString() }
    const part = await net.xrpc('com.atproto.sync.getBlob', { params, headers: { range: 'bytes=8-23' }, raw: true })
    assert.equal(part.status, 206)
    assert.equal(part.headers.get('content-range'), `bytes 8-23/${bytes.length}`)
    assert(Buffer.from(part.body).equals(bytes.subarray(8, 24)))
    const tail = await net.xrpc('com.atproto.sync.getBlob', { params, headers: { range: 'bytes=-12' }, raw: true })
    assert.equal(tail.status, 206)
    assert(Buffer.from(tail.body).equals(bytes.subarray(-12)))
    const beyond = await net.xrpc('com.atproto.sync.getBlob', {
      params,
      headers: { range: 'bytes=9999999-' },
      raw: true,
    })
    assert.equal(beyond.status, 416)
  },
)

test('a record has to match the blob that was uploaded', async () => {
  const agent = await net.account('blobs')
  const bytes = png(8, [9, 8, 7])
  const { data } = await agent.uploadBlob(bytes, { encoding: 'image/png' })
  const write = (image) =>
    agent.com.atproto.repo.createRecord({
      repo: agent.did,
      collection: POST,
      record: post('x', { embed: { $type: 'app.bsky.embed.images', images: [{ image, alt: '' }] } }),
    })
  const { ref } = data.blob
  await assertRejects(write(new BlobRef(ref, 'image/jpeg', bytes.length)), 400, 'InvalidMimeType')
  await assertRejects(write(new BlobRef(ref, 'image/png', bytes.length + 1)), 400, 'InvalidSize')
  const never = CID.parse(await rawCid(Buffer.from('never uploaded')))
  await assertRejects(write(new BlobRef(never, 'image/png', 14)), 400, 'BlobNotFound')
  assert.equal((await write(data.blob)).data.validationStatus, 'valid')
})

test('a truncated image is an upload like any other', async () => {
  const agent = await net.account('truncated')
  const bytes = png(32, [5, 5, 5]).subarray(0, 20)
  const { data } = await agent.uploadBlob(bytes, { encoding: 'image/png' })
  assert.equal(data.blob.size, bytes.length)
})

test('the avatar can be changed, and changed again', async () => {
  // Several servers answered 500 to the second edit: the stored record's blob link came back in another form.
  const agent = await net.account('avatar')
  const cids = []
  for (const [i, colour] of [
    [255, 0, 0],
    [0, 255, 0],
    [0, 0, 255],
  ].entries()) {
    const { data } = await agent.uploadBlob(png(32, colour), { encoding: 'image/png' })
    cids.push(data.blob.ref.toString())
    await agent.upsertProfile((existing) => ({ ...existing, displayName: `Avatar ${i}`, avatar: data.blob }))
    const { value } = await get(agent, `at://${agent.did}/app.bsky.actor.profile/self`)
    assert.equal(value.displayName, `Avatar ${i}`)
    assert.equal(value.avatar.ref.toString(), cids[i])
  }
  // The name alone: the avatar goes back as the client read it.
  await agent.upsertProfile((existing) => ({ ...existing, displayName: 'Only the name' }))
  const { value } = await get(agent, `at://${agent.did}/app.bsky.actor.profile/self`)
  assert.equal(value.avatar.ref.toString(), cids[2])
  const { data } = await agent.com.atproto.sync.listBlobs({ did: agent.did })
  assert.deepEqual(data.cids, [cids[2]])
})

test('follow, like and repost, and their undoing', async () => {
  const alice = await net.account('alice')
  const bob = await net.account('bob')
  const target = await bob.post({ text: 'like me' })

  const follow = await alice.follow(bob.did)
  assert.equal((await get(alice, follow.uri)).value.subject, bob.did)
  const like = await alice.like(target.uri, target.cid)
  assert.deepEqual((await get(alice, like.uri)).value.subject, { uri: target.uri, cid: target.cid })
  const repost = await alice.repost(target.uri, target.cid)
  assert.deepEqual((await get(alice, repost.uri)).value.subject, { uri: target.uri, cid: target.cid })

  const { data } = await alice.com.atproto.repo.describeRepo({ repo: alice.did })
  assert.deepEqual(data.collections.toSorted(), ['app.bsky.feed.like', 'app.bsky.feed.repost', 'app.bsky.graph.follow'])

  // A second like of the same post replaces the first: one commit, one delete, one create.
  const second = await alice.like(target.uri, target.cid)
  await assertGone(alice, like.uri)
  const { rev } = await head(alice)
  const path = (uri) => new AtUri(uri).pathname.slice(1)
  await assertOps(alice, rev, [`delete ${path(like.uri)}`, `create ${path(second.uri)}`])

  await alice.deleteLike(second.uri)
  await alice.deleteRepost(repost.uri)
  await alice.deleteFollow(follow.uri)
  const { data: empty } = await alice.com.atproto.repo.describeRepo({ repo: alice.did })
  assert.deepEqual(empty.collections, [])
})

test('applyWrites creates, updates and deletes in one commit', async () => {
  const agent = await net.account('batch')
  const kept = await agent.post({ text: 'to update' })
  const dropped = await agent.post({ text: 'to delete' })
  const rkeyOf = (uri) => new AtUri(uri).rkey
  const type = (name) => `com.atproto.repo.applyWrites#${name}`
  const { data } = await agent.com.atproto.repo.applyWrites({
    repo: agent.did,
    writes: [
      { $type: type('create'), collection: POST, value: post('created') },
      { $type: type('update'), collection: POST, rkey: rkeyOf(kept.uri), value: post('updated') },
      { $type: type('delete'), collection: POST, rkey: rkeyOf(dropped.uri) },
      { $type: type('create'), collection: POST, rkey: '3jzfcijpj2z2a', value: post('own key') },
    ],
  })
  assert.deepEqual(data.commit, await head(agent))
  assert.deepEqual(
    data.results.map((r) => r.$type),
    ['createResult', 'updateResult', 'deleteResult', 'createResult'].map(type),
  )
  const [created, updated, , own] = data.results
  assert.equal((await get(agent, created.uri)).value.text, 'created')
  assert.equal((await get(agent, kept.uri)).value.text, 'updated')
  assert.equal(updated.cid, (await get(agent, kept.uri)).cid)
  assert.equal(own.uri, `at://${agent.did}/${POST}/3jzfcijpj2z2a`)
  assert.equal(own.validationStatus, 'valid')
  await assertGone(agent, dropped.uri)
  await assertOps(agent, data.commit.rev, [
    `create ${POST}/${rkeyOf(created.uri)}`,
    `update ${POST}/${rkeyOf(kept.uri)}`,
    `delete ${POST}/${rkeyOf(dropped.uri)}`,
    `create ${POST}/3jzfcijpj2z2a`,
  ])

  const before = await head(agent)
  const [status, error] = net.expect({ ours: [400, 'InvalidRequest'], official: [500, 'InternalServerError'] })
  for (const write of [
    { $type: type('delete'), collection: POST, rkey: '3jzfcijpj2z2b' },
    { $type: type('update'), collection: POST, rkey: '3jzfcijpj2z2b', value: post('nothing to update') },
    { $type: type('create'), collection: POST, rkey: '3jzfcijpj2z2a', value: post('is there already') },
  ]) {
    const innocent = { $type: type('create'), collection: POST, value: post('not kept') }
    await assertRejects(
      agent.com.atproto.repo.applyWrites({ repo: agent.did, writes: [innocent, write] }),
      status,
      error,
    )
  }
  assert.deepEqual(await head(agent), before, 'a batch that fails leaves nothing')
})

test('a batch takes 200 writes, not 201, and its tree is whole', async () => {
  const agent = await net.account('large')
  const write = (i) => ({ $type: 'com.atproto.repo.applyWrites#create', collection: POST, value: post(`post ${i}`) })
  const writes = (count) => ({ repo: agent.did, writes: Array.from({ length: count }, (_, i) => write(i)) })
  const { data } = await agent.com.atproto.repo.applyWrites(writes(200))
  assert.equal(new Set(data.results.map((r) => r.uri)).size, 200)
  await assertRejects(agent.com.atproto.repo.applyWrites(writes(201)), 400, 'InvalidRequest')

  // Deletes from a tree with some height: the follower inverts every one of these commits.
  for (const { uri } of data.results.filter((_, i) => i % 8 === 0)) await agent.deletePost(uri)
  const left = await listAll(
    net,
    'com.atproto.repo.listRecords',
    { repo: agent.did, collection: POST, limit: 60 },
    'records',
  )
  assert.equal(left.length, 175)
})

test('swapCommit and swapRecord refuse what has changed meanwhile', async () => {
  const agent = await net.account('swap')
  const { repo } = agent.com.atproto
  const at = { repo: agent.did, collection: POST, rkey: '3jzfcijpj2z2a' }
  const stale = (await head(agent)).cid
  const first = (await repo.createRecord({ ...at, record: post('first'), swapCommit: stale })).data

  await assertRejects(
    repo.createRecord({ repo: agent.did, collection: POST, record: post('late'), swapCommit: stale }),
    400,
    'InvalidSwap',
  )
  await assertRejects(repo.putRecord({ ...at, record: post('late'), swapCommit: stale }), 400, 'InvalidSwap')
  await assertRejects(repo.deleteRecord({ ...at, swapCommit: stale }), 400, 'InvalidSwap')
  await assertRejects(repo.applyWrites({ repo: agent.did, swapCommit: stale, writes: [] }), 400, 'InvalidSwap')

  await assertRejects(repo.putRecord({ ...at, record: post('other'), swapRecord: OTHER_CID }), 400, 'InvalidSwap')
  await assertRejects(repo.putRecord({ ...at, record: post('other'), swapRecord: null }), 400, 'InvalidSwap')
  await assertRejects(repo.deleteRecord({ ...at, swapRecord: OTHER_CID }), 400, 'InvalidSwap')
  assert.equal((await head(agent)).cid, first.commit.cid)

  const second = (
    await repo.putRecord({ ...at, record: post('second'), swapRecord: first.cid, swapCommit: first.commit.cid })
  ).data
  const unborn = { ...at, rkey: '3jzfcijpj2z2b' }
  await assertRejects(repo.putRecord({ ...unborn, record: post('x'), swapRecord: second.cid }), 400, 'InvalidSwap')
  await repo.putRecord({ ...unborn, record: post('new'), swapRecord: null })
  await repo.deleteRecord({ ...at, swapRecord: second.cid })
  await assertGone(agent, first.uri)
})

test('of many writers with one swapCommit, one wins', async () => {
  const agent = await net.account('contest')
  const { cid } = await head(agent)
  const attempts = Array.from({ length: 6 }, (_, i) =>
    agent.com.atproto.repo.createRecord({ repo: agent.did, collection: POST, record: post(`${i}`), swapCommit: cid }),
  )
  const settled = await Promise.allSettled(attempts)
  assert.equal(settled.filter((s) => s.status === 'fulfilled').length, 1)
  for (const { reason } of settled.filter((s) => s.status === 'rejected')) assert.equal(reason.error, 'InvalidSwap')
})

test('writes at the same time all get into one chain', async () => {
  const agent = await net.account('parallel')
  const written = await Promise.all(Array.from({ length: 24 }, (_, i) => agent.post({ text: `${i}` })))
  assert.equal(new Set(written.map((w) => w.uri)).size, 24)
  const { data } = await agent.com.atproto.repo.listRecords({ repo: agent.did, collection: POST, limit: 100 })
  assert.deepEqual(data.records.map((r) => r.uri).sort(), written.map((w) => w.uri).sort())
})

test('listRecords pages, forwards and backwards', async () => {
  const agent = await net.account('pages')
  const rkeys = Array.from({ length: 23 }, (_, i) => `key-${String(i).padStart(2, '0')}`)
  const collection = 'com.example.note'
  const writes = rkeys.map((rkey) => ({
    $type: 'com.atproto.repo.applyWrites#create',
    collection,
    rkey,
    value: { $type: collection, n: Number(rkey.slice(4)) },
  }))
  await agent.com.atproto.repo.applyWrites({ repo: agent.did, writes })
  const at = { repo: agent.did, collection }
  const keys = (records) => records.map((r) => new AtUri(r.uri).rkey)

  const { data: plain } = await agent.com.atproto.repo.listRecords(at)
  assert.deepEqual(keys(plain.records), rkeys.toReversed(), 'newest first')
  for (const { cid, value } of plain.records) assert.equal(cid, (await cidForRecord(value)).toString())
  assert.deepEqual(
    keys(await listAll(net, 'com.atproto.repo.listRecords', { ...at, limit: 5 }, 'records')),
    rkeys.toReversed(),
  )
  const backwards = { ...at, limit: 7, reverse: true }
  assert.deepEqual(keys(await listAll(net, 'com.atproto.repo.listRecords', backwards, 'records')), rkeys)
  const { data: page } = await agent.com.atproto.repo.listRecords({ ...at, limit: 3 })
  assert.equal(page.records.length, 3)
  assert.equal(page.cursor, keys(page.records)[2])
  const { data: none } = await agent.com.atproto.repo.listRecords({ repo: agent.did, collection: 'com.example.none' })
  assert.deepEqual(none.records, [])
  const stranger = agent.com.atproto.repo.listRecords({ repo: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa', collection })
  await assertRejects(stranger, 400, /^(RepoNotFound|InvalidRequest)$/)
})

test('records are validated when their schema is known', async () => {
  const agent = await net.account('schema')
  const create = (collection, record, more) =>
    agent.com.atproto.repo.createRecord({ repo: agent.did, collection, record, ...more })
  const note = { $type: 'com.example.note', text: 'x', nested: { list: [1, true, null, 'ü'] } }
  const unknown = (await create('com.example.note', note)).data
  assert.equal(unknown.validationStatus, 'unknown')
  assert.deepEqual((await get(agent, unknown.uri)).value, note)
  await assertRejects(create('com.example.note', note, { validate: true }), 400, 'InvalidRequest')
  await assertRejects(create(POST, { $type: POST, text: 'no date' }), 400, 'InvalidRequest')
  await assertRejects(create(POST, { ...post('x'), text: 7 }), 400, 'InvalidRequest')
  await assertRejects(create(POST, post('x'.repeat(3001))), 400, 'InvalidRequest')
  await assertRejects(create(POST, post('x', { $type: 'com.example.note' })), 400, 'InvalidRequest')
  const untyped = (await create(POST, { text: 'typed by its collection', createdAt: new Date().toISOString() })).data
  assert.equal((await get(agent, untyped.uri)).value.$type, POST)
  const unchecked = (await create(POST, { $type: POST, text: 'no date' }, { validate: false })).data
  assert.equal('validationStatus' in unchecked, false)
  await assertRejects(create(POST, post('x'), { rkey: 'not a key' }), 400, 'InvalidRequest')
  await assertRejects(create(POST, post('x'), { rkey: '..' }), 400, 'InvalidRequest')
  await assertRejects(
    create('app.bsky.actor.profile', { $type: 'app.bsky.actor.profile' }, { rkey: 'other' }),
    400,
    'InvalidRequest',
  )
  await assertRejects(create('not-an-nsid', { x: 1 }), 400, 'InvalidRequest')
})

test('nobody writes to the repository of another', async () => {
  const mallory = await net.account('mallory')
  const victim = await net.account('victim')
  const at = { repo: victim.did, collection: POST }
  const { repo } = mallory.com.atproto
  const target = await victim.post({ text: 'mine' })
  const { rkey } = new AtUri(target.uri)
  const type = 'com.atproto.repo.applyWrites#delete'
  for (const attempt of [
    repo.createRecord({ ...at, record: post('x') }),
    repo.putRecord({ ...at, rkey, record: post('x') }),
    repo.deleteRecord({ ...at, rkey }),
    repo.applyWrites({ repo: victim.did, writes: [{ $type: type, collection: POST, rkey }] }),
  ]) {
    await assertRejects(attempt, 401, 'AuthenticationRequired')
  }
  assert.equal((await get(victim, target.uri)).value.text, 'mine')
})

test('the firehose told all of it', () => net.assertFirehoseAgrees())
