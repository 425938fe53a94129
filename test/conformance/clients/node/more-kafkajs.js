// What not every library can do, with kafkajs.
'use strict'

const { NotFenced } = require('./common')

module.exports = {
  async acls () {
    const { AclResourceTypes, ResourcePatternTypes, AclOperationTypes, AclPermissionTypes } = this.lib
    const a = this.kafka.admin()
    await a.connect()
    const { resources } = await a.describeAcls({
      resourceType: AclResourceTypes.TOPIC, resourceName: this.task.topic, resourcePatternType: ResourcePatternTypes.LITERAL, operation: AclOperationTypes.ANY, permissionType: AclPermissionTypes.ANY
    })
    await a.disconnect()
    return resources.reduce((n, r) => n + r.acls.length, 0)
  },

  // It knows no other consumers than members of groups, which are told where to go on.
  async seek (result) {
    const { task } = this
    const a = this.kafka.admin()
    await a.connect()
    const from = await a.fetchTopicOffsetsByTimestamp(task.topic, Number(task.time))
    await a.disconnect()
    const consumer = this.kafka.consumer({ groupId: task.group })
    await consumer.connect()
    await consumer.subscribe({ topics: [task.topic] })
    await new Promise((resolve, reject) => {
      consumer.on(consumer.events.CRASH, e => reject(e.payload.error))
      consumer.run({
        autoCommit: false,
        eachMessage: async ({ partition, message }) => {
          result.add(partition, message.key, message.value)
          if (result.count >= Number(task.count)) resolve()
        }
      }).catch(reject)
      for (const p of from) consumer.seek({ topic: task.topic, partition: p.partition, offset: p.offset })
    })
    await consumer.disconnect()
  },

  // A second producer takes the transactional id of the first.
  async fence () {
    const open = async () => {
      const p = this.kafka.producer({ transactionalId: this.task.transactional, idempotent: true, maxInFlightRequests: 1 })
      await p.connect()
      return [p, await p.transaction()]
    }
    const late = { topic: this.task.topic, messages: [{ key: 'zombie', value: 'zombie' }] }
    const [, zombie] = await open()
    await zombie.send(late)
    const [producer, second] = await open()
    await this.send(second, 'key-')
    await second.commit()
    await producer.disconnect()
    try {
      await zombie.send(late)
      await zombie.commit()
    } catch (err) {
      return
    }
    throw new NotFenced('the zombie was not fenced')
  }
}
