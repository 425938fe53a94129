import os
from confluent_kafka import Consumer, Producer

common = {'bootstrap.servers': os.environ.get('KAFKA_BOOTSTRAP_SERVERS', 'localhost:9092'),
          'log.connection.close': False}

producer = Producer(common | {'message.timeout.ms': 120000})
producer.produce('hello', 'hello')
producer.flush()

consumer = Consumer(common | {'group.id': 'hello-python', 'auto.offset.reset': 'earliest'})
consumer.subscribe(['hello'])
while True:
    record = consumer.poll(1)
    if record and not record.error():
        print('consumed', record.value().decode(), flush=True)
