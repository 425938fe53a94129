// One task of the compatibility table with a client library for Node. See ../README.md.
//
//   node client.js kafkajs|platformatic key=value...
'use strict'

const { setTimeout: later } = require('node:timers/promises')
const { inspect } = require('node:util')
const { Result, Unsupported } = require('./common')
const { keep } = require('./keep')

async function main () {
  const [name, ...words] = process.argv.slice(2)
  const task = Object.fromEntries(words.map(w => [w.slice(0, w.indexOf('=')), w.slice(w.indexOf('=') + 1)]))
  if (task.do.startsWith('keep-')) return keep(name, task)
  const Client = require(`./with-${name}`)
  const client = new Client(task)
  const what = task.do.replaceAll('-', '_')
  if (!client[what]) throw new Unsupported(task.do)
  const result = new Result()
  const count = await client[what](result)
  console.log(JSON.stringify(result.count ? result.out() : { count: count ?? Number(task.count) }))
}

// What a library leaves open at its end is not the point here.
main().then(() => process.exit(0), async err => {
  console.error(inspect(err, { depth: 8 })) // causes stand deep
  await later(10)
  process.exit(err instanceof Unsupported ? 3 : 1)
})
