// Calls that the server passes on to a service of the account's choice, signed by the account.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { after, before, test } from 'node:test'
import { verifyJwt } from '@atproto/xrpc-server'
import { assertError, startNetwork } from './harness.mjs'

let net, service, did, agent
// What the service was asked last.
let asked

before(async () => {
  net = await startNetwork()
  service = createServer(answer).listen(0, '127.0.0.1')
  await once(service, 'listening')
  did = `did:web:localhost%3A${service.address().port}`
  agent = await net.account('caller')
  agent.configureProxy(`${did}#bsky_appview`)
})
after(async () => {
  service?.close()
  service?.closeAllConnections()
  await net?.stop()
})

/** A service with a DID document and three methods: one answers, one refuses, one breaks. */
async function answer(request, response) {
  const send = (status, body, headers) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(JSON.stringify(body))
  }
  if (request.url === '/.well-known/did.json') {
    const serviceEndpoint = `http://localhost:${service.address().port}`
    const entry = { id: '#bsky_appview', type: 'BskyAppView', serviceEndpoint }
    return send(200, { '@context': ['https://www.w3.org/ns/did/v1'], id: did, service: [entry] })
  }
  const body = (await request.toArray()).join('')
  asked = { method: request.method, url: request.url, headers: request.headers, body }
  const nsid = request.url.slice('/xrpc/'.length).split('?')[0]
  if (nsid === 'app.bsky.actor.getSuggestions')
    return send(200, { actors: [] }, { 'atproto-content-labelers': 'did:web:mod.example.com' })
  if (nsid === 'com.example.refuse') return send(403, { error: 'NotForYou', message: 'come back later' })
  if (nsid === 'com.example.echo') return send(200, { echo: JSON.parse(body) })
  send(500, { error: 'InternalServerError', message: 'broken' })
}

/** Asserts that the last call carried a service token of the account for this service and method. */
async function assertSigned(lxm) {
  const [scheme, token] = asked.headers.authorization.split(' ')
  assert.equal(scheme, 'Bearer')
  const claims = await verifyJwt(token, did, lxm, (iss) => net.signingKey(iss))
  assert.equal(claims.iss, agent.did)
  assert(claims.exp - Date.now() / 1000 <= 300)
}

test('a query is passed on with its parameters and headers, and its answer comes back', async () => {
  const headers = {
    'accept-language': 'de, en',
    'atproto-accept-labelers': 'did:web:mod.example.com',
    cookie: 'secret=1',
  }
  const { data, headers: got } = await agent.app.bsky.actor.getSuggestions({ limit: 7 }, { headers })
  assert.deepEqual(data, { actors: [] })
  assert.equal(got['atproto-content-labelers'], 'did:web:mod.example.com')
  assert.equal(asked.method, 'GET')
  assert.equal(asked.url, '/xrpc/app.bsky.actor.getSuggestions?limit=7')
  assert.equal(asked.headers['accept-language'], 'de, en')
  assert.match(asked.headers['atproto-accept-labelers'], /did:web:mod\.example\.com/)
  assert.equal('cookie' in asked.headers, false)
  await assertSigned('app.bsky.actor.getSuggestions')
})

const proxied = (nsid, more) =>
  net.xrpc(nsid, {
    token: agent.session.accessJwt,
    ...more,
    headers: { 'atproto-proxy': `${did}#bsky_appview`, ...more?.headers },
  })

test('a procedure is passed on with its body', async () => {
  const { status, body } = await proxied('com.example.echo', { body: { text: 'hällo' } })
  assert.equal(status, 200)
  assert.deepEqual(body, { echo: { text: 'hällo' } })
  assert.equal(asked.method, 'POST')
  assert.equal(asked.headers['content-type'], 'application/json')
  await assertSigned('com.example.echo')
})

test('errors of the service are told, and its failures are those of an upstream', async () => {
  assertError(await proxied('com.example.refuse'), 403, 'NotForYou', /come back later/)
  assertError(await proxied('com.example.broken'), 502, /^(UpstreamFailure|InternalServerError)$/)
})

test('what the server answers itself is not passed on', async () => {
  asked = null
  const { data } = await agent.com.atproto.server.getSession()
  assert.equal(data.did, agent.did)
  assert.equal(asked, null)
})

test('a call without a session, or to a service that is none, goes nowhere', async () => {
  asked = null
  const anonymous = { headers: { 'atproto-proxy': `${did}#bsky_appview` } }
  assertError(await net.xrpc('com.example.echo', anonymous), 401, 'AuthMissing')
  for (const target of [did, `${did}#`, '#bsky_appview', `${did}#a#b`, `${did}#no_such_service`, 'nonsense']) {
    assertError(await proxied('com.example.echo', { headers: { 'atproto-proxy': target } }), 400, 'InvalidRequest')
  }
  // Nobody listens on port 1. The reference PDS answers 500.
  const dead = await proxied('com.example.echo', { headers: { 'atproto-proxy': 'did:web:localhost%3A1#bsky_appview' } })
  assert(net.expect({ ours: [400, 502], official: [500] }).includes(dead.status), JSON.stringify(dead.body))
  assert.equal(asked, null)
})
