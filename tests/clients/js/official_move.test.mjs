// An account moves from the official PDS to this one, and back: people come from there, and must be able to leave.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { AtpAgent } from '@atproto/api'
import { Secp256k1Keypair } from '@atproto/crypto'
import { verifyRepoCar } from '@atproto/repo'
import * as plc from '@did-plc/lib'
import { startNetwork } from './harness.mjs'
import { png } from './images.mjs'

const CAR = 'application/vnd.ipld.car'
const POST = 'app.bsky.feed.post'
const skip =
  (process.env.EZPDS_TARGET === 'official' && 'it is about both servers') ||
  (!process.env.EZPDS_OFFICIAL_START && 'EZPDS_OFFICIAL_START does not name the script that starts the official PDS')

let ours, theirs
before(async () => {
  if (skip) return
  ours = await startNetwork()
  theirs = await startNetwork({ plcUrl: ours.plc, official: true })
})
after(async () => {
  await theirs?.stop()
  await ours?.stop()
})

const records = async (agent, collection) => {
  const { data } = await agent.com.atproto.repo.listRecords({ repo: agent.did, collection, limit: 100 })
  return data.records.map((record) => `${record.uri} ${record.cid}`)
}

/** Moves the account of `old` to the server `to`, the way the migration tools do it, and returns its agent there. */
async function move(old, to, recovery) {
  const arrival = new AtpAgent({ service: to.pds })
  const aud = (await arrival.com.atproto.server.describeServer()).data.did
  const { token } = (await old.com.atproto.server.getServiceAuth({ aud, lxm: 'com.atproto.server.createAccount' })).data
  const password = `pass-word-at-${aud}`
  const account = { did: old.did, handle: old.handle, email: old.email, password }
  const headers = { authorization: `Bearer ${token}` }
  await arrival.com.atproto.server.createAccount(account, { headers, encoding: 'application/json' })
  await arrival.login({ identifier: old.did, password })

  const repo = (await old.com.atproto.sync.getRepo({ did: old.did })).data
  await arrival.com.atproto.repo.importRepo(repo, { encoding: CAR })
  const { data: missing } = await arrival.com.atproto.repo.listMissingBlobs()
  for (const { cid } of missing.blobs) {
    const blob = await old.com.atproto.sync.getBlob({ did: old.did, cid })
    await arrival.uploadBlob(blob.data, { encoding: blob.headers['content-type'] })
  }
  await arrival.app.bsky.actor.putPreferences((await old.app.bsky.actor.getPreferences()).data)
  const { data: status } = await arrival.com.atproto.server.checkAccountStatus()
  assert.equal(status.importedBlobs, status.expectedBlobs)
  assert.equal(status.activated, false)

  const { data: recommended } = await arrival.com.atproto.identity.getRecommendedDidCredentials()
  await new plc.Client(to.plc).updateData(old.did, recovery, (last) => ({
    ...last,
    ...recommended,
    rotationKeys: [recovery.did(), ...recommended.rotationKeys],
  }))
  await arrival.com.atproto.server.activateAccount()
  await old.com.atproto.server.deactivateAccount({})
  return Object.assign(arrival, { handle: old.handle, email: old.email })
}

test('an account moves here from the official PDS, and back', { skip }, async () => {
  const recovery = await Secp256k1Keypair.create()
  const there = await theirs.account('mover', { recoveryKey: recovery.did() })
  const { did } = there
  const image = png(32, [90, 200, 90])
  const { data } = await there.uploadBlob(image, { encoding: 'image/png' })
  await there.post({ text: 'x', embed: { $type: 'app.bsky.embed.images', images: [{ image: data.blob, alt: '' }] } })
  await there.upsertProfile(() => ({ displayName: 'Mover', avatar: data.blob }))
  for (let i = 0; i < 20; i += 1) await there.post({ text: `post ${i}` })
  const before = await records(there, POST)
  const preferences = [{ $type: 'app.bsky.actor.defs#adultContentPref', enabled: true }]
  await there.app.bsky.actor.putPreferences({ preferences })

  const here = await move(there, ours, recovery)
  assert.equal(here.did, did)
  assert.deepEqual(await records(here, POST), before)
  assert.deepEqual((await here.app.bsky.actor.getPreferences()).data.preferences, preferences)
  const blob = await here.com.atproto.sync.getBlob({ did, cid: data.blob.ref.toString() })
  assert(Buffer.from(blob.data).equals(image))
  const moved = await ours.xrpc('com.atproto.sync.getRepo', { params: { did } })
  const { creates } = await verifyRepoCar(moved.body, did, await ours.signingKey(did))
  assert.equal(creates.length, before.length + 1)
  const events = () => ours.follower.events.filter((e) => (e.did ?? e.repo) === did).map((e) => e.t)
  await ours.follower.until('the arrival', () => events().includes('#sync'))
  const written = await here.post({ text: 'from the new place' })
  await here.upsertProfile((profile) => ({ ...profile, displayName: 'Moved' }))
  await ours.assertFirehoseAgrees()

  // What was left at the old place is gone, as its owner would have it, so that the account may come again.
  const basic = `Basic ${Buffer.from(`admin:${theirs.adminPassword}`).toString('base64')}`
  const headers = { authorization: basic }
  const gone = await theirs.xrpc('com.atproto.admin.deleteAccount', { body: { did }, headers })
  assert.equal(gone.status, 200, JSON.stringify(gone.body))
  const home = await move(here, theirs, recovery)
  assert.deepEqual(await records(home, POST), [`${written.uri} ${written.cid}`, ...before])
  assert.equal((await home.com.atproto.repo.getRecord({ repo: did, collection: 'app.bsky.actor.profile', rkey: 'self' })).data.value.displayName, 'Moved')
  assert.deepEqual((await home.app.bsky.actor.getPreferences()).data.preferences, preferences)
  const kept = await home.com.atproto.sync.getBlob({ did, cid: data.blob.ref.toString() })
  assert(Buffer.from(kept.data).equals(image))
  assert.equal((await home.post({ text: 'home again' })).uri.startsWith(`at://${did}/`), true)
  assert.equal((await ours.xrpc('com.atproto.sync.getRepoStatus', { params: { did } })).body.status, 'deactivated')
})

