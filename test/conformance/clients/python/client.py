"""One task of the compatibility table with a client library in Python. See ../README.md.

    client.py confluent-kafka|kafka-python|aiokafka key=value...
"""
import asyncio
import hashlib
import json
import struct
import sys
import time

MIXED = [0, 1, 100, 1000, 10_000, 100_000, 900_000]
LIMIT = 90  # seconds


class Unsupported(Exception):
    pass


def record(task, i, prefix='key-'):
    n = MIXED[i % 7] if task.get('sizes') == 'mixed' else 4 + (i * 31) % 197
    value = bytearray([i % 251]) * n
    if n >= 4:
        value[n - 4:] = struct.pack('>i', i)
    headers = [('n', str(i).encode())] if task.get('headers') == 'true' else None
    return f'{prefix}{i}'.encode(), bytes(value), headers


class Result:
    def __init__(self):
        self.count, self.sums, self.counts = 0, {}, {}

    def add(self, partition, key, value):
        h = self.sums.setdefault(partition, hashlib.sha256())
        for part in (key, value or b''):
            h.update(struct.pack('>i', len(part)))
            h.update(part)
        self.counts[partition] = self.counts.get(partition, 0) + 1
        self.count += 1

    def out(self):
        return {'count': self.count, 'partitions': {
            str(p): {'count': self.counts[p], 'sha256': h.hexdigest()} for p, h in self.sums.items()}}


class Confluent:
    def __init__(self, task):
        self.task = task

    def producer(self):
        from confluent_kafka import Producer
        t = self.task
        settings = {'bootstrap.servers': t['bootstrap'], 'acks': t.get('acks', '-1'), 'compression.type': t.get('compression', 'none'),
                    'message.max.bytes': 2_000_000, 'queue.buffering.max.kbytes': 200_000,
                    'enable.idempotence': t.get('idempotent') == 'true'}
        if 'patient' in t:
            settings['message.timeout.ms'] = 120_000
        if 'transactional' in t:
            settings['transactional.id'] = t['transactional']
            settings['enable.idempotence'] = True
        return Producer(settings)

    def send(self, p, prefix):
        errors = []
        for i in range(int(self.task['count'])):
            key, value, headers = record(self.task, i, prefix)
            p.produce(self.task['topic'], value, key, headers=headers, on_delivery=lambda e, m: errors.append(e) if e else None)
            p.poll(0)
        if p.flush(LIMIT) or errors:
            raise RuntimeError(f'not delivered: {errors[:3]}')

    def produce(self):
        self.send(self.producer(), 'key-')

    def transact(self):
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
                    'isolation.level': t.get('isolation', 'read_uncommitted')}
        if t.get('protocol') == 'consumer':
            settings['group.protocol'] = 'consumer'
        c = Consumer(settings)
        c.subscribe([t['topic']])
        end = time.monotonic() + LIMIT
        while result.count < int(t['count']):
            if time.monotonic() > end:
                raise RuntimeError(f'only {result.count} records')
            for m in c.consume(500, 0.5):
                if m.error():
                    raise RuntimeError(m.error())
                result.add(m.partition(), m.key(), m.value())
        c.commit(asynchronous=False)
        c.close()

    def admin(self):
        from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType
        a, topic = AdminClient({'bootstrap.servers': self.task['bootstrap']}), self.task['topic']
        made = topic + '-made'
        a.create_topics([NewTopic(made, 3, 1)])[made].result(LIMIT)
        m = a.list_topics(timeout=LIMIT)
        for f in a.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]).values():
            f.result(LIMIT)
        a.list_consumer_groups().result(LIMIT)
        a.delete_topics([made])[made].result(LIMIT)
        return len(m.brokers)


class KafkaPython:
    def __init__(self, task):
        self.task = task

    def producer(self):
        from kafka import KafkaProducer
        t = self.task
        acks = {'0': 0, '1': 1}.get(t.get('acks'), 'all')
        compression = t.get('compression', 'none')
        settings = {'bootstrap_servers': t['bootstrap'], 'acks': acks, 'compression_type': None if compression == 'none' else compression,
                    'max_request_size': 2_000_000, 'enable_idempotence': t.get('idempotent') == 'true'}
        if 'transactional' in t:
            settings.update(transactional_id=t['transactional'], enable_idempotence=True)
        if 'patient' in t:
            settings.update(bootstrap_timeout_ms=120_000, retries=10)
        return KafkaProducer(**settings)

    def send(self, p, prefix):
        futures = []
        for i in range(int(self.task['count'])):
            key, value, headers = record(self.task, i, prefix)
            futures.append(p.send(self.task['topic'], key=key, value=value, headers=headers))
        p.flush(LIMIT)
        for f in futures:
            f.get(LIMIT)

    def produce(self):
        p = self.producer()
        self.send(p, 'key-')
        p.close()

    def transact(self):
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
                          enable_auto_commit=False, isolation_level=t.get('isolation', 'read_uncommitted'))
        end = time.monotonic() + LIMIT
        while result.count < int(t['count']):
            if time.monotonic() > end:
                raise RuntimeError(f'only {result.count} records')
            for tp, records in c.poll(timeout_ms=500).items():
                for r in records:
                    result.add(tp.partition, r.key, r.value)
        c.commit()
        c.close()

    def admin(self):
        from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic
        a, topic = KafkaAdminClient(bootstrap_servers=self.task['bootstrap']), self.task['topic']
        made = topic + '-made'
        a.create_topics([NewTopic(made, 3, 1)])
        a.list_topics()
        a.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        brokers = len(a.describe_cluster()['brokers'])
        getattr(a, 'list_consumer_groups', getattr(a, 'list_groups', None))()
        a.delete_topics([made])
        a.close()
        return brokers


