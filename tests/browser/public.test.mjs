// What everyone may see: the front page, the status, the operator's texts; and invitations, on the way to an app.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { Server, inspect, openWindow, startBrowser } from './harness.mjs'

const TERMS = `# Terms of this server

Be **kind** to each other. What you write is yours.

## What is not welcome

1. Spam, and what the law forbids
2. Accounts that pretend to be *someone else*

### And what happens then

- First we write to you
- Then your account may be closed; see [how to take it elsewhere](https://example.com/move)

<b>This is shown as it stands.</b>
`

let server, browser, folder
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ezpds-public-'))
  await writeFile(path.join(folder, 'terms.md'), TERMS)
  await writeFile(path.join(folder, 'terms.de.md'), '# Regeln dieses Servers\n\nSeien Sie nett zueinander.')
  const settings = {
    'accounts.invite_required': 'true',
    'server.terms_file': path.join(folder, 'terms.md'),
    'server.service_name': 'Our village',
    'server.contact_email': 'mayor@example.com',
    'server.show_account_count': 'true',
  }
  server = await Server.start(Object.entries(settings).flatMap(([name, value]) => ['--set', `${name}=${value}`]))
  browser = await startBrowser()
})
after(async () => {
  await browser?.close()
  await server?.stop()
  await rm(folder, { recursive: true, force: true })
})

/** Makes an invite code. */
async function inviteCode(uses = 1) {
  const headers = { 'content-type': 'application/json', authorization: `Basic ${btoa(`admin:${server.adminPassword}`)}` }
  const response = await fetch(`${server.pds}/xrpc/com.atproto.server.createInviteCode`, { method: 'POST', headers, body: JSON.stringify({ useCount: uses }) })
  return (await response.json()).code
}

test('the front page, the status and the terms', async () => {
  // All of it without scripts.
  const page = await openWindow(browser, { javaScriptEnabled: false })
  await page.goto(server.origin)
  await page.getByRole('heading', { name: 'Our village' }).waitFor()
  await page.getByText('By invitation').waitFor()
  await page.getByRole('link', { name: 'mayor@example.com' }).waitFor()
  await page.getByRole('link', { name: 'Status' }).click()
  await page.getByText('The server is up.').waitFor()
  await page.getByRole('link', { name: 'Terms' }).click()
  await page.getByRole('heading', { name: 'Terms of this server' }).waitFor()
  await page.getByText('<b>This is shown as it stands.</b>').waitFor()
  await page.context().close()

  const seen = await openWindow(browser)
  for (const [name, address] of Object.entries({ 'front-by-invite': '', status: 'status', terms: 'terms' })) {
    await seen.goto(`${server.origin}/${address}`)
    await inspect(seen, name)
  }
  await seen.getByRole('button', { name: 'Deutsch' }).click()
  await seen.getByRole('heading', { name: 'Regeln dieses Servers' }).waitFor()
  await inspect(seen, 'terms-german')
  for (const [name, address] of Object.entries({ 'front-by-invite-german': '', 'status-german': 'status' })) {
    await seen.goto(`${server.origin}/${address}`)
    await inspect(seen, name)
  }
  await seen.context().close()
})

test('someone opens an invitation, sees whether the name is free, and is shown the way to the app', async () => {
  const address = `${server.origin}/join/${await inviteCode()}`
  const page = await openWindow(browser)
  await page.goto(address)
  await page.getByRole('heading', { name: 'You are invited to Our village' }).waitFor()
  await inspect(page, 'join')
  await page.getByText('Go on on a phone').click()
  await inspect(page, 'join-qr')
  assert.equal(await readCode(page), address)
  await page.getByLabel('Handle').fill('alice')
  await page.locator('#handle-state').getByText('This handle is taken. These are free: alice1.test').waitFor()
  await page.getByLabel('Handle').fill('nora')
  await page.locator('#handle-state').getByText('nora.test is free.').waitFor()
  await page.getByLabel('E-mail address').fill('nora@example.com')
  await page.getByLabel('Password').fill('nora has a password')
  await page.getByRole('button', { name: 'Create account' }).click()
  await page.waitForURL(`${server.origin}/account/welcome`)
  await page.getByText('@nora.test').waitFor()
  assert.equal(await page.getByRole('link', { name: 'Open bsky.app' }).getAttribute('href'), 'https://bsky.app/')
  await inspect(page, 'welcome')
  await page.getByRole('button', { name: 'Deutsch' }).click()
  await page.getByRole('heading', { name: 'Willkommen!' }).waitFor()
  await inspect(page, 'welcome-german')

  await page.goto(address)
  await page.getByRole('heading', { name: 'Diese Einladung gilt nicht' }).waitFor()
  await inspect(page, 'join-over-german')
  await page.getByRole('button', { name: 'English' }).click()
  await page.getByRole('heading', { name: 'This invitation is not good' }).waitFor()
  await inspect(page, 'join-over')
  await page.context().close()
})

test('without scripts it is the same, in German', async () => {
  const page = await openWindow(browser, { javaScriptEnabled: false, locale: 'de-DE' })
  await page.goto(`${server.origin}/join/${await inviteCode()}`)
  await page.getByRole('heading', { name: 'Sie sind eingeladen: Our village' }).waitFor()
  await page.getByLabel('Handle').fill('alice')
  await page.getByLabel('E-Mail-Adresse').fill('otto@example.com')
  await page.getByLabel('Passwort').fill('otto hat ein passwort')
  await page.getByRole('button', { name: 'Konto anlegen' }).click()
  await page.getByRole('alert').waitFor()
  await page.getByLabel('Handle').fill('otto')
  await page.getByLabel('Passwort').fill('otto hat ein passwort')
  await page.getByRole('button', { name: 'Konto anlegen' }).click()
  await page.waitForURL(`${server.origin}/account/welcome`)
  await page.getByText('@otto.test').waitFor()
  await page.context().close()
})

test('the operator makes an invitation in a terminal', async () => {
  const { stdout } = await promisify(execFile)(process.env.EZPDS_RELAY, ['invite', '--json', '--data-dir', server.data, '--set', `server.public_url=${server.origin}`])
  const { link, code } = JSON.parse(stdout)
  assert.equal(link, `${server.origin}/join/${code}`)
  const page = await openWindow(browser, { locale: 'de-DE' })
  await page.goto(link)
  await page.getByRole('heading', { name: 'Sie sind eingeladen: Our village' }).waitFor()
  await inspect(page, 'join-german')
  await page.context().close()
})

/** Reads the QR code that is on the page, from its picture. */
async function readCode(page) {
  const { default: jsQR } = await import('jsqr')
  const box = page.locator('svg.qr')
  const pixels = await box.evaluate(async (svg) => {
    const image = new Image()
    const copy = svg.cloneNode(true)
    copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg')
    copy.setAttribute('width', '400')
    copy.setAttribute('height', '400')
    image.src = `data:image/svg+xml,${encodeURIComponent(copy.outerHTML)}`
    await image.decode()
    const canvas = new OffscreenCanvas(400, 400).getContext('2d')
    canvas.drawImage(image, 0, 0, 400, 400)
    return [...canvas.getImageData(0, 0, 400, 400).data]
  })
  return jsQR(Uint8ClampedArray.from(pixels), 400, 400)?.data
}
