"""One task of the compatibility table with the command kcat. See ../README.md.

It shows metadata, and administers nothing. Its transactions end well alone: one that is
interrupted is aborted only if it was not just reading a record.
"""
import json
import subprocess
import sys

from common import Result, Unsupported, record

# Neither is part of a key or a value.
KEY_END, RECORD_END = '<kcat-key>', '<kcat-record>'


def kcat(task, *args, **settings):
    if 'idle' in task:
        raise Unsupported('silence')
    command = ['kcat', '-b', task['bootstrap'], '-m', '30', *args]
    for word, name in (('client', 'client_id'), ('rack', 'client_rack')):
        if word in task:
            settings[name] = task[word]
    for name, value in settings.items():
        command += ['-X', f'{name.replace("_", ".")}={value}']
    return command


def lines(task):
    for i in range(int(task['count'])):
        key, value, _ = record(task, i)
        yield key + KEY_END.encode() + value + RECORD_END.encode()


def produce(task):
    if 'headers' in task:
        raise Unsupported('a run of kcat gives all records the same headers')
    subprocess.run(kcat(task, '-P', '-t', task['topic'], '-K', KEY_END, '-D', RECORD_END, acks=task.get('acks', '-1'), compression_type=task.get('compression', 'none'),
                        message_max_bytes=2_000_000, enable_idempotence=task.get('idempotent', 'false')),
                   input=b''.join(lines(task)), check=True)
    return {'count': int(task['count'])}


def read(task, *args, **settings):
    out = subprocess.run(kcat(task, '-f', r'%p %K %S\n%k%s', '-c', task['count'], *args, **settings), stdout=subprocess.PIPE, check=True).stdout
    result, at = Result(), 0
    while at < len(out):
        end = out.index(b'\n', at)
        partition, key, value = (int(n) for n in out[at:end].split())
        key_at, value_at = end + 1, end + 1 + key
        at = value_at + max(value, 0)
        result.add(partition, out[key_at:value_at], out[value_at:at])
    return result.out()


def consume(task):
    if task.get('protocol') == 'consumer':
        raise Unsupported('KIP-848')
    return read(task, '-G', task['group'], task['topic'], auto_offset_reset='earliest', isolation_level=task.get('isolation', 'read_uncommitted'))


def fetch(task):
    return read(task, '-C', '-t', task['topic'], '-o', 'beginning')


def main():
    task = dict(word.split('=', 1) for word in sys.argv[1:])
    tasks = {'produce': produce, 'consume': consume, 'fetch': fetch}
    if task['do'] not in tasks:
        raise Unsupported(task['do'])
    print(json.dumps(tasks[task['do']](task)))


if __name__ == '__main__':
    try:
        main()
    except Unsupported as e:
        print(e, file=sys.stderr)
        sys.exit(3)
    except subprocess.CalledProcessError as e:
        sys.exit(f'status {e.returncode}')
