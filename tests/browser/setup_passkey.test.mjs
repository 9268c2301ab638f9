// The end of the set-up: once the server answers by its own name over HTTPS, its owner adds a passkey there.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash, createPublicKey } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import http from 'node:http'
import https from 'node:https'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { Server, inspect, openWindow, plugIn, startBrowser } from './harness.mjs'
import { Dns, SettingUp, next, step } from './setting_up.mjs'

const NAME = 'pds.example.com'

/** A proxy that speaks TLS by the name of the server, and passes requests on to it. It begins when it is told. */
class Proxy {
  static async prepare() {
    const proxy = new Proxy()
    proxy.folder = await mkdtemp(path.join(tmpdir(), 'ezpds-proxy-'))
    const file = (name) => path.join(proxy.folder, name)
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', file('key.pem')]
    const names = ['-subj', `/CN=${NAME}`, '-addext', `subjectAltName=DNS:${NAME}`]
    execFileSync('openssl', ['req', '-x509', ...key, '-out', file('cert.pem'), '-days', '2', ...names], { stdio: 'ignore' })
    const [keyPem, cert] = await Promise.all([readFile(file('key.pem')), readFile(file('cert.pem'))])
    // The browser believes this key, rather than any: with errors ignored it would have no passkeys.
    proxy.pin = createHash('sha256').update(createPublicKey(cert).export({ type: 'spki', format: 'der' })).digest('base64')
    proxy.server = https.createServer({ key: keyPem, cert }, (request, response) => proxy.pass(request, response))
    // Its port is known to the browser from the start; until it begins, it drops whoever calls.
    proxy.server.on('connection', (socket) => proxy.upstream || socket.destroy())
    proxy.server.listen(0, '127.0.0.1')
    await once(proxy.server, 'listening')
    return proxy
  }

  get flags() {
    const { port } = this.server.address()
    return [`--host-resolver-rules=MAP ${NAME}:443 127.0.0.1:${port}`, `--ignore-certificate-errors-spki-list=${this.pin}`]
  }

  pass(request, response) {
    const { method, url, headers } = request
    const sent = http.request({ host: '127.0.0.1', port: this.upstream, method, path: url, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers)
      answer.pipe(response)
    })
    sent.on('error', () => response.writeHead(502).end())
    request.pipe(sent)
  }

  async stop() {
    this.server.closeAllConnections()
    this.server.close()
    await rm(this.folder, { recursive: true })
  }
}

let network, browser, dns, proxy
before(async () => {
  network = await Server.start(['--no-accounts'])
  dns = await Dns.start()
  dns.rows.set(NAME, '8.8.4.4').set(`*.${NAME}`, '8.8.4.4')
  proxy = await Proxy.prepare()
  browser = await startBrowser(proxy.flags)
})
after(async () => {
  await browser?.close()
  await proxy?.stop()
  await network?.stop()
  dns?.socket.close()
})

test('a passkey ends the set-up', async () => {
  const setup = await SettingUp.prepare(network.plc, dns)
  try {
    const page = await openWindow(browser)
    await page.goto(await setup.start())
    await next(page, 'Begin')
    await page.getByLabel('Host name').fill(NAME)
    await next(page)
    await page.getByRole('button', { name: /^(Continue|Go on without)$/ }).click()
    await page.getByLabel('A proxy in front of it').check()
    await next(page)
    await next(page, 'Go on without mail')
    await page.getByLabel('Handle', { exact: true }).fill('ann')
    await page.getByLabel('E-mail address').fill('ann@example.com')
    await page.getByLabel('Password').fill('ann has a password')
    await next(page, 'Make my account')
    await page.getByLabel('I have kept it').check()
    await next(page)
    await next(page, 'Go on without backups')
    await step(page, 'Almost there')
    if (await page.getByLabel('Start the server with the machine').count()) {
      await page.getByLabel('Start the server with the machine').uncheck()
    }
    await next(page, 'Finish')
    await step(page, 'You are live')

    // The proxy does not run yet: the page waits for it, and then shows the way.
    await page.getByText(`Waiting until https://${NAME} answers this browser`).waitFor()
    await inspect(page, 'setup-live-waiting')
    proxy.upstream = setup.port
    const way = page.getByRole('link', { name: 'Add a passkey' })
    await way.waitFor()
    await page.getByText('On your phone').click()
    await page.getByRole('img', { name: 'QR code of the link' }).waitFor()
    await inspect(page, 'setup-live-passkey')
    const link = await way.getAttribute('href')
    assert.match(link, new RegExp(`^https://${NAME}/account/sign-in/link\\?account=ann\\.${NAME}#[\\w-]{43}$`))

    await plugIn(page)
    await way.click()
    await page.waitForURL(`https://${NAME}/account/sign-in/link**`)
    await page.getByText(`signs you in as ann.${NAME}`).waitFor()
    await inspect(page, 'sign-in-link')
    await next(page, 'Sign in')
    await page.waitForURL(`https://${NAME}/account/security#passkeys`)
    await page.getByLabel('Name of the new passkey').fill('My laptop')
    await page.getByRole('button', { name: 'Add a passkey' }).click()
    await page.getByText('The passkey was added.').waitFor()

    // From now on the passkey is enough.
    await page.goto(`https://${NAME}/account`)
    await page.getByRole('button', { name: 'Sign out' }).first().click()
    await page.getByText('You are signed out.').waitFor()
    await page.getByRole('button', { name: 'Sign in with a passkey' }).click()
    await page.waitForURL(`https://${NAME}/account`)

    // The link opens nothing any more, and says what does.
    const other = await openWindow(browser)
    await other.goto(link)
    await next(other, 'Sign in')
    await step(other, 'This link is over')
    await inspect(other, 'sign-in-link-over')
    await other.getByRole('link', { name: 'Sign in with your password' }).click()
    await other.getByLabel('Password', { exact: true }).fill('ann has a password')
    await next(other, 'Sign in')
    await other.waitForURL(`https://${NAME}/account/security#passkeys`)
    await other.getByText('My laptop').first().waitFor()
  } finally {
    await setup.end()
  }
})
