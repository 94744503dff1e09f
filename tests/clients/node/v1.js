// Sends NDJSON events from stdin with lumberjack-protocol: version 1, TLS only, one window frame for life.
//
// Its data frames are flat pairs of strings, the line under `line`. Every windowSize-th frame is acknowledged, so the
// number of events must be a multiple of the window size.
'use strict'
const fs = require('fs')
const lumberjack = require('lumberjack-protocol')

const options = require('./options')()
const events = fs.readFileSync(0, 'utf8').split('\n').filter(Boolean).map(line => JSON.parse(line))
const windowSize = options.window
if (!options.tls) fail('version 1 speaks TLS only: give --tls and --ca')
if (events.length % windowSize !== 0) fail(`${events.length} events are no multiple of the window of ${windowSize}`)

const client = lumberjack.client(
  { host: options.host, port: options.port, ...options.tls },
  { windowSize, maxQueueSize: events.length + 1, allowDrop: () => false },
)
client.on('connect', () => {
  client._socket.on('ack', seq => {
    if (seq === events.length) {
      console.log(JSON.stringify({ events: events.length, connections: 1 }))
      process.exit(0)
    }
  })
})
client.on('disconnect', error => fail(`disconnected: ${error}`))
for (const event of events) {
  const flat = { line: event.message, file: event.log?.file?.path ?? '', offset: String(event.log?.offset ?? '') }
  client.writeDataFrame(flat)
}
setTimeout(() => fail('not everything was acknowledged'), 60000)

function fail(why) {
  console.error(why)
  process.exit(1)
}
