#!/bin/bash
# Runs every libFuzzer target for a while, from its seeds in test/fuzz/corpus/NAME and from what
# earlier runs found (kept below build/). Through `make fuzz`, which builds the targets.
# environment: BUILD=build/fuzz  SECONDS_EACH=60  JOBS=processors
# Last line `N passed, N failed`; the input that broke a target stays in build/fuzz/crashes/.
set -u
cd "$(dirname "$0")/../.." || exit 1
: "${BUILD:=build/fuzz}" "${SECONDS_EACH:=60}" "${JOBS:=$(nproc)}"
export BUILD SECONDS_EACH
crashes=$BUILD/crashes

one() { # NAME
    local name=$1 found=$BUILD/corpus/$1 seeds=test/fuzz/corpus/$1 log=$BUILD/$1.log
    mkdir -p "$found" "$crashes"
    [ -d "$seeds" ] || seeds=
    # shellcheck disable=SC2086 # no seeds, no argument
    if "$BUILD/test/fuzz/fuzz_$name" -max_total_time="$SECONDS_EACH" -timeout=10 \
        -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$crashes/$name-" \
        "$found" $seeds >"$log" 2>&1 </dev/null; then
        printf 'ok   fuzz %-24s %9s runs, %s edges\n' "$name" \
            "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
            "$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' "$log" | tail -n 1)"
    else
        printf 'FAIL fuzz %s\n%s\n' "$name" "$(tail -n 60 "$log" | sed 's/^/    | /')"
    fi
}

if [ "${1:-}" = --one ]; then
    one "$2"
    exit
fi
out=$(for src in test/fuzz/fuzz_*.c; do
    name=${src##*/fuzz_}
    echo "${name%.c}"
done | xargs -P "$JOBS" -n 1 test/fuzz/run.sh --one | tee /dev/stderr)
pass=$(grep -c '^ok   fuzz' <<<"$out")
fail=$(($(find test/fuzz -name 'fuzz_*.c' | wc -l) - pass))
echo "$pass passed, $fail failed"
[ "$fail" = 0 ] && [ "$pass" != 0 ]