/** Runs `relay account move-in` for the server `to`, and returns what it says. */
const moveIn = (to, did, args, env = {}) =>
  new Promise((resolve, reject) => {
    const settings = {
      'server.public_url': `http://localhost:${new URL(to.pds).port}`,
      'identity.plc_url': to.plc.replace('127.0.0.1', 'localhost'),
      'identity.handle_domains': to.handleDomain,
      'network.protect_private_addresses': 'false',
    }
    const sets = Object.entries(settings).flatMap(([name, value]) => ['--set', `${name}=${value}`])
    const all = ['account', 'move-in', did, '--yes', '--data-dir', to.dataDir, ...sets, ...args]
    execFile(path.resolve(process.env.EZPDS_RELAY), all, { env: { PATH: process.env.PATH, ...env } }, (err, stdout, stderr) => {
      if (err) reject(new Error(`${stdout}${stderr}`))
      else resolve(stdout)
    })
  })

/** The code that the official PDS would have mailed, had it a mail server. */
const codeOf = (server, did) =>
  new Promise((resolve, reject) => {
    const script = 'import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute("SELECT token FROM email_token WHERE did = ?", sys.argv[2:]).fetchone()[0])'
    const args = ['-c', script, path.join(server.dataDir, 'account.sqlite'), did]
    execFile('python3', args, (err, stdout) => (err ? reject(err) : resolve(stdout.trim())))
  })

test('`relay account move-in` brings an account from the official PDS', { skip }, async () => {
  const recovery = await Secp256k1Keypair.create()
  const there = await theirs.account('arrival', { recoveryKey: recovery.did() })
  const { did } = there
  const image = png(32, [200, 90, 90])
  const { data } = await there.uploadBlob(image, { encoding: 'image/png' })
  await there.post({ text: 'x', embed: { $type: 'app.bsky.embed.images', images: [{ image: data.blob, alt: '' }] } })
  for (let i = 0; i < 20; i += 1) await there.post({ text: `post ${i}` })
  const preferences = [{ $type: 'app.bsky.actor.defs#adultContentPref', enabled: true }]
  await there.app.bsky.actor.putPreferences({ preferences })

  await assert.rejects(moveIn(ours, did, [], { MOVE_IN_PASSWORD: 'wrong' }), /does not know this password/)
  const appPassword = (await there.com.atproto.server.createAppPassword({ name: 'phone' })).data.password
  await assert.rejects(moveIn(ours, did, [], { MOVE_IN_PASSWORD: appPassword }), /This is an app password/)
  assert.match(await moveIn(ours, did, [], { MOVE_IN_PASSWORD: there.password }), /21 records and 1 of 1 blobs/)
  await assert.rejects(moveIn(ours, did, ['--code', 'AAAAA-BBBBB']), /does not take this code/)
  await there.post({ text: 'in the last moment' })
  const before = await records(there, POST)
  assert.match(await moveIn(ours, did, ['--code', await codeOf(theirs, did)]), /is here\./)

  const here = new AtpAgent({ service: ours.pds })
  await here.login({ identifier: did, password: there.password })
  assert.equal(here.session.handle, there.handle)
  assert.deepEqual(await records(here, POST), before)
  assert.deepEqual((await here.app.bsky.actor.getPreferences()).data.preferences, preferences)
  const blob = await here.com.atproto.sync.getBlob({ did, cid: data.blob.ref.toString() })
  assert(Buffer.from(blob.data).equals(image))
  const moved = await ours.xrpc('com.atproto.sync.getRepo', { params: { did } })
  await verifyRepoCar(moved.body, did, await ours.signingKey(did))
  const { rotationKeys, services } = await new plc.Client(ours.plc).getDocumentData(did)
  assert.equal(services.atproto_pds.endpoint, `http://localhost:${new URL(ours.pds).port}`)
  assert.equal(rotationKeys[0], recovery.did(), 'the key of the owner stays')
  assert.equal(rotationKeys.length, 2, 'that of the old server goes')
  assert.equal((await theirs.xrpc('com.atproto.sync.getRepoStatus', { params: { did } })).body.status, 'deactivated')
  await here.post({ text: 'from the new place' })
  await ours.assertFirehoseAgrees()
})
