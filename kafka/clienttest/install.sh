#!/usr/bin/env bash
# Installs the clients of these tests that are not Go, as far as they are not there already:
# Debian's with apt-get, kafkajs with npm, librdkafka's newest and Python's own with pip, Kafka's own with Maven. What
# no package manager has a place for goes to $SAMSA_CLIENTS_DIR, by default a directory of the user's cache.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

dir=${SAMSA_CLIENTS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/samsa-clients}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

packages=()
want() { # PACKAGE COMMAND...: installs the package unless the command succeeds
	local package=$1
	shift
	"$@" >/dev/null 2>&1 || packages+=("$package")
}
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
if [ ${#packages[@]} -gt 0 ]; then
	apt-get update -q
	apt-get install -qy --no-install-recommends "${packages[@]}"
fi

# once NAME CKSUM COMMAND...: runs the command in an empty $dir/NAME, unless it has made it before
# from the same list of versions, whose checksum it is given.
once() {
	local made="$dir/$1" marker="$dir/.$1-$2"
	shift 2
	[ ! -e "$marker" ] || return 0
	rm -rf "$made"
	mkdir -p "$made"
	(cd "$made" && "$@")
	touch "$marker"
}
checksum() { cksum | cut -d' ' -f1; }

js=(kafkajs@2.2.4 kafkajs-snappy@1.1.0 lz4js@0.2.0 zstd-codec@0.1.5)
once node "$(printf '%s\n' "${js[@]}" | checksum)" \
	npm install --prefix . --no-save --no-package-lock --no-audit --no-fund --loglevel=error "${js[@]}"

# librdkafka's newest release beside Debian's old one.
confluent=confluent-kafka==2.16.1
librdkafka() {
	/usr/bin/python3 -m venv . && bin/pip install -q --disable-pip-version-check --only-binary :all: "$confluent"
}
once librdkafka "$(checksum <<<"$confluent")" librdkafka

# Python's own clients: Debian's kafka-python is one without transactions.
python=(kafka-python==3.0.12 aiokafka==0.14.0 python-snappy==0.7.3) # franz-go's default
python() {
	/usr/bin/python3 -m venv . && bin/pip install -q --disable-pip-version-check --only-binary :all: "${python[@]}"
}
once python "$(printf '%s\n' "${python[@]}" | checksum)" python

for set in java streams connect tools; do
	pom=$PWD/testdata/$set/pom.xml
	once "$set" "$(checksum <"$pom")" \
		mvn -q -B -f "$pom" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$dir/$set"
done
