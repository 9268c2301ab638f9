// "Just try it here": from the set-up's first page to a server on this machine that an app uses; ended, and taken up again.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { AtpAgent } from '@atproto/api'
import { inspect, openWindow, signIn, startBrowser } from './harness.mjs'
import { SettingUp, next, step } from './setting_up.mjs'

let browser
before(async () => {
  browser = await startBrowser()
})
after(async () => {
  await browser?.close()
})

/** Goes from the link to the trial, and to the account of alice in it. */
async function tryIt(setup, name) {
  const page = await openWindow(browser)
  await page.goto(await setup.start())
  await next(page, 'Begin')
  await step(page, 'What is your server called?')
  await next(page, 'Just try it here')
  await step(page, 'Your little network starts')
  // Not before it answers.
  await page.getByRole('link', { name: 'Open it' }).waitFor()
  if (name) await inspect(page, name)
  await page.getByRole('link', { name: 'Open it' }).click()
  await signIn(page, 'alice.test', 'alice-password')
  await page.waitForURL(`http://localhost:${setup.port}/account`)
  await page.getByText('alice.test').first().waitFor()
  await page.context().close()
  const agent = new AtpAgent({ service: `http://localhost:${setup.port}` })
  await agent.login({ identifier: 'alice.test', password: 'alice-password' })
  return agent
}

test('someone tries it on their machine, posts with an app, and goes on the next day', async () => {
  const setup = await SettingUp.bare()
  try {
    let agent = await tryIt(setup, 'setup-trial')
    const posted = await agent.post({ text: 'Is this thing on?' })
    const rkey = posted.uri.split('/').pop()
    const { value } = await agent.getPost({ repo: agent.assertDid, rkey })
    assert.equal(value.text, 'Is this thing on?')
    const { did } = agent.session

    // The machine is switched off without a word.
    await setup.kill()
    agent = await tryIt(setup)
    assert.equal(agent.session.did, did, 'it is the same alice')
    const again = await agent.getPost({ repo: did, rkey })
    assert.equal(again.value.text, 'Is this thing on?')
    await agent.post({ text: 'Still here' })
    const { data } = await agent.com.atproto.repo.listRecords({ repo: did, collection: 'app.bsky.feed.post' })
    assert.deepEqual(data.records.map((record) => record.value.text).sort(), ['Is this thing on?', 'Still here'])
  } finally {
    await setup.end()
  }
})
