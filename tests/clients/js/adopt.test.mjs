// `relay adopt` takes over the data folder of the official PDS. Clients and consumers of the firehose must not notice.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { AtpAgent } from '@atproto/api'
import { framesUntil } from './follower.mjs'
import { assertRejects, startNetwork } from './harness.mjs'
import { png } from './images.mjs'

const POST = 'app.bsky.feed.post'
const skip =
  (process.env.EZPDS_TARGET === 'official' && 'it is about both servers') ||
  (!process.env.EZPDS_OFFICIAL_START && 'EZPDS_OFFICIAL_START does not name the script that starts the official PDS')

let net
before(async () => {
  if (!skip) net = await startNetwork({ official: true, directory: true })
})
after(async () => net?.stop())

/** Runs `relay` and returns its exit code and output. */
const relay = (...args) =>
  new Promise((resolve) => {
    const env = { PATH: process.env.PATH }
    execFile(path.resolve(process.env.EZPDS_RELAY), args, { env }, (err, stdout, stderr) => {
      resolve({ code: err ? err.code : 0, stdout, stderr })
    })
  })

/** Everything in a folder: names, contents and times. */
async function fingerprint(dir) {
  const hash = createHash('sha256')
  for (const entry of (await readdir(dir, { recursive: true })).sort()) {
    const at = path.join(dir, entry)
    const { mtimeMs, mode, size } = await stat(at)
    hash.update(`${entry} ${mtimeMs} ${mode} ${size}\n`)
    if ((await stat(at)).isFile()) hash.update(await readFile(at))
  }
  return hash.digest('hex')
}

const records = async (agent, collection = POST) => {
  const { data } = await agent.com.atproto.repo.listRecords({ repo: agent.did, collection, limit: 100 })
  return data.records.map((record) => `${record.uri} ${record.cid} ${JSON.stringify(record.value)}`)
}

