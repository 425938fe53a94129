import { Kafka } from 'kafkajs'

const kafka = new Kafka({
  clientId: 'hello',
  brokers: (process.env.KAFKA_BOOTSTRAP_SERVERS ?? 'localhost:9092').split(','),
  requestTimeout: 30000,
  retry: { retries: 20, maxRetryTime: 5000 }
})
const producer = kafka.producer()
await producer.connect()
await producer.send({ topic: 'hello', messages: [{ value: 'hello' }] })

const consumer = kafka.consumer({ groupId: 'hello-node' })
await consumer.subscribe({ topics: ['hello'], fromBeginning: true })
await consumer.run({ eachMessage: async ({ message }) => console.log('consumed', String(message.value)) })
