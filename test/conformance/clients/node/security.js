// TLS and SASL, as the words say, for the clients for Node.
'use strict'

const fs = require('node:fs')
const { setTimeout: later } = require('node:timers/promises')
const { Unsupported } = require('./common')

// token is one of OAUTHBEARER, without a signature.
function token (task) {
  const part = what => Buffer.from(JSON.stringify(what)).toString('base64url')
  const now = Math.floor(Date.now() / 1000)
  return `${part({ alg: 'none' })}.${part({ sub: task.username, iat: now, exp: now + 3600 })}.`
}

const tls = task => task.security?.endsWith('SSL') ? { ca: [fs.readFileSync(task.ca)] } : undefined
const wantsSASL = task => task.security?.startsWith('SASL_')

function refuseHandshake (task) {
  if (task.handshake) throw new Unsupported('the version of SaslHandshake')
}

function kafkajs (task) {
  refuseHandshake(task)
  const { mechanism, username, password } = task
  const sasl = mechanism === 'OAUTHBEARER'
    ? { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: token(task) }) }
    : { mechanism: mechanism?.toLowerCase(), username, password }
  // It authenticates again 10 s before the end of a session, which shorter ones never reach.
  return { ssl: tls(task), sasl: wantsSASL(task) ? sasl : undefined, reauthenticationThreshold: 1000 }
}

function platformatic (task) {
  refuseHandshake(task)
  const { mechanism, username, password } = task
  const options = {}
  if (tls(task)) options.tls = tls(task)
  if (wantsSASL(task)) options.sasl = mechanism === 'OAUTHBEARER' ? { mechanism, token: () => token(task) } : { mechanism, username, password }
  return options
}

// gap is waited for after each record, so that they fill the time of the word over.
const gap = async task => { if (task.over) await later(1000 * Number(task.over) / Number(task.count)) }

module.exports = { kafkajs, platformatic, gap }
