// Apps ask to be let in, and people say yes or no.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Server, answerOf, inspect, openWindow, signIn, startBrowser } from './harness.mjs'

const ALMOST_ALL = 'atproto transition:generic transition:email transition:chat.bsky'
const DETAILED =
  'atproto repo:app.bsky.feed.post?action=create&action=delete repo?collection=app.bsky.feed.like&collection=com.example.note ' +
  'blob:image/* rpc:app.bsky.feed.getTimeline?aud=did:web:api.bsky.app%23bsky_appview account:email?action=manage identity:*'

let server, browser
before(async () => {
  server = await Server.start()
  browser = await startBrowser()
})
after(async () => {
  await browser?.close()
  await server?.stop()
})

test('someone signs in, unticks something, and lets an app in', async () => {
  const page = await openWindow(browser)
  await page.goto(await server.ask(ALMOST_ALL, { login_hint: 'alice.test' }))
  assert.equal(await page.getByLabel('Handle or e-mail address').inputValue(), 'alice.test')
  await inspect(page, 'sign-in-for-app')
  await signIn(page, 'alice.test', 'alice-password')
  await page.getByRole('heading', { name: 'Let localhost use your account?' }).waitFor()
  await inspect(page, 'consent')
  await page.getByLabel('See your e-mail address').uncheck()
  await page.getByLabel('Read and send private messages').uncheck()
  const told = await answerOf(page, () => page.getByRole('button', { name: 'Allow', exact: true }).click())
  assert.match(told.code, /^cod-/)
  assert.equal(told.state, 'a-state')
  assert.equal(told.iss, server.origin)
  assert.deepEqual(page.faults, [])
  await page.context().close()
})

test('what narrow scopes allow is told in words', async () => {
  const page = await openWindow(browser)
  await page.goto(await server.ask(DETAILED))
  await signIn(page, 'bob.test', 'bob-password')
  for (const words of [
    'Create and delete these kinds of data',
    'Upload pictures',
    'See and change your e-mail address',
    'Change your handle and your identity',
    'These requests to api.bsky.app',
  ]) {
    await page.getByLabel(words).waitFor()
  }
  await page.getByText('Technical details').click()
  await inspect(page, 'consent-narrow')
  await page.getByRole('button', { name: 'Deutsch' }).click()
  await page.getByRole('heading', { name: 'Darf localhost Ihr Konto verwenden?' }).waitFor()
  await inspect(page, 'consent-narrow-german')
  await page.context().close()
})

test('someone says no, at either step', async () => {
  const page = await openWindow(browser)
  await page.goto(await server.ask(ALMOST_ALL))
  const cancel = page.getByRole('button', { name: 'Cancel and go back to localhost' })
  assert.equal((await answerOf(page, () => cancel.click())).error, 'access_denied')
  await page.goto(await server.ask(ALMOST_ALL))
  await signIn(page, 'alice.test', 'alice-password')
  const deny = page.getByRole('button', { name: 'Do not allow' })
  assert.equal((await answerOf(page, () => deny.click())).error, 'access_denied')
  assert.deepEqual(page.faults, [])
  await page.context().close()
})

test('someone chooses which of their accounts an app gets', async () => {
  const page = await openWindow(browser)
  await page.goto(`${server.origin}/account/sign-in`)
  await signIn(page, 'alice.test', 'alice-password')
  await page.waitForURL(`${server.origin}/account`)
  await page.goto(`${server.origin}/account/sign-in?another=1`)
  await signIn(page, 'bob.test', 'bob-password')
  await page.waitForURL(`${server.origin}/account`)
  await page.goto(await server.ask('atproto'))
  await page.getByRole('heading', { name: 'Choose an account' }).waitFor()
  await inspect(page, 'choose-account')
  await page.getByRole('link', { name: 'alice.test' }).click()
  await page.getByRole('heading', { name: 'Let localhost use your account?' }).waitFor()
  await inspect(page, 'consent-sign-in-only')
  await page.getByRole('link', { name: 'Change' }).click()
  await page.getByRole('link', { name: 'bob.test' }).click()
  const told = await answerOf(page, () => page.getByRole('button', { name: 'Allow', exact: true }).click())
  assert.match(told.code, /^cod-/)
  await page.context().close()
})

test('someone makes an account on the way to an app', async () => {
  const page = await openWindow(browser)
  await page.goto(await server.ask(ALMOST_ALL, { prompt: 'create' }))
  await page.getByLabel('Handle').fill('frank')
  await page.getByLabel('E-mail address').fill('frank@example.com')
  await page.getByLabel('Password').fill('frank has a password')
  await page.getByRole('button', { name: 'Create account' }).click()
  await page.getByRole('heading', { name: 'Let localhost use your account?' }).waitFor()
  await page.getByText('frank.test').waitFor()
  const told = await answerOf(page, () => page.getByRole('button', { name: 'Allow', exact: true }).click())
  assert.match(told.code, /^cod-/)
  await page.context().close()
})

test('without scripts it is the same', async () => {
  const page = await openWindow(browser, { javaScriptEnabled: false })
  await page.goto(await server.ask(ALMOST_ALL))
  await signIn(page, 'alice.test', 'alice-password')
  await page.getByLabel('See your e-mail address').uncheck()
  const told = await answerOf(page, () => page.getByRole('button', { name: 'Allow', exact: true }).click())
  assert.match(told.code, /^cod-/)
  await page.context().close()
})

test('a request that is over, or someone else’s, says what to do', async () => {
  const [page, other] = [await openWindow(browser), await openWindow(browser)]
  const address = await server.ask('atproto')
  await page.goto(address)
  await other.goto(address)
  await other.getByRole('heading', { name: 'This sign-in began elsewhere' }).waitFor()
  await inspect(other, 'error-other-device')
  await other.goto(`${address}0`)
  await other.getByRole('heading', { name: 'This sign-in is over' }).waitFor()
  await inspect(other, 'error-over')
  await page.context().close()
  await other.context().close()
})

test('a code by mail is asked for after the password', async () => {
  const account = await server.account('grace')
  const page = await openWindow(browser)
  await confirmAndProtect(account)
  await page.goto(await server.ask('atproto'))
  await signIn(page, 'grace.test', account.password)
  await page.getByRole('heading', { name: 'One more step' }).waitFor()
  await inspect(page, 'sign-in-code')
  await page.getByLabel('Code').fill('12345')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('alert').getByText('This code is not right').waitFor()
  await inspect(page, 'sign-in-code-wrong')
  await page.getByLabel('Code').fill(await server.mailedCode('grace@example.com'))
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('heading', { name: 'Let localhost use your account?' }).waitFor()
  await page.context().close()
})

/** Makes signing in take a code by mail. */
async function confirmAndProtect({ email, accessJwt }) {
  const call = async (nsid, body) => {
    const headers = { authorization: `Bearer ${accessJwt}`, ...(body && { 'content-type': 'application/json' }) }
    const response = await fetch(`${server.pds}/xrpc/${nsid}`, { method: 'POST', headers, body: body && JSON.stringify(body) })
    assert(response.ok, `${nsid}: ${response.status} ${await response.text()}`)
  }
  await call('com.atproto.server.requestEmailConfirmation')
  await call('com.atproto.server.confirmEmail', { email, token: await server.mailedCode(email) })
  await call('com.atproto.server.requestEmailUpdate')
  await call('com.atproto.server.updateEmail', { email, emailAuthFactor: true, token: await server.mailedCode(email) })
}
