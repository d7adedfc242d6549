"""Confluent's client of a registry for Python, at the URL that is the argument."""
import sys

from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext


def client():
    return SchemaRegistryClient({'url': sys.argv[1]})


def code(call, *args):
    try:
        call(*args)
    except SchemaRegistryError as e:
        return e.error_code


def value(topic):
    return SerializationContext(topic, MessageField.VALUE)


c = client()
text = '{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"id","type":"long"}]}'
order = AvroSerializer(c, text)({'id': 9}, value('py'))
assert AvroDeserializer(client())(order, value('py')) == {'id': 9}
schema = '{"title":"T","type":"object","properties":{"a":{"type":"integer"}}}'
j = JSONSerializer(schema, c)({'a': 1}, value('pyj'))
assert JSONDeserializer(None, schema_registry_client=client())(j, value('pyj')) == {'a': 1}

avro = Schema(text, 'AVRO')
assert c.get_versions('py-value') == [1]
assert c.get_latest_version('py-value').schema.schema_str == text
assert c.lookup_schema('py-value', avro).version == 1
assert c.test_compatibility('py-value', avro)
c.set_compatibility('py-value', 'FULL')
assert c.get_compatibility('py-value') == 'FULL'
user = '{"type":"record","name":"User","fields":[{"name":"order","type":"shop.Order"}]}'
c.register_schema('user-value', Schema(user, 'AVRO', [SchemaReference('shop.Order', 'py-value', 1)]))
used = AvroSerializer(c, c.get_latest_version('user-value').schema)({'order': {'id': 3}}, value('user'))
assert AvroDeserializer(client())(used, value('user')) == {'order': {'id': 3}}

assert code(c.register_schema, 'py-value', Schema(text.replace('long', 'string'), 'AVRO')) == 40901
assert code(c.delete_version, 'py-value', 1) == 42206
assert code(c.get_version, 'none', 1) == 40401
for permanent in (False, True):
    assert c.delete_subject('user-value', permanent) == [1]
print('done')
