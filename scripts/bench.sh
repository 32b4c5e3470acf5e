#!/bin/sh
# The benchmark against nginx and HAProxy; ./scripts/bench.sh --help lists what can be chosen.
set -eu
cd "$(dirname "$0")/.."
. scripts/prepare.sh
prepare_build
install_tools nginx=nginx haproxy=haproxy openssl=openssl taskset=util-linux
[ "$(nproc)" -ge 2 ] || die "two cores are needed: one for the proxy, one for load and origin"

say "building the gateway and the load"
cargo build --release --locked -p portcullis -p portcullis-bench
built=${CARGO_TARGET_DIR:-target}/release
# The load and the origin share core 1; the proxy under measurement gets core 0.
exec taskset -c 1 "$built/portcullis-bench" --gateway "$built/portcullis" "$@"
