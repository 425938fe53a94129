"""aiokafka."""
import asyncio

from common import Unsupported, record
from keep import PATIENCE, complain


async def started(make):
    """start() tries each bootstrap address once."""
    from aiokafka.errors import KafkaConnectionError
    while True:
        client = make()
        try:
            await client.start()
            return client
        except KafkaConnectionError as e:
            await client.stop()
            complain(e)
            await asyncio.sleep(1)


def produce(task, numbers, pause):
    from aiokafka import AIOKafkaProducer
    errors = []

    def acknowledged(future):
        if future.exception():
            errors.append(future.exception())

    async def work():
        # A batch is given up after the time of one request, so that has to be long.
        p = await started(lambda: AIOKafkaProducer(
            bootstrap_servers=task['bootstrap'].split(','), acks='all', enable_idempotence=task.get('idempotent') == 'true', request_timeout_ms=PATIENCE * 1000))
        try:
            for i in numbers:
                key, value, _ = record(task, i)
                (await p.send(task['topic'], value, key)).add_done_callback(acknowledged)
                if errors:
                    break
                await asyncio.sleep(pause)
            await p.flush()
        finally:
            await p.stop()
        if errors:
            raise errors[0]
    asyncio.run(work())


def consume(task, ended, kept):
    from aiokafka import AIOKafkaConsumer
    from aiokafka.errors import KafkaError
    if task.get('protocol') == 'consumer' or 'assignor' in task:
        raise Unsupported('KIP-848, cooperative')

    async def work():
        c = await started(lambda: AIOKafkaConsumer(
            task['topic'], bootstrap_servers=task['bootstrap'].split(','), group_id=task['group'], group_instance_id=task.get('instance'),
            auto_offset_reset='earliest', enable_auto_commit=False))
        try:
            while not ended.is_set():
                try:
                    came = await c.getmany(timeout_ms=200)
                    for tp, records in came.items():
                        for r in records:
                            kept.take(tp.partition, r.offset, r.key, r.value)
                    if came:
                        await c.commit()
                except KafkaError as e:  # what a commit leaves open is in the next one
                    complain(e)
        finally:
            await c.stop()
    asyncio.run(work())
