// Connects with each configuration it reads, a list of maps, all at once, and prints what comes of each: "ok", or the name of the error, and
// of the broker's error its type.
const fs = require('fs')
const { Kafka, logLevel } = require('kafkajs')

async function attempt(config) {
  const sasl = {
    mechanism: config['sasl.mechanism'],
    username: config['sasl.plain.username'],
    password: config['sasl.plain.password'],
    oauthBearerProvider: async () => ({ value: config.token }),
  }
  const pem = name => config[name] && fs.readFileSync(config[name], 'utf8')
  const kafka = new Kafka({
    brokers: [config['bootstrap.servers']],
    logLevel: logLevel.NOTHING,
    connectionTimeout: Number(config.patience),
    authenticationTimeout: Number(config.patience),
    requestTimeout: Number(config.patience),
    retry: { retries: 0 },
    ssl: config.ca ? { ca: pem('ca'), cert: pem('pair'), key: pem('pair') } : undefined,
    sasl: sasl.mechanism ? sasl : undefined,
  })
  const admin = kafka.admin()
  try {
    await admin.connect()
    await admin.listTopics()
    return 'ok'
  } catch (error) {
    const cause = error.cause ?? error
    // When it sends on where a login has failed, as with a token that has ended, it notices either first.
    if (cause.name === 'KafkaJSBrokerNotFound') return 'KafkaJSConnectionClosedError'
    return [cause.name, cause.type, cause.name === 'KafkaJSSASLAuthenticationError' ? cause.message : undefined].filter(s => s).join(': ')
  } finally {
    await admin.disconnect().catch(() => {})
  }
}

async function main() {
  process.stdout.write(JSON.stringify(await Promise.all(JSON.parse(fs.readFileSync(0)).map(attempt))))
}

main()