class Aiokafka:
    def __init__(self, task):
        self.task = task

    async def producer(self):
        from aiokafka import AIOKafkaProducer
        from aiokafka.errors import KafkaConnectionError
        t = self.task
        acks = {'0': 0, '1': 1}.get(t.get('acks'), 'all')
        compression = t.get('compression', 'none')
        settings = {'bootstrap_servers': t['bootstrap'], 'acks': acks, 'compression_type': None if compression == 'none' else compression,
                    'max_request_size': 2_000_000, 'enable_idempotence': t.get('idempotent') == 'true'}
        if 'transactional' in t:
            settings.update(transactional_id=t['transactional'], enable_idempotence=True)
        while True:
            p = AIOKafkaProducer(**settings)
            try:
                await p.start()
                return p
            except KafkaConnectionError:
                await p.stop()
                if 'patient' not in t:
                    raise
                await asyncio.sleep(1)

    async def send(self, p, prefix):
        futures = []
        for i in range(int(self.task['count'])):
            key, value, headers = record(self.task, i, prefix)
            futures.append(await p.send(self.task['topic'], value, key, headers=headers))
        await p.flush()
        for f in futures:
            await f

    def produce(self):
        async def work():
            p = await self.producer()
            try:
                await self.send(p, 'key-')
            finally:
                await p.stop()
        asyncio.run(work())

    def transact(self):
        async def work():
            p = await self.producer()
            try:
                async with p.transaction():
                    await self.send(p, 'key-')
                await p.begin_transaction()
                await self.send(p, 'aborted-')
                await p.abort_transaction()
            finally:
                await p.stop()
        asyncio.run(work())

    def consume(self, result):
        from aiokafka import AIOKafkaConsumer
        t = self.task
        if t.get('protocol') == 'consumer':
            raise Unsupported('KIP-848')

        async def work():
            c = AIOKafkaConsumer(t['topic'], bootstrap_servers=t['bootstrap'], group_id=t['group'], auto_offset_reset='earliest',
                                 enable_auto_commit=False, isolation_level=t.get('isolation', 'read_uncommitted'))
            await c.start()
            try:
                end = time.monotonic() + LIMIT
                while result.count < int(t['count']):
                    if time.monotonic() > end:
                        raise RuntimeError(f'only {result.count} records')
                    for tp, records in (await c.getmany(timeout_ms=500)).items():
                        for r in records:
                            result.add(tp.partition, r.key, r.value)
                await c.commit()
            finally:
                await c.stop()
        asyncio.run(work())

    def admin(self):
        from aiokafka.admin import AIOKafkaAdminClient, NewTopic
        from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
        topic = self.task['topic']

        async def work():
            a = AIOKafkaAdminClient(bootstrap_servers=self.task['bootstrap'])
            await a.start()
            try:
                made = topic + '-made'
                await a.create_topics([NewTopic(made, 3, 1)])
                await a.list_topics()
                await a.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
                brokers = len((await a.describe_cluster())['brokers'])
                await a.list_consumer_groups()
                await a.delete_topics([made])
                return brokers
            finally:
                await a.close()
        return asyncio.run(work())


def main():
    task = dict(word.split('=', 1) for word in sys.argv[2:])
    client = {'confluent-kafka': Confluent, 'kafka-python': KafkaPython, 'aiokafka': Aiokafka}[sys.argv[1]](task)
    result = Result()
    do = task['do']
    if do == 'consume':
        client.consume(result)
        print(json.dumps(result.out()))
    elif do == 'admin':
        print(json.dumps({'count': client.admin()}))
    else:
        getattr(client, do)()
        print(json.dumps({'count': int(task['count'])}))


if __name__ == '__main__':
    try:
        main()
    except Unsupported as e:
        print(e, file=sys.stderr)
        sys.exit(3)
