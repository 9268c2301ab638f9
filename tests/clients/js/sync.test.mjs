// Repositories as other services copy them: exports, proofs and listings, verified with the reference library.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { AtUri } from '@atproto/api'
import {
  BlockMap,
  MemoryBlockstore,
  Repo,
  def,
  formatDataKey,
  readCar,
  readCarWithRoot,
  verifyDiffCar,
  verifyProofs,
  verifyRecords,
  verifyRepo,
  verifyRepoCar,
} from '@atproto/repo'
import { Secp256k1Keypair } from '@atproto/crypto'
import { CarReader } from '@ipld/car'
import { CID } from 'multiformats/cid'
import { listAll } from './follower.mjs'
import { assertError, assertRejects, startNetwork } from './harness.mjs'
import { png } from './images.mjs'

let net, agent, did, key, uris
const POST = 'app.bsky.feed.post'
const CAR = 'application/vnd.ipld.car'

before(async () => {
  net = await startNetwork()
  agent = await net.account('source')
  did = agent.did
  key = await net.signingKey(did)
  uris = []
  for (let i = 0; i < 40; i += 1) uris.push((await agent.post({ text: `post ${i}` })).uri)
})
after(() => net?.stop())

const latest = async () => (await agent.com.atproto.sync.getLatestCommit({ did })).data
const getCar = async (nsid, params) => {
  const { status, headers, body } = await net.xrpc(nsid, { params })
  assert.equal(status, 200, Buffer.from(body).toString('latin1').slice(0, 200))
  assert.equal(headers.get('content-type'), CAR)
  return body
}
const paths = (writes) => writes.map((w) => formatDataKey(w.collection, w.rkey)).sort()
const pathOf = (uri) => new AtUri(uri).pathname.slice(1)

test('getRepo exports a whole, signed repository', async () => {
  const bytes = await getCar('com.atproto.sync.getRepo', { did })
  const { cid, rev } = await latest()
  const { creates, commit } = await verifyRepoCar(bytes, did, key)
  assert.equal(commit.cid.toString(), cid)
  assert.equal(commit.rev, rev)
  assert.deepEqual(paths(creates), uris.map(pathOf).sort())
  const other = await Secp256k1Keypair.create()
  await assert.rejects(verifyRepoCar(bytes, did, other.did()), /Invalid signature/)
  // No block that the tree does not need: the diff against nothing holds all of them.
  const { blocks, root } = await readCarWithRoot(bytes)
  assert.equal(root.toString(), cid)
  const { commit: whole } = await verifyRepo(blocks, root, did, key)
  assert.equal(blocks.size, whole.newBlocks.size)
})

test('getRepo since a rev exports what is new', async () => {
  const old = await getCar('com.atproto.sync.getRepo', { did })
  const { rev: since } = await latest()
  const { blocks, root } = await readCarWithRoot(old)
  const before = await Repo.load(new MemoryBlockstore(blocks), root)

  const { uri } = await agent.post({ text: 'since then' })
  uris.push(uri)
  await agent.deletePost(uris[3])
  const [deleted] = uris.splice(3, 1)

  const update = await getCar('com.atproto.sync.getRepo', { did, since })
  assert(update.length < old.length / 2, `${update.length} bytes since ${since}, ${old.length} in all`)
  const { writes, commit } = await verifyDiffCar(before, update, did, key)
  assert.equal(commit.cid.toString(), (await latest()).cid)
  assert.equal(commit.since, since)
  assert.deepEqual(writes.map((w) => `${w.action} ${w.collection}/${w.rkey}`).sort(), [
    `create ${pathOf(uri)}`,
    `delete ${pathOf(deleted)}`,
  ])
})

test('getRecord proves that a record is there', async () => {
  for (const uri of [uris[0], uris[17], uris.at(-1)]) {
    const { collection, rkey } = new AtUri(uri)
    const bytes = await getCar('com.atproto.sync.getRecord', { did, collection, rkey })
    const { data } = await agent.com.atproto.repo.getRecord({ repo: did, collection, rkey })
    const claim = { collection, rkey, cid: CID.parse(data.cid) }
    const { verified, unverified } = await verifyProofs(bytes, [claim], did, key)
    assert.deepEqual(verified, [claim])
    assert.deepEqual(unverified, [])
    const records = await verifyRecords(bytes, did, key)
    assert.deepEqual(records.find((r) => r.rkey === rkey)?.record, data.value)
    const { root } = await readCarWithRoot(bytes)
    assert.equal(root.toString(), (await latest()).cid)
  }
})

