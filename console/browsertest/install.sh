#!/usr/bin/env bash
# Installs what these tests drive: Debian's chromium with apt-get, and playwright-core and axe-core with npm, as far as
# they are not there already. What npm brings goes to $SAMSA_CLIENTS_DIR, by default a directory of the user's cache.
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
want chromium command -v chromium
want fonts-dejavu-core test -e /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf
want npm command -v npm
if [ ${#packages[@]} -gt 0 ]; then
	apt-get update -q
	apt-get install -qy --no-install-recommends "${packages[@]}"
fi

js=(playwright-core@1.65.1 axe-core@4.14.1)
marker="$dir/.browser-$(printf '%s\n' "${js[@]}" | cksum | cut -d' ' -f1)"
if [ ! -e "$marker" ]; then
	rm -rf "$dir/browser"
	mkdir -p "$dir/browser"
	(cd "$dir/browser" && npm install --prefix . --no-save --no-package-lock --no-audit --no-fund --loglevel=error "${js[@]}")
	touch "$marker"
fi
