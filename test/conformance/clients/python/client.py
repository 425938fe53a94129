"""One task of the compatibility table with a client library in Python. See ../README.md.

    client.py confluent-kafka|kafka-python|aiokafka key=value...
"""
import json
import sys

import keep
from common import Result, Unsupported


def client(name, task):
    if name == 'confluent-kafka':
        from with_confluent import Confluent
        return Confluent(task)
    if name == 'kafka-python':
        from with_kafka_python import KafkaPython
        return KafkaPython(task)
    from with_aiokafka import Aiokafka
    return Aiokafka(task)


def main():
    task = dict(word.split('=', 1) for word in sys.argv[2:])
    if task['do'].startswith('keep-'):
        keep.run(sys.argv[1], task)
        return
    do = getattr(client(sys.argv[1], task), task['do'].replace('-', '_'), None)
    if do is None:
        raise Unsupported(task['do'])
    result = Result()
    count = do(result)
    if result.count:
        print(json.dumps(result.out()))
    else:
        print(json.dumps({'count': int(task['count']) if count is None else count}))


if __name__ == '__main__':
    try:
        main()
    except Unsupported as e:
        print(e, file=sys.stderr)
        sys.exit(3)
