// A witness: the mail client of SAP's Cloud SDK writes the messages of method
// 0x80, the package socks, which it uses, all others; both unmodified. In and
// out as in hdb/witness.js.
//
// The options are put together here, as the SDK's buildSocksProxy does: its
// module also loads the package connectivity, which needs packages that are not
// free, so package.json gives that name to one that is installed anyhow.
'use strict'

const { customAuthRequestHandler, customAuthResponseHandler } = require('@sap-cloud-sdk/mail-client/dist/socket-proxy')
const { SocksClient } = require('socks')
const { ask, print } = require('../hdb/ask.js')

const env = process.env

SocksClient.createConnection({
  command: 'connect',
  proxy: {
    host: env.PROXY_HOST,
    port: Number(env.PROXY_PORT),
    type: 5,
    custom_auth_method: 0x80,
    custom_auth_request_handler: () => customAuthRequestHandler(env.PROXY_TOKEN, env.PROXY_LOCATION || undefined),
    custom_auth_response_size: 2,
    custom_auth_response_handler: customAuthResponseHandler
  },
  destination: { host: env.TARGET_HOST, port: Number(env.TARGET_PORT) }
}).then(({ socket }) => ask(socket), err => print({ error: err.message }))
