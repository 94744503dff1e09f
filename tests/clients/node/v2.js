// Sends NDJSON events from stdin with lumberjack-client (v2, one compressed window a write).
//
// The library takes no acknowledgements and reports nothing, so this reads the receiver's acks from its socket and
// ends once as many windows were acknowledged as were written.
'use strict'
const fs = require('fs')
const Client = require('lumberjack-client')

const options = require('./options')()
const events = fs.readFileSync(0, 'utf8').split('\n').filter(Boolean).map(line => JSON.parse(line))
const client = new Client({ host: options.host, port: options.port, ...options.tls }, Boolean(options.tls))

// What is logged before the connection stands goes out as one window; the rest as windows of one event.
const first = Math.ceil(events.length / 2)
events.slice(0, first).forEach(event => client.log(event))
let windows = 1
let acked = 0
let pending = Buffer.alloc(0)
client.socket.on('data', data => {
  pending = Buffer.concat([pending, data])
  for (; pending.length >= 6; pending = pending.subarray(6)) {
    if (pending.toString('latin1', 0, 2) !== '2A') fail('not an ack of version 2')
    if (pending.readUInt32BE(2) > 0) acked += 1
  }
  if (acked === windows && windows === 1 + events.length - first) {
    console.log(JSON.stringify({ events: events.length, connections: 1 }))
    process.exit(0)
  }
})
client.socket.once(options.tls ? 'secureConnect' : 'connect', () => {
  setImmediate(() => {
    for (const event of events.slice(first)) {
      client.log(event)
      windows += 1
    }
  })
})
client.socket.on('close', () => fail('the connection was closed'))
setTimeout(() => fail(`only ${acked} of ${windows} windows were acknowledged`), 60000)

function fail(why) {
  console.error(why)
  process.exit(1)
}
