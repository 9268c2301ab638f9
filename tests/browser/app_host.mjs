// A host of an app, by https, on this machine: its name is in a DNS of the test's own, its certificate from an authority that only
// the test knows, as in a company.
import { execFileSync } from 'node:child_process'
import dgram from 'node:dgram'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import { tmpdir } from 'node:os'
import path from 'node:path'

export const NAME = 'app.example.test'

/** Makes a certificate for the name, and the authority behind it. */
async function certify(folder) {
  const file = (name) => path.join(folder, name)
  const openssl = (...args) => execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  openssl('req', '-x509', ...key, '-keyout', file('ca.key'), '-out', file('ca.pem'), '-days', '2', '-subj', '/CN=Authority of the test')
  openssl('req', ...key, '-keyout', file('app.key'), '-out', file('app.csr'), '-subj', `/CN=${NAME}`)
  await writeFile(file('extensions'), `subjectAltName=DNS:${NAME}\nbasicConstraints=CA:FALSE\n`)
  const signed = ['-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial', '-extfile', file('extensions')]
  openssl('x509', '-req', '-in', file('app.csr'), '-out', file('app.pem'), '-days', '2', ...signed)
  return { key: await readFile(file('app.key')), cert: await readFile(file('app.pem')), authority: file('ca.pem') }
}

/** Starts a nameserver for which every name is this machine. */
async function nameserver() {
  const socket = dgram.createSocket('udp4')
  socket.on('message', (question, from) => {
    // One question: its name ends at the first empty label, then come type and class.
    const end = question.indexOf(0, 12) + 5
    const isAddress = question.readUInt16BE(end - 4) === 1
    const head = Buffer.from(question.subarray(0, 12))
    head.writeUInt16BE(0x8580, 2)
    head.writeUInt16BE(isAddress ? 1 : 0, 6)
    head.fill(0, 8)
    const answer = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1])
    const parts = [head, question.subarray(12, end), ...(isAddress ? [answer] : [])]
    socket.send(Buffer.concat(parts), from.port, from.address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return socket
}

/** Starts the host; `serve` answers what is asked of it. */
export async function startHost(serve) {
  const folder = await mkdtemp(path.join(tmpdir(), 'ezpds-app-'))
  const { key, cert, authority } = await certify(folder)
  const dns = await nameserver()
  const server = createServer({ key, cert }, serve).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    origin: `https://${NAME}:${server.address().port}`,
    /** Lets `relay dev` find the host and believe it. */
    settings: ['--set', `network.dns_servers=127.0.0.1:${dns.address().port}`, '--set', `network.extra_root_certificates=${authority}`],
    /** Lets the browser do so. */
    flags: [`--host-resolver-rules=MAP ${NAME} 127.0.0.1`, '--ignore-certificate-errors'],
    async stop() {
      dns.close()
      server.closeAllConnections()
      server.close()
      await rm(folder, { recursive: true })
    },
  }
}
