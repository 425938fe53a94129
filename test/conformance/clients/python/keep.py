"""The tasks that end with standard input: what the clients have in common."""
import importlib
import json
import sys
import threading
import time

from common import Result, Unsupported

PATIENCE = 120  # seconds for a record: longer than any time for which all brokers are away


def run(name, task):
    library = importlib.import_module('keep_' + name.replace('-', '_'))
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.buffer.read(), ended.set()), daemon=True).start()
    if task['do'] == 'keep-producing':
        numbers = Numbers(ended)
        library.produce(task, numbers, float(task.get('pause', 20)) / 1000)
        print(json.dumps({'count': numbers.count}))
    elif task['do'] == 'keep-consuming':
        kept = Kept()
        library.consume(task, ended, kept)
        print(json.dumps(kept.out()))
    else:
        raise Unsupported(task['do'])


class Numbers:
    """0, 1, 2, ... until standard input ends."""

    def __init__(self, ended):
        self.ended, self.count = ended, 0

    def __iter__(self):
        while not self.ended.is_set():
            self.count += 1
            yield self.count - 1


class Kept(Result):
    """What a consumer has seen, with the offsets as runs from first to last."""

    def __init__(self):
        super().__init__()
        self.runs, self.backwards = {}, 0

    def take(self, partition, offset, key, value):
        self.add(partition, key, value)
        runs = self.runs.setdefault(partition, [])
        if runs and runs[-1][1] + 1 == offset:
            runs[-1][1] = offset
            return
        if runs and runs[-1][1] >= offset:
            self.backwards += 1
        runs.append([offset, offset])

    def out(self):
        out = super().out()
        for partition, runs in self.runs.items():
            out['partitions'][str(partition)]['runs'] = runs
        return {**out, 'backwards': self.backwards}


def complain(what):
    """Of a task that goes on."""
    print(repr(what), file=sys.stderr, flush=True)
    time.sleep(0.2)
