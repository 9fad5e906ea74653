#!/bin/bash
# The constant-time test under valgrind: first a planted leak, which must be caught, then the code.
# Through `make ctime`. Last line `N passed, N failed`.
set -u
cd "$(dirname "$0")/../.." || exit 1
: "${BUILD:=build/release}"
bin=$BUILD/test/ctime/ctime_protocol
vg() {
    valgrind -q --error-exitcode=99 --suppressions=test/ctime/libsodium.supp \
        --suppressions=test/ctime/libsecp256k1.supp "$bin" "$@" 2>&1
}
pass=0 fail=0
out=$(vg planted)
if [ $? = 99 ]; then
    echo "ok   a planted branch on a secret is reported"
    pass=1
else
    echo "FAIL a planted branch on a secret is not reported: $out"
    fail=1
fi
if out=$(vg); then
    echo "ok   $out"
    pass=$((pass + 1))
else
    printf '%s\n' "$out" | head -n 60
    echo "FAIL a branch or an address depends on a secret"
    fail=$((fail + 1))
fi
echo "$pass passed, $fail failed"
[ $fail = 0 ]
