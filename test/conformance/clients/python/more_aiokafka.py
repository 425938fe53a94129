"""What not every library can do, with aiokafka."""
import asyncio

from common import NotFenced


class More:
    def seek(self, result):
        from aiokafka import AIOKafkaConsumer, TopicPartition
        t = self.task

        async def work():
            c = AIOKafkaConsumer(bootstrap_servers=t['bootstrap'], enable_auto_commit=False)
            await c.start()
            try:
                partitions = [TopicPartition(t['topic'], p) for p in range(3)]
                c.assign(partitions)
                ends = await c.end_offsets(partitions)
                for p, found in (await c.offsets_for_times({p: int(t['time']) for p in partitions})).items():
                    c.seek(p, found.offset if found else ends[p])
                await self.read(c, result)
            finally:
                await c.stop()
        asyncio.run(work())

    def fence(self, _):
        """A second producer takes the transactional id of the first."""
        from aiokafka.errors import KafkaError
        topic = self.task['topic']

        async def work():
            zombie = await self.producer()
            await zombie.begin_transaction()
            await zombie.send_and_wait(topic, b'zombie', b'zombie')
            second = await self.producer()
            async with second.transaction():
                await self.send(second, 'key-')
            await second.stop()
            try:
                await zombie.send_and_wait(topic, b'zombie', b'zombie')
                await zombie.commit_transaction()
            except KafkaError:
                return
            raise NotFenced
        asyncio.run(work())
