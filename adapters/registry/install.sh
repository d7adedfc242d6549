#!/usr/bin/env bash
# Installs the clients of clients_test.go: Confluent's for Python with pip, and kafkajs' with npm, as far as they are not there already. They go to
# $SAMSA_CLIENTS_DIR, by default a directory of the user's cache.
set -euo pipefail

dir=${SAMSA_CLIENTS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/samsa-clients}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

packages=()
want() { # PACKAGE COMMAND...: installs the package unless the command succeeds
	local package=$1
	shift
	"$@" >/dev/null 2>&1 || packages+=("$package")
}
want python3-venv /usr/bin/python3 -c 'import ensurepip, venv'
want npm command -v npm
if [ ${#packages[@]} -gt 0 ]; then
	apt-get update -q
	apt-get install -qy --no-install-recommends "${packages[@]}"
fi

js=@kafkajs/confluent-schema-registry@3.9.0
python='confluent-kafka[avro,json,schemaregistry]==2.16.1'
marker="$dir/.registry-$(printf '%s\n' "$js" "$python" | cksum | cut -d' ' -f1)"
if [ ! -e "$marker" ]; then
	rm -rf "$dir/registry"
	mkdir -p "$dir/registry"
	(
		cd "$dir/registry"
		npm install --prefix . --no-save --no-package-lock --no-audit --no-fund --loglevel=error "$js"
		/usr/bin/python3 -m venv . && bin/pip install -q --disable-pip-version-check --only-binary :all: "$python"
	)
	touch "$marker"
fi
