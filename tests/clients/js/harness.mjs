// Starts the server under test with a PLC directory, and hands out accounts on it.
//
//   EZPDS_RELAY            path of the relay binary; it is run as `relay dev --json-ready`
//   EZPDS_PLC              `did-plc-server` puts the reference directory in the place of the server's own
//   EZPDS_TARGET           `official` compares: the reference PDS is started instead, through the script at
//   EZPDS_OFFICIAL_START   this path, which takes --pds-port, --plc-port, --plc-url, --data and --dev, prints
//                          the same READY line and stops on SIGTERM
import assert from 'node:assert/strict'
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import readline from 'node:readline'
import { AtpAgent } from '@atproto/api'
import { IdResolver } from '@atproto/identity'
import { within } from './deadline.mjs'
import { Follower } from './follower.mjs'

const START_MS = 60_000
// `relay` promises to stop within 10 s.
const STOP_MS = 10_000

/**
 * Starts a server of its own for one test file, with a follower on its firehose from the first event on.
 *
 * With `official` it is the reference PDS, whatever the environment says. With `plcUrl` it uses a directory that runs already, such as that of another server; `directory` asks for the
 * reference directory whatever the environment says.
 */
export async function startNetwork({
  plcUrl = null,
  directory = process.env.EZPDS_PLC === 'did-plc-server',
  official = process.env.EZPDS_TARGET === 'official',
} = {}) {
  const net = new Network(official, await mkdtemp(path.join(tmpdir(), 'ezpds-clients-')))
  try {
    if (!plcUrl && directory) plcUrl = await net.startDirectory()
    await net.startServer(plcUrl)
    net.follower = await Follower.connect(net, 0)
    return net
  } catch (err) {
    await net.abandon()
    throw err
  }
}

function relayCommand(folder, plcUrl, port) {
  const relay = process.env.EZPDS_RELAY
  assert(relay, 'EZPDS_RELAY has to be the path of the relay binary')
  const plc = plcUrl ? ['--plc-url', plcUrl] : ['--plc-bind', '127.0.0.1:0']
  const args = ['dev', '--data-dir', path.join(folder, 'data'), '--bind', `127.0.0.1:${port}`, ...plc, '--json-ready']
  return [path.resolve(relay), args]
}

async function officialCommand(folder, plcUrl, port) {
  const script = process.env.EZPDS_OFFICIAL_START
  assert(script, 'EZPDS_OFFICIAL_START has to be the path of the script that starts the reference PDS')
  const plc = plcUrl ? ['--plc-url', plcUrl] : ['--plc-port', String(await freePort())]
  const pdsPort = String(port || (await freePort()))
  return [process.execPath, [script, '--dev', '--data', path.join(folder, 'data'), '--pds-port', pdsPort, ...plc]]
}

async function readyLine(child) {
  const lines = readline.createInterface({ input: child.stdout })
  const early = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`the server ended before its READY line (${signal ?? code})`)
  })
  early.catch(() => {})
  const line = new Promise((resolve) => {
    lines.on('line', (text) => text.startsWith('READY ') && resolve(JSON.parse(text.slice('READY '.length))))
  })
  return Promise.race([line, early])
}

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address()
  probe.close()
  await once(probe, 'close')
  return port
}

class Network {
  #folder
  #server
  #directory
  #accounts = 0

  constructor(official, folder) {
    this.official = official
    this.#folder = folder
  }

