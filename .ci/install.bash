# What install scripts share: a script sources it. $dir is where that goes which no package manager has a place for: $SAMSA_CLIENTS_DIR, by
# default a directory of the user's cache.
set -euo pipefail

dir=${SAMSA_CLIENTS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/samsa-clients}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

packages=()
want() { # PACKAGE COMMAND...: has packages install the package, with apt-get, unless the command succeeds
	local package=$1
	shift
	"$@" >/dev/null 2>&1 || packages+=("$package")
}
packages() {
	[ ${#packages[@]} -gt 0 ] || return 0
	apt-get update -q
	apt-get install -qy --no-install-recommends "${packages[@]}"
}

# once NAME VERSIONS COMMAND...: runs the command in an empty $dir/NAME, unless it has made it before of the same versions.
once() {
	local made="$dir/$1" marker="$dir/.$1-$(cksum <<<"$2" | cut -d' ' -f1)"
	shift 2
	[ ! -e "$marker" ] || return 0
	rm -rf "$made"
	mkdir -p "$made"
	(cd "$made" && "$@")
	touch "$marker"
}
npm_install() { npm install --prefix . --no-save --no-package-lock --no-audit --no-fund --loglevel=error "$@"; }
pip_install() { /usr/bin/python3 -m venv . && bin/pip install -q --disable-pip-version-check --only-binary :all: "$@"; }
