#!/bin/bash
# What a party needs of a small enclave: resident and locked memory with 10,000 presignatures, a limit on
# locked memory that is too low, and swap. The enclave has 256 MiB for everything; a party may have 48.
# Prints `figure: NAME VALUE UNIT`.
set -u
cd "$(dirname "$0")/../.." || exit 1
export BIN=${BIN:-build/bin}
. test/quorum.sh
COUNT=10000 CEILING_KIB=$((48 * 1024)) passed=0 failed=0
DIR=$(mktemp -d /tmp/quorate-memory-XXXXXX)
trap 'quorum_stop "$DIR" 2>/dev/null; rm -rf "$DIR"' EXIT

verdict() { # NAME STATUS
    if [ "$2" = 0 ]; then
        passed=$((passed + 1))
        echo "ok   $1"
    else
        failed=$((failed + 1))
        echo "FAIL $1"
    fi
}
of_party() { sed -n "s/^$1:[^0-9]*\([0-9]*\).*/\1/p" "/proc/$(cat "$DIR/p1/pid")/status"; }
ready() {
    "$BIN/quorate" status --socket "$DIR/p1/admin.sock" --json |
        grep -o '"owner":1,"ready":[0-9]*' | sed 's/.*://' | sort -n | tail -n 1 | grep . || echo 0
}
full() { [ "$(ready)" -ge $COUNT ]; }

QUORUM_OTHERS='0 0 0'
quorum_start "$DIR" 3 $COUNT $COUNT 0 || exit 1
KEY=$(quorum_keygen "$DIR" 2) || exit 1
quorum_wait 180 "$COUNT presignatures" full
verdict "$COUNT presignatures are made" $?
rss=$(of_party VmRSS) peak=$(of_party VmHWM) locked=$(of_party VmLck)
echo "figure: party_resident $rss KiB"
echo "figure: party_resident_peak $peak KiB"
echo "figure: party_locked $locked KiB"
[ "$peak" -le $CEILING_KIB ]
verdict "resident memory stays below $CEILING_KIB KiB" $?
# 168 bytes each; what else is locked comes on top.
[ "$locked" -ge $((COUNT * 168 / 1024)) ]
verdict 'presignatures are locked' $?
"$BIN/quorate" sign --gateway "$(quorum_gateway_url "$DIR" 1)" --roster "$DIR/roster.json" \
    --client "$DIR/client.pem" --key "$KEY" --kind sha256 --der "$DIR/sig" --pem "$DIR/pub" README.md >"$DIR/out" &&
    openssl dgst -sha256 -verify "$DIR/pub" -signature "$DIR/sig" README.md >/dev/null
verdict 'it signs' $?

# A limit of 64 KiB, without the privilege that ignores it. The software TEE warns; hardware would stop.
quorum_party "$DIR" 1 stop
quorum_wait 20 'party 1 to end' sh -c "! kill -0 $(cat "$DIR/p1/pid")"
start=("$BIN/quorated" --config "$DIR/p1/quorated.conf")
if [ "$(id -u)" = 0 ]; then start=(setpriv --bounding-set=-ipc_lock --inh-caps=-ipc_lock "${start[@]}"); fi
: >"$DIR/p1/log"
(
    ulimit -l 64
    exec "${start[@]}"
) </dev/null >>"$DIR/p1/log" 2>&1 &
echo $! >"$DIR/p1/pid"
quorum_wait 10 'the warning' grep -q 'memory for secrets cannot be locked: 20480 KiB are needed, the limit (RLIMIT_MEMLOCK) is 64 KiB' "$DIR/p1/log"
verdict 'a low limit on locked memory is named' $?
quorum_party "$DIR" 1 stop
quorum_wait 20 'party 1 to end' sh -c "! kill -0 $(cat "$DIR/p1/pid")"

# Swap, as the party sees it; mounting over /proc/swaps takes root.
if [ "$(id -u)" = 0 ]; then
    printf 'Filename\tType\tSize\tUsed\tPriority\n/dev/vdz partition 4 0 -2\n' >"$DIR/swaps"
    : >"$DIR/p1/log"
    unshare --mount sh -c "mount --bind '$DIR/swaps' /proc/swaps && exec '$BIN/quorated' --config '$DIR/p1/quorated.conf'" \
        </dev/null >>"$DIR/p1/log" 2>&1 &
    echo $! >"$DIR/p1/pid"
    quorum_wait 10 'the warning' grep -q 'there is swap (/dev/vdz)' "$DIR/p1/log"
    verdict 'swap is named' $?
else
    echo 'not root: swap is tried in test/shim/test_memory.c alone'
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
