#!/usr/bin/env bash
# Installs what these tests drive, as far as it is not there already: Debian's chromium with apt-get, and playwright-core and axe-core with npm.
. "$(dirname "${BASH_SOURCE[0]}")/../../.ci/install.bash"

want chromium command -v chromium
want fonts-dejavu-core test -e /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf
want npm command -v npm
packages

js=(playwright-core@1.65.1 axe-core@4.14.1)
once browser "${js[*]}" npm_install "${js[@]}"
