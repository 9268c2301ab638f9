// The official PDS, as its own entry point runs it; all settings come from the environment.
import net from 'node:net'
import { PDS } from '@atproto/pds'

// It listens on all interfaces; a test belongs to this machine alone.
const { listen } = net.Server.prototype
net.Server.prototype.listen = function (...args) {
  if (typeof args[0] === 'number' && typeof args[1] !== 'string') args.splice(1, 0, '127.0.0.1')
  else if (args[0]?.port != null && !args[0].host) args[0] = { ...args[0], host: '127.0.0.1' }
  return listen.apply(this, args)
}
process.on('SIGINT', () => {}) // The parent decides.
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'))
await PDS.run({ signals: ['SIGTERM'], onStarted: () => process.send?.({ ready: true }) })
process.exit(0)
