"""What not every library can do, with confluent-kafka."""
from common import LIMIT, NotFenced


class More:
    def acls(self, _):
        from confluent_kafka.admin import AclBindingFilter, AclOperation, AclPermissionType, AdminClient, ResourcePatternType, ResourceType
        a = AdminClient({'bootstrap.servers': self.task['bootstrap']})
        return len(a.describe_acls(AclBindingFilter(ResourceType.TOPIC, self.task['topic'], ResourcePatternType.LITERAL, None, None,
                                                    AclOperation.ANY, AclPermissionType.ANY)).result(LIMIT))

    def seek(self, result):
        from confluent_kafka import Consumer, TopicPartition
        t = self.task
        c = Consumer({'bootstrap.servers': t['bootstrap'], 'group.id': t['group'], 'enable.auto.commit': False})
        c.assign(c.offsets_for_times([TopicPartition(t['topic'], p, int(t['time'])) for p in range(3)], LIMIT))
        self.read(lambda: c.consume(500, 0.5), result)
        c.close()

    def share(self, result):
        from confluent_kafka import ShareConsumer
        t = self.task
        c = ShareConsumer({'bootstrap.servers': t['bootstrap'], 'group.id': t['group']})
        c.subscribe([t['topic']])
        self.read(lambda: c.poll(0.5), result)
        c.commit_sync(LIMIT)
        c.close()

    def fence(self, _):
        """A second producer takes the transactional id of the first."""
        from confluent_kafka import KafkaException

        zombie = self.producer()
        zombie.init_transactions(LIMIT)
        zombie.begin_transaction()
        zombie.produce(self.task['topic'], 'zombie', 'zombie')
        zombie.flush(LIMIT)
        second = self.producer()
        second.init_transactions(LIMIT)
        second.begin_transaction()
        self.send(second, 'key-')
        second.commit_transaction(LIMIT)
        try:
            zombie.produce(self.task['topic'], 'zombie', 'zombie')
            zombie.commit_transaction(LIMIT)
        except KafkaException:
            return
        raise NotFenced