test('getRecord proves that a record is not there', async () => {
  for (const rkey of ['222222222223a', '3jzfcijpj2z2a', 'zzzzzzzzzzzzz', `${new AtUri(uris[8]).rkey}x`]) {
    const bytes = await getCar('com.atproto.sync.getRecord', { did, collection: POST, rkey })
    const claim = { collection: POST, rkey, cid: null }
    const { verified, unverified } = await verifyProofs(bytes, [claim], did, key)
    assert.deepEqual(verified, [claim])
    assert.deepEqual(unverified, [])
  }
})

test('getBlocks gives the blocks asked for', async () => {
  const { cid } = await latest()
  const { blocks } = await readCarWithRoot(await getCar('com.atproto.sync.getRepo', { did }))
  const commit = await new MemoryBlockstore(blocks).readObj(CID.parse(cid), def.commit)
  const wanted = [cid, commit.data.toString()]
  const bytes = await getCar('com.atproto.sync.getBlocks', { did, cids: wanted })
  const got = new BlockMap()
  for await (const block of (await CarReader.fromBytes(bytes)).blocks()) got.set(block.cid, block.bytes)
  assert.deepEqual(got.cids().map(String).sort(), wanted.toSorted())
  for (const one of wanted) assert.deepEqual(got.get(CID.parse(one)), blocks.get(CID.parse(one)))
  // Reads it once more with the hash checks of the reference library.
  assert.equal((await readCar(bytes)).blocks.size, 2)
  const absent = 'bafyreiclp443lavogvhj3d2ob2cxbfuscni2k5jk7bebjzg7khl3esabwq'
  const missing = await net.xrpc('com.atproto.sync.getBlocks', { params: { did, cids: [cid, absent] } })
  assertError(missing, 400, /^(BlockNotFound|InvalidRequest)$/)
})

test('listRepos, getRepoStatus and getLatestCommit agree', async () => {
  for (let i = 0; i < 4; i += 1) await net.account('listed')
  const { cid, rev } = await latest()
  const repos = await listAll(net, 'com.atproto.sync.listRepos', { limit: 2 }, 'repos')
  assert(repos.length >= 5)
  assert.equal(new Set(repos.map((r) => r.did)).size, repos.length)
  assert.deepEqual(
    repos.find((r) => r.did === did),
    { did, head: cid, rev, active: true },
  )
  const { data: status } = await agent.com.atproto.sync.getRepoStatus({ did })
  assert.deepEqual(status, { did, active: true, rev })
  for (const repo of repos) {
    const { data } = await agent.com.atproto.sync.getLatestCommit({ did: repo.did })
    assert.deepEqual(data, { cid: repo.head, rev: repo.rev })
  }
})

test('listBlobs pages, and lists since a rev', async () => {
  const owner = await net.account('blobs')
  const cids = []
  let since
  for (let i = 0; i < 5; i += 1) {
    if (i === 3) since = (await owner.com.atproto.sync.getLatestCommit({ did: owner.did })).data.rev
    const { data } = await owner.uploadBlob(png(4, [i, i, i]), { encoding: 'image/png' })
    cids.push(data.blob.ref.toString())
    await owner.post({
      text: `${i}`,
      embed: { $type: 'app.bsky.embed.images', images: [{ image: data.blob, alt: '' }] },
    })
  }
  assert.deepEqual(
    (await listAll(net, 'com.atproto.sync.listBlobs', { did: owner.did, limit: 2 }, 'cids')).sort(),
    cids.toSorted(),
  )
  const { data } = await owner.com.atproto.sync.listBlobs({ did: owner.did, since })
  assert.deepEqual(data.cids.toSorted(), cids.slice(3).sort())
})

test('a repository that is not here is told apart by name', async () => {
  const stranger = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
  const { sync } = agent.com.atproto
  await assertRejects(sync.getRepo({ did: stranger }), 400, 'RepoNotFound')
  await assertRejects(sync.getLatestCommit({ did: stranger }), 400, 'RepoNotFound')
  await assertRejects(sync.getRepoStatus({ did: stranger }), 400, 'RepoNotFound')
  await assertRejects(sync.getRecord({ did: stranger, collection: POST, rkey: 'x' }), 400, 'RepoNotFound')
  await assertRejects(sync.listBlobs({ did: stranger }), 400, 'RepoNotFound')
  await assertRejects(sync.getBlob({ did: stranger, cid: (await latest()).cid }), 400, 'RepoNotFound')
  await assertRejects(agent.com.atproto.repo.describeRepo({ repo: stranger }), 400, /^(RepoNotFound|InvalidRequest)$/)
})

test('the firehose told all of it', () => net.assertFirehoseAgrees())
