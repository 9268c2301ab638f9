// The account's pages: passkeys with Chromium's virtual authenticator, a second factor, and every page looked at.
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { after, before, test } from 'node:test'
import { Server, inspect, openWindow, plugIn, signIn, startBrowser } from './harness.mjs'

let server, browser
before(async () => {
  server = await Server.start()
  browser = await startBrowser()
})
after(async () => {
  await browser?.close()
  await server?.stop()
})

/** Signs in as a new account. */
async function arrive(name, options) {
  const account = await server.account(name)
  const page = await openWindow(browser, options)
  await page.goto(`${server.origin}/account`)
  await signIn(page, account.handle, account.password)
  await page.waitForURL(`${server.origin}/account`)
  return { page, account }
}

/** Returns the code that an authenticator app with this key shows. */
function totp(key, step = Math.floor(Date.now() / 30_000)) {
  const bits = [...key.replaceAll(' ', '')].map((char) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(char).toString(2).padStart(5, '0')).join('')
  const secret = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)))
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(step))
  const mac = createHmac('sha1', secret).update(counter).digest()
  const at = mac[19] & 15
  return String((mac.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, '0')
}

test('every page of the account', async () => {
  const { page } = await arrive('pauline')
  for (const path of ['', 'handle', 'handle?domain=pauline.example', 'email', 'security', 'password', 'authenticator', 'app-passwords', 'devices', 'data']) {
    await page.goto(`${server.origin}/account${path && '/'}${path}`)
    await inspect(page, `account-${path.replace(/\W+/g, '-') || 'overview'}`)
  }
  await page.goto(`${server.origin}/account/confirm`)
  await inspect(page, 'account-confirm')
  await page.context().close()
})

test('the pages of the account speak German', async () => {
  const { page } = await arrive('quirin')
  await page.getByRole('button', { name: 'Deutsch' }).click()
  await page.getByRole('heading', { name: 'Ihr Konto' }).waitFor()
  for (const path of ['', 'handle', 'security', 'data']) {
    await page.goto(`${server.origin}/account${path && '/'}${path}`)
    await inspect(page, `account-${path || 'overview'}-german`)
  }
  await page.context().close()
})

test('someone adds a passkey and signs in with it', async () => {
  const { page } = await arrive('rosa')
  await plugIn(page)
  await page.goto(`${server.origin}/account/security`)
  await page.getByLabel('Name of the new passkey').fill('My phone')
  await page.getByRole('button', { name: 'Add a passkey' }).click()
  await page.getByText('The passkey was added.').waitFor()
  await inspect(page, 'account-passkey')
  await page.goto(`${server.origin}/account/confirm?next=/account/data`)
  await inspect(page, 'account-confirm-passkey')
  await page.getByRole('button', { name: 'Use a passkey' }).click()
  await page.waitForURL(`${server.origin}/account/data`)

  await page.goto(`${server.origin}/account`)
  await page.getByRole('button', { name: 'Sign out' }).first().click()
  await page.getByText('You are signed out.').waitFor()
  await page.getByRole('button', { name: 'Sign in with a passkey' }).click()
  await page.waitForURL(`${server.origin}/account`)
  await page.getByText('rosa.test').first().waitFor()

  await page.goto(`${server.origin}/account/security`)
  await page.getByText('Rename or remove').click()
  await inspect(page, 'account-passkey-open')
  await page.getByLabel('New name').fill('Old phone')
  await page.getByRole('button', { name: 'Rename' }).click()
  await page.getByText('Old phone').first().waitFor()
  await page.getByText('Rename or remove').click()
  await page.getByRole('button', { name: 'Remove the passkey Old phone' }).click()
  await page.getByText('You have none yet.').waitFor()
  await page.context().close()
})

test('someone sets up an authenticator app, and signs in with its code and a backup code', async () => {
  // All of it without scripts.
  const { page, account } = await arrive('stefan', { javaScriptEnabled: false })
  await page.goto(`${server.origin}/account/security`)
  await page.getByText('Adding a passkey needs JavaScript').waitFor()
  await page.getByRole('link', { name: 'Set up an app' }).click()
  const key = await page.locator('code.copy').textContent()
  await page.getByLabel('Code that the app shows').fill(totp(key))
  await page.getByRole('button', { name: 'Turn on' }).click()
  await page.getByRole('heading', { name: 'Backup codes' }).waitFor()
  const codes = await page.locator('.codes code').allTextContents()
  assert.equal(codes.length, 10)

  for (const code of [totp(key, Math.floor(Date.now() / 30_000) + 1), codes[0]]) {
    const other = await openWindow(browser, { javaScriptEnabled: false })
    await other.goto(`${server.origin}/account`)
    await signIn(other, account.handle, account.password)
    await other.locator('input[name=code]').fill(code)
    await other.locator('main form button[type=submit]').first().click()
    await other.waitForURL(`${server.origin}/account`)
    await other.context().close()
  }
  await page.goto(`${server.origin}/account/security`)
  await page.getByText('9 left').waitFor()
  await page.context().close()
})

test('someone looks at their backup codes, an app password and their devices', async () => {
  const { page } = await arrive('tilda')
  await page.goto(`${server.origin}/account/authenticator`)
  const key = await page.locator('code.copy').textContent()
  await page.getByLabel('Code that the app shows').fill('000000')
  await page.getByRole('button', { name: 'Turn on' }).click()
  await page.getByRole('alert').getByText('The app should show another code now').waitFor()
  await page.getByLabel('Code that the app shows').fill(totp(key))
  await page.getByRole('button', { name: 'Turn on' }).click()
  await page.getByRole('heading', { name: 'Backup codes' }).waitFor()
  await inspect(page, 'account-backup-codes')
  await page.getByRole('link', { name: 'I have kept them' }).click()
  await inspect(page, 'account-security-guarded')
  await page.goto(`${server.origin}/account/app-passwords`)
  await page.getByLabel('What is it for?').fill('A bot')
  await page.getByRole('button', { name: 'Make it' }).click()
  await page.getByText('This is the password for A bot.').waitFor()
  await inspect(page, 'account-app-password-made')
  await page.goto(`${server.origin}/account/data`)
  const download = page.waitForEvent('download')
  await page.getByRole('button', { name: 'Download', exact: true }).click()
  assert.equal((await download).suggestedFilename(), 'tilda.test.zip')
  await page.getByLabel('Yes, delete my account tilda.test').check()
  await page.getByRole('button', { name: 'Delete the account' }).click()
  await page.getByText('Your account is hidden now.').waitFor()
  await inspect(page, 'account-deleted')
  await page.getByRole('button', { name: 'Keep my account' }).click()
  await page.getByText('Your account is active again.').waitFor()
  await page.context().close()
})
