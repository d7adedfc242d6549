#!/usr/bin/env bash
# Installs the clients of these tests that are not Go, as far as they are not there already:
# Debian's with apt-get, kafkajs with npm, Kafka's own with Maven. What no package manager has a
# place for goes to $SAMSA_CLIENTS_DIR, by default a directory of the user's cache.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

dir=${SAMSA_CLIENTS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/samsa-clients}

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
want npm command -v npm
want default-jdk-headless command -v javac
want maven command -v mvn
if [ ${#packages[@]} -gt 0 ]; then
	apt-get update -q
	apt-get install -qy --no-install-recommends "${packages[@]}"
fi

# One marker a set: it is there when the set is, and changes with what the set is made of.
js=(kafkajs@2.2.4 kafkajs-snappy@1.1.0 lz4js@0.2.0 zstd-codec@0.1.5)
marker="$dir/.js-$(printf '%s\n' "${js[@]}" | cksum | cut -d' ' -f1)"
if [ ! -e "$marker" ]; then
	mkdir -p "$dir"
	npm install --prefix "$dir" --no-save --no-package-lock --no-audit --no-fund --loglevel=error "${js[@]}"
	touch "$marker"
fi

marker="$dir/.java-$(cksum <testdata/java/pom.xml | cut -d' ' -f1)"
if [ ! -e "$marker" ]; then
	rm -rf "$dir/java"
	mvn -q -B -f testdata/java/pom.xml dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$dir/java"
	touch "$marker"
fi
