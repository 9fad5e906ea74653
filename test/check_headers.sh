#!/bin/bash
# Gate: every header compiles alone, with an include guard of its own, and opens with prose.
# Needs the generated headers: BUILD (default build/release). Exit 1 on a violation.
set -u
cd "$(dirname "$0")/.." || exit 1
: "${BUILD:=build/release}" "${CC:=cc}"
pkgs="libsecp256k1 libsodium libcrypto libssl libprotobuf-c libzstd jansson inih sqlite3 libseccomp
libmicrohttpd cmocka"
# shellcheck disable=SC2086,SC2046 # lists of words
flags="-std=c11 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Wundef -Werror -I. -I$BUILD/gen
$(pkg-config --cflags $pkgs)"
n=0
bad() {
    echo "$1"
    n=$((n + 1))
}

mapfile -t headers < <(git ls-files -co --exclude-standard -- '*.h' | while read -r h; do
    [ ! -e "$h" ] || echo "$h"
done)
for h in "${headers[@]}"; do
    [ "$(head -c 2 "$h")" = '/*' ] || bad "$h:1: must open with prose: what, why, invariants"
    guard=$(sed -n 's/^#ifndef \([A-Z0-9_]*\)$/\1/p;' "$h" | head -n 1)
    if [ -z "$guard" ]; then
        bad "$h: no include guard"
    elif ! grep -qx "#define $guard" "$h"; then
        bad "$h: $guard is tested but not defined"
    else
        guards+="$guard $h"$'\n'
    fi
done
dup=$(printf '%s' "${guards-}" | cut -d' ' -f1 | sort | uniq -d)
for g in $dup; do
    bad "include guard $g is used twice: $(printf '%s' "$guards" | sed -n "s/^$g //p" | tr '\n' ' ')"
done

# Twice in one unit: it needs nothing before it, and its guard works.
compile() {
    # shellcheck disable=SC2086
    if ! printf '#include "%s"\n#include "%s"\ntypedef int not_empty;\n' "$1" "$1" |
        $CC $flags -fsyntax-only -x c - 2>&1 | head -n 5; then :; fi
}
export -f compile
export CC flags
out=$(printf '%s\n' "${headers[@]}" | xargs -P 2 -I{} bash -c 'compile {}')
if [ -n "$out" ]; then
    bad "$out"
fi
if [ $n != 0 ]; then
    echo "check_headers: $n violations"
    exit 1
fi
echo "check_headers: ok, ${#headers[@]} headers"
