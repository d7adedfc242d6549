// kafkajs' client of a registry, at the URL that is the argument: what it has registered it encodes with, and a fresh one decodes it.
const { SchemaRegistry, SchemaType } = require('@kafkajs/confluent-schema-registry')
const assert = require('assert')

const host = process.argv[2]
const order = kind => JSON.stringify({ type: 'record', name: 'Order', namespace: 'shop', fields: [{ name: 'id', type: kind }] })

async function main() {
  const r = new SchemaRegistry({ host })
  const avro = { type: SchemaType.AVRO, schema: order('long') }
  for (const [kind, schema, message] of [
    [SchemaType.AVRO, avro.schema, { id: 7 }],
    [SchemaType.JSON, JSON.stringify({ type: 'object', properties: { id: { type: 'integer' } } }), { id: 7 }],
    [SchemaType.PROTOBUF, 'syntax = "proto3"; package shop; message Order { int32 id = 1; }', { id: 7 }],
  ]) {
    const subject = `js-${kind}`
    const { id } = await r.register({ type: kind, schema }, { subject })
    assert.equal((await r.register({ type: kind, schema }, { subject })).id, id)
    assert.equal(await r.getLatestSchemaId(subject), id)
    const bytes = await r.encode(id, message)
    assert.equal((await new SchemaRegistry({ host }).decode(bytes)).id, 7)
  }
  assert.equal(await r.getRegistryIdBySchema('js-AVRO', avro), await r.getRegistryId('js-AVRO', 1))
  await assert.rejects(r.register({ type: SchemaType.AVRO, schema: order('string') }, { subject: 'js-AVRO' }), { status: 409 })
  console.log('done')
}

main().catch(e => {
  console.error(e)
  process.exit(1)
})
