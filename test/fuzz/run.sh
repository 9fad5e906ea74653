#!/bin/bash
# Runs every libFuzzer target for a while, from its seeds in test/fuzz/corpus/NAME and from what
# earlier runs found (kept below build/). Through `make fuzz`, which builds the targets.
# environment: BUILD=build/fuzz  SECONDS_EACH=60  JOBS=processors  TARGETS="a b" (default: all)
#              TOTAL=300: seconds for all of them together on JOBS processors, instead of SECONDS_EACH
# A line a target: executions, executions a second, edges reached, inputs kept. Last line
# `N passed, N failed`; the input that broke a target stays in build/fuzz/crashes/.
set -u
cd "$(dirname "$0")/../.." || exit 1
: "${BUILD:=build/fuzz}" "${SECONDS_EACH:=60}" "${JOBS:=$(nproc)}" "${TOTAL:=}" "${TARGETS:=}"
export BUILD SECONDS_EACH
crashes=$BUILD/crashes

stat() { # LOG NAME
    sed -n "s/^stat::$2: *//p" "$1" | tail -n 1
}

one() { # NAME
    local name=$1 found=$BUILD/corpus/$1 seeds=test/fuzz/corpus/$1 log=$BUILD/$1.log dict='' status
    mkdir -p "$found" "$crashes"
    [ -d "$seeds" ] || seeds=
    [ ! -f "test/fuzz/dict/$name.dict" ] || dict=-dict=test/fuzz/dict/$name.dict
    # shellcheck disable=SC2086 # no seeds, no argument
    "$BUILD/test/fuzz/fuzz_$name" -max_total_time="$SECONDS_EACH" -timeout=60 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="$crashes/$name-" $dict "$found" $seeds \
        >"$log" 2>&1 </dev/null
    status=$?
    if [ $status = 0 ]; then
        printf 'ok   fuzz %-12s %9s runs %7s /s %6s edges %5s inputs\n' "$name" \
            "$(stat "$log" number_of_executed_units)" "$(stat "$log" average_exec_per_sec)" \
            "$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' "$log" | tail -n 1)" \
            "$(find "$found" -type f | wc -l)"
    else
        printf 'FAIL fuzz %s\n%s\n' "$name" "$(tail -n 60 "$log" | sed 's/^/    | /')"
    fi
}

if [ "${1:-}" = --one ]; then
    one "$2"
    exit
fi
[ -n "$TARGETS" ] || TARGETS=$(for src in test/fuzz/fuzz_*.c; do
    name=${src##*/fuzz_}
    echo "${name%.c}"
done)
n=$(wc -w <<<"$TARGETS")
if [ -n "$TOTAL" ]; then
    SECONDS_EACH=$((TOTAL * JOBS / n))
    [ "$SECONDS_EACH" -ge 1 ] || SECONDS_EACH=1
fi
# Files of the targets: in memory where there is such a place, and short names for sockets.
tmp=$(mktemp -d /dev/shm/qfz-XXXXXX 2>/dev/null || mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export TMPDIR=$tmp
start=$(date +%s)
# Not tee /dev/stderr: that opens the file behind it anew and overwrites what else is written there.
out=$(xargs -n 1 <<<"$TARGETS" | xargs -P "$JOBS" -n 1 test/fuzz/run.sh --one |
    while IFS= read -r line; do
        printf '%s\n' "$line" >&2
        printf '%s\n' "$line"
    done)
pass=$(grep -c '^ok   fuzz' <<<"$out")
fail=$((n - pass))
awk -v s="$(($(date +%s) - start))" -v each="$SECONDS_EACH" '
    /^ok   fuzz/ { runs += $4; edges += $8 }
    END { printf "%d executions, %d edges, %d s (%d s a target)\n", runs, edges, s, each }' <<<"$out"
echo "$pass passed, $fail failed"
[ "$fail" = 0 ] && [ "$pass" != 0 ]
