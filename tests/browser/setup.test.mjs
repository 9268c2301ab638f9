// Setting a server up on its pages, from an empty folder to a server that answers.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { Server, inspect, openWindow, startBrowser } from './harness.mjs'
import { Dns, SettingUp, freePort, next, step } from './setting_up.mjs'

let network, browser, dns
before(async () => {
  // For its PLC directory.
  network = await Server.start(['--no-accounts'])
  browser = await startBrowser()
  dns = await Dns.start()
})
after(async () => {
  await browser?.close()
  await network?.stop()
  dns?.socket.close()
})

test('from an empty folder to a server that answers, cut off in between', async () => {
  const setup = await SettingUp.prepare(network.plc, dns)
  try {
    const link = await setup.start()
    const page = await openWindow(browser)
    await page.goto(link.replace(/token=.*/, 'token=AAAA'))
    await page.getByText('not the one that the server printed').waitFor()
    await inspect(page, 'setup-wrong-link')
    await page.goto(link)
    await page.getByText(setup.data).waitFor()
    await inspect(page, 'setup-begin')
    await next(page, 'Begin')

    await step(page, 'What is your server called?')
    const other = await openWindow(browser)
    await other.goto(link)
    await other.getByText('used already').waitFor()
    await other.context().close()
    await page.getByLabel('Host name').fill('nas.local')
    await next(page)
    await page.getByRole('alert').getByText('below a domain that you own').waitFor()
    await inspect(page, 'setup-name')
    await page.getByLabel('Host name').fill('https://pds.example.com/')
    await next(page)

    await step(page, 'Write these rows at your DNS provider')
    await page.getByText('Not there yet').first().waitFor()
    await inspect(page, 'setup-dns-missing')
    // The page sees by itself that the rows were written.
    dns.rows.set('pds.example.com', '8.8.4.4').set('*.pds.example.com', '8.8.4.4')
    await page.getByText('8.8.4.4').first().waitFor()
    await inspect(page, 'setup-dns')
    await page.getByRole('button', { name: /^(Continue|Go on without)$/ }).click()

    await step(page, 'Can the world reach this machine?')
    await inspect(page, 'setup-reach')
    await page.getByLabel('This server').check()
    await next(page)
    await step(page, 'Get the certificate')
    await inspect(page, 'setup-https')
    await next(page, 'Get the certificate')
    await page.getByRole('alert').getByText('There is no certificate yet.').waitFor({ timeout: 60_000 })
    await inspect(page, 'setup-https-failed')
    await page.getByRole('button', { name: /^Ports/ }).click()
    await step(page, 'Can the world reach this machine?')
    await page.getByLabel('A proxy in front of it').check()
    await page.getByText('What to write into the proxy').click()
    await inspect(page, 'setup-reach-proxy')
    await next(page)

    await step(page, 'Mail, if you like')
    await page.getByLabel('Mail server').fill('localhost')
    await page.getByLabel('Port', { exact: true }).fill(String(await freePort()))
    await page.getByLabel('Sender').fill('pds@example.com')
    await page.getByLabel('Send a mail on trial to').fill('ann@example.com')
    await next(page, 'Send, and continue')
    await page.getByRole('alert').getByText('The mail could not be sent.').waitFor()
    await inspect(page, 'setup-mail-failed')
    await next(page, 'Go on without mail')

    await step(page, 'Your account')
    await page.getByLabel('Handle', { exact: true }).fill('ann')
    await page.getByText('ann.pds.example.com is free.').waitFor()
    await page.getByLabel('E-mail address').fill('ann@example.com')
    await page.getByLabel('Password').fill('ann has a password')
    await inspect(page, 'setup-account')
    await next(page, 'Make my account')
    await step(page, 'Keep your recovery key')
    const key = await page.locator('#key').textContent()

    // The power goes, and comes back: the old cookie opens nothing, and the new link leads to where it was.
    await setup.kill()
    const again = await setup.start()
    await page.goto(new URL('/setup/recovery-key', again).href)
    await page.getByText('Only whoever started the server').waitFor()
    await page.goto(again)
    await next(page, 'Begin')
    await step(page, 'Keep your recovery key')
    assert.equal(await page.locator('#key').textContent(), key)
    await inspect(page, 'setup-key')
    await page.getByLabel('I have kept it').check()
    await next(page)

    await step(page, 'Backups')
    await page.getByLabel('Folder').fill('relative')
    await page.getByLabel('I have kept the key').check()
    await next(page, 'Turn backups on')
    await page.getByRole('alert').getByText('whole path').waitFor()
    await page.getByLabel('Folder').fill(path.join(setup.folder, 'backups'))
    await page.getByLabel('I have kept the key').check()
    await inspect(page, 'setup-backup')
    await next(page, 'Turn backups on')

    await step(page, 'Almost there')
    await page.locator('#looked .notice').first().waitFor({ timeout: 60_000 })
    await inspect(page, 'setup-finish')
    if (await page.getByLabel('Start the server with the machine').count()) {
      await page.getByLabel('Start the server with the machine').uncheck()
    }
    await next(page, 'Finish')
    await step(page, 'You are live')
    await page.getByText('You are @ann.pds.example.com.').waitFor()
    assert.equal(await page.getByRole('link', { name: 'Open your account' }).getAttribute('href'), 'https://pds.example.com/account')
    await inspect(page, 'setup-live')
    await page.context().close()

    // The same process is the server now.
    const described = await setup.serves('/xrpc/com.atproto.server.describeServer')
    assert.equal(described.did, 'did:web:pds.example.com')
    assert.equal(setup.process.exitCode, null)
    const resolved = await setup.serves('/xrpc/com.atproto.identity.resolveHandle?handle=ann.pds.example.com')
    assert.match(resolved.did, /^did:plc:/)
    const config = await readFile(path.join(setup.data, 'relay.toml'), 'utf8')
    assert.match(config, /mode = "proxy"/)
    assert.doesNotMatch(config, /password/)
  } finally {
    await setup.end()
  }
})

