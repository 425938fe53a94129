// @platformatic/kafka.
'use strict'

const { setTimeout: later } = require('node:timers/promises')
const { Unsupported, record } = require('./common')

const PATIENCE = 120_000 // for a record, longer than any time for which all brokers are away

const base = (task, retries) => ({ clientId: 'conformance', bootstrapBrokers: task.bootstrap.split(','), retries, retryDelay: 500 })

// innermost is the last of the errors within errors, of which there are as many as attempts.
function innermost (err) {
  while (err.errors?.length) err = err.errors.at(-1)
  return err
}

// A partition that has no leader makes the library throw where nobody can catch it: fail
// ends what is under way then, so that it is begun anew.
let fail = () => {}
process.on('uncaughtException', err => {
  console.error(err)
  fail(err)
})

async function orThrown (promise) {
  const before = fail
  try {
    return await Promise.race([promise, new Promise((resolve, reject) => { fail = reject })])
  } finally {
    fail = before
  }
}

// It looks for a new leader once in a send and else goes on asking the same broker until
// its retries are used up, so it gets few of them, and the application sends again. What was
// written although the send failed then is there twice, idempotent producer or not.
async function produce (task, numbers) {
  if (task.idempotent === 'true') throw new Unsupported('idempotent over several sends')
  const lib = require('@platformatic/kafka')
  const producer = new lib.Producer({ ...base(task, 4), acks: -1 })
  for await (const i of numbers()) await send(producer, task, i)
  await producer.close()
}

async function send (producer, task, i) {
  const { key, value } = record(task, i, 'key-')
  for (const end = Date.now() + PATIENCE; ;) {
    try {
      return await orThrown(producer.send({ messages: [{ topic: task.topic, key, value }] }))
    } catch (err) {
      if (Date.now() > end) throw innermost(err)
      console.error(innermost(err))
      producer.clearMetadata() // or it asks where a broker is not any more
    }
  }
}

async function consume (task, ended, kept) {
  if (task.assignor) throw new Unsupported('cooperative')
  const lib = require('@platformatic/kafka')
  const group = { groupId: task.group, groupProtocol: task.protocol === 'consumer' ? 'consumer' : 'classic' }
  // It does not get to leaving a group whose coordinator has moved, and waits as a new
  // member until the old one is given up.
  if (group.groupProtocol === 'classic') Object.assign(group, { sessionTimeout: 10_000, heartbeatInterval: 2000, rebalanceTimeout: 10_000 })
  if (task.instance) group.groupInstanceId = task.instance
  while (!ended.yes) {
    // It commits at the same coordinator again and again, even if that says that it is
    // not the one any more: a new consumer asks who is.
    const consumer = new lib.Consumer({ ...base(task, 4), ...group })
    try {
      await read(lib, consumer, task, ended, kept)
    } catch (err) { // what a commit leaves open comes again
      console.error(innermost(err))
      await later(200)
    }
    await orThrown(consumer.close(true)).catch(err => console.error(innermost(err)))
  }
}

async function read (lib, consumer, task, ended, kept) {
  const stream = await orThrown(consumer.consume({
    topics: [task.topic], mode: lib.MessagesStreamModes.COMMITTED, fallbackMode: lib.MessagesStreamFallbackModes.EARLIEST, autocommit: false
  }))
  fail = err => stream.destroy(err)
  ended.promise.then(() => stream.close()).catch(err => console.error(err))
  for await (const m of stream) {
    kept.take(m.partition, Number(m.offset), m.key, m.value)
    await orThrown(m.commit())
    if (ended.yes) break
  }
}

module.exports = { produce, consume }
