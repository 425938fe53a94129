// What the clients for Node have in common.
'use strict'

const crypto = require('node:crypto')
const { setTimeout: later } = require('node:timers/promises')

const MIXED = [0, 1, 100, 1000, 10_000, 100_000, 900_000]
const BATCH = 100

class Unsupported extends Error {}

// A producer went on whose transactional id another one had taken.
class NotFenced extends Error {}

function record (task, i, prefix) {
  const n = task.sizes === 'mixed' ? MIXED[i % 7] : 4 + (i * 31) % 197
  const value = Buffer.alloc(n, i % 251)
  if (n >= 4) value.writeInt32BE(i, n - 4)
  return { key: Buffer.from(prefix + i), value, number: String(i) }
}

class Result {
  count = 0
  partitions = new Map()
  add (partition, key, value) {
    let p = this.partitions.get(partition)
    if (!p) this.partitions.set(partition, p = { count: 0, hash: crypto.createHash('sha256') })
    for (const part of [key, value ?? Buffer.alloc(0)]) {
      const head = Buffer.alloc(4)
      head.writeInt32BE(part.length)
      p.hash.update(head).update(part)
    }
    p.count++
    this.count++
  }

  out () {
    const partitions = {}
    for (const [number, p] of this.partitions) partitions[number] = { count: p.count, sha256: p.hash.digest('hex') }
    return { count: this.count, partitions }
  }
}

// batches yields the records in batches, and keeps silent in the middle for as many seconds
// as the task says.
async function * batches (task, prefix, make) {
  const count = Number(task.count)
  const size = task.sizes === 'mixed' || task.over ? 1 : BATCH // brokers take batches of 1 MB
  for (let i = 0; i < count; i += size) {
    if (task.idle && i >= count / 2 && i - size < count / 2) await later(1000 * Number(task.idle))
    const messages = []
    for (let j = i; j < Math.min(i + size, count); j++) {
      const r = record(task, j, prefix)
      messages.push(make(r, task.headers === 'true' ? { n: r.number } : undefined))
    }
    yield messages
  }
}

module.exports = { Unsupported, NotFenced, Result, record, batches }
