// The independent witness: the proxy code of SAP's database driver, unmodified,
// opens a connection through the connectivity proxy and asks the broker at its
// end for the APIs that it serves.
//
// In: PROXY_HOST, PROXY_PORT, PROXY_TOKEN, PROXY_LOCATION (may be empty),
// TARGET_HOST, TARGET_PORT. Out: one line of JSON, {"apis": N} or
// {"error": "..."}; exit 0 in both cases, so that a refusal can be told from a
// program that broke.
'use strict'

const { ProxyClient } = require('hdb/lib/protocol/Proxy')

const CORRELATION = 0x1234567

// ApiVersions v0: size, api key 18, version 0, correlation id, client id "witness".
function apiVersionsRequest () {
  const clientId = Buffer.from('witness')
  const b = Buffer.alloc(4 + 8 + 2)
  b.writeInt32BE(8 + 2 + clientId.length, 0)
  b.writeInt16BE(18, 4)
  b.writeInt16BE(0, 6)
  b.writeInt32BE(CORRELATION, 8)
  b.writeInt16BE(clientId.length, 12)
  return Buffer.concat([b, clientId])
}

function print (answer) {
  console.log(JSON.stringify(answer))
}

function ask (socket) {
  let received = Buffer.alloc(0)
  socket.on('data', chunk => {
    received = Buffer.concat([received, chunk])
    if (received.length < 4 || received.length < 4 + received.readInt32BE(0)) return
    socket.destroy()
    // correlation id, error code, number of APIs
    if (received.readInt32BE(4) !== CORRELATION) return print({ error: 'wrong correlation id' })
    if (received.readInt16BE(8) !== 0) return print({ error: `error code ${received.readInt16BE(8)}` })
    print({ apis: received.readInt32BE(10) })
  })
  socket.on('error', err => print({ error: err.message }))
  socket.write(apiVersionsRequest())
}

new ProxyClient({
  proxyHostname: process.env.PROXY_HOST,
  proxyPort: Number(process.env.PROXY_PORT),
  proxyUserName: process.env.PROXY_TOKEN,
  proxyScpAccount: process.env.PROXY_LOCATION || undefined,
  host: process.env.TARGET_HOST,
  port: Number(process.env.TARGET_PORT)
}).connect((err, socket) => {
  if (err) return print({ error: err.message })
  ask(socket)
})
