// One task of the compatibility table with a client library for Node. See ../README.md.
//
//   node client.js kafkajs|platformatic key=value...
'use strict'

const crypto = require('node:crypto')
const { setTimeout: later } = require('node:timers/promises')

const MIXED = [0, 1, 100, 1000, 10_000, 100_000, 900_000]
const BATCH = 100

class Unsupported extends Error {}

function record (task, i, prefix) {
  const n = task.sizes === 'mixed' ? MIXED[i % 7] : 4 + (i * 31) % 197
  const value = Buffer.alloc(n, i % 251)
  if (n >= 4) value.writeInt32BE(i, n - 4)
  return { key: Buffer.from(prefix + i), value, number: String(i) }
}

class Result {
  count = 0
  partitions = new Map()
  add (partition, key, value) {
    let p = this.partitions.get(partition)
    if (!p) this.partitions.set(partition, p = { count: 0, hash: crypto.createHash('sha256') })
    for (const part of [key, value ?? Buffer.alloc(0)]) {
      const head = Buffer.alloc(4)
      head.writeInt32BE(part.length)
      p.hash.update(head).update(part)
    }
    p.count++
    this.count++
  }

  out () {
    const partitions = {}
    for (const [number, p] of this.partitions) partitions[number] = { count: p.count, sha256: p.hash.digest('hex') }
    return { count: this.count, partitions }
  }
}

// batches yields the records in batches.
function * batches (task, prefix, make) {
  const count = Number(task.count)
  const size = task.sizes === 'mixed' ? 1 : BATCH // brokers take batches of 1 MB
  for (let i = 0; i < count; i += size) {
    const messages = []
    for (let j = i; j < Math.min(i + size, count); j++) {
      const r = record(task, j, prefix)
      messages.push(make(r, task.headers === 'true' ? { n: r.number } : undefined))
    }
    yield messages
  }
}

class Kafkajs {
  constructor (task) {
    this.task = task
    this.lib = require('kafkajs')
    this.kafka = new this.lib.Kafka({ clientId: 'conformance', brokers: [task.bootstrap], logLevel: this.lib.logLevel.WARN, retry: task.patient ? { retries: 20, maxRetryTime: 5000 } : undefined })
  }

  async send (producer, prefix) {
    const { task, lib } = this
    const compression = { none: lib.CompressionTypes.None, gzip: lib.CompressionTypes.GZIP }[task.compression ?? 'none']
    if (compression === undefined) throw new Unsupported(task.compression)
    for (const messages of batches(task, prefix, (r, headers) => ({ key: r.key, value: r.value, headers }))) {
      await producer.send({ topic: task.topic, acks: Number(task.acks ?? -1), compression, messages })
    }
  }

  async produce () {
    const producer = this.kafka.producer({ idempotent: this.task.idempotent === 'true', maxInFlightRequests: 1 })
    await producer.connect()
    await this.send(producer, 'key-')
    await producer.disconnect()
  }

