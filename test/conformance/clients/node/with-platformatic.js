// @platformatic/kafka.
'use strict'

const { Unsupported, batches } = require('./common')
const security = require('./security')

class Platformatic {
  constructor (task) {
    this.task = task
    this.lib = require('@platformatic/kafka')
    this.base = { clientId: task.client ?? 'conformance', bootstrapBrokers: [task.bootstrap], ...security.platformatic(task) }
    if (task.patient) Object.assign(this.base, { retries: 20, retryDelay: 1000 })
  }

  open (options) {
    return new this.lib.Producer({ ...this.base, acks: Number(this.task.acks ?? -1), compression: this.task.compression ?? 'none', ...options })
  }

  async send (producer, prefix) {
    const { task } = this
    for await (const messages of batches(task, prefix, (r, headers) => ({
      topic: task.topic, key: r.key, value: r.value, headers: headers && new Map([[Buffer.from('n'), Buffer.from(headers.n)]])
    }))) {
      await producer.send({ messages })
      await security.gap(task)
    }
  }

  async produce () {
    const producer = this.open({ idempotent: this.task.idempotent === 'true' })
    await this.send(producer, 'key-')
    await producer.close()
  }

  async consume (result) {
    const { task } = this
    if (task.rack) throw new Unsupported('racks')
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

Object.assign(Platformatic.prototype, require('./more-platformatic'))
module.exports = Platformatic
