#!/bin/bash
# The Promela model: checked exhaustively, shown to bite, and compared with what the simulator does.
#
# usage: test/proof/spin/run.sh [--long]
#   --long   larger bounds as well (minutes, up to 6 GB), and 200 seeds of the simulator instead of 6
# environment: BUILD=build/release (the simulator), JOBS=2
#
# 1. Each of the checks below visits every reachable state of its bound and finds no violation. A search
#    that was cut short (depth, memory, time) is a failure.
# 2. Each variant, one protection taken out of the model, is refuted.
# 3. The model allows the traces in good/ and refuses those in bad/, for the reason they name.
# 4. It allows every step of what the simulator did with the product's own code.
# Exit 0, 1, or 77: skipped, with the reason.
set -eu
cd "$(dirname "$0")/../../.."
export LC_ALL=C.UTF-8
here=$PWD/test/proof/spin
work=$PWD/build/proof/spin
: "${BUILD:=build/release}" "${JOBS:=2}"

# NAME | checked or refuted | what for spin | what for the verifier
checks='
crash    | checked | -DBOOTS=1                              |
moves    | checked | -DBOOTS=0 -DP=3 -DMOVES=2              |
hostile  | checked | -DEVIL -DR=3 -DBOOTS=0 -DASKS=3        |
ends     | checked | -DLIVE -DBOOTS=1 -DR=1 -DASKS=2        | -a -f
'
long='
crash2   | checked | -DBOOTS=2 -DR=1 -DASKS=2               |
moves2   | checked | -DBOOTS=1 -DP=3 -DR=1 -DMOVES=2        |
hostile2 | checked | -DEVIL -DR=3 -DBOOTS=1 -DASKS=2        |
'
variants='
no-consume-first | refuted | -DNO_CONSUME_FIRST -DBOOTS=0                |
no-boot-nonce    | refuted | -DNO_BOOT_NONCE -DBOOTS=1                   |
nonce-from-store | refuted | -DNONCE_FROM_STORE -DBOOTS=1                |
persisted        | refuted | -DPERSIST -DBOOTS=1                         |
no-judge         | refuted | -DEVIL -DNO_JUDGE -DR=3 -DBOOTS=0           |
attempt-per-run  | refuted | -DATTEMPT_PER_RUN -DBOOTS=0                 |
no-deadline      | refuted | -DLIVE -DNO_DEADLINE -DBOOTS=0 -DR=1 -DASKS=2 | -a -f
'

one() {
    local name want spinopts panopts dir start=$EPOCHREALTIME gcc=-O1 rc=0 kind
    IFS='|' read -r name want spinopts panopts <<<"$1"
    name=${name// /} want=${want// /} dir=$work/$name
    rm -rf "$dir"
    mkdir -p "$dir"
    cp "$here"/*.pml "$dir"
    cd "$dir"
    [ "$want" = checked ] || gcc=-O0
    case $panopts in *-a*) kind='-DNFAIR=3' ;; *) kind='-DSAFETY -DNOCLAIM' ;; esac
    # shellcheck disable=SC2086 # lists of words
    {
        spin -a $spinopts check.pml >spin.log 2>&1 &&
            gcc $gcc -DCOLLAPSE -DMEMLIM=6000 $kind -o pan pan.c >gcc.log 2>&1 &&
            timeout 900 ./pan -m10000 $panopts >pan.log 2>&1
    } || rc=$?
    local errors states depth
    errors=$(sed -n 's/.*errors: \([0-9]*\)$/\1/p' pan.log 2>/dev/null)
    states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' pan.log 2>/dev/null)
    depth=$(sed -n 's/.*depth reached \([0-9]*\),.*/\1/p' pan.log 2>/dev/null)
    local good=0
    if [ "$want" = checked ]; then
        # Cut short is not checked.
        [ $rc = 0 ] && [ "$errors" = 0 ] &&
            ! grep -qE 'max search depth too small|out of memory|Search not completed|truncated' \
                pan.log && good=1
    else
        # A trail, and it ends in a claim or in a cycle that never ends a request.
        [ "${errors:-0}" -ge 1 ] && [ -s check.pml.trail ] &&
            grep -qE 'assertion violated|acceptance cycle' pan.log && good=1
    fi
    if [ $good = 0 ]; then
        echo "FAIL $name: not $want (exit $rc, errors: ${errors:-none}); $dir:"
        grep -hE 'pan:|rror' spin.log gcc.log pan.log 2>/dev/null | head -n 12 | sed 's/^/    | /'
        return 1
    fi
    local what=
    [ "$want" = checked ] || what=$(sed -n 's/^pan:1: \(.*\)$/  \1/p' pan.log | head -n 1)
    awk -v n="$name" -v w="$want" -v s="$states" -v d="$depth" -v a="$start" -v b="$EPOCHREALTIME" \
        -v o="$(tr -s ' ' <<<"$spinopts")" -v what="$what" 'BEGIN {
            printf "ok   %-17s %s: %d states, depth %d, %.1f s; %s%s\n", n, w, s, d, b - a, o, what }'
}

