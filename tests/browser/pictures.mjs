// Takes the pictures of the README, for tests/network/pictures.py, which has the internet that they need:
//
//   node pictures.mjs walk LINK FOLDER      goes through the set-up behind the link, in Chromium
//   node pictures.mjs draw TEXT FOLDER NAME  draws what a terminal shows
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { openWindow, startBrowser } from './harness.mjs'
import { next, step } from './setting_up.mjs'

const HOST = 'pds.example.net'
const VIEW = { viewport: { width: 520, height: 400 }, deviceScaleFactor: 2 }

async function walk(browser, link, folder) {
  const page = await openWindow(browser, VIEW)
  try {
    await steps(page, link, folder)
  } catch (error) {
    console.error(await page.locator('body').innerText())
    throw error
  }
}

async function steps(page, link, folder) {
  let number = 1
  const take = async (name) => {
    number += 1
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme })
      await page.screenshot({ path: path.join(folder, `${number}-${name}-${colorScheme}.png`), fullPage: true })
    }
    await page.emulateMedia({ colorScheme: 'light' })
  }
  await page.goto(link)
  await next(page, 'Begin')
  await step(page, 'What is your server called?')
  await page.getByLabel('Host name').fill(HOST)
  await take('name')
  await next(page)
  await step(page, 'Write these rows at your DNS provider')
  await page.getByRole('button', { name: 'Continue', exact: true }).waitFor()
  await take('dns')
  await next(page)
  await step(page, 'Can the world reach this machine?')
  await take('reach')
  await next(page)
  await step(page, 'Get the certificate')
  await take('https')
  await next(page, 'Get the certificate')
  await step(page, 'Mail, if you like')
  await next(page, 'Go on without mail')
  await step(page, 'Your account')
  await page.getByLabel('Handle', { exact: true }).fill('alice')
  await page.getByText('alice.pds.example.net is free.').waitFor()
  await page.getByLabel('E-mail address').fill('alice@example.net')
  await page.getByLabel('Password').fill('correct horse battery')
  await take('you')
  await next(page, 'Make my account')
  await step(page, 'Keep your recovery key')
  await page.getByLabel('I have kept it').check()
  await next(page)
  await step(page, 'Backups')
  await page.getByLabel('Folder').fill('/mnt/backup/relay')
  await page.getByLabel('I have kept the key').check()
  await next(page, 'Turn backups on')
  await step(page, 'Almost there')
  await page.locator('#looked .notice').first().waitFor({ timeout: 120_000 })
  assert.match(await page.locator('#looked').textContent(), /^\s*All is well/)
  await next(page, 'Finish')
  await step(page, 'You are live')
  await page.getByRole('link', { name: 'Add a passkey' }).waitFor({ timeout: 60_000 })
  await take('live')
  assert.deepEqual(page.faults, [])
}

/** Makes HTML of what a terminal shows; the only colours are those of a QR code, a line of it for a line. */
function terminal(text) {
  const escaped = text.replaceAll('\r', '').replace(/[&<>]/g, (char) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[char])
  // eslint-disable-next-line no-control-regex
  const coloured = escaped.replace(/\x1b\[30;107m(.*?)\x1b\[0m\n/g, '<span class="qr">$1</span>')
  return `<!doctype html><title>Terminal</title><style>
    body { margin: 0; background: #16181d; color: #e6e6e6; }
    pre { margin: 0; padding: 20px 24px; font: 14px/1.45 "DejaVu Sans Mono", monospace; white-space: pre-wrap; }
    .qr { display: block; width: max-content; background: #fff; color: #000; font-size: 10px; line-height: 12px; white-space: pre; }
  </style><pre>${coloured}</pre>`
}

async function draw(browser, file, folder, name) {
  const page = await openWindow(browser, { ...VIEW, viewport: { width: 880, height: 200 } })
  await page.setContent(terminal(await readFile(file, 'utf8')))
  await page.screenshot({ path: path.join(folder, `${name}.png`), fullPage: true })
}

const [verb, ...args] = process.argv.slice(2)
// The authority of that internet is nobody else's.
const browser = await startBrowser(['--ignore-certificate-errors'])
try {
  await { walk, draw }[verb](browser, ...args)
} finally {
  await browser.close()
}
