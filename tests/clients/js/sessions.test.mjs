// Accounts and sessions, as the app uses them.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { AtpAgent } from '@atproto/api'
import { verifyJwt } from '@atproto/xrpc-server'
import { assertError, assertRejects, startNetwork } from './harness.mjs'

let net
before(async () => (net = await startNetwork()))
after(() => net?.stop())

const refreshWith = (token) => net.xrpc('com.atproto.server.refreshSession', { method: 'POST', token })

test('describeServer says what a sign-up form needs', async () => {
  const { data } = await new AtpAgent({ service: net.pds }).com.atproto.server.describeServer()
  assert.match(data.did, /^did:web:[a-z0-9.:%-]+$/i)
  assert.deepEqual(data.availableUserDomains, [net.handleDomain])
  assert.equal(data.inviteCodeRequired, false)
})

test('the test accounts of the READY line can log in', { skip: process.env.EZPDS_TARGET === 'official' }, async () => {
  assert(net.accounts.length > 0)
  for (const { handle, did, password } of net.accounts) {
    const agent = new AtpAgent({ service: net.pds })
    const { data } = await agent.login({ identifier: handle, password })
    assert.equal(data.did, did)
    assert.equal(data.handle, handle)
  }
})

test('createAccount makes an account and its first session', async () => {
  const agent = new AtpAgent({ service: net.pds })
  const handle = `newcomer${net.handleDomain}`
  const { data } = await agent.createAccount({ handle, email: 'newcomer@example.com', password: 'correct horse' })
  assert.match(data.did, /^did:plc:[a-z2-7]{24}$/)
  assert.equal(data.handle, handle)
  assert.match(data.accessJwt, /^[\w-]+\.[\w-]+\.[\w-]+$/)
  assert.match(data.refreshJwt, /^[\w-]+\.[\w-]+\.[\w-]+$/)
  const { data: session } = await agent.com.atproto.server.getSession()
  assert.equal(session.did, data.did)

  const again = { handle, email: 'other@example.com', password: 'x' }
  await assertRejects(
    new AtpAgent({ service: net.pds }).createAccount(again),
    400,
    /^(HandleNotAvailable|InvalidRequest)$/,
  )
  const mail = { handle: `second${net.handleDomain}`, email: 'newcomer@example.com', password: 'x' }
  await assertRejects(new AtpAgent({ service: net.pds }).createAccount(mail), 400, 'InvalidRequest', /[Ee]mail/)
})

test('createAccount refuses handles that it cannot give', async () => {
  const attempt = (handle) =>
    new AtpAgent({ service: net.pds }).createAccount({ handle, email: 'no@example.com', password: 'correct horse' })
  await assertRejects(attempt('carla.example.com'), 400, 'UnsupportedDomain')
  await assertRejects(attempt(`a.b${net.handleDomain}`), 400, 'InvalidHandle')
  await assertRejects(attempt(`ab${net.handleDomain}`), 400, 'InvalidHandle')
  await assertRejects(attempt(`-dash${net.handleDomain}`), 400, /^Invalid(Handle|Request)$/)
  await assertRejects(attempt(`admin${net.handleDomain}`), 400, 'HandleNotAvailable')
})

test('createSession takes handle, DID and mail address', async () => {
  const { did, handle, email, password } = await net.account('login')
  for (const identifier of [handle, handle.toUpperCase(), did, email]) {
    const agent = new AtpAgent({ service: net.pds })
    const { data } = await agent.login({ identifier, password })
    assert.equal(data.did, did)
    assert.equal(data.handle, handle)
    assert.equal(data.email, email)
    assert.equal(data.emailConfirmed, false)
    assert.equal(data.active, true)
    assert.equal('status' in data, false)
  }
  const login = (identifier, password) => new AtpAgent({ service: net.pds }).login({ identifier, password })
  await assertRejects(login(handle, 'wrong'), 401, 'AuthenticationRequired')
  await assertRejects(login(`nobody${net.handleDomain}`, 'wrong'), 401, 'AuthenticationRequired')
})

test('getSession says who is logged in', async () => {
  const agent = await net.account('session')
  const { data } = await agent.com.atproto.server.getSession()
  assert.equal(data.did, agent.did)
  assert.equal(data.handle, agent.handle)
  assert.equal(data.email, agent.email)
  assert.equal(data.emailConfirmed, false)
  assert.equal(data.active, true)
})

test('an old refresh token works on within its grace, and both sessions are good', async () => {
  const agent = await net.account('refresh')
  const { accessJwt, refreshJwt } = agent.session
  const first = await refreshWith(refreshJwt)
  assert.equal(first.status, 200)
  assert.equal(first.body.did, agent.did)
  assert.equal(first.body.handle, agent.handle)
  assert.equal(first.body.active, true)
  assert.notEqual(first.body.refreshJwt, refreshJwt)

  // A client whose answer got lost, or two of its tabs at once, come with the old token again.
  const second = await refreshWith(refreshJwt)
  assert.equal(second.status, 200)
  for (const token of [accessJwt, first.body.accessJwt, second.body.accessJwt]) {
    const { status, body } = await net.xrpc('com.atproto.server.getSession', { token })
    assert.equal(status, 200)
    assert.equal(body.did, agent.did)
  }
  for (const token of [first.body.refreshJwt, second.body.refreshJwt]) {
    assert.equal((await refreshWith(token)).status, 200)
  }
})

