// kafkajs as a client of the tests; foreign_test.go says how it is called. Of Kafka's codecs
// it has gzip; the others are plugged in, as its documentation says.
const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = require('kafkajs')
const SnappyCodec = require('kafkajs-snappy')
const lz4 = require('lz4js')
const xxh32 = require('lz4js/xxh32.js')
const { ZstdCodec } = require('zstd-codec')

const header = 'h'
const codecs = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
}
CompressionCodecs[CompressionTypes.Snappy] = SnappyCodec
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async encoder => independent(Buffer.from(lz4.compress(encoder.buffer))),
  decompress: async buffer => Buffer.from(lz4.decompress(buffer)),
})

// independent makes a frame of one block say that its blocks need no others, without which
// Java reads none. lz4js does not say it.
function independent(frame) {
  frame[4] |= 0x20
  frame[6] = (xxh32.hash(0, frame, 4, 2) >>> 8) & 0xff // the checksum of the two bytes before
  return frame
}

const withZstd = () => new Promise(resolve => ZstdCodec.run(zstd => {
  const streaming = new zstd.Streaming()
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: async encoder => Buffer.from(streaming.compress(encoder.buffer)),
    decompress: async buffer => Buffer.from(streaming.decompress(buffer)),
  })
  resolve()
}))

const plain = message => ({
  key: message.key.toString(),
  value: message.value.toString(),
  header: (message.headers?.[header] ?? '').toString(),
})

async function produce(kafka) {
  const jobs = JSON.parse(require('fs').readFileSync(0))
  const producer = kafka.producer()
  await producer.connect()
  for (const job of jobs) {
    await producer.send({
      topic: job.topic,
      compression: codecs[job.codec],
      acks: -1,
      messages: job.records.map(r => ({ key: r.key, value: r.value, partition: 0, headers: { [header]: r.header } })),
    })
  }
  await producer.disconnect()
}

async function transact(kafka) {
  const story = JSON.parse(require('fs').readFileSync(0))
  const producers = []
  const begin = async () => {
    const producer = kafka.producer({ transactionalId: story.id, idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    producers.push(producer)
    return producer
  }
  let producer = await begin()
  let next = await producer.transaction()
  for (const [i, step] of story.steps.entries()) {
    const transaction = next
    await transaction.send({
      topic: story.topic,
      messages: step.records.map(r => ({ key: r.key, value: r.value, partition: 0, headers: { [header]: r.header } })),
    })
    if (step.offset > 0) {
      const partitions = [{ partition: 0, offset: String(step.offset) }]
      await transaction.sendOffsets({ consumerGroupId: story.group, topics: [{ topic: story.input, partitions }] })
    }
    if (step.end === 'commit') await transaction.commit()
    else if (step.end === 'abort') await transaction.abort()
    else producer = await begin()
    if (i + 1 < story.steps.length) next = await producer.transaction() // the first of a producer begins with the id
    if (step.end !== 'fence') continue
    const why = await transaction.commit().then(() => 'none', error => error.type)
    if (!['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED'].includes(why)) {
      throw new Error(`the commit of a producer that another has replaced: ${why}`)
    }
  }
  for (const p of producers) await p.disconnect()
}

// receive reads up to count messages of each topic as a member of a group, commits them,
// and leaves.
async function receive(kafka, group, topics, count, readUncommitted) {
  const got = Object.fromEntries(topics.map(topic => [topic, []]))
  const consumer = kafka.consumer({ groupId: group, maxWaitTimeInMs: 100, readUncommitted })
  await consumer.connect()
  await consumer.subscribe({ topics, fromBeginning: true })
  await new Promise((resolve, reject) => {
    consumer.on(consumer.events.CRASH, event => reject(event.payload.error))
    consumer.run({
      autoCommit: false,
      eachMessage: async ({ topic, partition, message }) => {
        if (got[topic].length === count) return
        got[topic].push(plain(message))
        if (got[topic].length < count) return
        await consumer.commitOffsets([{ topic, partition, offset: String(Number(message.offset) + 1) }])
        if (Object.values(got).every(messages => messages.length === count)) resolve()
      },
    }).catch(reject)
  })
  await consumer.disconnect()
  return got
}

// security is how it logs in, as the environment says.
function security() {
  const config = JSON.parse(process.env.SAMSA_CLIENTTEST_SECURITY ?? '{}')
  if (!config.ca) return {}
  return {
    ssl: { ca: require('fs').readFileSync(config.ca, 'utf8') },
    sasl: { mechanism: config['sasl.mechanism'], username: config['sasl.plain.username'], password: config['sasl.plain.password'] },
  }
}

async function main([verb, addr, count, ...rest]) {
  const kafka = new Kafka({ brokers: [addr], clientId: 'kafkajs', logLevel: logLevel.ERROR, ...security() })
  await withZstd()
  let out
  switch (verb) {
    case 'produce':
      return produce(kafka)
    case 'transact':
      return transact(kafka)
    case 'consume': // of which it has no way without a group
    case 'committed':
      out = await receive(kafka, `kafkajs-${verb}`, rest, Number(count), verb === 'consume')
      break
    case 'group': {
      const [topic, group] = rest
      out = (await receive(kafka, group, [topic], Number(count)))[topic]
      break
    }
    default:
      throw new Error(`unknown verb ${verb}`)
  }
  process.stdout.write(JSON.stringify(out))
}

main(process.argv.slice(2)).catch(error => {
  console.error(error)
  process.exit(1)
})
