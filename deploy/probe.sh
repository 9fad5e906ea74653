#!/bin/sh
# Asks the compiler and pkg-config once and writes the answers as make variables to standard output.
# usage: deploy/probe.sh CC
#
# Flags differ between gcc 12..14 and clang 14..19; a flag is used when the compiler takes it without
# a word. Library versions are checked here, so that a too old one is named instead of failing
# somewhere in a compilation.
set -eu
cc=$1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
echo 'int main(void) { return 0; }' >"$tmp/t.c"

# -O2 because some flags only speak up when optimising; linked, because some need a runtime.
takes() {
    $cc -Werror -O2 "$@" -o "$tmp/t" "$tmp/t.c" >"$tmp/log" 2>&1
}
probe() {
    var=$1
    shift
    out=
    for f in "$@"; do
        if takes "$f"; then out="$out $f"; fi
    done
    echo "$var :=$out"
}

command -v "${cc%% *}" >/dev/null 2>&1 || {
    echo "probe: no compiler '$cc' on this system" >&2
    exit 1
}

probe PROBED_WARN -Wduplicated-cond -Wduplicated-branches -Wlogical-op -Wjump-misses-init \
    -Wcast-align=strict -Wthread-safety -Wshorten-64-to-32 -Wcomma
probe PROBED_HARD -fstack-protector-strong -fstack-clash-protection -fcf-protection=full \
    -mbranch-protection=standard -ftrivial-auto-var-init=zero -fzero-call-used-regs=used-gpr \
    -fstrict-flex-arrays=3
probe PROBED_LINK -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,separate-code -Wl,--as-needed

# name, oldest version this tree is built and tested with (Debian 12)
need() {
    pkg-config --exists "$1 >= $2" 2>/dev/null || {
        echo "probe: need $1 >= $2, have $(pkg-config --modversion "$1" 2>/dev/null || echo none)" >&2
        exit 1
    }
}
need libsecp256k1 0.2.0
# secp256k1_ecdh is not constant time before 0.3.2 when GCC >= 13 built the library, nor before 0.3.1
# when Clang >= 14 did (its change log). A library does not tell its compiler, so older ones are taken
# from Debian 12 only, where GCC 12 builds; `make ctime` looks at the machine code.
if ! pkg-config --exists 'libsecp256k1 >= 0.3.2' &&
    ! grep -qs '^VERSION_CODENAME=bookworm$' /etc/os-release; then
    echo "probe: need libsecp256k1 >= 0.3.2, have $(pkg-config --modversion libsecp256k1):" \
        "its secp256k1_ecdh may not be constant time" >&2
    exit 1
fi
need libsodium 1.0.18
need libcrypto 3.0.0
need libssl 3.0.0
need libprotobuf-c 1.4.0
need libzstd 1.5.0
need jansson 2.14
need libcbor 0.8.0
need inih 55
need sqlite3 3.40
need libseccomp 2.5.4
need tss2-esys 3.2
need tss2-mu 3.2
need tss2-rc 3.2
need libmicrohttpd 0.9.75
need libcurl 7.88
need cmocka 1.1.5

pc() {
    var=$1
    mode=$2
    shift 2
    echo "$var := $(pkg-config "$mode" "$@")"
}
# Debian's nng has no .pc file on 12; its header and library stand in the default paths.
pc PKG_CFLAGS --cflags libsecp256k1 libsodium libcrypto libssl libprotobuf-c libzstd jansson inih \
    sqlite3 libseccomp libcbor tss2-esys tss2-mu tss2-rc libmicrohttpd libcurl
pc PKG_LIBS --libs libsecp256k1 libsodium libssl libcrypto libprotobuf-c libzstd jansson inih \
    sqlite3 libseccomp libcbor tss2-esys tss2-mu tss2-rc
pc PKG_LIBS_HTTP --libs libmicrohttpd libcurl
pc PKG_LIBS_TEST --libs cmocka
