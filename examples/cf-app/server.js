// An ordinary Kafka application: it knows localhost:9092 and nothing of proxies,
// tokens or Cloud Connectors. The tunnel beside it (see ../../manifest.yml) does
// the rest.
//
//   POST /messages   sends the body as a record
//   GET  /messages   shows the last records that were consumed
//   GET  /health     asks the tunnel whether Kafka can be reached
'use strict'

const http = require('node:http')
const { Kafka, logLevel } = require('kafkajs')

const topic = process.env.KAFKA_TOPIC || 'kafka-tunnel-example'
const tunnel = process.env.TUNNEL_ADMIN || 'http://127.0.0.1:19099'
const kafka = new Kafka({
  clientId: 'kafka-tunnel-example',
  brokers: (process.env.KAFKA_BOOTSTRAP_SERVERS || 'localhost:9092').split(','),
  logLevel: logLevel.WARN
})
const producer = kafka.producer()
const consumer = kafka.consumer({
  groupId: process.env.KAFKA_GROUP || 'kafka-tunnel-example',
  maxWaitTimeInMs: 1000 // a stop waits for the poll under way: five seconds by default
})
const consumed = [] // the last 100 records
let stopping = false

// keepTrying repeats a step until it works: Kafka may be away when the
// application starts, and that is no reason to crash.
async function keepTrying (what, step) {
  while (!stopping) {
    try {
      return await step()
    } catch (err) {
      console.error(`${what}: ${err.message}`)
      await new Promise(resolve => setTimeout(resolve, 2000))
    }
  }
}

async function createTopic () {
  const admin = kafka.admin()
  try {
    await admin.connect()
    await admin.createTopics({ topics: [{ topic }], waitForLeaders: true }) // false if it exists
  } finally {
    await admin.disconnect()
  }
}

async function start () {
  await keepTrying('create topic', createTopic)
  await keepTrying('connect producer', () => producer.connect())
  await keepTrying('connect consumer', async () => {
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
  })
  if (stopping) return
  await consumer.run({
    eachMessage: async ({ partition, message }) => {
      consumed.push({ partition, offset: message.offset, value: String(message.value) })
      if (consumed.length > 100) consumed.shift()
    }
  })
}

async function body (req) {
  const chunks = []
  let size = 0
  for await (const chunk of req) {
    size += chunk.length
    if (size > 1e6) throw new Error('the record is larger than 1 MB')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function answer (res, status, value) {
  res.writeHead(status, { 'Content-Type': 'application/json' })
  res.end(JSON.stringify(value, null, 2) + '\n')
}

async function handle (req, res) {
  const path = req.url.split('?')[0]
  if (path === '/messages' && req.method === 'POST') {
    const [sent] = await producer.send({ topic, messages: [{ value: await body(req) }] })
    return answer(res, 201, { topic, partition: sent.partition, offset: sent.baseOffset })
  }
  if (path === '/messages' && req.method === 'GET') {
    return answer(res, 200, { topic, consumed })
  }
  if (path === '/health' && req.method === 'GET') {
    // The tunnel says which hop fails and what to do; hand that on.
    const ready = await fetch(`${tunnel}/readyz`, { signal: AbortSignal.timeout(800) })
    return answer(res, ready.status, await ready.json().catch(() => ({ ready: ready.ok })))
  }
  answer(res, 404, { endpoints: ['POST /messages', 'GET /messages', 'GET /health'] })
}

const server = http.createServer((req, res) => {
  handle(req, res).catch(err => answer(res, 503, { error: err.message }))
})

// The platform sends SIGTERM to the application and to the tunnel at the same
// time. The tunnel serves on until its last client has gone, so there is time
// to flush and to leave the group.
async function stop () {
  if (stopping) return
  stopping = true
  server.close()
  server.closeIdleConnections()
  await Promise.allSettled([producer.disconnect(), consumer.disconnect()])
  process.exit(0)
}

process.on('SIGTERM', stop)
process.on('SIGINT', stop)
server.listen(process.env.PORT || 8080, () => console.log(`listening on ${server.address().port}`))
start().catch(err => {
  console.error(err)
  process.exit(1)
})
