// The reference PLC directory over its in-memory database, on a free loopback port, which it sends to its parent.
import http from 'node:http'
import { createRequire } from 'node:module'

const plc = createRequire(import.meta.url)('@did-plc/server')

const { app } = plc.PlcServer.create({ db: plc.Database.mock() })
// Its own `start` would listen on every interface.
const server = http.createServer(app)
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))

const stop = () => {
  server.close(() => process.exit(0))
  server.closeAllConnections()
}
process.on('SIGTERM', stop)
process.on('disconnect', stop)
