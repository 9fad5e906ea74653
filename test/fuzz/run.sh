#!/bin/bash
# Runs every libFuzzer target for a while, from its seeds in test/fuzz/corpus/NAME and from what
# earlier runs found (kept below build/). Through `make fuzz`, which builds the targets.
# environment: BUILD=build/fuzz  SECONDS_EACH=60
# Last line `N passed, N failed`; the input that broke a target stays in build/fuzz/crashes/.
set -u
cd "$(dirname "$0")/../.." || exit 1
: "${BUILD:=build/fuzz}" "${SECONDS_EACH:=60}"
crashes=$BUILD/crashes
mkdir -p "$crashes"
pass=0 fail=0
for src in test/fuzz/fuzz_*.c; do
    [ -e "$src" ] || continue
    name=${src##*/fuzz_}
    name=${name%.c}
    found=$BUILD/corpus/$name
    seeds=test/fuzz/corpus/$name
    mkdir -p "$found"
    [ -d "$seeds" ] || seeds=
    log=$BUILD/$name.log
    # shellcheck disable=SC2086 # no seeds, no argument
    if "$BUILD/test/fuzz/fuzz_$name" -max_total_time="$SECONDS_EACH" -timeout=10 \
        -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$crashes/$name-" \
        "$found" $seeds >"$log" 2>&1 </dev/null; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        cov=$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' "$log" | tail -n 1)
        printf 'ok   fuzz %-24s %9s runs, %s edges\n' "$name" "$runs" "${cov:-?}"
        pass=$((pass + 1))
    else
        printf 'FAIL fuzz %s\n' "$name"
        tail -n 60 "$log" | sed 's/^/    | /'
        fail=$((fail + 1))
    fi
done
[ $((pass + fail)) != 0 ] || {
    echo "fuzz: no target in test/fuzz/"
    fail=1
}
echo "$pass passed, $fail failed"
[ $fail = 0 ]