if [ "${1-}" = --one ]; then
    one "$2"
    exit
fi

command -v spin >/dev/null || {
    echo 'spin: skipped: spin is not installed (deploy/deps.sh dev)'
    exit 77
}
seeds=6
if [ "${1-}" = --long ]; then
    checks="$checks$long" seeds=200
fi
mkdir -p "$work"
pass=0 fail=0 start=$SECONDS
tell() { # 1: passed
    if [ "$1" = 1 ]; then pass=$((pass + 1)); else fail=$((fail + 1)); fi
}

printf '%s\n' "$checks$variants" | grep '|' |
    tr '\n' '\0' | xargs -0 -P "$JOBS" -n 1 "$here/run.sh" --one | tee "$work/log" || true
want=$(printf '%s\n' "$checks$variants" | grep -c '|')
n=$(grep -c '^ok ' "$work/log") || true
pass=$n fail=$((want - n))

# ---- traces --------------------------------------------------------------------------------------

dir=$PWD/build/proof/replay
mkdir -p "$dir"
cp "$here"/*.pml "$dir"
(cd "$dir" && spin -a replay.pml >spin.log 2>&1 &&
    gcc -O1 -DSAFETY -DNOREDUCE -DBITSTATE -DVECTORSZ=4096 -o pan pan.c >gcc.log 2>&1) || {
    echo 'FAIL replay: the model does not compile; build/proof/replay'
    exit 1
}
for t in "$here"/good/*.trace; do
    if python3 -B "$here/replay.py" "$t" >"$dir/out" 2>&1; then
        tell 1
    else
        tell 0
        echo "FAIL $(basename "$t"): refused"
        sed 's/^/    | /' "$dir/out"
    fi
done
for t in "$here"/bad/*.trace; do
    expect=$(sed -n 's/^# expect: //p' "$t") rc=0
    python3 -B "$here/replay.py" "$t" >"$dir/out" 2>&1 || rc=$?
    if [ $rc = 1 ] && [ -n "$expect" ] && head -n 1 "$dir/out" | grep -qF "$expect"; then
        tell 1
    else
        tell 0
        echo "FAIL $(basename "$t"): not refused for \"$expect\" (exit $rc)"
        sed 's/^/    | /' "$dir/out"
    fi
done
sim=$BUILD/test/sim/sim
if [ -x "$sim" ]; then
    rm -f "$dir"/*.trace
    # A seed that finds a violation of its own is the simulator's to report; its trace is read all the same.
    seq 1 "$seeds" | xargs -P "$JOBS" -I{} sh -c \
        "timeout 120 '$sim' --seed {} --trace '$dir/{}.trace' >/dev/null 2>&1 || true"
    if python3 -B "$here/replay.py" "$dir"/*.trace >"$dir/out" 2>&1; then tell 1; else tell 0; fi
    tail -n 40 "$dir/out"
else
    echo "replay: skipped: there is no $sim"
fi
echo "spin: $(grep -c 'ok .* checked' "$work/log") models checked, $(grep -c 'ok .* refuted' "$work/log") variants refuted, $((SECONDS - start)) s"
echo "$pass passed, $fail failed"
[ $fail = 0 ]
