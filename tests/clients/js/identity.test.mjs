// Identities: the DID in the PLC directory, its log, the handle, and what the server says about both.
import assert from 'node:assert/strict'
import { request } from 'node:http'
import { after, before, test } from 'node:test'
import { AtpAgent } from '@atproto/api'
import { getDid, getHandle, getPds, parseToAtprotoDocument } from '@atproto/identity'
import * as plc from '@did-plc/lib'
import { CID } from 'multiformats/cid'
import { assertError, assertRejects, startNetwork } from './harness.mjs'

let net
before(async () => (net = await startNetwork()))
after(() => net?.stop())

const officialHasNone = process.env.EZPDS_TARGET === 'official' && 'the reference PDS does not have it'

/** Verifies the whole log of a DID, operation by operation, and returns its last state. */
async function auditedData(did) {
  const client = new plc.Client(net.plc)
  const log = await client.getAuditableLog(did)
  for (const entry of log) {
    assert.equal(entry.did, did)
    assert.equal(entry.nullified, false)
    assert(!Number.isNaN(Date.parse(entry.createdAt)))
  }
  const indexed = []
  for (const entry of log) {
    const { nullified, prev } = await plc.assureValidNextOp(did, indexed, entry.operation)
    assert.deepEqual(nullified, [])
    assert.equal(entry.operation.prev, prev?.toString() ?? null)
    indexed.push({ ...entry, cid: CID.parse(entry.cid), createdAt: new Date(entry.createdAt) })
  }
  assert.equal(await plc.didForCreateOp(log[0].operation), did)
  const operations = await client.getOperationLog(did)
  assert.deepEqual(
    operations,
    log.map((entry) => entry.operation),
  )
  const data = await plc.validateOperationLog(did, operations)
  assert.deepEqual(await client.getDocumentData(did), data)
  return { data, log }
}

test('a new DID resolves, and its document leads to this server', async () => {
  const agent = await net.account('resolve')
  const doc = await net.idResolver.did.ensureResolve(agent.did)
  assert.equal(getDid(doc), agent.did)
  assert.equal(getHandle(doc), agent.handle)
  assert.deepEqual(doc.alsoKnownAs, [`at://${agent.handle}`])
  assert.match(parseToAtprotoDocument(doc).signingKey, /^did:key:zQ3s/, 'a secp256k1 key')
  const endpoint = getPds(doc)
  const here = await new AtpAgent({ service: net.pds }).com.atproto.server.describeServer()
  const there = await new AtpAgent({ service: endpoint }).com.atproto.server.describeServer()
  assert.equal(there.data.did, here.data.did)
  const atproto = await net.idResolver.did.resolveAtprotoData(agent.did)
  assert.equal(atproto.pds, endpoint)
})

test('the log of a new DID is one valid operation, signed by the rotation key of the server', async () => {
  const agent = await net.account('audit')
  const { data, log } = await auditedData(agent.did)
  assert.equal(log.length, 1)
  assert.equal(log[0].operation.type, 'plc_operation')
  assert.equal(log[0].operation.prev, null)
  assert.equal(data.services.atproto_pds.type, 'AtprotoPersonalDataServer')
  assert(data.rotationKeys.length >= 1)
  assert(!data.rotationKeys.includes(data.verificationMethods.atproto), 'the signing key cannot rotate')
})

test('two accounts have two signing keys', async () => {
  const [a, b] = [await net.account('key'), await net.account('key')]
  assert.notEqual(await net.signingKey(a.did), await net.signingKey(b.did))
})

test('resolveHandle knows the handles of this server', async () => {
  const agent = await net.account('handle')
  const anonymous = new AtpAgent({ service: net.pds })
  assert.deepEqual((await anonymous.resolveHandle({ handle: agent.handle })).data, { did: agent.did })
  assert.deepEqual((await anonymous.resolveHandle({ handle: agent.handle.toUpperCase() })).data, { did: agent.did })
  await assertRejects(anonymous.resolveHandle({ handle: `nobody${net.handleDomain}` }), 400, 'HandleNotFound')
  assertError(
    await net.xrpc('com.atproto.identity.resolveHandle', { params: { handle: 'no handle' } }),
    400,
    'InvalidRequest',
  )
})

