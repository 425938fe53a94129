// node-rdkafka, which is librdkafka.
'use strict'

const { promisify } = require('node:util')
const { setTimeout: later } = require('node:timers/promises')
const { record } = require('./common')

const WAIT = 60_000

module.exports = class Rdkafka {
  constructor (task) {
    this.task = task
    this.lib = require('node-rdkafka')
  }

  // open connects a producer or a consumer. What librdkafka knows as a setting of topics
  // counts only among those.
  async open (Kind, settings, ofTopics = {}) {
    const { bootstrap, client: id, rack } = this.task
    const client = new Kind({ 'bootstrap.servers': bootstrap, ...(id && { 'client.id': id }), ...(rack && { 'client.rack': rack }), ...settings }, ofTopics)
    await promisify(client.connect).call(client, { timeout: WAIT })
    return client
  }

  // producer is one that counts what has been delivered.
  async producer () {
    const { task } = this
    const settings = { 'compression.type': task.compression ?? 'none', 'message.max.bytes': 2_000_000, 'enable.idempotence': task.idempotent === 'true', dr_cb: true }
    if (task.transactional) Object.assign(settings, { 'transactional.id': task.transactional, 'enable.idempotence': true })
    const producer = await this.open(this.lib.Producer, settings, { acks: Number(task.acks ?? -1) })
    producer.setPollInterval(20)
    producer.delivered = 0
    producer.on('delivery-report', (err, report) => {
      if (err) producer.failed = err
      producer.delivered++
    })
    return producer
  }

  async send (producer, prefix) {
    const count = Number(this.task.count)
    producer.delivered = 0
    for (let i = 0; i < count; i++) {
      if (this.task.idle && i === Math.floor(count / 2)) {
        await promisify(producer.flush).call(producer, WAIT)
        await later(1000 * Number(this.task.idle))
      }
      const r = record(this.task, i, prefix)
      producer.produce(this.task.topic, null, r.value, r.key, null, null, this.task.headers === 'true' ? [{ n: r.number }] : null)
    }
    await promisify(producer.flush).call(producer, WAIT)
    // Reports come with the next look for them.
    while (producer.delivered < count && !producer.failed) await new Promise(resolve => producer.once('delivery-report', resolve))
    if (producer.failed) throw producer.failed
  }

  async produce () {
    const producer = await this.producer()
    await this.send(producer, 'key-')
    await promisify(producer.disconnect).call(producer)
  }

  async transact () {
    const producer = await this.producer()
    const does = (name, ...args) => promisify(producer[name]).call(producer, ...args)
    await does('initTransactions', WAIT)
    for (const [prefix, end] of [['key-', 'commitTransaction'], ['aborted-', 'abortTransaction']]) {
      await does('beginTransaction')
      await this.send(producer, prefix)
      await does(end, WAIT)
    }
    await does('disconnect')
  }

  async consumer (more) {
    const { task } = this
    return this.open(this.lib.KafkaConsumer, { 'group.id': task.group, 'enable.auto.commit': false, 'isolation.level': task.isolation ?? 'read_uncommitted', ...more }, { 'auto.offset.reset': 'earliest' })
  }

  async read (consumer, result) {
    const take = promisify(consumer.consume).bind(consumer)
    while (result.count < Number(this.task.count)) {
      for (const m of await take(500)) result.add(m.partition, m.key, m.value)
    }
  }

  async consume (result) {
    const consumer = await this.consumer(this.task.protocol === 'consumer' ? { 'group.protocol': 'consumer' } : {})
    consumer.subscribe([this.task.topic])
    await this.read(consumer, result)
    consumer.commitSync(null)
    await promisify(consumer.disconnect).call(consumer)
  }

  async fetch (result) {
    const consumer = await this.consumer()
    const { topics } = await promisify(consumer.getMetadata).call(consumer, { topic: this.task.topic, timeout: WAIT })
    consumer.assign(topics[0].partitions.map(p => ({ topic: this.task.topic, partition: p.id, offset: 0 })))
    await this.read(consumer, result)
    await promisify(consumer.disconnect).call(consumer)
  }

  // It describes no configuration and lists no groups.
  async admin () {
    const topic = this.task.topic + '-made'
    const a = this.lib.AdminClient.create({ 'bootstrap.servers': this.task.bootstrap })
    await promisify(a.createTopic).call(a, { topic, num_partitions: 3, replication_factor: 1 }, WAIT)
    const producer = await this.open(this.lib.Producer, {})
    const { brokers } = await promisify(producer.getMetadata).call(producer, { timeout: WAIT })
    await promisify(producer.disconnect).call(producer)
    await promisify(a.deleteTopic).call(a, topic, WAIT)
    a.disconnect()
    return brokers.length
  }
}
