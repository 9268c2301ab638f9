// An app with a server and a key of its own, written with the official library: its users sign up, sign in, agree, and leave.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Agent } from '@atproto/api'
import { JoseKey, NodeOAuthClient, requestLocalLock } from '@atproto/oauth-client-node'
import { startHost } from './app_host.mjs'
import { Server, inspect, openWindow, signIn, startBrowser } from './harness.mjs'

const SCOPE = 'atproto transition:generic'

let server, browser, host, client
before(async () => {
  host = await startHost((request, response) => {
    const { pathname } = new URL(request.url, host.origin)
    const document = { '/client-metadata.json': client.clientMetadata, '/jwks.json': client.jwks }[pathname]
    if (document) response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(document))
    else response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>App</title>Back at the app')
  })
  server = await Server.start(host.settings)
  browser = await startBrowser(host.flags)
  client = await makeClient('key-1')
})
after(async () => {
  await browser?.close()
  await server?.stop()
  await host?.stop()
})

async function makeClient(kid) {
  const store = () => {
    const map = new Map()
    return { get: async (key) => map.get(key), set: async (key, value) => void map.set(key, value), del: async (key) => void map.delete(key) }
  }
  return new NodeOAuthClient({
    clientMetadata: {
      client_id: `${host.origin}/client-metadata.json`,
      client_name: 'Notes for teams',
      client_uri: host.origin,
      redirect_uris: [`${host.origin}/callback`],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      scope: SCOPE,
      application_type: 'web',
      dpop_bound_access_tokens: true,
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'ES256',
      jwks_uri: `${host.origin}/jwks.json`,
    },
    keyset: [await JoseKey.generate(['ES256'], kid)],
    stateStore: store(),
    sessionStore: store(),
    requestLock: requestLocalLock,
    handleResolver: server.origin,
    plcDirectoryUrl: server.plc,
    allowHttp: true,
  })
}

/** Comes back to the app, and returns the session that it makes of that. */
async function back(window) {
  await window.waitForURL(`${host.origin}/callback?**`)
  return (await client.callback(new URL(window.url()).searchParams)).session
}

test('someone signs up, and the app acts, refreshes and leaves', async () => {
  const window = await openWindow(browser)
  await window.goto((await client.authorize(server.origin, { scope: SCOPE, prompt: 'create' })).href)
  await window.getByLabel('Handle').fill('hanna')
  await window.getByLabel('E-mail address').fill('hanna@example.com')
  await window.getByLabel('Password').fill('hanna has a password')
  await window.getByRole('button', { name: 'Create account' }).click()
  await window.getByRole('heading', { name: 'Let Notes for teams use your account?' }).waitFor()
  await inspect(window, 'consent-confidential')
  await window.getByRole('button', { name: 'Allow', exact: true }).click()
  const session = await back(window)

  const agent = new Agent(session)
  assert.equal((await agent.com.atproto.server.getSession()).data.handle, 'hanna.test')
  const { uri } = await agent.post({ text: 'A note' })
  assert.match(uri, new RegExp(`^at://${session.did}/app.bsky.feed.post/`))
  const before = await session.getTokenInfo(false)
  const after = await session.getTokenInfo(true)
  assert.equal(after.scope, SCOPE)
  assert(after.expiresAt > before.expiresAt, 'the token was renewed')
  const { data } = await agent.com.atproto.repo.listRecords({ repo: session.did, collection: 'app.bsky.feed.post' })
  assert.deepEqual(data.records.map((record) => record.uri), [uri])

  const restored = await client.restore(session.did)
  await restored.signOut()
  await assert.rejects(client.restore(session.did))
  await window.context().close()
})

test('who agreed once is not asked again', async () => {
  const window = await openWindow(browser)
  await window.goto((await client.authorize('alice.test', { scope: SCOPE })).href)
  await signIn(window, 'alice.test', 'alice-password')
  await window.getByRole('button', { name: 'Allow', exact: true }).click()
  const first = await back(window)
  await window.goto((await client.authorize('alice.test', { scope: SCOPE })).href)
  const second = await back(window)
  assert.equal(first.did, second.did)
  await new Agent(second).com.atproto.server.getSession()
  await window.context().close()
})

test('someone signs the app out on the page of their devices', async () => {
  const window = await openWindow(browser)
  await window.goto((await client.authorize('bob.test', { scope: SCOPE })).href)
  await signIn(window, 'bob.test', 'bob-password')
  await window.getByRole('button', { name: 'Allow', exact: true }).click()
  const session = await back(window)
  await window.goto(`${server.origin}/account/devices`)
  await window.getByText('Notes for teams').waitFor()
  await inspect(window, 'account-devices-app')
  await window.getByRole('button', { name: 'Sign out Notes for teams' }).click()
  await window.getByText('Signed out.').waitFor()
  await assert.rejects(new Agent(session).com.atproto.server.getSession())
  await assert.rejects(client.restore(session.did, true))
  await window.context().close()
})

test('another app with a key of the same name is refused', async () => {
  const stranger = await makeClient('key-1')
  await assert.rejects(stranger.authorize('alice.test', { scope: SCOPE }), /client_assertion is not signed by the key that it names/)
})
