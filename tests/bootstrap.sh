#!/bin/sh
# Makes .venv, the control node: ansible-core 2.21 and the test tools at the
# locked versions of requirements.txt. Needs Python 3.12 or newer; Debian 13's
# own is one, on Debian 12 another has to be found or fetched.
set -eu
cd "$(dirname "$0")/.."

log() { printf '%s\n' "bootstrap: $*" >&2; }

install_from_debian() {
    log "installing $* from Debian"
    [ "$(id -u)" = 0 ] || { log "not root: install $* first, then run this again"; exit 1; }
    # A source that cannot be updated, of whatever else is on the machine, is no reason to give up.
    if ! { apt-get -o DPkg::Lock::Timeout=300 -qq update || :
        DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq -y install \
            --no-install-recommends "$@"; } </dev/null >.build/bootstrap.log 2>&1; then
        cat .build/bootstrap.log >&2
        exit 1
    fi
}

# A name on PATH proves nothing (a pyenv shim may exist and refuse), so run it.
new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1; }
has_venv() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

installed_python() {
    pyenv=${PYENV_ROOT:-$HOME/.pyenv}/versions
    for candidate in python3.14 python3.13 python3.12 python3 \
        "$pyenv"/3.14.*/bin/python3 "$pyenv"/3.13.*/bin/python3 "$pyenv"/3.12.*/bin/python3; do
        if new_enough "$candidate" && has_venv "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

debian_python() {
    # shellcheck source=/dev/null
    release=$(. /etc/os-release && printf '%s' "${ID:-} ${VERSION_ID:-0}")
    case $release in
    'debian 1'[3-9]*) install_from_debian python3 python3-venv ;;
    *) return 1 ;;
    esac
    new_enough /usr/bin/python3 && has_venv /usr/bin/python3 && echo /usr/bin/python3
}

uv_python() {
    uv=$(command -v uv) || {
        has_venv /usr/bin/python3 || install_from_debian python3 python3-venv
        log "fetching uv, which can fetch a Python"
        /usr/bin/python3 -m venv .build/uv
        .build/uv/bin/python -m pip install -qq --require-hashes -r tests/uv.txt >&2
        uv=.build/uv/bin/uv
    }
    "$uv" python install 3.13 >&2 && "$uv" python find --managed-python 3.13
}

mkdir -p .build
wanted=$(cksum requirements.txt)
if [ "$(cat .venv/requirements 2>/dev/null)" = "$wanted" ] && new_enough .venv/bin/python; then
    exit 0
fi

python=$(installed_python) || python=$(debian_python) || python=$(uv_python) || {
    log "found no Python 3.12 or newer, which ansible-core 2.21 needs, and could fetch none."
    log "Install python3.12, python3.13 or python3.14 (Debian 13: apt-get install python3 python3-venv;"
    log "Debian 12: pyenv install 3.13, or uv python install 3.13), then run this again."
    exit 1
}
log "making .venv with $("$python" -V) ($python)"
"$python" -m venv --clear .venv
# Wheels only and by hash: nothing is built here, and nothing but what was locked is taken.
.venv/bin/python -m pip install -qq --disable-pip-version-check --no-cache-dir --timeout 60 \
    --require-hashes --only-binary :all: -r requirements.txt
printf '%s' "$wanted" >.venv/requirements
