#!/bin/bash
# Bounded proofs (CBMC) and the model (Promela), through `make proofs`. Last line: `N passed, N failed`.
#
# usage: test/proof/run.sh [--long] [cbmc] [spin]
# A part that cannot run here says why and is counted as left out.
set -u
cd "$(dirname "$0")/../.." || exit 1
long=
if [ "${1-}" = --long ]; then
    long=--long
    shift
fi
[ $# != 0 ] || set -- cbmc spin
mkdir -p build/proof
pass=0 fail=0 skipped=0
for part in "$@"; do
    rc=0
    case $part in
        cbmc) test/proof/cbmc/run.sh $long ;;
        spin) test/proof/spin/run.sh $long ;;
        *)
            echo "proofs: $part is neither cbmc nor spin" >&2
            exit 2
            ;;
    esac | tee "build/proof/$part.out"
    rc=${PIPESTATUS[0]}
    sum=$(sed -n 's/^\([0-9]* passed, [0-9]* failed\)$/\1/p' "build/proof/$part.out" | tail -n 1)
    if [ "$rc" = 77 ]; then
        skipped=$((skipped + 1))
    elif [ -n "$sum" ]; then
        pass=$((pass + ${sum%% *}))
        n=${sum#*, }
        n=${n%% *}
        [ "$rc" = 0 ] || [ "$n" != 0 ] || n=1
        fail=$((fail + n))
    else
        fail=$((fail + 1))
    fi
done
echo "proofs: $skipped left out"
echo "$pass passed, $fail failed"
[ $fail = 0 ]
