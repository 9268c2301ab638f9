// A `relay` that is being set up, and the names that it finds.
import { spawn } from 'node:child_process'
import dgram from 'node:dgram'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'

/** Returns a port that nothing listens on. */
export async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

/** A DNS server that knows the names in `rows`, where a star stands for any label. */
export class Dns {
  rows = new Map()
  /** TXT rows. */
  texts = new Map()

  static async start() {
    const dns = new Dns()
    dns.socket = dgram.createSocket('udp4')
    dns.socket.on('message', (question, from) => dns.socket.send(dns.answer(question), from.port, from.address))
    dns.socket.bind(0, '127.0.0.1')
    await once(dns.socket, 'listening')
    dns.address = `127.0.0.1:${dns.socket.address().port}`
    return dns
  }

  answer(question) {
    const labels = []
    let at = 12
    for (; question[at] !== 0; at += question[at] + 1) labels.push(question.toString('latin1', at + 1, at + 1 + question[at]))
    const type = question.readUInt16BE(at + 1)
    const end = at + 5
    const found = this.rows.get(labels.join('.').toLowerCase()) ?? this.rows.get(['*', ...labels.slice(1)].join('.').toLowerCase())
    const text = type === 16 && this.texts.get(labels.join('.').toLowerCase())
    const header = Buffer.alloc(12)
    question.copy(header, 0, 0, 2)
    header.writeUInt16BE(found || text ? 0x8580 : 0x8583, 2)
    header.writeUInt16BE(1, 4)
    const parts = [header, question.subarray(12, end)]
    if (found && type === 1) {
      header.writeUInt16BE(1, 6)
      parts.push(Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...found.split('.').map(Number)]))
    }
    if (text) {
      header.writeUInt16BE(1, 6)
      parts.push(Buffer.from([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0, text.length + 1, text.length]), Buffer.from(text))
    }
    return Buffer.concat(parts)
  }
}

/** A `relay` that is being set up, in a folder of its own. */
export class SettingUp {
  /** Prepares one that knows nothing of this machine but a port and a folder. */
  static async bare() {
    const setup = new SettingUp()
    setup.folder = await mkdtemp(path.join(tmpdir(), 'ezpds-setup-'))
    setup.data = path.join(setup.folder, 'data')
    setup.port = await freePort()
    setup.args = ['setup', '--browser', '--bind', `127.0.0.1:${setup.port}`, '--data-dir', setup.data]
    return setup
  }

  /** Prepares one in a network of the test's own. */
  static async prepare(plc, dns) {
    const setup = await SettingUp.bare()
    const settings = {
      'identity.plc_url': plc,
      'network.dns_servers': dns.address,
      'network.protect_private_addresses': 'false',
      'services.appview_url': 'none',
      'services.report_url': 'none',
      'services.crawlers': 'none',
      'server.bind': `127.0.0.1:${setup.port}`,
      'tls.acme_directory': `https://localhost:${await freePort()}/dir`,
      'tls.https_bind': `127.0.0.1:${await freePort()}`,
      'tls.http_bind': `127.0.0.1:${await freePort()}`,
    }
    for (const [name, value] of Object.entries(settings)) setup.args.push('--set', `${name}=${value}`)
    return setup
  }

  /** Starts it, and returns the link that it prints. */
  async start() {
    const env = { PATH: process.env.PATH, HOME: this.folder }
    this.process = spawn(path.resolve(process.env.EZPDS_RELAY), this.args, { cwd: this.folder, env, stdio: ['ignore', 'pipe', 'inherit'] })
    let said = ''
    const link = new Promise((resolve) => {
      this.process.stdout.on('data', (part) => {
        said += part
        const found = said.match(/http:\S+token=\S+/)
        if (found) resolve(found[0])
      })
      this.process.on('exit', () => resolve(undefined))
    })
    const found = await link
    if (found) return found
    throw new Error(`it ended without a link: ${said}`)
  }

  async kill() {
    const gone = once(this.process, 'exit')
    this.process.kill('SIGKILL')
    await gone
  }

  /** Waits until the server answers in the place of the set-up. */
  async serves(pathname) {
    for (let attempt = 0; attempt < 200; attempt += 1) {
      try {
        const response = await fetch(`http://127.0.0.1:${this.port}${pathname}`)
        if (response.ok) return await response.json()
      } catch {
        // Between the set-up and the server nothing listens.
      }
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    throw new Error('no server answers')
  }

  async end() {
    if (this.process.exitCode === null) await this.kill()
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** Waits for a step of the set-up. */
export const step = (page, name) => page.getByRole('heading', { name, level: 1 }).waitFor()
/** Sends the step that is shown. */
export const next = (page, name = 'Continue') => page.getByRole('button', { name, exact: true }).click()
