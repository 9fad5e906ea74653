#!/bin/bash
# Gate: what the programs and the library for wallets link and how. The party may load these shared
# objects and no others; HTTP is served by the gateway and the facades alone. All are position independent, with immediate binding, a read-only
# relocation table, no executable stack, no run path and no banned function of libc.
# environment: BIN (default build/bin). Exit 1 on a violation.
set -u
cd "$(dirname "$0")/.." || exit 1
: "${BIN:=build/bin}"
libc='libc\.so\.6|libm\.so\.6|libpthread\.so\.0|ld-linux-.*'
base="$libc|libsecp256k1\.so\..*|libsodium\.so\..*|libcrypto\.so\.3|libssl\.so\.3"
party="$base|libprotobuf-c\.so\.1|libnng\.so\.1|libzstd\.so\.1|libjansson\.so\.4|libinih\.so\.1"
party="$party|libsqlite3\.so\.0|libseccomp\.so\.2|libcbor\.so\.0\.[0-9]+"
party="$party|libtss2-(esys|mu|rc)\.so\.0"
declare -A allow=(
    [quorated]=${party/libnng\\.so\\.1|/}
    [quorate-gateway]="$party|libmicrohttpd\.so\.12|libcurl\.so\.4"
    [quorate]="$party|libmicrohttpd\.so\.12"
    [quorate-userdata]="$party|libcurl\.so\.4"
    [quorate-load]=$party
    [quorate-pump]="$libc|libseccomp\.so\.2"
)
banned='strcpy|strcat|stpcpy|sprintf|vsprintf|strncpy|strncat|gets|strtok|rand|srand|system|popen|tmpnam'
n=0
bad() {
    echo "$1"
    n=$((n + 1))
}
for p in quorated quorate-gateway quorate quorate-userdata quorate-load quorate-pump; do
    f=$BIN/$p
    if [ ! -x "$f" ]; then
        bad "$f is not built"
        continue
    fi
    needed=$(readelf -dW "$f" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
    extra=$(printf '%s\n' "$needed" | grep -vxE "${allow[$p]}")
    [ -z "$extra" ] || bad "$f needs $(echo "$extra" | tr '\n' ' ')which its list does not allow"
    header=$(readelf -hlW "$f")
    grep -q 'Type: *DYN' <<<"$header" || bad "$f is not position independent"
    grep -q GNU_RELRO <<<"$header" || bad "$f has no read-only relocations"
    grep -E 'GNU_STACK' <<<"$header" | grep -q 'RWE' && bad "$f has an executable stack"
    dyn=$(readelf -dW "$f")
    grep -qE 'BIND_NOW|FLAGS_1.*NOW' <<<"$dyn" || bad "$f binds lazily"
    grep -qE 'R(UN)?PATH' <<<"$dyn" && bad "$f has a run path"
    calls=$(nm -D --undefined-only "$f" | sed -n 's/.* U \([A-Za-z_0-9]*\).*/\1/p')
    # nng's archive, which is inside the party, copies names with these; test/check_banned.sh reads ours.
    inside=
    [ "$p" != quorated ] || inside='stpcpy|strncpy'
    hit=$(grep -xE "$banned" <<<"$calls" | grep -vxE "${inside:-none}" | tr '\n' ' ')
    [ -z "$hit" ] || bad "$f calls $hit"
    # what is there to be copied, or for tests, is in no program
    nm "$f" | grep -q 'qr_tee_template' && bad "$f contains the template platform"
    grep -q __stack_chk_fail <<<"$calls" || bad "$f has no stack protector"
done
# One TLS library in a TEE; see transport/nng_no_tls.c.
nm "$BIN/quorated" 2>/dev/null | grep -q ' [Tt] mbedtls_' && bad "$BIN/quorated has mbedtls inside"
# PID 1 of an enclave stands alone: nothing is loaded, not even a loader.
init=$BIN/quorate-init
if [ -x "$init" ]; then
    readelf -dW "$init" | grep -q NEEDED && bad "$init is not static"
    readelf -lW "$init" | grep -q INTERP && bad "$init has a loader"
    readelf -hW "$init" | grep -q 'Type: *DYN' || bad "$init is not position independent"
    readelf -lW "$init" | grep GNU_STACK | grep -q RWE && bad "$init has an executable stack"
    readelf -sW "$init" | grep -q __stack_chk_fail || bad "$init has no stack protector"
else
    bad "$init is not built"
fi
# The libraries for programs of others: these shared objects and libc, and no function but those of the header.
# check_library NAME HEADER OBJECTS CALLS-IT-MAY-NOT-MAKE
check_library() {
    local lib=${BIN%/bin}/lib/$1 header=$2 allowed="$libc|$3" dyn needed extra declared exported archived calls hit
    if [ ! -f "$lib.so.1" ] || [ ! -f "$lib.a" ]; then
        bad "$lib.so.1 or $lib.a is not built"
        return
    fi
    dyn=$(readelf -dW "$lib.so.1")
    needed=$(sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' <<<"$dyn")
    extra=$(printf '%s\n' "$needed" | grep -vxE "$allowed")
    [ -z "$extra" ] || bad "$lib.so.1 needs $(echo "$extra" | tr '\n' ' ')which its list does not allow"
    grep -q "SONAME.*\[$1\.so\.1\]" <<<"$dyn" || bad "$lib.so.1 has another soname"
    grep -qE 'BIND_NOW|FLAGS_1.*NOW' <<<"$dyn" || bad "$lib.so.1 binds lazily"
    grep -qE 'R(UN)?PATH' <<<"$dyn" && bad "$lib.so.1 has a run path"
    readelf -lW "$lib.so.1" | grep GNU_STACK | grep -q RWE && bad "$lib.so.1 has an executable stack"
    declared=$(sed 's/^[ *\/].*//' "$header" | grep -o 'quorate_[a-z_]*(' | tr -d '(' | sort -u)
    exported=$(nm -D --defined-only "$lib.so.1" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort -u)
    archived=$(nm -g --defined-only "$lib.a" | awk 'NF == 3 { print $3 }' | sort -u)
    [ -n "$declared" ] && [ "$declared" = "$exported" ] ||
        bad "$lib.so.1 exports other functions than $header declares: $(diff <(echo "$declared") <(echo "$exported") | grep '^[<>]' | tr '\n' ' ')"
    [ "$declared" = "$archived" ] || bad "$lib.a shows other functions than $header declares"
    calls=$(nm -D --undefined-only "$lib.so.1" | awk '{ sub(/@.*/, "", $2); print $2 }')
    hit=$(grep -xE "$banned|$4" <<<"$calls" | tr '\n' ' ')
    [ -z "$hit" ] || bad "$lib.so.1 calls $hit"
}
# The verifier: no files, sockets, clocks or environment; what is judged is given.
check_library libquorate-verify enclave-shim/verify/quorate_verify.h \
    'libcrypto\.so\.3|libjansson\.so\.4|libcbor\.so\.0\.[0-9]+' \
    'open|openat|fopen|read|write|socket|connect|getenv|secure_getenv|time|clock_gettime|gettimeofday'
# The client: it dials gateways and reads its key file; no environment, no listener.
check_library libquorate-client daemon/client/quorate_client.h \
    'libcrypto\.so\.3|libssl\.so\.3|libjansson\.so\.4|libsodium\.so\..*|libsecp256k1\.so\..*' \
    'getenv|secure_getenv|listen|accept|accept4|bind|fork|execve'
if [ $n != 0 ]; then
    echo "check_link: $n violations"
    exit 1
fi
echo "check_link: ok"
