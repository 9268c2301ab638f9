// What no client should send: every answer is an error with a lexicon name, and the server goes on.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { assertError, startNetwork } from './harness.mjs'

let net, agent, token, did
const POST = 'app.bsky.feed.post'
const json = { 'content-type': 'application/json' }

before(async () => {
  net = await startNetwork()
  agent = await net.account('victim')
  did = agent.did
  token = agent.session.accessJwt
})
after(() => net?.stop())

const base64 = (value) => Buffer.from(value).toString('base64url')
const basic = (user, password) => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`

test('unknown methods', async () => {
  for (const nsid of ['com.example.unknown', 'com.atproto.server.noSuchMethod']) {
    assertError(await net.xrpc(nsid, { token }), 400, 'InvalidRequest', /No service configured/)
    assertError(await net.xrpc(nsid, { token, body: {} }), 400, 'InvalidRequest', /No service configured/)
  }
  for (const path of ['not%20an%20nsid', '', 'com.example.x%00'])
    assertError(await net.xrpc(path), 400, 'InvalidRequest')
})

test('wrong verbs', async () => {
  const get = await net.xrpc('com.atproto.server.createSession')
  assertError(get, 400, 'InvalidRequest', /Incorrect HTTP method \(GET\) expected POST/)
  const post = await net.xrpc('com.atproto.server.describeServer', { method: 'POST' })
  assertError(post, 400, 'InvalidRequest', /Incorrect HTTP method \(POST\) expected GET/)
  for (const method of ['PUT', 'DELETE', 'PATCH']) {
    const other = await net.xrpc('com.atproto.server.createSession', { method, body: {} })
    assertError(other, 400, 'InvalidRequest')
  }
})

test('bad parameters', async () => {
  const good = { repo: did, collection: POST }
  for (const [nsid, params, message] of [
    ['com.atproto.repo.listRecords', {}, /repo/],
    ['com.atproto.repo.listRecords', { ...good, repo: 'x' }, /"x"/],
    ['com.atproto.repo.listRecords', { ...good, collection: 'bad' }, /bad/],
    ['com.atproto.repo.listRecords', { ...good, limit: 0 }, /0/],
    ['com.atproto.repo.listRecords', { ...good, limit: 101 }, /101/],
    ['com.atproto.repo.listRecords', { ...good, limit: 'abc' }, /abc/],
    ['com.atproto.repo.listRecords', { ...good, reverse: 'maybe' }, /maybe/],
    ['com.atproto.repo.listRecords', { ...good, repo: [did, did] }],
    ['com.atproto.repo.getRecord', { repo: did, collection: POST, rkey: 'no key' }],
    ['com.atproto.sync.getRepo', {}, /did/],
    ['com.atproto.sync.getRepo', { did: 'nope' }, /nope/],
    ['com.atproto.sync.getBlob', { did, cid: 'nope' }, /nope/],
    ['com.atproto.sync.getBlocks', { did }, /cids/],
    ['com.atproto.sync.getBlocks', { did, cids: 'nope' }, /nope/],
    ['com.atproto.sync.listRepos', { limit: 1001 }, /1001/],
    ['com.atproto.sync.listRepos', { cursor: 'junk' }],
  ]) {
    assertError(await net.xrpc(nsid, { params }), 400, 'InvalidRequest', message)
  }
})

test('what is unusual, and still good', async () => {
  const good = { repo: did, collection: POST }
  for (const params of [
    { ...good, unknown: 'parameter' },
    { ...good, limit: '' },
  ]) {
    assert.equal((await net.xrpc('com.atproto.repo.listRecords', { params })).status, 200)
  }
  assert.equal((await net.xrpc('com.atproto.server.describeServer/')).status, 200)
  const login = JSON.stringify({ identifier: agent.handle, password: agent.password })
  const charset = { 'content-type': 'application/json; charset=utf-8' }
  assert.equal((await net.xrpc('com.atproto.server.createSession', { body: login, headers: charset })).status, 200)
  const lower = await net.xrpc('com.atproto.server.getSession', { headers: { authorization: `bearer ${token}` } })
  assert.equal(lower.status, 200)
  // Mobile clients send an empty body of type JSON where there is no input.
  const { refreshJwt } = agent.session
  const empty = await net.xrpc('com.atproto.server.refreshSession', {
    method: 'POST',
    token: refreshJwt,
    body: '',
    headers: json,
  })
  assert.equal(empty.status, 200)
})

test('bad bodies', async () => {
  const login = (body, headers = json) =>
    net.xrpc('com.atproto.server.createSession', { method: 'POST', body, headers })
  assertError(await login('{nope'), 400, 'SyntaxError')
  assertError(await login('{"identifier":"a.test","password":"x"} trailing'), 400, 'SyntaxError')
  assertError(await login('[]'), 400, 'InvalidRequest')
  assertError(await login('null'), 400, /^(SyntaxError|InvalidRequest)$/)
  assertError(await login('"text"'), 400, /^(SyntaxError|InvalidRequest)$/)
  assertError(await login('{}'), 400, 'InvalidRequest', /identifier/)
  assertError(await login('{"identifier":1,"password":"x"}'), 400, 'InvalidRequest', /identifier/)
  assertError(await login(''), 400, 'InvalidRequest')
  assertError(await login(undefined, {}), 400, 'InvalidRequest')
  const untyped = new TextEncoder().encode('{"identifier":"a.test","password":"x"}')
  assertError(await login(untyped, {}), 400, 'InvalidRequest', /Content-Type/)
  assertError(
    await login('{"identifier":"a.test","password":"x"}', { 'content-type': 'text/plain' }),
    400,
    'InvalidRequest',
    /text\/plain/,
  )
  const surplus = await net.xrpc('com.atproto.server.refreshSession', {
    token: agent.session.refreshJwt,
    body: { x: 1 },
  })
  assertError(surplus, 400, 'InvalidRequest')
  const upload = { method: 'POST', token }
  assertError(
    await net.xrpc('com.atproto.repo.uploadBlob', { ...upload, body: new Uint8Array(9) }),
    400,
    'InvalidRequest',
    /Content-Type/,
  )
})

test('bodies that are too large', async () => {
  const login = { identifier: agent.handle, password: 'x'.repeat(200_000) }
  assertError(await net.xrpc('com.atproto.server.createSession', { body: login }), 413, 'PayloadTooLargeError')
  const record = { $type: 'com.example.note', text: 'x'.repeat(1_100_000) }
  const create = { repo: did, collection: 'com.example.note', record }
  assertError(await net.xrpc('com.atproto.repo.createRecord', { token, body: create }), 413, 'PayloadTooLargeError')

  const { body: server } = await net.xrpc('com.atproto.server.describeServer')
  const body = new Uint8Array(server.blobUploadLimit + 1)
  const headers = { 'content-type': 'application/octet-stream' }
  assertError(await net.xrpc('com.atproto.repo.uploadBlob', { token, headers, body }), 413, 'PayloadTooLarge')
})

test('records that are no data', async () => {
  const create = (record) =>
    net.xrpc('com.atproto.repo.createRecord', {
      token,
      headers: json,
      body: `{"repo":"${did}","collection":"com.example.note","record":${record}}`,
    })
  const wrong = [400, 'InvalidRequest']
  assertError(await create('{"n":1.5}'), ...wrong)
  assertError(await create('[1]'), ...wrong)
  assertError(await create('{"__proto__":{"x":1}}'), ...wrong)
  assertError(await create(`${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`), ...wrong)
  assertError(await create(`${'{"a":['.repeat(5000)}1${']}'.repeat(5000)}`), ...wrong)
  const beyond = net.expect({ ours: wrong, official: [500, 'InternalServerError'] })
  assertError(await create('{"n":9007199254740993}'), ...beyond)
  const fine = await create('{"n":-9007199254740991,"text":"\\u00fc \\ud83d\\udc4b","empty":{},"none":null,"list":[]}')
  assert.equal(fine.status, 200)
})

test('bad swaps and unknown accounts', async () => {
  const body = { repo: did, collection: 'com.example.note', record: { n: 1 } }
  const create = (more) => net.xrpc('com.atproto.repo.createRecord', { token, body: { ...body, ...more } })
  assertError(await create({ swapCommit: 'nope' }), 400, 'InvalidRequest')
  assertError(await create({ rkey: 'no key' }), 400, 'InvalidRequest')
  assertError(await create({ repo: 'nobody.test' }), 403, 'AccountNotFound')
  assert.equal((await create({ rkey: 'taken' })).status, 200)
  assertError(
    await create({ rkey: 'taken' }),
    ...net.expect({ ours: [400, 'InvalidRequest'], official: [500, 'InternalServerError'] }),
  )
})

test('tokens that are none', async () => {
  const [header, payload, signature] = token.split('.')
  const session = (authorization) =>
    net.xrpc('com.atproto.server.getSession', authorization === undefined ? {} : { headers: { authorization } })
  assertError(await session(undefined), 401, 'AuthMissing')
  assertError(await session(''), 401, 'AuthMissing')
  for (const malformed of ['Bearer', 'Bearer ', token, `Bearer ${token} x`]) {
    assertError(await session(malformed), 400, 'InvalidToken', /[Mm]alformed/)
  }
  const later = JSON.parse(Buffer.from(payload, 'base64url'))
  later.exp += 1_000_000
  const flipped = Buffer.from(signature, 'base64url')
  flipped[0] ^= 1
  for (const forged of [
    'x',
    'a.b.c',
    `${header}.${payload}`,
    `${header}.${payload}.`,
    `${header}.${payload}.${base64(flipped)}`,
    `${header}.${base64(JSON.stringify(later))}.${signature}`,
    `${base64('{"typ":"at+jwt","alg":"none"}')}.${payload}.`,
    `${base64('{"alg":"HS256"}')}.${payload}.${signature}`,
    agent.session.refreshJwt,
  ]) {
    assertError(await session(`Bearer ${forged}`), 400, 'InvalidToken')
  }
  assertError(await session('Unknown scheme'), 400, 'InvalidToken')
  assertError(await session(basic('admin', net.adminPassword)), 400, 'InvalidToken')

  const refresh = (bearer) => net.xrpc('com.atproto.server.refreshSession', { method: 'POST', token: bearer })
  assertError(await refresh(undefined), 401, 'AuthMissing')
  assertError(await refresh(token), 400, 'InvalidToken')
  const upload = await net.xrpc('com.atproto.repo.uploadBlob', { headers: { 'content-type': 'image/png' }, body: 'x' })
  assertError(upload, 401, 'AuthMissing')
  assert.equal((await session(`Bearer ${token}`)).status, 200)
})

test('admin calls want the admin', async () => {
  const call = (authorization) =>
    net.xrpc('com.atproto.admin.getAccountInfo', { params: { did }, headers: authorization ? { authorization } : {} })
  assertError(await call(undefined), 401, 'AuthenticationRequired')
  assertError(await call(basic('admin', 'wrong')), 401, 'AuthenticationRequired')
  assertError(await call(basic('root', net.adminPassword)), 401, 'AuthenticationRequired')
  const asUser = await call(`Bearer ${token}`)
  assert([400, 401].includes(asUser.status), `${asUser.status}`)
  const good = await call(basic('admin', net.adminPassword))
  assert.equal(good.status, 200)
  assert.equal(good.body.did, did)
  assert.equal(good.body.handle, agent.handle)
  assert.equal(good.body.email, agent.email)
})

test('a browser may call from anywhere', async () => {
  const headers = {
    origin: 'https://app.example.com',
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization,content-type,atproto-proxy',
  }
  const preflight = await net.xrpc('com.atproto.repo.createRecord', { method: 'OPTIONS', headers })
  assert([200, 204].includes(preflight.status))
  assert.equal(preflight.headers.get('access-control-allow-origin'), '*')
  assert.match(preflight.headers.get('access-control-allow-methods'), /POST/)
  assert.match(preflight.headers.get('access-control-allow-headers'), /^(\*|.*atproto-proxy.*)$/i)
  const failed = await net.xrpc('com.atproto.server.getSession', { headers: { origin: headers.origin } })
  assert.equal(failed.status, 401)
  assert.equal(failed.headers.get('access-control-allow-origin'), '*')
})

test('the firehose told all of it', () => net.assertFirehoseAgrees())
