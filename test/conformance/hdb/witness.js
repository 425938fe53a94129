// A witness: the proxy code of SAP's database driver, unmodified, opens a
// connection through the connectivity proxy and asks the broker at its end for
// the APIs that it serves.
//
// In: PROXY_HOST, PROXY_PORT, PROXY_TOKEN, PROXY_LOCATION (may be empty),
// TARGET_HOST, TARGET_PORT. Out: one line of JSON, {"apis": N} or
// {"error": "..."}; exit 0 in both cases, so that a refusal can be told from a
// program that broke.
'use strict'

const { ProxyClient } = require('hdb/lib/protocol/Proxy')
const { ask, print } = require('./ask.js')

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
