"""kafka-python."""
import time

from common import LIMIT, Unsupported, idle, record
from more_kafka_python import More
from security import gap, kafka_python


class KafkaPython(More):
    def __init__(self, task):
        self.task = task

    def producer(self):
        from kafka import KafkaProducer
        t = self.task
        acks = {'0': 0, '1': 1}.get(t.get('acks'), 'all')
        compression = t.get('compression', 'none')
        settings = {'bootstrap_servers': t['bootstrap'], 'acks': acks, 'compression_type': None if compression == 'none' else compression,
                    'max_request_size': 2_000_000, 'enable_idempotence': t.get('idempotent') == 'true', **kafka_python(t)}
        if 'transactional' in t:
            settings.update(transactional_id=t['transactional'], enable_idempotence=True)
        if 'client' in t:
            settings['client_id'] = t['client']
        if 'patient' in t:
            settings.update(bootstrap_timeout_ms=120_000, retries=10)
        return KafkaProducer(**settings)

    def send(self, p, prefix):
        futures = []
        for i in range(int(self.task['count'])):
            if pause := idle(self.task, i):
                p.flush(LIMIT)
                time.sleep(pause)
            key, value, headers = record(self.task, i, prefix)
            futures.append(p.send(self.task['topic'], key=key, value=value, headers=headers))
            if 'over' in self.task:
                futures[-1].get(LIMIT)
                time.sleep(gap(self.task))
        p.flush(LIMIT)
        for f in futures:
            f.get(LIMIT)

    def produce(self, _):
        p = self.producer()
        self.send(p, 'key-')
        p.close()

    def transact(self, _):
        p = self.producer()
        p.init_transactions()
        p.begin_transaction()
        self.send(p, 'key-')
        p.commit_transaction()
        p.begin_transaction()
        self.send(p, 'aborted-')
        p.abort_transaction()
        p.close()

    def consume(self, result):
        from kafka import KafkaConsumer
        t = self.task
        if t.get('protocol') == 'consumer':
            raise Unsupported('KIP-848')
        c = KafkaConsumer(t['topic'], bootstrap_servers=t['bootstrap'], group_id=t['group'], auto_offset_reset='earliest',
                          enable_auto_commit=False, isolation_level=t.get('isolation', 'read_uncommitted'), client_rack=t.get('rack', ''), **kafka_python(t))
        self.read(c, result)
        c.commit()
        c.close()

    def fetch(self, result):
        from kafka import KafkaConsumer, TopicPartition
        t = self.task
        c = KafkaConsumer(bootstrap_servers=t['bootstrap'], group_id=None)
        partitions = [TopicPartition(t['topic'], p) for p in c.partitions_for_topic(t['topic'])]
        c.assign(partitions)
        c.seek_to_beginning(*partitions)
        self.read(c, result)
        c.close()

    def read(self, c, result):
        end = time.monotonic() + LIMIT
        while result.count < int(self.task['count']):
            if time.monotonic() > end:
                raise RuntimeError(f'only {result.count} records')
            for tp, records in c.poll(timeout_ms=500).items():
                for r in records:
                    result.add(tp.partition, r.key, r.value)

    def admin(self, _):
        from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic
        a, topic = KafkaAdminClient(bootstrap_servers=self.task['bootstrap'], **kafka_python(self.task)), self.task['topic']
        made = topic + '-made'
        a.create_topics([NewTopic(made, 3, 1)])
        a.list_topics()
        a.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        brokers = len(a.describe_cluster()['brokers'])
        getattr(a, 'list_consumer_groups', getattr(a, 'list_groups', None))()
        a.delete_topics([made])
        a.close()
        return brokers
