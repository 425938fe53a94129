"""confluent-kafka, which is librdkafka."""
import time

from keep import PATIENCE, complain


def produce(task, numbers, pause):
    from confluent_kafka import Producer
    from common import record
    errors = []

    def failed(e):
        if e.fatal():
            errors.append(e)
    p = Producer({'bootstrap.servers': task['bootstrap'], 'acks': '-1', 'enable.idempotence': task.get('idempotent') == 'true',
                  'message.timeout.ms': PATIENCE * 1000, 'error_cb': failed})
    for i in numbers:
        key, value, _ = record(task, i)
        p.produce(task['topic'], value, key, on_delivery=lambda e, m: errors.append(e) if e else None)
        p.poll(0)
        if errors:
            break
        time.sleep(pause)
    if p.flush(PATIENCE) or errors:
        raise RuntimeError(f'not delivered: {errors[:3]}')


def consume(task, ended, kept):
    from confluent_kafka import Consumer, KafkaException
    settings = {'bootstrap.servers': task['bootstrap'], 'group.id': task['group'], 'auto.offset.reset': 'earliest', 'enable.auto.commit': False}
    if task.get('protocol') == 'consumer':
        settings['group.protocol'] = 'consumer'
    if task.get('assignor') == 'cooperative':
        settings['partition.assignment.strategy'] = 'cooperative-sticky'
    if 'instance' in task:
        settings['group.instance.id'] = task['instance']
    c = Consumer(settings)
    c.subscribe([task['topic']])
    while not ended.is_set():
        came = False
        for m in c.consume(500, 0.2):
            if m.error():
                complain(m.error())
                continue
            kept.take(m.partition(), m.offset(), m.key(), m.value())
            came = True
        if came:
            try:
                c.commit(asynchronous=False)
            except KafkaException as e:  # what it leaves open is in the next one
                complain(e)
    c.close()
