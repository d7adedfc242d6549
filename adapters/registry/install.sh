#!/usr/bin/env bash
# Installs the clients of clients_test.go, as far as they are not there already: Confluent's for Python with pip, and kafkajs' with npm; and for
# typed/avro Avro's library for Java with Maven.
. "$(dirname "${BASH_SOURCE[0]}")/../../.ci/install.bash"

want python3-venv /usr/bin/python3 -c 'import ensurepip, venv'
want npm command -v npm
want default-jdk-headless command -v javac
want maven command -v mvn
packages

js=@kafkajs/confluent-schema-registry@3.9.0
python='confluent-kafka[avro,json,schemaregistry]==2.16.1'
registry() { npm_install "$js" && pip_install "$python"; }
once registry "$js $python" registry

pom=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../typed/avro/testdata" && pwd)/pom.xml
once registry-java "$(cat "$pom")" mvn -q -B -f "$pom" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$dir/registry-java"
