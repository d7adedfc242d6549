#!/usr/bin/env bash
# Installs the clients of these tests that are not Go, as far as they are not there already: Debian's with apt-get, kafkajs with npm,
# librdkafka's newest and Python's own with pip, Kafka's own with Maven.
cd "$(dirname "${BASH_SOURCE[0]}")"
. ../../.ci/install.bash

want kcat command -v kcat
want python3-confluent-kafka /usr/bin/python3 -c 'import confluent_kafka'
want python3-kafka /usr/bin/python3 -c 'import kafka'
want python3-snappy /usr/bin/python3 -c 'import snappy'
want python3-lz4 /usr/bin/python3 -c 'import lz4'
want python3-zstandard /usr/bin/python3 -c 'import zstandard'
want python3-venv /usr/bin/python3 -c 'import ensurepip, venv'
want npm command -v npm
want default-jdk-headless command -v javac
want maven command -v mvn
packages

js=(kafkajs@2.2.4 kafkajs-snappy@1.1.0 lz4js@0.2.0 zstd-codec@0.1.5)
once node "${js[*]}" npm_install "${js[@]}"

# librdkafka's newest release beside Debian's old one.
confluent=confluent-kafka==2.16.1
once librdkafka "$confluent" pip_install "$confluent"

# Python's own clients: Debian's kafka-python is one without transactions.
python=(kafka-python==3.0.12 aiokafka==0.14.0 python-snappy==0.7.3) # franz-go's default
once python "${python[*]}" pip_install "${python[@]}"

for set in java streams connect tools; do
	pom=$PWD/testdata/$set/pom.xml
	once "$set" "$(cat "$pom")" \
		mvn -q -B -f "$pom" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$dir/$set"
done

# With an archive of the classes of each set Java starts its programs in half the time.
SAMSA_CLIENTTEST_CHILD="java archives" go test -count=1 . >/dev/null
