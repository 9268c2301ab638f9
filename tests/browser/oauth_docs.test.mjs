// Follows docs/OAUTH.md: what stands there works, letter by letter but for the ports.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import path from 'node:path'
import readline from 'node:readline'
import { after, before, test } from 'node:test'
import { build } from 'esbuild'
import { Server, openWindow, signIn, startBrowser } from './harness.mjs'

const here = import.meta.dirname
const page = await readFile(path.join(here, '../../docs/OAUTH.md'), 'utf8')

let server, browser, folder
before(async () => {
  server = await Server.start()
  browser = await startBrowser()
  // Below this folder, so that the libraries are found.
  folder = await mkdtemp(path.join(here, 'app-'))
})
after(async () => {
  await browser?.close()
  await server?.stop()
  if (folder) await rm(folder, { recursive: true, force: true })
})

/** Returns a file that the page shows, with the ports of this test's servers. */
function shown(name, port) {
  const [, text] = page.match(new RegExp(`\`\`\`js\n// ${name}\n([^]*?)\`\`\``))
  return text
    .replaceAll('http://localhost:2583', server.origin)
    .replaceAll('http://localhost:2582', server.plc)
    .replaceAll(':3000', `:${port}`)
    .replaceAll('listen(3000', `listen(${port}`)
}

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address()
  probe.close()
  await once(probe, 'close')
  return port
}

async function allow(window) {
  await signIn(window, 'alice.test', 'alice-password')
  await window.getByRole('button', { name: 'Allow', exact: true }).click()
}

test('the libraries that the page names are those of this test', async () => {
  const { dependencies } = JSON.parse(await readFile(path.join(here, 'package.json'), 'utf8'))
  for (const [, name] of page.matchAll(/(@atproto\/[a-z-]+)/g)) assert(dependencies[name], name)
})

test('the app of the page signs a user in, posts, comes back and signs out', async () => {
  const port = await freePort()
  const file = path.join(folder, 'app.mjs')
  await writeFile(file, shown('app.mjs', port))
  const app = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    const [line] = await once(readline.createInterface({ input: app.stdout }), 'line')
    const window = await openWindow(browser)
    await window.goto(line.slice('Open '.length))
    await allow(window)
    await window.waitForURL('**/callback**')
    const told = await window.textContent('body')
    const [, did, uri] = told.match(/^Signed in as (did:plc:[a-z2-7]+)\. Posted (at:\S+)$/) ?? assert.fail(told)
    const [, repo, collection, rkey] = uri.match(/^at:\/\/([^/]+)\/([^/]+)\/([^/]+)$/)
    const record = await fetch(`${server.pds}/xrpc/com.atproto.repo.getRecord?${new URLSearchParams({ repo, collection, rkey })}`)
    assert.equal((await record.json()).value.text, 'Hello from my app')
    const ask = async (what) => (await fetch(`http://127.0.0.1:${port}/${what}?did=${did}`)).text()
    assert.equal(await ask('again'), 'Still alice.test')
    assert.equal(await ask('logout'), 'Signed out')
    assert.match(await ask('again'), /Error/)
    await window.context().close()
  } finally {
    app.kill()
    await once(app, 'exit')
  }
})

test('the page of the page does, too', async () => {
  const file = path.join(folder, 'page.js')
  await writeFile(file, shown('page.js', 0))
  const bundle = await build({ entryPoints: [file], bundle: true, format: 'esm', write: false, logLevel: 'error' })
  const html = '<!doctype html><meta charset="utf-8"><title>App</title><body><script type="module" src="/page.bundle.js"></script></body>'
  const site = createServer((request, response) => {
    if (request.url.startsWith('/page.bundle.js')) response.writeHead(200, { 'content-type': 'text/javascript' }).end(bundle.outputFiles[0].contents)
    else response.writeHead(200, { 'content-type': 'text/html' }).end(html)
  }).listen(0, '127.0.0.1')
  await once(site, 'listening')
  try {
    const window = await openWindow(browser)
    await window.goto(`http://127.0.0.1:${site.address().port}/`)
    await window.getByRole('button', { name: 'Sign in' }).click()
    await allow(window)
    await window.getByText('Signed in as alice.test').waitFor()
    // The session is still there when the page is opened again.
    await window.goto(`http://127.0.0.1:${site.address().port}/`)
    await window.getByText('Signed in as alice.test').waitFor()
    await window.context().close()
  } finally {
    site.closeAllConnections()
    site.close()
  }
})
