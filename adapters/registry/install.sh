#!/usr/bin/env bash
# Installs the clients of clients_test.go, as far as they are not there already: Confluent's for Python with pip, and kafkajs' with npm.
. "$(dirname "${BASH_SOURCE[0]}")/../../.ci/install.bash"

want python3-venv /usr/bin/python3 -c 'import ensurepip, venv'
want npm command -v npm
packages

js=@kafkajs/confluent-schema-registry@3.9.0
python='confluent-kafka[avro,json,schemaregistry]==2.16.1'
registry() { npm_install "$js" && pip_install "$python"; }
once registry "$js $python" registry
