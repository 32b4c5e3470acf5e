#!/bin/sh
# Line coverage of the tests by crate, without any cargo plug-in: rustc's own instrumentation and LLVM's tools.
# ./scripts/coverage.sh [CRATE…]; all crates without a name. The HTML report is target/coverage/html/index.html.
set -eu
cd "$(dirname "$0")/.."
. scripts/prepare.sh
prepare_build
install_tools curl=curl nginx=nginx

# The tools must read what rustc's LLVM writes: rustup's component does, and Debian's from 19 on (an older one does not).
tools=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin
if [ ! -x "$tools/llvm-profdata" ]; then
    install_tools =llvm-19/usr/lib/llvm-19/bin/llvm-profdata
    tools=/usr/lib/llvm-19/bin
fi

crates=
for name in "$@"; do crates="$crates -p $name"; done
out=target/coverage
rm -rf "$out/profiles"
mkdir -p "$out/profiles"
export CARGO_TARGET_DIR="$out/build" RUSTFLAGS="-C instrument-coverage"
say "building and running the tests with coverage (a build of its own, in $out/build)"
# shellcheck disable=SC2086 # a list of words
LLVM_PROFILE_FILE=/dev/null cargo test --locked ${crates:---workspace} --no-run --message-format json >"$out/build.json"
# shellcheck disable=SC2086
LLVM_PROFILE_FILE="$PWD/$out/profiles/%p-%m.profraw" cargo test --locked ${crates:---workspace} --quiet

"$tools/llvm-profdata" merge -sparse "$out"/profiles/*.profraw -o "$out/all.profdata"
objects=$(sed -n 's/.*"executable":"\([^"]*\)".*/--object \1/p' "$out/build.json" | sort -u)
ignore='(/registry/|/rustc/|/tests/|tests\.rs$|/testkit/|/bench/|/fuzz/src/)'
# shellcheck disable=SC2086
"$tools/llvm-cov" show $objects --instr-profile "$out/all.profdata" --ignore-filename-regex "$ignore" \
    --format html --output-dir "$out/html" >/dev/null
# shellcheck disable=SC2086
"$tools/llvm-cov" export $objects --instr-profile "$out/all.profdata" --ignore-filename-regex "$ignore" --format lcov |
    awk -F '[:,]' '
        /^SF:/ { match($0, /crates\/[^\/]*/); crate = RSTART ? substr($0, RSTART + 7, RLENGTH - 7) : "" }
        /^DA:/ && crate { lines[crate]++; if ($3 > 0) hit[crate]++ }
        END { for (crate in lines) printf "%-12s %6.1f %% of %6d lines\n", crate, 100 * hit[crate] / lines[crate], lines[crate] }
    ' | sort
say "line by line: $out/html/index.html"
