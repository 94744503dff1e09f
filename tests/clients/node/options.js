// Reads `--to HOST:PORT [--window N] [--tls] [--ca FILE] [--cert FILE --key FILE]`.
'use strict'
const fs = require('fs')
const { parseArgs } = require('util')

module.exports = function options() {
  const text = { type: 'string' }
  const { values } = parseArgs({
    options: { to: text, window: text, tls: { type: 'boolean' }, ca: text, cert: text, key: text },
  })
  const [, host, port] = /^(.*):(\d+)$/.exec(values.to ?? '127.0.0.1:5044')
  const read = file => (file ? fs.readFileSync(file) : undefined)
  const tls = values.tls
    ? { ca: values.ca ? [read(values.ca)] : undefined, cert: read(values.cert), key: read(values.key) }
    : undefined
  return { host, port: Number(port), window: Number(values.window ?? 100), tls }
}