test('eight refreshes at once all give a session that works', async () => {
  const agent = await net.account('race')
  const answers = await Promise.all(Array.from({ length: 8 }, () => refreshWith(agent.session.refreshJwt)))
  for (const { status, body } of answers) {
    assert.equal(status, 200, JSON.stringify(body))
    assert.equal((await refreshWith(body.refreshJwt)).status, 200)
  }
})

test('a client resumes a stored session', async () => {
  const agent = await net.account('resume')
  const other = new AtpAgent({ service: net.pds })
  await other.resumeSession({ ...agent.session })
  assert.equal(other.did, agent.did)
  const { uri } = await other.post({ text: 'resumed' })
  assert(uri.startsWith(`at://${agent.did}/app.bsky.feed.post/`))
})

test('deleteSession ends the session and is idempotent', async () => {
  const agent = await net.account('logout')
  const { refreshJwt } = agent.session
  for (let time = 0; time < 2; time += 1) {
    const { status, body } = await net.xrpc('com.atproto.server.deleteSession', { method: 'POST', token: refreshJwt })
    assert.equal(status, 200)
    assert.equal(body.length, 0)
  }
  assertError(await refreshWith(refreshJwt), 400, 'ExpiredToken')
})

test('app passwords log in, cannot manage the account, and end with their revocation', async () => {
  const agent = await net.account('apppass')
  const { data: made } = await agent.com.atproto.server.createAppPassword({ name: 'phone' })
  assert.match(made.password, /^[a-z2-7]{4}(-[a-z2-7]{4}){3}$/)
  assert.equal(made.name, 'phone')
  const { data: list } = await agent.com.atproto.server.listAppPasswords()
  assert.deepEqual(
    list.passwords.map((p) => [p.name, p.privileged]),
    [['phone', false]],
  )
  assert.equal('password' in list.passwords[0], false)

  const phone = new AtpAgent({ service: net.pds })
  await phone.login({ identifier: agent.handle, password: made.password })
  await phone.post({ text: 'from the phone' })
  const { refreshJwt } = phone.session
  await assertRejects(phone.com.atproto.server.createAppPassword({ name: 'nested' }), 400, 'InvalidToken')

  await agent.com.atproto.server.revokeAppPassword({ name: 'phone' })
  assertError(await refreshWith(refreshJwt), 400, 'ExpiredToken')
  const login = new AtpAgent({ service: net.pds }).login({ identifier: agent.handle, password: made.password })
  await assertRejects(login, 401, 'AuthenticationRequired')
})

test('a service token is signed by the account and names its audience and method', async () => {
  const agent = await net.account('service')
  const aud = 'did:web:video.example.com'
  const lxm = 'com.atproto.repo.uploadBlob'
  const exp = Math.floor(Date.now() / 1000) + 120
  const { data } = await agent.com.atproto.server.getServiceAuth({ aud, lxm, exp })
  const claims = await verifyJwt(data.token, aud, lxm, (did) => net.signingKey(did))
  assert.equal(claims.iss, agent.did)
  assert.equal(claims.exp, exp)
  const late = Math.floor(Date.now() / 1000) + 7200
  await assertRejects(agent.com.atproto.server.getServiceAuth({ aud, lxm, exp: late }), 400, 'BadExpiration')
})

test('checkAccountStatus counts what the account has', async () => {
  const agent = await net.account('status')
  await agent.post({ text: 'one' })
  const { data } = await agent.com.atproto.server.checkAccountStatus()
  const { data: latest } = await agent.com.atproto.sync.getLatestCommit({ did: agent.did })
  assert.equal(data.activated, true)
  assert.equal(data.validDid, true)
  assert.equal(data.repoCommit, latest.cid)
  assert.equal(data.repoRev, latest.rev)
  assert.equal(data.indexedRecords, 1)
  // Commit, tree and record.
  assert.equal(data.repoBlocks, 3)
  assert.equal(data.expectedBlobs, 0)
  assert.equal(data.importedBlobs, 0)
})

test('an account goes away for a while and comes back', async () => {
  const agent = await net.account('pause')
  const { uri } = await agent.post({ text: 'before' })
  const status = async () => (await net.xrpc('com.atproto.sync.getRepoStatus', { params: { did: agent.did } })).body
  const accountEvent = (active) =>
    net.follower.event(`active ${active}`, (e) => e.t === '#account' && e.did === agent.did && e.active === active)
  await accountEvent(true)

  await agent.com.atproto.server.deactivateAccount({})
  assert.equal((await accountEvent(false)).status, 'deactivated')
  assert.deepEqual(await status(), { did: agent.did, active: false, status: 'deactivated' })
  const repo = await net.xrpc('com.atproto.sync.getRepo', { params: { did: agent.did } })
  assertError(repo, 400, 'RepoDeactivated')
  await assertRejects(agent.post({ text: 'while away' }), 401, 'AccountDeactivated')
  const { data } = await new AtpAgent({ service: net.pds }).login({
    identifier: agent.handle,
    password: agent.password,
  })
  assert.equal(data.active, false)
  assert.equal(data.status, 'deactivated')

  const pause = net.follower.events.length
  await agent.com.atproto.server.activateAccount()
  const later = (t) =>
    net.follower.until(
      t,
      () => net.follower.events.findIndex((e, i) => i >= pause && e.t === t && e.did === agent.did) >= 0,
    )
  await later('#account')
  await later('#sync')
  assert.equal((await status()).active, true)
  const { data: list } = await agent.com.atproto.repo.listRecords({ repo: agent.did, collection: 'app.bsky.feed.post' })
  assert.deepEqual(
    list.records.map((r) => r.uri),
    [uri],
  )
})

test('the firehose told all of it', () => net.assertFirehoseAgrees())
