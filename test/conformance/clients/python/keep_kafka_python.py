"""kafka-python."""
import time

from common import Unsupported, record
from keep import PATIENCE, complain


def produce(task, numbers, pause):
    from kafka import KafkaProducer
    p = KafkaProducer(bootstrap_servers=task['bootstrap'].split(','), acks='all', enable_idempotence=task.get('idempotent') == 'true',
                      retries=2**31 - 1, delivery_timeout_ms=PATIENCE * 1000, max_block_ms=PATIENCE * 1000, bootstrap_timeout_ms=PATIENCE * 1000)
    errors = []
    for i in numbers:
        key, value, _ = record(task, i)
        p.send(task['topic'], key=key, value=value).add_errback(errors.append)
        if errors:
            break
        time.sleep(pause)
    p.flush(PATIENCE)
    p.close()
    if errors:
        raise RuntimeError(f'not delivered: {errors[:3]}')


def consume(task, ended, kept):
    from kafka import KafkaConsumer
    from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
    from kafka.errors import KafkaError
    if task.get('protocol') == 'consumer':
        raise Unsupported('KIP-848')
    settings = {'bootstrap_servers': task['bootstrap'].split(','), 'group_id': task['group'], 'auto_offset_reset': 'earliest', 'enable_auto_commit': False,
                'bootstrap_timeout_ms': PATIENCE * 1000}
    if task.get('assignor') == 'cooperative':
        settings['partition_assignment_strategy'] = [CooperativeStickyAssignor]
    if 'instance' in task:
        settings['group_instance_id'] = task['instance']
    c = KafkaConsumer(task['topic'], **settings)
    while not ended.is_set():
        try:
            came = c.poll(timeout_ms=200)
            for tp, records in came.items():
                for r in records:
                    kept.take(tp.partition, r.offset, r.key, r.value)
            if came:
                c.commit()
        except KafkaError as e:  # what a commit leaves open is in the next one
            complain(e)
    c.close()
