#!/bin/sh
# Makes the virtual environment $1 with the extras $2 (may be empty), installing what is missing.
# Assumes a POSIX shell only. As root on Debian it installs Python's venv module itself;
# any other user is told which package to ask for.
set -eu
folder=$1
extras=$2
here=$(cd "$(dirname "$0")/.." && pwd)
stamp="$folder/.installed-$(printf %s "$extras" | tr , -)"

say() { printf 'forestall: %s\n' "$*" >&2; }

find_python() {
    for name in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11; do
        if command -v "$name" >/dev/null 2>&1 &&
            "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return 0
        fi
    done
    return 1
}

install_packages() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        say "installing $* with apt-get"
        DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
    else
        say "needs Python 3.11 or newer with venv"
        say "  Debian, Ubuntu: ask for  apt-get install $*    Fedora, RHEL 9: dnf install python3.11"
        exit 3
    fi
}

# The checks cover the inventory system beside the product, which is a distribution of its own, and
# the drills are played on it.
beside=
case ",$extras," in
*,dev,*) beside="$here/cims[dev]" ;;
*,drill,*) beside="$here/cims" ;;
esac

if [ -e "$stamp" ] && [ "$stamp" -nt "$here/pyproject.toml" ] && [ "$stamp" -nt "$here/constraints.txt" ] &&
    [ "$stamp" -nt "$here/cims/pyproject.toml" ]; then
    exit 0
fi
python=$(find_python) || { install_packages python3 python3-venv && python=$(find_python); } || {
    say "this system's Python is older than 3.11: install 3.11 or newer, or name it: PYTHON=/path make ..."
    exit 3
}
if [ ! -x "$folder/bin/pip" ]; then
    rm -rf "$folder"
    if ! "$python" -m venv "$folder" >/dev/null 2>&1; then
        rm -rf "$folder"
        install_packages "python3-venv"
        "$python" -m venv "$folder"
    fi
fi
say "installing into $folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check --constraint "$here/constraints.txt" \
    --editable "$here${extras:+[$extras]}" ${beside:+--editable "$beside"}
touch "$stamp"
