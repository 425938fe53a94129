// The tasks that end with standard input: what the clients have in common.
'use strict'

const { setTimeout: later } = require('node:timers/promises')
const { Result, Unsupported } = require('./common')

// Ended is whether standard input has ended, and a promise of it.
class Ended {
  yes = false
  constructor () {
    this.promise = new Promise(resolve => process.stdin.resume().on('close', () => {
      this.yes = true
      resolve()
    }))
  }
}

// Kept is what a consumer has seen, with the offsets as runs from first to last.
class Kept extends Result {
  runs = new Map()
  backwards = 0
  take (partition, offset, key, value) {
    this.add(partition, key, value)
    let runs = this.runs.get(partition)
    if (!runs) this.runs.set(partition, runs = [])
    const last = runs.at(-1)
    if (last && last[1] + 1 === offset) {
      last[1] = offset
      return
    }
    if (last && last[1] >= offset) this.backwards++
    runs.push([offset, offset])
  }

  out () {
    const out = super.out()
    for (const [number, runs] of this.runs) out.partitions[number].runs = runs
    return { ...out, backwards: this.backwards }
  }
}

async function keep (name, task) {
  const library = require(`./keep-${name}`)
  const ended = new Ended()
  if (task.do === 'keep-producing') {
    let count = 0
    await library.produce(task, async function * () {
      for (; !ended.yes; await later(Number(task.pause ?? 20))) yield count++
    })
    console.log(JSON.stringify({ count }))
  } else if (task.do === 'keep-consuming') {
    const kept = new Kept()
    await library.consume(task, ended, kept)
    console.log(JSON.stringify(kept.out()))
  } else {
    throw new Unsupported(task.do)
  }
}

module.exports = { keep }
