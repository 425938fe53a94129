// The kafkajs side of the conformance suite: an ordinary kafkajs program.
//
//   node client.js produce TOPIC COUNT          creates the topic, writes COUNT records
//   node client.js consume TOPIC COUNT GROUP    reads COUNT records as a member of GROUP
//   node client.js stream  TOPIC                writes a record each 50 ms until standard input
//                                               ends; one line of output per record or error
//
// The address comes from KAFKA_BOOTSTRAP_SERVERS. The last line of output is
// {"count": N, "sum": "16 hex digits"}: the digest that digest.go describes.
'use strict'

const crypto = require('node:crypto')
const { Kafka, logLevel } = require('kafkajs')

const BATCH = 1000

class Digest {
  count = 0
  sum = 0n
  add (key, value) {
    const head = Buffer.alloc(4)
    head.writeInt32BE(key.length)
    const hash = crypto.createHash('sha256').update(head).update(key).update(value).digest()
    this.sum = BigInt.asUintN(64, this.sum + hash.readBigUInt64BE(0))
    this.count++
  }

  print () {
    console.log(JSON.stringify({ count: this.count, sum: this.sum.toString(16).padStart(16, '0') }))
  }
}

// record makes record i: binary values of changing length, ending with its number.
function record (i) {
  const value = Buffer.alloc(4 + (i * 31) % 197, i % 251)
  value.writeUInt32BE(i, value.length - 4)
  return { key: Buffer.from(`key-${i}`), value }
}

async function produce (kafka, topic, count) {
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: 3 }], waitForLeaders: true })
  await admin.disconnect()

  const digest = new Digest()
  const producer = kafka.producer()
  await producer.connect()
  for (let i = 0; i < count; i += BATCH) {
    const messages = []
    for (let j = i; j < Math.min(i + BATCH, count); j++) messages.push(record(j))
    for (const m of messages) digest.add(m.key, m.value)
    await producer.send({ topic, acks: -1, messages })
  }
  await producer.disconnect()
  digest.print()
}

async function consume (kafka, topic, count, groupId) {
  const digest = new Digest()
  const consumer = kafka.consumer({ groupId })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await new Promise((resolve, reject) => {
    consumer.on(consumer.events.CRASH, e => reject(e.payload.error))
    consumer.run({
      eachBatch: async ({ batch, resolveOffset, commitOffsetsIfNecessary }) => {
        for (const m of batch.messages) {
          digest.add(m.key, m.value)
          resolveOffset(m.offset)
        }
        await commitOffsetsIfNecessary()
        if (digest.count >= count) resolve()
      }
    }).catch(reject)
  })
  await consumer.disconnect() // commits what was resolved
  digest.print()
}

async function stream (kafka, topic) {
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: 3 }], waitForLeaders: true })
  await admin.disconnect()

  let on = true
  process.stdin.resume().on('end', () => { on = false })
  const digest = new Digest()
  const producer = kafka.producer()
  await producer.connect()
  for (let i = 0; on; i++) {
    const m = record(i)
    try {
      await producer.send({ topic, acks: -1, messages: [m] })
      digest.add(m.key, m.value)
      console.log(JSON.stringify({ sent: i }))
    } catch (err) {
      i-- // not acknowledged: the same record again
      console.log(JSON.stringify({ error: err.message }))
    }
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  await producer.disconnect()
  digest.print()
}

async function main () {
  const [mode, topic, count, group] = process.argv.slice(2)
  const kafka = new Kafka({
    clientId: 'conformance',
    brokers: process.env.KAFKA_BOOTSTRAP_SERVERS.split(','),
    logLevel: logLevel.WARN
  })
  switch (mode) {
    case 'produce': return produce(kafka, topic, Number(count))
    case 'consume': return consume(kafka, topic, Number(count), group)
    case 'stream': return stream(kafka, topic)
  }
  throw new Error(`unknown mode ${mode}`)
}

main().catch(err => {
  console.error(err)
  process.exit(1)
})
