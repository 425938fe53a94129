// kafkajs.
'use strict'

const { Unsupported, record } = require('./common')

const open = task => {
  const lib = require('kafkajs')
  return new lib.Kafka({
    clientId: 'conformance', brokers: task.bootstrap.split(','), logLevel: lib.logLevel.WARN, requestTimeout: 30000, retry: { retries: 40, maxRetryTime: 5000 }
  })
}

async function produce (task, numbers) {
  const producer = open(task).producer({ idempotent: task.idempotent === 'true', maxInFlightRequests: 1, retry: { retries: Number.MAX_SAFE_INTEGER, maxRetryTime: 5000 } })
  await producer.connect()
  for await (const i of numbers()) {
    const { key, value } = record(task, i, 'key-')
    await producer.send({ topic: task.topic, acks: -1, messages: [{ key, value }] })
  }
  await producer.disconnect()
}

async function consume (task, ended, kept) {
  if (task.protocol === 'consumer' || task.assignor || task.instance) throw new Unsupported('KIP-848, cooperative, static')
  const consumer = open(task).consumer({ groupId: task.group })
  await consumer.connect()
  await consumer.subscribe({ topics: [task.topic], fromBeginning: true })
  const crashed = new Promise((resolve, reject) => consumer.on(consumer.events.CRASH, e => {
    console.error(e.payload.error)
    if (!e.payload.restart) reject(e.payload.error)
  }))
  await consumer.run({
    eachBatch: async ({ batch, resolveOffset, commitOffsetsIfNecessary, isStale }) => {
      for (const m of batch.messages) {
        if (isStale()) return // it was read before a seek or a rebalance
        kept.take(batch.partition, Number(m.offset), m.key, m.value)
        resolveOffset(m.offset)
      }
      await commitOffsetsIfNecessary()
    },
    autoCommitThreshold: 1
  })
  await Promise.race([ended.promise, crashed])
  await consumer.disconnect()
}

module.exports = { produce, consume }
