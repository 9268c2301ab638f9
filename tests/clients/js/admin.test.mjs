// What the person who runs the server does to accounts, and what others get to see of it.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { AtpAgent } from '@atproto/api'
import { assertError, assertRejects, startNetwork } from './harness.mjs'
import { png } from './images.mjs'

let net, admin
before(async () => {
  net = await startNetwork()
  admin = new AtpAgent({ service: net.pds })
  admin.setHeader('authorization', `Basic ${Buffer.from(`admin:${net.adminPassword}`).toString('base64')}`)
})
after(() => net?.stop())

const sync = (nsid, params) => net.xrpc(`com.atproto.sync.${nsid}`, { params })
const takedown = (subject, applied) =>
  admin.com.atproto.admin.updateSubjectStatus({ subject, takedown: { applied, ref: 'case 1' } })
const accountEvents = (did) => net.follower.events.filter((e) => e.t === '#account' && e.did === did)
/** Awaits the `count`th #account event of `did`, and returns it. */
async function accountEvent(did, count) {
  await net.follower.until(`#account ${count} of ${did}`, () => accountEvents(did).length >= count)
  return accountEvents(did)[count - 1]
}

test('an account is taken down, and put back', async () => {
  const agent = await net.account('taken')
  const { did } = agent
  await agent.post({ text: 'still here later' })
  const subject = { $type: 'com.atproto.admin.defs#repoRef', did }
  await accountEvent(did, 1)

  await takedown(subject, true)
  const down = await accountEvent(did, 2)
  assert.equal(down.active, false)
  assert.equal(down.status, 'takendown')
  assertError(await sync('getRepo', { did }), 400, 'RepoTakendown')
  assertError(await sync('getLatestCommit', { did }), 400, 'RepoTakendown')
  assert.deepEqual((await sync('getRepoStatus', { did })).body, { did, active: false, status: 'takendown' })
  await assertRejects(agent.post({ text: 'no more' }), 401, 'AccountTakedown')
  const login = new AtpAgent({ service: net.pds }).login({ identifier: agent.handle, password: agent.password })
  await assertRejects(login, 401, 'AccountTakedown')
  const { data } = await admin.com.atproto.admin.getSubjectStatus({ did })
  assert.equal(data.takedown.applied, true)
  assert.equal(data.takedown.ref, 'case 1')

  await takedown(subject, false)
  const up = await accountEvent(did, 3)
  assert.equal(up.active, true)
  assert.equal('status' in up, false)
  assert.equal((await sync('getRepo', { did })).status, 200)
  const again = new AtpAgent({ service: net.pds })
  await again.login({ identifier: agent.handle, password: agent.password })
  await again.post({ text: 'back' })
})

test('a blob is taken down alone', async () => {
  const agent = await net.account('blob')
  const { data } = await agent.uploadBlob(png(8, [3, 3, 3]), { encoding: 'image/png' })
  await agent.post({ text: 'x', embed: { $type: 'app.bsky.embed.images', images: [{ image: data.blob, alt: '' }] } })
  const cid = data.blob.ref.toString()
  const subject = { $type: 'com.atproto.admin.defs#repoBlobRef', did: agent.did, cid }
  assert.equal((await sync('getBlob', { did: agent.did, cid })).status, 200)
  await takedown(subject, true)
  assertError(await sync('getBlob', { did: agent.did, cid }), 400, /^(BlobNotFound|InvalidRequest)$/)
  await takedown(subject, false)
  assert.equal((await sync('getBlob', { did: agent.did, cid })).status, 200)
})

test('an account is deleted, and its data with it', async () => {
  const agent = await net.account('deleted')
  const { did } = agent
  await agent.post({ text: 'gone soon' })
  await accountEvent(did, 1)
  await admin.com.atproto.admin.deleteAccount({ did })
  const event = await accountEvent(did, 2)
  assert.equal(event.active, false)
  assert.equal(event.status, 'deleted')
  assertError(await sync('getRepo', { did }), 400, 'RepoNotFound')
  await assertRejects(new AtpAgent({ service: net.pds }).resolveHandle({ handle: agent.handle }), 400, 'HandleNotFound')
  const login = new AtpAgent({ service: net.pds }).login({ identifier: agent.handle, password: agent.password })
  await assertRejects(login, 401, 'AuthenticationRequired')
  const { body } = await sync('listRepos', { limit: 1000 })
  assert(!body.repos.some((repo) => repo.did === did))
})

test('getAccountInfo, a new password, a new mail address', async () => {
  const agent = await net.account('info')
  const { did } = agent
  await admin.com.atproto.admin.updateAccountEmail({ account: did, email: 'new-address@example.com' })
  await admin.com.atproto.admin.updateAccountPassword({ did, password: 'another password' })
  const { data } = await admin.com.atproto.admin.getAccountInfo({ did })
  assert.equal(data.did, did)
  assert.equal(data.handle, agent.handle)
  assert.equal(data.email, 'new-address@example.com')
  const { data: both } = await admin.com.atproto.admin.getAccountInfos({ dids: [did] })
  assert.deepEqual(
    both.infos.map((info) => info.did),
    [did],
  )
  const login = (password) => new AtpAgent({ service: net.pds }).login({ identifier: did, password })
  await assertRejects(login(agent.password), 401, 'AuthenticationRequired')
  assert.equal((await login('another password')).data.did, did)
  const old = await net.xrpc('com.atproto.server.refreshSession', { method: 'POST', token: agent.session.refreshJwt })
  assertError(old, 400, 'ExpiredToken')
})

test('an invite code is used as often as it says, even by many at once', async () => {
  const { data } = await admin.com.atproto.server.createInviteCode({ useCount: 1 })
  assert.match(data.code, /^[a-z0-9-]+-[a-z2-7]{5}-[a-z2-7]{5}$/)
  const attempts = Array.from({ length: 5 }, (_, i) =>
    new AtpAgent({ service: net.pds }).createAccount({
      handle: `invited${i}${net.handleDomain}`,
      email: `invited${i}@example.com`,
      password: 'pass word',
      inviteCode: data.code,
    }),
  )
  const settled = await Promise.allSettled(attempts)
  // With sign-up open to all, a code may also be left unread.
  for (const { reason } of settled.filter((s) => s.status === 'rejected'))
    assert.equal(reason.error, 'InvalidInviteCode')
  const { data: codes } = await admin.com.atproto.admin.getInviteCodes({})
  const code = codes.codes.find((c) => c.code === data.code)
  assert(code.uses.length <= 1)
})

test('the firehose told all of it', () => net.assertFirehoseAgrees())
