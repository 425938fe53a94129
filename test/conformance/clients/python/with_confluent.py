"""confluent-kafka, which is librdkafka."""
import time

from common import LIMIT, idle, record
from more_confluent import More
from security import drain, gap, librdkafka


class Confluent(More):
    def __init__(self, task):
        self.task = task

    def producer(self):
        from confluent_kafka import Producer
        t = self.task
        settings = {'bootstrap.servers': t['bootstrap'], 'acks': t.get('acks', '-1'), 'compression.type': t.get('compression', 'none'),
                    'message.max.bytes': 2_000_000, 'queue.buffering.max.kbytes': 200_000,
                    'enable.idempotence': t.get('idempotent') == 'true', **librdkafka(t)}
        if 'client' in t:
            settings['client.id'] = t['client']
        if 'patient' in t:
            settings['message.timeout.ms'] = 120_000
        if 'transactional' in t:
            settings['transactional.id'] = t['transactional']
            settings['enable.idempotence'] = True
        return Producer(settings)

    def send(self, p, prefix):
        errors = []
        for i in range(int(self.task['count'])):
            if pause := idle(self.task, i):
                p.flush(LIMIT)
                time.sleep(pause)
            key, value, headers = record(self.task, i, prefix)
            p.produce(self.task['topic'], value, key, headers=headers, on_delivery=lambda e, m: errors.append(e) if e else None)
            p.poll(0)
            if 'over' in self.task:
                drain(p, LIMIT)
                time.sleep(gap(self.task))
        if drain(p, LIMIT) or errors:
            raise RuntimeError(f'not delivered: {errors[:3]}')

    def produce(self, _):
        self.send(self.producer(), 'key-')

    def transact(self, _):
        p = self.producer()
        p.init_transactions(LIMIT)
        p.begin_transaction()
        self.send(p, 'key-')
        p.commit_transaction(LIMIT)
        p.begin_transaction()
        self.send(p, 'aborted-')
        p.abort_transaction(LIMIT)

    def consume(self, result):
        from confluent_kafka import Consumer
        t = self.task
        settings = {'bootstrap.servers': t['bootstrap'], 'group.id': t['group'], 'auto.offset.reset': 'earliest', 'enable.auto.commit': False,
                    'isolation.level': t.get('isolation', 'read_uncommitted'), **librdkafka(t)}
        if t.get('protocol') == 'consumer':
            settings['group.protocol'] = 'consumer'
        if 'rack' in t:
            settings['client.rack'] = t['rack']
        c = Consumer(settings)
        c.subscribe([t['topic']])
        self.read(lambda: c.consume(500, 0.5), result)
        c.commit(asynchronous=False)
        c.close()

    def fetch(self, result):
        from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
        t = self.task
        # It wants a name for a group, and joins none.
        c = Consumer({'bootstrap.servers': t['bootstrap'], 'group.id': t['group'], 'enable.auto.commit': False})
        partitions = c.list_topics(t['topic'], timeout=LIMIT).topics[t['topic']].partitions
        c.assign([TopicPartition(t['topic'], p, OFFSET_BEGINNING) for p in partitions])
        self.read(lambda: c.consume(500, 0.5), result)
        c.close()

    def read(self, poll, result):
        end = time.monotonic() + LIMIT
        while result.count < int(self.task['count']):
            if time.monotonic() > end:
                raise RuntimeError(f'only {result.count} records')
            for m in poll():
                if m.error():
                    raise RuntimeError(m.error())
                result.add(m.partition(), m.key(), m.value())

    def admin(self, _):
        from confluent_kafka import TopicCollection
        from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType
        a, topic = AdminClient({'bootstrap.servers': self.task['bootstrap'], **librdkafka(self.task)}), self.task['topic']
        made = topic + '-made'
        a.create_topics([NewTopic(made, 3, 1)])[made].result(LIMIT)
        m = a.list_topics(timeout=LIMIT)
        for f in a.describe_topics(TopicCollection([topic])).values():
            f.result(LIMIT)
        for f in a.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]).values():
            f.result(LIMIT)
        a.list_consumer_groups().result(LIMIT)
        a.delete_topics([made])[made].result(LIMIT)
        return len(m.brokers)
