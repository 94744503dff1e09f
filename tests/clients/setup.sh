#!/bin/sh
# Installs the real clients that tests/real_clients.rs, tests/elastic.rs and tests/push.rs start, and the receivers that tests/alerts.rs sends to. Idempotent and quiet.
#
#   tests/clients/setup.sh [DIR]      DIR defaults to target/clients beside Cargo.toml, or $LOGHOUND_CLIENTS
#
# A runtime that is missing is named and skipped; the tests then skip its client, or fail with
# LOGHOUND_REQUIRE_CLIENTS=1.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
dir=${1:-${LOGHOUND_CLIENTS:-$here/../../target/clients}}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
status=0

# Runs the rest of the arguments unless the stamp file for these sources is there.
# usage: step NAME SOURCES... -- COMMAND...
step() {
    name=$1
    shift
    sources=
    while [ "$1" != -- ]; do
        sources="$sources $1"
        shift
    done
    shift
    # The names of the sources hold no blanks: they are this directory's own.
    # shellcheck disable=SC2086
    sum=$(cd "$here" && cat $sources | cksum)
    if [ "$(cat "$dir/$name.stamp" 2>/dev/null)" = "$sum" ]; then
        return
    fi
    if "$@" >"$dir/$name.log" 2>&1; then
        printf '%s\n' "$sum" >"$dir/$name.stamp"
    else
        echo "setup.sh: $name could not be installed, see $dir/$name.log:" >&2
        tail -5 "$dir/$name.log" >&2
        status=1
    fi
}

install_go() {
    (cd "$here/go" && go build -trimpath -o "$dir/lumber-client" .)
}

install_python() {
    [ -x "$dir/python/bin/python" ] || python3 -m venv "$dir/python"
    "$dir/python/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/python/requirements.txt"
}

install_node() {
    mkdir -p "$dir/node"
    cp "$here"/node/*.js "$here"/node/package.json "$here"/node/package-lock.json "$dir/node/"
    (cd "$dir/node" && npm ci --no-audit --no-fund --silent)
}

install_kafka() {
    mvn -q -B -f "$here/kafka/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$dir/kafka/libs"
}

if command -v go >/dev/null; then
    step go go/main.go go/go.mod go/go.sum -- install_go
else
    echo "setup.sh: SKIPPED go-lumber: go is not installed" >&2
fi
if command -v python3 >/dev/null; then
    step python python/requirements.txt -- install_python
else
    echo "setup.sh: SKIPPED pylogbeat: python3 is not installed" >&2
fi
if command -v npm >/dev/null; then
    step node node/v1.js node/v2.js node/options.js node/package.json node/package-lock.json -- install_node
else
    echo "setup.sh: SKIPPED lumberjack-client and lumberjack-protocol: npm is not installed" >&2
fi
# A real broker for tests/kafka.rs: jars from Maven Central.
if command -v mvn >/dev/null && command -v java >/dev/null; then
    step kafka kafka/pom.xml -- install_kafka
else
    echo "setup.sh: SKIPPED Apache Kafka: java and mvn are not installed" >&2
fi
# Not a client of ours but a receiver: alerts are sent to a real Alertmanager.
if ! command -v prometheus-alertmanager >/dev/null; then
    if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        { apt-get update && apt-get install -y --no-install-recommends prometheus-alertmanager; } >"$dir/alertmanager.log" 2>&1 ||
            { echo "setup.sh: prometheus-alertmanager could not be installed, see $dir/alertmanager.log" >&2; status=1; }
    else
        echo "setup.sh: SKIPPED prometheus-alertmanager: install the package of that name" >&2
    fi
fi
exit $status
