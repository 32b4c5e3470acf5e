# Sourced by ./run, ./test and the scripts beside this file, from the root of the tree: installs what is missing, saying so.
# POSIX sh. Sets no option of the shell and changes nothing that is already there.

say() { printf '%s\n' "== $*" >&2; }
die() { printf '%s\n' "error: $*" >&2; exit 1; }

# as_root COMMAND…: runs it as root, through sudo where we are not.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        die "this needs root: $*
Run it as root, or install sudo, and start again."
    fi
}

# install_tools TOOL=PACKAGE…: installs the Debian package of each command that is not there.
# `=PACKAGE/PATH` asks for a file instead, for what brings no command.
install_tools() {
    missing=
    for pair in "$@"; do
        tool=${pair%%=*}
        package=${pair#*=}
        case $package in
            */*) [ -e "/${package#*/}" ] && continue; package=${package%%/*} ;;
            # nginx and HAProxy stand where an ordinary user's search path does not look.
            *) PATH="$PATH:/usr/local/sbin:/usr/sbin" command -v "$tool" >/dev/null 2>&1 && continue ;;
        esac
        missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null 2>&1 || die "missing:$missing
This is not Debian, so install what gives them by hand and start again."
    say "installing$missing"
    # Debian starts a service when it installs one. A policy of 101 forbids that; one that is already there is left alone.
    policy=/usr/sbin/policy-rc.d
    made_policy=
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null || die "cannot install$missing without root"
        made_policy=yes
        trap 'as_root rm -f "$policy"' EXIT
        trap 'exit 130' INT TERM
        as_root chmod 755 $policy
    fi
    # shellcheck disable=SC2086 # a list of words
    { as_root apt-get -q update && as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends $missing; } >&2 ||
        die "apt-get could not install$missing; its own words stand above"
    if [ -n "$made_policy" ]; then
        as_root rm -f $policy
        trap - EXIT INT TERM
    fi
}

# find_rust: makes sure that a recent enough cargo is on the path.
find_rust() {
    command -v cargo >/dev/null 2>&1 || PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    command -v cargo >/dev/null 2>&1 || die "no Rust toolchain: install one with rustup (https://rustup.rs) and start again"
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    found=$(rustc --version | cut -d ' ' -f 2)
    oldest=$(printf '%s\n%s\n' "$wanted" "${found%%-*}" | sort -V | head -n 1)
    [ "$oldest" = "$wanted" ] || die "Rust $found is too old, $wanted is needed: run \`rustup update stable\` and start again"
}

# What builds the product: a C compiler for aws-lc, and certificates to fetch crates with.
prepare_build() {
    find_rust
    install_tools cc=gcc "=libc6-dev/usr/include/stdio.h" "=ca-certificates/etc/ssl/certs/ca-certificates.crt"
}
