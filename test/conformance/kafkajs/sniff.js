// Watches an unmodified program from inside its process:
//
//   node --require ./sniff.js client.js ...
//
// Every name that is looked up, every address that is connected to and every
// byte that arrives on a TCP connection passes here. At exit the findings are
// written to $SNIFF_OUT as JSON: {lookups, peers, bytes, found}, where found
// lists the words of $SNIFF_WORDS (comma-separated) that were seen in the bytes,
// also when one was split over two reads.
'use strict'

const dns = require('node:dns')
const fs = require('node:fs')
const net = require('node:net')

const words = process.env.SNIFF_WORDS.split(',')
const overlap = Math.max(...words.map(w => w.length)) - 1
const lookups = new Set()
const peers = new Set()
const found = new Set()
let bytes = 0

const lookup = dns.lookup
dns.lookup = function (name, ...rest) {
  lookups.add(name)
  return lookup.call(this, name, ...rest)
}

const connect = net.Socket.prototype.connect
net.Socket.prototype.connect = function (...args) {
  this.once('connect', () => peers.add(this.remoteAddress))
  return connect.apply(this, args)
}

const push = net.Socket.prototype.push
net.Socket.prototype.push = function (chunk, ...rest) {
  if (Buffer.isBuffer(chunk)) {
    bytes += chunk.length
    const text = (this.sniffed || '') + chunk.toString('latin1').toLowerCase()
    for (const w of words) if (text.includes(w)) found.add(w)
    this.sniffed = text.slice(-overlap)
  }
  return push.call(this, chunk, ...rest)
}

process.on('exit', () => {
  fs.writeFileSync(process.env.SNIFF_OUT, JSON.stringify({
    lookups: [...lookups], peers: [...peers], bytes, found: [...found]
  }))
})
