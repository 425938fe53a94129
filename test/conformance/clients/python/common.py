"""What the clients in Python have in common."""
import hashlib
import struct

MIXED = [0, 1, 100, 1000, 10_000, 100_000, 900_000]
LIMIT = 90  # seconds


class Unsupported(Exception):
    pass


class NotFenced(Exception):
    """A producer went on whose transactional id another one had taken."""


def idle(task, i):
    """Whether to keep silent before record i, and for how many seconds."""
    return int(task['idle']) if 'idle' in task and i == int(task['count']) // 2 else 0


def record(task, i, prefix='key-'):
    n = MIXED[i % 7] if task.get('sizes') == 'mixed' else 4 + (i * 31) % 197
    value = bytearray([i % 251]) * n
    if n >= 4:
        value[n - 4:] = struct.pack('>i', i)
    headers = [('n', str(i).encode())] if task.get('headers') == 'true' else None
    return f'{prefix}{i}'.encode(), bytes(value), headers


class Result:
    def __init__(self):
        self.count, self.sums, self.counts = 0, {}, {}

    def add(self, partition, key, value):
        h = self.sums.setdefault(partition, hashlib.sha256())
        for part in (key, value or b''):
            h.update(struct.pack('>i', len(part)))
            h.update(part)
        self.counts[partition] = self.counts.get(partition, 0) + 1
        self.count += 1

    def out(self):
        return {'count': self.count, 'partitions': {
            str(p): {'count': self.counts[p], 'sha256': h.hexdigest()} for p, h in self.sums.items()}}
