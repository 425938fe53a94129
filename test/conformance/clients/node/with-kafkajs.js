// kafkajs.
'use strict'

const { Unsupported, batches } = require('./common')
const security = require('./security')

class Kafkajs {
  constructor (task) {
    this.task = task
    this.lib = require('kafkajs')
    this.kafka = new this.lib.Kafka({ clientId: task.client ?? 'conformance', brokers: [task.bootstrap], logLevel: this.lib.logLevel.WARN, retry: task.patient ? { retries: 20, maxRetryTime: 5000 } : undefined, ...security.kafkajs(task) })
  }

  async send (producer, prefix) {
    const { task, lib } = this
    const compression = { none: lib.CompressionTypes.None, gzip: lib.CompressionTypes.GZIP }[task.compression ?? 'none']
    if (compression === undefined) throw new Unsupported(task.compression)
    for await (const messages of batches(task, prefix, (r, headers) => ({ key: r.key, value: r.value, headers }))) {
      await producer.send({ topic: task.topic, acks: Number(task.acks ?? -1), compression, messages })
      await security.gap(task)
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
    const consumer = this.kafka.consumer({ groupId: task.group, readUncommitted: task.isolation !== 'read_committed', rackId: task.rack })
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

Object.assign(Kafkajs.prototype, require('./more-kafkajs'))
module.exports = Kafkajs