test('the accounts of the official PDS are taken over, and nobody notices', { skip, timeout: 300_000 }, async (t) => {
  const alice = await net.account('alice')
  const [bob, carol, dave] = [await net.account('bob'), await net.account('carol'), await net.account('dave')]
  const admin = new AtpAgent({ service: net.pds })
  admin.setHeader('authorization', `Basic ${Buffer.from(`admin:${net.adminPassword}`).toString('base64')}`)
  const judge = (subject, applied) =>
    admin.com.atproto.admin.updateSubjectStatus({ subject, takedown: { applied, ref: 'case 7' } })

  const image = png(40, [10, 120, 240])
  const upload = (await alice.uploadBlob(image, { encoding: 'image/png' })).data.blob
  await alice.upsertProfile(() => ({ displayName: 'Alice', avatar: upload }))
  for (let i = 0; i < 30; i += 1) await alice.post({ text: `post ${i}` })
  await alice.post({ text: 'x', embed: { $type: 'app.bsky.embed.images', images: [{ image: upload, alt: '' }] } })
  const his = await dave.post({ text: 'a bad one' })
  await alice.like(his.uri, his.cid)
  await alice.follow(dave.did)
  const second = png(24, [200, 0, 0])
  const badBlob = (await dave.uploadBlob(second, { encoding: 'image/png' })).data.blob
  await dave.post({ text: 'y', embed: { $type: 'app.bsky.embed.images', images: [{ image: badBlob, alt: '' }] } })
  const preferences = [{ $type: 'app.bsky.actor.defs#adultContentPref', enabled: true }]
  await alice.app.bsky.actor.putPreferences({ preferences })

  const appPassword = (await alice.com.atproto.server.createAppPassword({ name: 'phone', privileged: true })).data.password
  const byApp = new AtpAgent({ service: net.pds })
  await byApp.login({ identifier: alice.handle, password: appPassword })
  const { code } = (await admin.com.atproto.server.createInviteCode({ useCount: 3 })).data
  const { signingKey } = (await admin.com.atproto.server.reserveSigningKey({})).data

  await carol.post({ text: 'before the pause' })
  await carol.com.atproto.server.deactivateAccount({})
  await bob.post({ text: 'z' })
  await judge({ $type: 'com.atproto.admin.defs#repoRef', did: bob.did }, true)
  await judge({ $type: 'com.atproto.repo.strongRef', uri: his.uri, cid: his.cid }, true)
  const blobSubject = { $type: 'com.atproto.admin.defs#repoBlobRef', did: dave.did, cid: badBlob.ref.toString() }
  await judge(blobSubject, true)

  const before = { posts: await records(alice), likes: await records(alice, 'app.bsky.feed.like') }
  const head = (await alice.com.atproto.sync.getLatestCommit({ did: alice.did })).data
  const repo = (await net.xrpc('com.atproto.sync.getRepo', { params: { did: alice.did } })).body
  await net.follower.until('all that happened', () => net.follower.repos.get(alice.did)?.rev === head.rev)
  await net.follower.event('the takedown', (e) => e.t === '#account' && e.did === bob.did && e.status === 'takendown')

  const [dir, target] = [net.dataDir, `${net.dataDir}-new`]
  const config = `${target}.toml`
  await t.test('it is refused while the old server runs, which can be looked at', async () => {
    const looked = await relay('adopt', dir, '--data-dir', target)
    assert.equal(looked.code, 0, looked.stdout + looked.stderr)
    assert.match(looked.stdout, /The old server runs\./)
    assert.match(looked.stdout, /To take over:\n +4 {2}accounts\n +38 {2}records/)
    const { code, stderr } = await relay('adopt', dir, '--data-dir', target, '--yes')
    assert.equal(code, 1, stderr)
    assert.match(stderr, /is in use by process \d+.*\n.*Stop the official PDS/)
  })
  await net.stopServer()
  const old = await fingerprint(dir)

  await t.test('the dry run tells everything, and changes nothing', async () => {
    const { code, stdout, stderr } = await relay('adopt', dir, '--data-dir', target, '--json')
    assert.equal(code, 0, stdout + stderr)
    const { done, report, settings } = JSON.parse(stdout)
    assert.equal(done, false)
    assert.equal(report.accounts, 4)
    assert.equal(report.records, 38)
    assert.equal(report.blobs, 2)
    assert.equal(report.blobBytes, image.length + second.length)
    assert.equal(report.appPasswords, 1)
    assert.equal(report.inviteCodes, 1)
    assert.equal(report.reservedKeys, 1)
    assert.equal(report.lastSeq, net.follower.events.at(-1).seq)
    assert.match(settings, /public_url = "http:\/\/localhost:\d+"/)
    assert.doesNotMatch(stdout, new RegExp(net.adminPassword))
    assert.equal(await fingerprint(dir), old)
    assert.equal(existsSync(target), false)
    const text = await relay('adopt', dir, '--data-dir', target)
    assert.match(text.stdout, /To take over:\n +4 {2}accounts\n +38 {2}records/)
    assert.match(text.stdout, /Nothing was changed\./)
  })

  await t.test('it takes everything over', async () => {
    const { code, stdout, stderr } = await relay('adopt', dir, '--data-dir', target, '--write-config', config, '--yes')
    assert.equal(code, 0, stdout + stderr)
    assert.match(stdout, /Nothing is wrong\./)
    assert.equal(await fingerprint(dir), old)
    assert.equal((await stat(config)).mode & 0o777, 0o600)
    const again = await relay('adopt', dir, '--config', config, '--yes', '--json')
    assert.equal(again.code, 0, again.stdout + again.stderr)
  })

  const behind = net.follower.events.at(-6).seq
  await net.startInstead(['serve', '--config', config, '--set', 'logging.level=warn'])

  await t.test('sessions go on, with the tokens of before', async () => {
    const jwt = alice.session.accessJwt
    const { data } = await alice.com.atproto.server.getSession()
    assert.equal(data.handle, alice.handle)
    await alice.post({ text: 'with the old access token' })
    assert.equal(alice.session.accessJwt, jwt, 'the client did not have to refresh')
    const refresh = alice.session.refreshJwt
    await alice.sessionManager.refreshSession()
    assert.notEqual(alice.session.refreshJwt, refresh)
    await alice.post({ text: 'with a new one' })
    await byApp.post({ text: 'from the phone' })
    await byApp.sessionManager.refreshSession()
    await byApp.post({ text: 'from the phone again' })
  })

  await t.test('passwords and app passwords are the same', async () => {
    for (const password of [alice.password, alice.password, appPassword, appPassword]) {
      const agent = new AtpAgent({ service: net.pds })
      await agent.login({ identifier: alice.handle, password })
      assert.equal(agent.did, alice.did)
    }
    const agent = new AtpAgent({ service: net.pds })
    await assertRejects(agent.login({ identifier: alice.handle, password: 'abcd-efgh-ijkl-mnop' }), 401, 'AuthenticationRequired')
    await byApp.com.atproto.server.getSession()
    const listed = (await alice.com.atproto.server.listAppPasswords()).data.passwords
    assert.deepEqual(listed.map(({ name, privileged }) => [name, privileged]), [['phone', true]])
  })

  await t.test('repos, blobs and preferences are the same', async () => {
    const posts = await records(alice)
    assert.deepEqual(posts.slice(4), before.posts)
    assert.deepEqual(await records(alice, 'app.bsky.feed.like'), before.likes)
    const since = (await net.xrpc('com.atproto.sync.getRepo', { params: { did: alice.did, since: head.rev } })).body
    assert(since.length < repo.length, 'the part since the move is smaller than all of it')
    const blob = await net.xrpc('com.atproto.sync.getBlob', { params: { did: alice.did, cid: upload.ref.toString() } })
    assert(Buffer.from(blob.body).equals(image))
    assert.deepEqual((await alice.app.bsky.actor.getPreferences()).data.preferences, preferences)
    const { data } = await alice.com.atproto.repo.listMissingBlobs()
    assert.deepEqual(data.blobs, [])
    assert.equal((await alice.com.atproto.server.checkAccountStatus()).data.validDid, true)
    // One like of a subject: the old ones are known.
    await alice.like(his.uri, his.cid)
  })

  await t.test('what was taken down or deactivated is', async () => {
    assert.equal((await net.xrpc('com.atproto.sync.getRepo', { params: { did: bob.did } })).body.error, 'RepoTakendown')
    const status = (did) => net.xrpc('com.atproto.sync.getRepoStatus', { params: { did } })
    assert.equal((await status(bob.did)).body.status, 'takendown')
    assert.equal((await status(carol.did)).body.status, 'deactivated')
    const [, , , , rkey] = his.uri.split('/')
    const record = await net.xrpc('com.atproto.repo.getRecord', { params: { repo: dave.did, collection: POST, rkey } })
    assert.equal(record.status, 400)
    const cid = badBlob.ref.toString()
    assert.equal((await net.xrpc('com.atproto.sync.getBlob', { params: { did: dave.did, cid } })).status, 400)

    await judge({ $type: 'com.atproto.repo.strongRef', uri: his.uri, cid: his.cid }, false)
    await judge(blobSubject, false)
    const back = await net.xrpc('com.atproto.sync.getBlob', { params: { did: dave.did, cid } })
    assert(Buffer.from(back.body).equals(second))
    await carol.com.atproto.server.activateAccount()
    await carol.post({ text: 'after the pause' })
  })

  await t.test('consumers go on from their cursor', async () => {
    const frames = await framesUntil(net, { cursor: behind }, (frames) => frames.length >= 6)
    const told = net.follower.events.filter((event) => event.seq > behind).slice(0, 6)
    assert.deepEqual(frames.map((frame) => [frame.t, frame.body.seq]), told.map((event) => [event.t, event.seq]))
    await net.assertFirehoseAgrees()
  })

  await t.test('the server may change DIDs, and its codes and keys are known', async () => {
    const handle = `renamed${net.handleDomain}`
    await alice.com.atproto.identity.updateHandle({ handle })
    const document = await net.idResolver.did.resolve(alice.did, true)
    assert.deepEqual(document.alsoKnownAs, [`at://${handle}`])
    const { data } = await admin.com.atproto.admin.getInviteCodes({})
    assert.deepEqual(data.codes.map(({ code, available }) => [code, available]), [[code, 3]])
    const newcomer = await net.account('erin', { inviteCode: code })
    await newcomer.post({ text: 'new here' })
    await net.assertFirehoseAgrees()
    assert.match(signingKey, /^did:key:/)
  })

  assert.equal(await fingerprint(dir), old)
})