test('an account moves in from another server, cut off in between', async () => {
  const old = await network.account('mover')
  const upload = await fetch(`${network.pds}/xrpc/com.atproto.repo.uploadBlob`, {
    method: 'POST',
    headers: { authorization: `Bearer ${old.accessJwt}`, 'content-type': 'text/plain' },
    body: 'a text',
  })
  const { blob } = await upload.json()
  const write = (record) =>
    network.xrpc('com.atproto.repo.createRecord', { repo: old.did, collection: record.$type, record }, old.accessJwt)
  await write({ $type: 'com.example.file', blob })
  for (let n = 0; n < 5; n += 1) {
    await write({ $type: 'app.bsky.feed.post', text: `post ${n}`, createdAt: '2026-01-01T00:00:00.000Z' })
  }
  dns.rows.set('localhost', '127.0.0.1').set('pds.example.com', '8.8.4.4').set('*.pds.example.com', '8.8.4.4')
  // Whoever signs in there needs a code of the mail.
  await network.xrpc('com.atproto.server.requestEmailConfirmation', undefined, old.accessJwt)
  const confirmation = { email: old.email, token: await network.mailedCode(old.email) }
  await network.xrpc('com.atproto.server.confirmEmail', confirmation, old.accessJwt)
  await network.xrpc('com.atproto.server.updateEmail', { email: old.email, emailAuthFactor: true }, old.accessJwt)
  dns.texts.set('_atproto.mover.test', `did=${old.did}`)
  const setup = await SettingUp.prepare(network.plc, dns)
  try {
    const page = await openWindow(browser)
    await page.goto(await setup.start())
    await next(page, 'Begin')
    await page.getByLabel('Host name').fill('pds.example.com')
    await next(page)
    await step(page, 'Write these rows at your DNS provider')
    await page.getByRole('button', { name: /^(Continue|Go on without)$/ }).click()
    await page.getByLabel('A proxy in front of it').check()
    await next(page)
    await next(page, 'Go on without mail')
    await step(page, 'Your account')
    await page.getByText('I have an account elsewhere').click()
    await page.getByLabel('Your handle there').fill('nobody.test')
    await next(page, 'Move it here')
    await page.getByRole('alert').getByText('There is no such account.').waitFor()
    await inspect(page, 'setup-account-move')
    await page.getByLabel('Your handle there').fill('@mover.test')
    await next(page, 'Move it here')

    await step(page, 'Move your account here')
    await page.getByText('Your handle belongs to localhost.').waitFor()
    assert.equal(await page.getByLabel('Handle here').inputValue(), 'mover.pds.example.com')
    await inspect(page, 'setup-move-sign-in')
    await page.getByLabel('Password at localhost').fill('wrong')
    await next(page, 'Copy my account')
    await page.getByRole('alert').getByText('The old server does not know this password.').waitFor()
    await page.getByLabel('Password at localhost').fill(old.password)
    await page.getByLabel('Password here').fill('short')
    await next(page, 'Copy my account')
    const factor = page.getByLabel('Code of the mail', { exact: true })
    await page.getByText('localhost has mailed you a code to sign in with.').waitFor()
    await inspect(page, 'setup-move-factor')
    await factor.fill('AAAAA-BBBBB')
    await next(page)
    await page.getByRole('alert').getByText('The old server does not take this code.').waitFor()
    const mails = async () => (await (await fetch(`${network.mailbox}?format=json&to=${old.email}`)).json()).mails.length
    const before = await mails()
    await next(page, 'Mail me another code')
    await page.getByRole('alert').waitFor({ state: 'detached' })
    assert.equal(await mails(), before + 1)
    await factor.fill(await network.mailedCode(old.email))
    await next(page)
    await page.getByRole('alert').getByText('This password will not do here.').waitFor()
    await page.getByLabel('Password at localhost').fill(old.password)
    await page.getByLabel('Password here').fill('a password for here')
    await next(page, 'Copy my account')
    await factor.waitFor()
    await factor.fill(await network.mailedCode(old.email))
    await next(page)
    await page.getByText('Here now: 6 records, and 1 of their pictures and videos.').waitFor()
    await inspect(page, 'setup-move-copied')

    // The power goes, and comes back.
    await setup.kill()
    await page.goto(await setup.start())
    await next(page, 'Begin')
    await page.getByText('Here now: 6 records, and 1 of their pictures and videos.').waitFor()
    // Signing in anew on the way, as where the session there has ended, takes a code as well.
    await page.evaluate(async (password) => {
      const csrf = document.querySelector('input[name=csrf]').value
      await fetch('/setup/account', { method: 'POST', body: new URLSearchParams({ csrf, do: 'sign-in', password }) })
    }, old.password)
    await page.reload()
    await page.getByRole('button', { name: 'Give the move up' }).waitFor()
    await factor.fill(await network.mailedCode(old.email))
    await next(page)
    await page.getByText('Here now: 6 records, and 1 of their pictures and videos.').waitFor()
    await next(page, 'Mail me the code')
    await page.getByLabel('Code of the mail from localhost').fill('AAAAA-BBBBB')
    await next(page, 'Move the account')
    await page.getByRole('alert').getByText('The old server does not take this code.').waitFor()
    await inspect(page, 'setup-move-code')
    // What is posted in the last moment comes along.
    await write({ $type: 'app.bsky.feed.post', text: 'late', createdAt: '2026-01-01T00:00:00.000Z' })
    await page.getByLabel('Code of the mail from localhost').fill(await network.mailedCode(old.email))
    await next(page, 'Move the account')
    await step(page, 'Keep your recovery key')
    await page.getByLabel('I have kept it').check()
    await next(page)
    await step(page, 'Backups')
    await next(page, 'Go on without backups')
    await step(page, 'Almost there')
    if (await page.getByLabel('Start the server with the machine').count()) {
      await page.getByLabel('Start the server with the machine').uncheck()
    }
    await next(page, 'Finish')
    await step(page, 'You are live')
    await page.getByText('You are @mover.pds.example.com.').waitFor()
    const passkey = await page.locator('#passkey a').first().getAttribute('href')
    assert.match(passkey, /^https:\/\/pds\.example\.com\/account\/sign-in\/link\?account=mover\.pds\.example\.com#/)
    await page.context().close()

    const posts = await setup.serves(`/xrpc/com.atproto.repo.listRecords?repo=${old.did}&collection=app.bsky.feed.post`)
    assert.equal(posts.records.length, 6)
    assert.equal((await setup.serves(`/xrpc/com.atproto.repo.describeRepo?repo=${old.did}`)).handle, 'mover.pds.example.com')
    const data = await (await fetch(`${network.plc}/${old.did}/data`)).json()
    assert.equal(data.services.atproto_pds.endpoint, 'https://pds.example.com')
    assert.deepEqual(data.alsoKnownAs, ['at://mover.pds.example.com'])
    assert.equal(data.rotationKeys.length, 2)
    const there = await (await fetch(`${network.pds}/xrpc/com.atproto.sync.getRepoStatus?did=${old.did}`)).json()
    assert.deepEqual([there.active, there.status], [false, 'deactivated'])
  } finally {
    await setup.end()
  }
})

test('it works without scripts, and in German', async () => {
  const setup = await SettingUp.prepare(network.plc, dns)
  try {
    const page = await openWindow(browser, { javaScriptEnabled: false, locale: 'de-DE' })
    await page.goto(await setup.start())
    await next(page, 'Los geht’s')
    await step(page, 'Wie heißt dein Server?')
    await page.getByLabel('Hostname').fill('pds.example.com')
    await next(page, 'Weiter')
    await step(page, 'Trage diese Zeilen bei deinem DNS-Anbieter ein')
    await page.getByRole('button', { name: /^(Weiter|Trotzdem weiter)$/ }).click()
    await step(page, 'Erreicht die Welt diesen Rechner?')
    await page.getByRole('button', { name: /^Name/ }).click()
    await step(page, 'Wie heißt dein Server?')
    await page.getByRole('button', { name: 'English' }).click()
    await step(page, 'What is your server called?')
    await page.context().close()
  } finally {
    await setup.end()
  }
})

test('a page of somebody else gets nothing from it', async () => {
  const setup = await SettingUp.prepare(network.plc, dns)
  try {
    const link = await setup.start()
    const page = await openWindow(browser)
    await page.goto(link)
    await next(page, 'Begin')
    await step(page, 'What is your server called?')
    // Another site, opened in the same browser: it can send a form and put the page into a frame, as far as it is let.
    const origin = new URL(link).origin
    await page.context().route('http://evil.example/**', (route) =>
      route.fulfill({
        contentType: 'text/html',
        body: `<!doctype html><title>Evil</title><iframe src="${origin}/setup/name"></iframe>
          <form method="post" action="${origin}/setup/name"><input name="host" value="evil.example"><button>Win</button></form>`,
      }),
    )
    await page.goto('http://evil.example/')
    assert.equal(await page.frameLocator('iframe').getByLabel('Host name').count(), 0)
    await page.getByRole('button', { name: 'Win' }).click()
    await page.getByText('did not come from a page of the set-up').waitFor()
    await page.context().close()
  } finally {
    await setup.end()
  }
})
