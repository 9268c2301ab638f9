// Starts a server and a browser, and looks at pages the way people do.
//
//   EZPDS_RELAY         path of the relay binary; it is run as `relay dev --json-ready`
//   EZPDS_CHROMIUM      path of the browser; /usr/bin/chromium if not given
//   EZPDS_SCREENSHOTS   folder for pictures of every page; tests/browser/screenshots if not given
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import readline from 'node:readline'
import { chromium } from 'playwright-core'

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const SCREENSHOTS = process.env.EZPDS_SCREENSHOTS ?? new URL('./screenshots', import.meta.url).pathname
const PHONE = { width: 390, height: 844 }
const DESKTOP = { width: 1280, height: 800 }

/** A running `relay dev`. */
export class Server {
  #folder
  #process

  static async start(args = []) {
    const relay = process.env.EZPDS_RELAY
    assert(relay, 'EZPDS_RELAY has to be the path of the relay binary')
    const server = new Server()
    server.#folder = await mkdtemp(path.join(tmpdir(), 'ezpds-browser-'))
    const fixed = ['--data-dir', path.join(server.#folder, 'data'), '--bind', '127.0.0.1:0', '--plc-bind', '127.0.0.1:0']
    server.#process = spawn(path.resolve(relay), ['dev', ...fixed, '--json-ready', ...args], {
      stdio: ['ignore', 'pipe', process.env.EZPDS_LOG ? 'inherit' : 'ignore'],
    })
    const lines = readline.createInterface({ input: server.#process.stdout })
    const ready = new Promise((resolve, reject) => {
      lines.on('line', (text) => text.startsWith('READY ') && resolve(JSON.parse(text.slice('READY '.length))))
      server.#process.on('exit', (code) => reject(new Error(`the server ended before its READY line (${code})`)))
    })
    Object.assign(server, await ready)
    // The name under which the pages are served.
    server.origin = `http://localhost:${new URL(server.pds).port}`
    return server
  }

  /** Calls a method. */
  async xrpc(nsid, body, token) {
    const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
    const response = await fetch(`${this.pds}/xrpc/${nsid}`, { method: 'POST', headers, body: JSON.stringify(body) })
    const text = await response.text()
    assert(response.ok, `${nsid}: ${response.status} ${text}`)
    return text === '' ? undefined : JSON.parse(text)
  }

  /** Makes an account. */
  async account(name, password = `${name}-password`) {
    const account = { handle: `${name}.test`, email: `${name}@example.com`, password }
    return { ...account, ...(await this.xrpc('com.atproto.server.createAccount', account)) }
  }

  /** Returns the code in the latest mail to an address. */
  async mailedCode(to) {
    const { mails } = await (await fetch(`${this.mailbox}?format=json&to=${encodeURIComponent(to)}`)).json()
    return mails.find((mail) => mail.code).code
  }

  /** Has an app on this machine ask for its user, and returns where it sends them. */
  async ask(scope, more = {}) {
    const redirect_uri = 'http://127.0.0.1:4010/callback'
    const client_id = `http://localhost?${new URLSearchParams({ scope, redirect_uri })}`
    const body = new URLSearchParams({
      client_id,
      redirect_uri,
      response_type: 'code',
      code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
      code_challenge_method: 'S256',
      state: 'a-state',
      scope,
      ...more,
    })
    const response = await fetch(`${this.pds}/oauth/par`, { method: 'POST', body })
    const answer = await response.json()
    assert.equal(response.status, 201, JSON.stringify(answer))
    return `${this.origin}/oauth/authorize?${new URLSearchParams({ client_id, request_uri: answer.request_uri })}`
  }

  async stop() {
    const gone = once(this.#process, 'exit')
    this.#process.kill('SIGTERM')
    await gone
    await rm(this.#folder, { recursive: true, force: true })
  }
}

/** Starts the browser. */
export async function startBrowser(flags = []) {
  const executablePath = process.env.EZPDS_CHROMIUM ?? '/usr/bin/chromium'
  return chromium.launch({ executablePath, args: [...FLAGS, ...flags] })
}

/** Opens a window of its own: no cookies, nothing remembered. Whatever a page logs as an error fails the test. */
export async function openWindow(browser, options = {}) {
  const context = await browser.newContext({ locale: 'en-US', viewport: PHONE, reducedMotion: 'reduce', ...options })
  const page = await context.newPage()
  page.faults = []
  page.on('console', (message) => {
    // Answers such as 401 are told on the page.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) page.faults.push(message.text())
  })
  page.on('pageerror', (error) => page.faults.push(String(error)))
  page.setDefaultTimeout(15_000)
  return page
}

/** What the app that [`Server.ask`] stands for was told, once the browser has gone there. Nothing listens at that address. */
export async function answerOf(page, act) {
  const asked = page.waitForRequest((request) => request.url().startsWith('http://127.0.0.1:4010/callback'))
  await page.context().route('http://127.0.0.1:4010/**', (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>App</title>' }))
  await act()
  const url = new URL((await asked).url())
  await page.waitForURL('http://127.0.0.1:4010/**')
  return Object.fromEntries(new URLSearchParams(url.search || url.hash.slice(1)))
}

/**
 * Looks at the page that is shown, as a phone and a desk have it, light and dark: nothing sticks out, axe finds no fault, and a
 * picture is taken of each.
 */
export async function inspect(page, name) {
  await mkdir(SCREENSHOTS, { recursive: true })
  const before = page.viewportSize()
  for (const [device, viewport] of Object.entries({ phone: PHONE, desktop: DESKTOP })) {
    await page.setViewportSize(viewport)
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme })
      const what = `${name} (${device}, ${colorScheme})`
      await page.screenshot({ path: path.join(SCREENSHOTS, `${name}-${device}-${colorScheme}.png`), fullPage: true })
      const width = await page.evaluate(() => document.documentElement.scrollWidth)
      assert(width <= viewport.width, `${what} is ${width} pixels wide`)
      assert.deepEqual(await audit(page), [], what)
    }
  }
  await page.emulateMedia({ colorScheme: null })
  await page.setViewportSize(before)
  assert.deepEqual(page.faults, [], name)
}

/** Returns what axe finds, a line for each fault. */
async function audit(page) {
  // Through the debugger, which the page's policy does not bind.
  await page.evaluate(AXE)
  const { passes, violations } = await page.evaluate(() =>
    globalThis.axe.run(document, {
      runOnly: { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] },
    }),
  )
  assert(passes.length > 15, 'axe looked at little')
  return violations.flatMap(({ id, help, nodes }) => nodes.map((node) => `${id}: ${help}: ${node.html.slice(0, 200)}`))
}

/** Gives the window a device that makes passkeys and asks nobody for a finger. */
export async function plugIn(page) {
  const devtools = await page.context().newCDPSession(page)
  await devtools.send('WebAuthn.enable')
  const options = { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true }
  await devtools.send('WebAuthn.addVirtualAuthenticator', { options: { ...options, automaticPresenceSimulation: true } })
}

/** Signs in on the page that is shown. */
export async function signIn(page, identifier, password) {
  await page.getByLabel('Handle or e-mail address').fill(identifier)
  await page.getByLabel('Password', { exact: true }).fill(password)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
}
