// What not every library can do, with @platformatic/kafka.
'use strict'

module.exports = {
  async acls () {
    const { ResourceTypes, ResourcePatternTypes, AclOperations, AclPermissionTypes } = this.lib
    const a = new this.lib.Admin(this.base)
    const found = await a.describeAcls({
      filter: { resourceType: ResourceTypes.TOPIC, resourceName: this.task.topic, resourcePatternType: ResourcePatternTypes.LITERAL, principal: null, host: null, operation: AclOperations.ANY, permissionType: AclPermissionTypes.ANY }
    })
    await a.close()
    return found.reduce((n, r) => n + r.acls.length, 0)
  },

  async seek (result) {
    const { task } = this
    const a = new this.lib.Admin(this.base)
    const [topic] = await a.listOffsets({ topics: [{ name: task.topic, partitions: [0, 1, 2].map(p => ({ partitionIndex: p, timestamp: BigInt(task.time) })) }] })
    await a.close()
    const consumer = new this.lib.Consumer({ ...this.base, groupId: task.group })
    const stream = await consumer.consume({
      topics: [task.topic], mode: this.lib.MessagesStreamModes.MANUAL, autocommit: false,
      offsets: topic.partitions.map(p => ({ topic: task.topic, partition: p.partitionIndex, offset: p.offset }))
    })
    for await (const m of stream) {
      result.add(m.partition, m.key, m.value)
      if (result.count >= Number(task.count)) break
    }
    await stream.close()
    await consumer.close(true)
  }
}