  async transact () {
    const producer = this.kafka.producer({ transactionalId: this.task.transactional, idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    for (const [prefix, end] of [['key-', 'commit'], ['aborted-', 'abort']]) {
      const transaction = await producer.transaction()
      await this.send(transaction, prefix)
      await transaction[end]()
    }
    await producer.disconnect()
  }

  async consume (result) {
    const { task } = this
    if (task.protocol === 'consumer') throw new Unsupported('KIP-848')
    const consumer = this.kafka.consumer({ groupId: task.group, readUncommitted: task.isolation !== 'read_committed' })
    await consumer.connect()
    await consumer.subscribe({ topics: [task.topic], fromBeginning: true })
    await new Promise((resolve, reject) => {
      consumer.on(consumer.events.CRASH, e => reject(e.payload.error))
      consumer.run({
        eachBatch: async ({ batch, resolveOffset, commitOffsetsIfNecessary }) => {
          for (const m of batch.messages) {
            result.add(batch.partition, m.key, m.value)
            resolveOffset(m.offset)
          }
          await commitOffsetsIfNecessary()
          if (result.count >= Number(task.count)) resolve()
        }
      }).catch(reject)
    })
    await consumer.disconnect()
  }

  async admin () {
    const a = this.kafka.admin()
    await a.connect()
    await a.createTopics({ topics: [{ topic: this.task.topic + '-made', numPartitions: 3 }], waitForLeaders: true })
    await a.listTopics()
    await a.describeConfigs({ includeSynonyms: false, resources: [{ type: this.lib.ConfigResourceTypes.TOPIC, name: this.task.topic }] })
    const { brokers } = await a.describeCluster()
    await a.listGroups()
    await a.deleteTopics({ topics: [this.task.topic + '-made'] })
    await a.disconnect()
    return brokers.length
  }
}

class Platformatic {
  constructor (task) {
    this.task = task
    this.lib = require('@platformatic/kafka')
    this.base = { clientId: 'conformance', bootstrapBrokers: [task.bootstrap] }
    if (task.patient) Object.assign(this.base, { retries: 20, retryDelay: 1000 })
  }

  open (options) {
    return new this.lib.Producer({ ...this.base, acks: Number(this.task.acks ?? -1), compression: this.task.compression ?? 'none', ...options })
  }

  async send (producer, prefix) {
    const { task } = this
    for (const messages of batches(task, prefix, (r, headers) => ({
      topic: task.topic, key: r.key, value: r.value, headers: headers && new Map([[Buffer.from('n'), Buffer.from(headers.n)]])
    }))) await producer.send({ messages })
  }

  async produce () {
    const producer = this.open({ idempotent: this.task.idempotent === 'true' })
    await this.send(producer, 'key-')
    await producer.close()
  }

  async transact () { throw new Unsupported('transactions') }

  async consume (result) {
    const { task } = this
    const consumer = new this.lib.Consumer({
      ...this.base, groupId: task.group, groupProtocol: task.protocol === 'consumer' ? 'consumer' : 'classic',
      isolationLevel: task.isolation === 'read_committed' ? this.lib.FetchIsolationLevels.READ_COMMITTED : this.lib.FetchIsolationLevels.READ_UNCOMMITTED
    })
    const stream = await consumer.consume({ topics: [task.topic], mode: this.lib.MessagesStreamModes.EARLIEST, autocommit: false })
    const last = new Map()
    for await (const m of stream) {
      result.add(m.partition, m.key, m.value)
      last.set(m.partition, m)
      if (result.count >= Number(task.count)) break
    }
    for (const m of last.values()) await m.commit()
    await stream.close()
    await consumer.close(true)
  }

  async admin () {
    const a = new this.lib.Admin(this.base)
    await a.createTopics({ topics: [this.task.topic + '-made'], partitions: 3, replicas: 1 })
    await a.listTopics()
    await a.describeConfigs({ resources: [{ resourceType: this.lib.ConfigResourceTypes.TOPIC, resourceName: this.task.topic }] })
    const { brokers } = await a.metadata({ topics: [] })
    await a.listGroups()
    await a.deleteTopics({ topics: [this.task.topic + '-made'] })
    await a.close()
    return brokers.size
  }
}

async function main () {
  const [name, ...words] = process.argv.slice(2)
  const task = Object.fromEntries(words.map(w => [w.slice(0, w.indexOf('=')), w.slice(w.indexOf('=') + 1)]))
  const client = new { kafkajs: Kafkajs, platformatic: Platformatic }[name](task)
  const result = new Result()
  let out = { count: Number(task.count) }
  switch (task.do) {
    case 'consume':
      await client.consume(result)
      out = result.out()
      break
    case 'admin':
      out = { count: await client.admin() }
      break
    default:
      await client[task.do]()
  }
  console.log(JSON.stringify(out))
}

// What a library leaves open at its end is not the point here.
main().then(() => process.exit(0), async err => {
  console.error(err)
  await later(10)
  process.exit(err instanceof Unsupported ? 3 : 1)
})
