// What was acknowledged is still there after the server was stopped, or killed, in the midst of writing.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { AtpAgent } from '@atproto/api'
import { listAll } from './follower.mjs'
import { startNetwork } from './harness.mjs'
import { png } from './images.mjs'

const POST = 'app.bsky.feed.post'

let net
before(async () => (net = await startNetwork({ directory: true })))
after(() => net?.stop())

/** Writes from several accounts at once and ends the server when `enough` writes are acknowledged. */
async function endWhileWriting(agents, enough, signal) {
  const acknowledged = new Map(agents.map((agent) => [agent.did, new Map()]))
  let count = 0
  let ended = false
  let end
  const reached = new Promise((resolve) => (end = resolve))
  const writer = async (agent, name) => {
    for (let i = 0; !ended; i += 1) {
      try {
        const { uri, cid } = await agent.post({ text: `${name} ${i}` })
        acknowledged.get(agent.did).set(uri, cid)
      } catch {
        return
      }
      count += 1
      if (count === enough) end()
    }
  }
  const writers = agents.flatMap((agent) => [1, 2, 3].map((name) => writer(agent, name)))
  await reached
  await net.restart(signal)
  ended = true
  await Promise.all(writers)
  return acknowledged
}

for (const signal of process.env.EZPDS_TARGET === 'official' ? ['SIGTERM'] : ['SIGTERM', 'SIGKILL', 'SIGKILL']) {
  test(`after ${signal} nothing is lost, and nothing is told twice`, async () => {
    const agents = [await net.account('one'), await net.account('two'), await net.account('three')]
    const { data } = await agents[0].uploadBlob(png(16, [1, 1, 1]), { encoding: 'image/png' })
    await agents[0].post({
      text: 'x',
      embed: { $type: 'app.bsky.embed.images', images: [{ image: data.blob, alt: '' }] },
    })
    const acknowledged = await endWhileWriting(agents, 60, signal)

    for (const agent of agents) {
      const written = acknowledged.get(agent.did)
      assert(written.size > 0)
      const records = await listAll(
        net,
        'com.atproto.repo.listRecords',
        { repo: agent.did, collection: POST, limit: 100 },
        'records',
      )
      const held = new Map(records.map(({ uri, cid }) => [uri, cid]))
      for (const [uri, cid] of written) assert.equal(held.get(uri), cid, `${uri} was acknowledged`)
    }
    const blob = await net.xrpc('com.atproto.sync.getBlob', {
      params: { did: agents[0].did, cid: data.blob.ref.toString() },
      raw: true,
    })
    assert(Buffer.from(blob.body).equals(png(16, [1, 1, 1])))

    // Sessions outlive the server, and the chains go on.
    const [resumed] = agents
    const session = await net.xrpc('com.atproto.server.getSession', { token: resumed.session.accessJwt })
    assert.equal(session.status, 200)
    const again = new AtpAgent({ service: net.pds })
    await again.resumeSession({ ...resumed.session })
    await again.post({ text: 'after' })
    await net.assertFirehoseAgrees()
  })
}
