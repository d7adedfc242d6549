// kafkajs on a cluster in upheaval; storm_test.go says what it does. It has no transactions there: it cannot end one whose coordinator has moved, as its
// eosManager tries EndTxn once, and neither commits nor aborts after that.
const { Kafka, logLevel } = require('kafkajs')

const [addrs, plain, , group] = process.argv.slice(2)
const keys = ['0', '1', '2', '3']
const retry = { initialRetryTime: 20, maxRetryTime: 200, retries: 1000 }
const kafka = new Kafka({ brokers: addrs.split(','), logLevel: logLevel.NOTHING, connectionTimeout: 1000, retry })
const result = {}
let over = false

async function produce(begun) {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, metadataMaxAge: 1000, retry })
  await producer.connect()
  let n = 0
  for (; !over || n === 0; n++) {
    // A record of another partition, in the same call, would be lost when its leader moves to a broker that has answered already: kafkajs notes who has
    // answered, and not for what (sendMessages.js).
    for (const key of keys) await producer.send({ topic: plain, messages: [{ key, value: String(n) }], acks: -1 })
    begun()
  }
  result.sent = n
  await producer.disconnect()
}

async function read(begun) {
  const consumer = kafka.consumer({ groupId: group, heartbeatInterval: 200, sessionTimeout: 6000, rebalanceTimeout: 6000, maxWaitTimeInMs: 100, metadataMaxAge: 1000, retry })
  await consumer.connect()
  await consumer.subscribe({ topics: [plain], fromBeginning: true })
  const seen = new Set()
  await new Promise((resolve, reject) => {
    consumer.run({
      eachMessage: async ({ message }) => {
        seen.add(`${message.key} ${message.value}`)
        begun()
      },
    }).catch(reject)
    const look = setInterval(() => {
      if (result.sent === undefined || seen.size < keys.length * result.sent) return
      clearInterval(look)
      resolve()
    }, 50)
  })
  result.read = seen.size
  await consumer.disconnect()
}

function end() {
  process.stdout.write(JSON.stringify(result) + '\n', () => process.exit(0))
}

let missing = 2
const roles = [produce, read].map(role => {
  let first = true
  const begun = () => {
    if (first && --missing === 0) console.log('begun')
    first = false
  }
  return role(begun).catch(error => {
    result.errors = [...(result.errors ?? []), `${role.name}: ${error.stack}`]
    if (missing > 0) console.log('begun')
    end()
  })
})
process.stdin.on('end', () => { over = true }).resume()
Promise.all(roles).then(end)