  async startDirectory() {
    this.#directory = fork(new URL('./plc_directory.mjs', import.meta.url), {
      env: { PATH: process.env.PATH, LOG_ENABLED: 'false', ENABLE_MIGRATIONS: 'false' },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    const [{ port }] = await within(START_MS, 'the PLC directory', once(this.#directory, 'message'))
    return `http://127.0.0.1:${port}`
  }

  async startServer(plcUrl, port = 0) {
    const command = this.official ? officialCommand : relayCommand
    const [program, args] = await command(this.#folder, plcUrl, port)
    // The script of the reference PDS stops when its stdin ends, so that is a pipe which stays open.
    this.#server = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    const ready = await within(START_MS, 'the READY line', readyLine(this.#server))
    Object.assign(this, ready, { plc: plcUrl ?? ready.plc })
    this.ws = this.pds.replace(/^http/, 'ws')
    // Without a cache, so that every look-up asks the directory.
    this.idResolver = new IdResolver({ plcUrl: this.plc })
  }

  /** Ends the server with `signal` and starts it again on the same data and port; the directory has to be another's. */
  async restart(signal) {
    this.follower.expectClose()
    const gone = once(this.#server, 'exit')
    this.#server.kill(signal)
    await within(STOP_MS, `the server to end after ${signal}`, gone)
    await this.startServer(this.plc, new URL(this.pds).port)
    await this.follower.resume()
  }

  /** The folder of the server's data. */
  get dataDir() {
    return path.join(this.#folder, 'data')
  }

  /** Ends the server and leaves its data and the directory. */
  async stopServer() {
    this.follower.expectClose()
    const gone = once(this.#server, 'exit')
    this.#server.kill('SIGTERM')
    await within(STOP_MS, 'the server to end after SIGTERM', gone)
  }

  /** Starts `relay` with these arguments in the place of a server that was stopped, on its address. */
  async startInstead(args) {
    this.official = false
    const bind = `127.0.0.1:${new URL(this.pds).port}`
    this.#server = spawn(path.resolve(process.env.EZPDS_RELAY), [...args, '--bind', bind], { stdio: ['ignore', 'inherit', 'inherit'] })
    const up = async () => {
      for (;;) {
        const health = await fetch(`${this.pds}/xrpc/_health`).catch(() => null)
        if (health?.ok) return
        assert.equal(this.#server.exitCode, null, 'the server ended')
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    await within(START_MS, 'the server to answer', up())
    await this.follower.resume()
  }

  /** Picks the answer to expect; a difference from the reference PDS is written down where it matters. */
  expect({ ours, official }) {
    return this.official ? official : ours
  }

  /** Creates an account through the API; returns its logged-in agent, which also knows its handle and password. */
  async account(name, more) {
    this.#accounts += 1
    const handle = `${name}-${this.#accounts}${this.handleDomain}`
    const account = { handle, email: `${name}-${this.#accounts}@example.com`, password: `pass-word-${this.#accounts}` }
    const agent = new AtpAgent({ service: this.pds })
    await agent.createAccount({ ...account, ...more })
    return Object.assign(agent, account)
  }

  /** Calls a method without any client in between. A string or bytes as `body` go out as they are. */
  async xrpc(nsid, { method, params, token, headers = {}, body, raw } = {}) {
    const url = new URL(`/xrpc/${nsid}`, this.pds)
    for (const [name, value] of Object.entries(params ?? {})) {
      for (const one of [value].flat()) url.searchParams.append(name, one)
    }
    const all = { ...headers }
    if (token) all.authorization ??= `Bearer ${token}`
    const plain = body === undefined || typeof body === 'string' || body instanceof Uint8Array
    if (!plain) all['content-type'] ??= 'application/json'
    const response = await fetch(url, {
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      headers: all,
      body: plain ? body : JSON.stringify(body),
    })
    const bytes = new Uint8Array(await response.arrayBuffer())
    const json = response.headers.get('content-type')?.startsWith('application/json')
    return {
      status: response.status,
      headers: response.headers,
      body: json && !raw ? JSON.parse(Buffer.from(bytes).toString()) : bytes,
    }
  }

  /** The account's signing key (`did:key`), as its DID document has it now. */
  signingKey(did) {
    return this.idResolver.did.resolveAtprotoKey(did, true)
  }

  /** Awaits that the firehose has told everything, and that what it told equals what the repositories hold. */
  async assertFirehoseAgrees() {
    await this.follower.assertAgrees()
  }

  /** Stops everything; the server has to end in time, with status 0. */
  async stop() {
    await this.follower.close()
    for (const child of [this.#server, this.#directory]) {
      if (!child) continue
      const gone = child.exitCode !== null || child.signalCode !== null ? Promise.resolve() : once(child, 'exit')
      child.kill('SIGTERM')
      try {
        await within(STOP_MS, 'a child to end after SIGTERM', gone)
      } catch (err) {
        await this.abandon()
        throw err
      }
      assert.equal(child.exitCode, 0, `exit status after SIGTERM (${child.signalCode})`)
    }
    await rm(this.#folder, { recursive: true, force: true })
  }

  /** Ends whatever still runs, without asking. */
  async abandon() {
    this.#server?.kill('SIGKILL')
    this.#directory?.kill('SIGKILL')
    await rm(this.#folder, { recursive: true, force: true })
  }
}

/** Asserts that a promise of a client call rejects with this status and lexicon error name (or one that matches). */
export async function assertRejects(promise, status, error, message) {
  await assert.rejects(promise, (err) => {
    assert.equal(err.status, status, `status of: ${err.message}`)
    assertName(err.error, error, `error name of: ${err.message}`)
    if (message) assert.match(err.message, message)
    return true
  })
}

/** Asserts the shape that every failed call has: status, error name and a sentence, and nothing else. */
export function assertError(response, status, error, message) {
  const told = JSON.stringify(response.body)
  assert.equal(response.status, status, told)
  assert.deepEqual(Object.keys(response.body).sort(), ['error', 'message'], told)
  assertName(response.body.error, error, told)
  assert.equal(typeof response.body.message, 'string', told)
  assert.notEqual(response.body.message, '', told)
  if (message) assert.match(response.body.message, message)
}

function assertName(actual, expected, told) {
  if (expected instanceof RegExp) assert.match(actual, expected, told)
  else assert.equal(actual, expected, told)
}
