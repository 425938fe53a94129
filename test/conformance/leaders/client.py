"""One client of librdkafka that works in a loop until its standard input ends.

    client.py produce|consume[-timed] BOOTSTRAP TOPIC

It prints "done N" at the end, or "error ..." at once. With -timed it produces every 5 ms,
in place of 20, and prints "got OFFSET MICROSECONDS" for every record that it receives.
"""
import sys
import threading
import time

from confluent_kafka import Consumer, Producer

mode, bootstrap, topic = sys.argv[1:]
mode, timed, _ = mode.partition("-timed")
stop = threading.Event()


def wait_for_end():
    while sys.stdin.read(1):
        pass
    stop.set()


threading.Thread(target=wait_for_end, daemon=True).start()
done = 0
if mode == "produce":
    sent = 0

    def delivered(error, _):
        global done
        if error:
            print("error", error, flush=True)
        else:
            done += 1

    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 0})
    while not stop.is_set():
        producer.produce(topic, b"record", callback=delivered)
        sent += 1
        producer.poll(0)
        time.sleep(0.005 if timed else 0.02)
    producer.flush(30)
    if sent != done:
        print(f"error {sent} sent, {done} acknowledged", flush=True)
else:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "leaders-" + topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    while not stop.is_set():
        message = consumer.poll(0.1)
        if message is None:
            continue
        if message.error():
            print("error", message.error(), flush=True)
            continue
        done += 1
        if timed:
            print("got", message.offset(), time.time_ns() // 1000, flush=True)
    consumer.close()
print("done", done, flush=True)
