"""What not every library can do, with kafka-python."""
from common import LIMIT, NotFenced


class More:
    def acls(self, _):
        from kafka.admin import ACLFilter, ACLOperation, ACLPermissionType, KafkaAdminClient, ResourcePatternFilter, ResourceType
        from kafka.admin._acls import ACLResourcePatternType
        a = KafkaAdminClient(bootstrap_servers=self.task['bootstrap'])
        found, _ = a.describe_acls(ACLFilter(None, None, ACLOperation.ANY, ACLPermissionType.ANY, ResourcePatternFilter(
            ResourceType.TOPIC, self.task['topic'], ACLResourcePatternType.LITERAL)))
        a.close()
        return len(found)

    def seek(self, result):
        from kafka import KafkaConsumer, TopicPartition
        t = self.task
        c = KafkaConsumer(bootstrap_servers=t['bootstrap'], enable_auto_commit=False)
        partitions = [TopicPartition(t['topic'], p) for p in range(3)]
        c.assign(partitions)
        ends = c.end_offsets(partitions)
        for p, found in c.offsets_for_times({p: int(t['time']) for p in partitions}).items():
            c.seek(p, found.offset if found else ends[p])
        self.read(c, result)
        c.close()

    def fence(self, _):
        """A second producer takes the transactional id of the first."""
        from kafka.errors import KafkaError

        def late():
            zombie.send(self.task['topic'], key=b'zombie', value=b'zombie').get(LIMIT)

        zombie = self.producer()
        zombie.init_transactions()
        zombie.begin_transaction()
        late()
        second = self.producer()
        second.init_transactions()
        second.begin_transaction()
        self.send(second, 'key-')
        second.commit_transaction()
        try:
            late()
            zombie.commit_transaction()
        except KafkaError:
            return
        raise NotFenced
