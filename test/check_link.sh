#!/bin/bash
# Gate: what the programs link and how. The party may load these shared objects and no others; HTTP
# is the gateway's alone. All are position independent, with immediate binding, a read-only
# relocation table, no executable stack, no run path and no banned function of libc.
# environment: BIN (default build/bin). Exit 1 on a violation.
set -u
cd "$(dirname "$0")/.." || exit 1
: "${BIN:=build/bin}"
libc='libc\.so\.6|libm\.so\.6|libpthread\.so\.0|ld-linux-.*'
base="$libc|libsecp256k1\.so\..*|libsodium\.so\..*|libcrypto\.so\.3|libssl\.so\.3"
party="$base|libprotobuf-c\.so\.1|libnng\.so\.1|libzstd\.so\.1|libjansson\.so\.4|libinih\.so\.1"
party="$party|libsqlite3\.so\.0|libseccomp\.so\.2|libcbor\.so\.0\.[0-9]+"
declare -A allow=(
    [quorated]=$party
    [quorate-gateway]="$party|libmicrohttpd\.so\.12|libcurl\.so\.4"
    [quorate]=$party
    [quorate-load]=$party
)
banned='strcpy|strcat|stpcpy|sprintf|vsprintf|strncpy|strncat|gets|strtok|rand|srand|system|popen|tmpnam'
n=0
bad() {
    echo "$1"
    n=$((n + 1))
}
for p in quorated quorate-gateway quorate quorate-load; do
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
    hit=$(grep -xE "$banned" <<<"$calls" | tr '\n' ' ')
    [ -z "$hit" ] || bad "$f calls $hit"
    grep -q __stack_chk_fail <<<"$calls" || bad "$f has no stack protector"
done
if [ $n != 0 ]; then
    echo "check_link: $n violations"
    exit 1
fi
echo "check_link: ok"