test('/.well-known/atproto-did answers under the handle', async () => {
  const agent = await net.account('wellknown')
  // `fetch` sets the Host header itself.
  const get = (host) =>
    new Promise((resolve, reject) => {
      const call = request(new URL('/.well-known/atproto-did', net.pds), { headers: { host } }, async (response) => {
        const text = (await response.toArray()).join('')
        resolve({ status: response.statusCode, type: response.headers['content-type'], text })
      })
      call.on('error', reject).end()
    })
  const found = await get(agent.handle)
  assert.equal(found.status, 200)
  assert.match(found.type, /^text\/plain/)
  assert.equal(found.text, agent.did)
  assert.equal((await get(`nobody${net.handleDomain}`)).status, 404)
})

test('resolveDid and resolveIdentity', { skip: officialHasNone }, async () => {
  const agent = await net.account('identity')
  const { identity } = new AtpAgent({ service: net.pds }).com.atproto
  const doc = await net.idResolver.did.ensureResolve(agent.did)
  const { data } = await identity.resolveDid({ did: agent.did })
  assert.equal(data.didDoc.id, agent.did)
  assert.deepEqual(data.didDoc.alsoKnownAs, doc.alsoKnownAs)
  for (const identifier of [agent.did, agent.handle]) {
    const { data: whole } = await identity.resolveIdentity({ identifier })
    assert.equal(whole.did, agent.did)
    assert.equal(whole.handle, agent.handle)
    assert.equal(whole.didDoc.id, agent.did)
  }
  await assertRejects(identity.resolveDid({ did: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa' }), 400, 'DidNotFound')
  await assertRejects(identity.resolveIdentity({ identifier: `nobody${net.handleDomain}` }), 400, 'HandleNotFound')
})

test('describeRepo shows the identity', async () => {
  const agent = await net.account('describe')
  await agent.post({ text: 'a collection' })
  for (const repo of [agent.did, agent.handle]) {
    const { data } = await agent.com.atproto.repo.describeRepo({ repo })
    assert.equal(data.did, agent.did)
    assert.equal(data.handle, agent.handle)
    assert.equal(data.handleIsCorrect, true)
    assert.equal(data.didDoc.id, agent.did)
    assert.deepEqual(data.collections, ['app.bsky.feed.post'])
  }
})

test('a new handle is an operation in the log, an event, and resolves', async () => {
  const agent = await net.account('rename')
  const handle = `renamed${net.handleDomain}`
  await agent.updateHandle({ handle })
  const { data, log } = await auditedData(agent.did)
  assert.equal(log.length, 2)
  assert.deepEqual(data.alsoKnownAs, [`at://${handle}`])
  await net.follower.event('the new handle', (e) => e.t === '#identity' && e.did === agent.did && e.handle === handle)
  assert.equal((await agent.resolveHandle({ handle })).data.did, agent.did)
  await assertRejects(agent.resolveHandle({ handle: agent.handle }), 400, 'HandleNotFound')
  const { data: session } = await agent.com.atproto.server.getSession()
  assert.equal(session.handle, handle)
  const taken = await net.account('other')
  await assertRejects(taken.updateHandle({ handle }), 400, /^(HandleNotAvailable|InvalidRequest)$/)
})

test('getRecommendedDidCredentials is what the directory has', async () => {
  const agent = await net.account('credentials')
  const { data: recommended } = await agent.com.atproto.identity.getRecommendedDidCredentials()
  const { data } = await auditedData(agent.did)
  assert.deepEqual(recommended.rotationKeys, data.rotationKeys)
  assert.deepEqual(recommended.alsoKnownAs, data.alsoKnownAs)
  assert.deepEqual(recommended.verificationMethods, data.verificationMethods)
  assert.deepEqual(recommended.services, data.services)
})

test('the firehose told all of it', () => net.assertFirehoseAgrees())
