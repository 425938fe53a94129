"""aiokafka."""
import asyncio
import time

from common import LIMIT, Unsupported, idle, record
from more_aiokafka import More
from security import aiokafka, gap


class Aiokafka(More):
    def __init__(self, task):
        self.task = task

    async def producer(self):
        from aiokafka import AIOKafkaProducer
        from aiokafka.errors import KafkaConnectionError
        t = self.task
        acks = {'0': 0, '1': 1}.get(t.get('acks'), 'all')
        compression = t.get('compression', 'none')
        settings = {'bootstrap_servers': t['bootstrap'], 'acks': acks, 'compression_type': None if compression == 'none' else compression,
                    'max_request_size': 2_000_000, 'enable_idempotence': t.get('idempotent') == 'true', **aiokafka(t)}
        if 'client' in t:
            settings['client_id'] = t['client']
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
            if pause := idle(self.task, i):
                await p.flush()
                await asyncio.sleep(pause)
            key, value, headers = record(self.task, i, prefix)
            futures.append(await p.send(self.task['topic'], value, key, headers=headers))
            if 'over' in self.task:
                await futures[-1]
                await asyncio.sleep(gap(self.task))
        await p.flush()
        for f in futures:
            await f

    def produce(self, _):
        async def work():
            p = await self.producer()
            try:
                await self.send(p, 'key-')
            finally:
                await p.stop()
        asyncio.run(work())

    def transact(self, _):
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
                                 enable_auto_commit=False, isolation_level=t.get('isolation', 'read_uncommitted'), client_rack=t.get('rack'), **aiokafka(t))
            await c.start()
            try:
                await self.read(c, result)
                await c.commit()
            finally:
                await c.stop()
        asyncio.run(work())

    def fetch(self, result):
        from aiokafka import AIOKafkaConsumer

        async def work():
            # Given a topic, it takes all its partitions if it has no group.
            c = AIOKafkaConsumer(self.task['topic'], bootstrap_servers=self.task['bootstrap'], group_id=None, auto_offset_reset='earliest')
            await c.start()
            try:
                await self.read(c, result)
            finally:
                await c.stop()
        asyncio.run(work())

    async def read(self, c, result):
        end = time.monotonic() + LIMIT
        while result.count < int(self.task['count']):
            if time.monotonic() > end:
                raise RuntimeError(f'only {result.count} records')
            for tp, records in (await c.getmany(timeout_ms=500)).items():
                for r in records:
                    result.add(tp.partition, r.key, r.value)

    def admin(self, _):
        from aiokafka.admin import AIOKafkaAdminClient, NewTopic
        from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
        topic = self.task['topic']

        async def work():
            a = AIOKafkaAdminClient(bootstrap_servers=self.task['bootstrap'], **aiokafka(self.task))
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
