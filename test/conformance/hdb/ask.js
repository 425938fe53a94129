// What a witness does once it is connected: it asks the broker for the APIs that
// it serves, and prints one line of JSON.
'use strict'

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

module.exports = { ask, print }
