#!/usr/bin/env bash
# Installs the real servers that the end-to-end tests run against, once per version, outside the checkout, and
# writes where they are to servers.env. MINIO and MOTO_SERVER in the environment name programs to use instead.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/barndoor-export"
mkdir -p "$cache"

# Two checkouts may install at the same time.
exec 9>"$cache/install.lock"
flock 9

say() { printf 'servers: %s\n' "$*" >&2; }

# The first 16 hex digits of the SHA-256 over the given files.
fingerprint() { cat "$@" | sha256sum | cut -c1-16; }

install_minio() {
    local module="$here/minio" target
    target="$cache/minio-$(fingerprint "$module/go.mod" "$module/go.sum")"
    minio="$target/minio"
    [[ -x "$minio" ]] && return
    command -v go >/dev/null || { say "MinIO is built with Go: install Go, or name a MinIO binary in MINIO"; exit 1; }
    say "building MinIO (about six minutes of one core, once)"
    mkdir -p "$target"
    (cd "$module" && CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-buildvcs=false \
        go build -trimpath -ldflags '-s -w' -o "$minio.partial" github.com/minio/minio)
    mv "$minio.partial" "$minio"
}

install_moto() {
    local requirements="$here/moto/requirements.txt" target
    target="$cache/moto-$(fingerprint "$requirements")"
    moto_server="$target/bin/moto_server"
    [[ -f "$target/complete" ]] && return
    say "installing moto (317 MB, once)"
    rm -rf "$target"
    if ! python3 -m venv "$target" >/dev/null 2>&1; then
        if [[ "$(id -u)" != 0 ]]; then
            say "Python cannot make virtual environments: install python3-venv, or name moto_server in MOTO_SERVER"
            exit 1
        fi
        say "installing python3-venv"
        apt-get update -qq >/dev/null && apt-get install -qq -y python3-venv >/dev/null
        rm -rf "$target"
        python3 -m venv "$target"
    fi
    "$target/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
    touch "$target/complete"
}

minio="${MINIO:-}"
[[ -n "$minio" ]] || install_minio
moto_server="${MOTO_SERVER:-}"
[[ -n "$moto_server" ]] || install_moto

printf 'MINIO=%s\nMOTO_SERVER=%s\n' "$minio" "$moto_server" >"$cache/servers.env.partial"
mv "$cache/servers.env.partial" "$cache/servers.env"
cat "$cache/servers.env"
say "ready"
