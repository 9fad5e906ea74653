#!/bin/sh
# All benches; JSON lines in build/bench/. QR_BENCH_QUICK=1: too short for figures.
set -eu
BUILD=${BUILD:-build/release}
BIN=${BIN:-build/bin}
OUT=${OUT:-build/bench}
Q=${QR_BENCH_QUICK:-}
DIR=$(mktemp -d /tmp/quorate-bench-XXXXXX)
. test/quorum.sh
trap 'quorum_stop "$DIR" 2>/dev/null; rm -rf "$DIR"' EXIT
trap 'exit 1' INT TERM
mkdir -p "$OUT"

commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
git diff --quiet HEAD 2>/dev/null || commit="$commit+"
export QR_COMMIT="$commit"

row() { # NAME N T VALUE UNIT
    printf '{"name":"%s","n":%s,"t":%s,"value":%s,"unit":"%s","ratio":null,"commit":"%s"}\n' "$1" "$2" "$3" "$4" "$5" "$commit"
}
num() { sed -n "s/.*\"$1\":\([0-9.]*\).*/\1/p" | head -n 1; }

echo "protocol, in process" >&2
"$BUILD/bench/bench_protocol" | tee "$OUT/protocol.jsonl"
if [ -x "$BUILD/bench/bench_transport" ]; then
    echo "transport, loopback" >&2
    "$BUILD/bench/bench_transport" | tee "$OUT/transport.jsonl"
fi
echo "pump, hybrid sockets" >&2
"$BUILD/bench/bench_pump" | tee "$OUT/pump.jsonl"
echo "the peer secret, in process" >&2
"$BUILD/bench/bench_secret" | tee "$OUT/secret.jsonl"
echo "policy decisions, in process" >&2
"$BUILD/bench/bench_policy" | tee "$OUT/policy.jsonl"
echo "evidence, in process" >&2
"$BUILD/bench/bench_verify" | tee "$OUT/verify.jsonl"
if command -v swtpm >/dev/null 2>&1; then
    echo "a TPM's calls, swtpm" >&2
    "$BUILD/bench/bench_tpm" | tee "$OUT/tpm.jsonl"
else
    echo "no figures of a TPM's calls: bench_tpm needs swtpm (deploy/deps.sh dev)" >&2
fi
if [ -z "$Q" ] && command -v valgrind >/dev/null 2>&1; then
    echo "instructions, callgrind" >&2
    bench/instructions.sh
fi

# ---- through real daemons ----------------------------------------------------------------
full=10000
[ -n "$Q" ] && full=512
: >"$OUT/load.jsonl"

fill_wait() { # COUNT: until party 1 holds so many presignatures of its hot set
    _w=1200
    while [ "$(ready)" -lt "$1" ]; do
        _w=$((_w - 1))
        [ "$_w" -gt 0 ] || { echo "pool did not fill: $(ready) of $1" >&2; return 1; }
        sleep 0.1
    done
}
ready() {
    "$BIN/quorate" status --socket "$DIR/p1/admin.sock" --json |
        grep -o '"owner":1,"ready":[0-9]*' | sed 's/.*://' | sort -n | tail -n 1 | grep . || echo 0
}
# fresh LOW HIGH: a new quorum whose first party alone owns pools
fresh() {
    quorum_stop "$DIR" 2>/dev/null || true
    rm -rf "$DIR"
    QUORUM_BASE_PORT=$((QUORUM_BASE_PORT + 7))
    QUORUM_OTHERS="0 0 0"
    quorum_start "$DIR" 3 "$1" "$2" 0
    KEY=$(quorum_keygen "$DIR" 2)
}
load() {
    "$BIN/quorate-load" --gateway "$(quorum_gateway_url "$DIR" 1)" --client "$DIR/client.pem" --key "$KEY" "$@"
}

echo "memory with 1,000 presignatures" >&2
fresh 1000 1008
fill_wait "$([ -n "$Q" ] && echo 500 || echo 1000)"
row mem_party 3 2 "$(sed -n 's/VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$(cat "$DIR/p1/pid")/status")" KiB | tee -a "$OUT/load.jsonl"

echo "sustained, refill on" >&2
load --concurrency 32 --items 1 --seconds "$([ -n "$Q" ] && echo 3 || echo 60)" >"$OUT/sustained.json"
row load_sustained 3 2 "$(num sigs_per_s <"$OUT/sustained.json")" signatures/s | tee -a "$OUT/load.jsonl"

# What went over the busiest link in that run, from its ledger: by class, then what is not payload.
"$BIN/quorate" status --socket "$DIR/p1/admin.sock" --json >"$OUT/status.json"
out() { # CLASS: bytes sent, of the peer with the most presigning
    grep -o "\"$1\":{\"out\":[0-9]*" "$OUT/status.json" | sed 's/.*://' | sed -n "${peer}p"
}
peer=$(grep -o '"presign":{"out":[0-9]*' "$OUT/status.json" | sed 's/.*://' | awk '$1>=m{m=$1;i=NR}END{print i}')
sigs=$(num signatures <"$OUT/sustained.json")
payload=$(($(out setup) + $(out keygen) + $(out presign) + $(out online)))
row bytes_overhead 3 2 "$(awk "BEGIN{printf \"%.2f\", 100*($(out overhead)+$(out handshake)+$(out control))/$payload}")" "% of payload" | tee -a "$OUT/load.jsonl"
row bytes_tcpip 3 2 "$(awk "BEGIN{printf \"%.2f\", 100*$(out tcpip_estimate)/$payload}")" "% of payload, estimated" | tee -a "$OUT/load.jsonl"
row bytes_online 3 2 "$(awk "BEGIN{printf \"%.0f\", $(out online)/$sigs}")" "bytes/signature sent by the coordinator" | tee -a "$OUT/load.jsonl"

echo "a key from cold, and a restart" >&2
ms() { echo $(($(date +%s%N) / 1000000)); }
for i in 1 2 3; do quorum_party "$DIR" "$i" stop; done
for i in 1 2 3; do wait "$(cat "$DIR/p$i/pid")" 2>/dev/null || true; done
t0=$(ms)
for i in 1 2 3; do quorum_party "$DIR" "$i" start; done
until quorum_keygen "$DIR" 2 >/dev/null 2>&1; do :; done
row keygen_cold 3 2 "$(($(ms) - t0))" "ms, three processes started" | tee -a "$OUT/load.jsonl"
KEY=$(cat "$DIR/key")
quorum_party "$DIR" 1 kill
wait "$(cat "$DIR/p1/pid")" 2>/dev/null || true
t0=$(ms)
quorum_party "$DIR" 1 start
until load --concurrency 1 --count 1 >/dev/null 2>&1; do :; done
row restart 3 2 "$(($(ms) - t0))" "ms from start to a signature" | tee -a "$OUT/load.jsonl"

echo "burst of single-item requests from a full pool" >&2
fresh 0 "$full"
fill_wait "$full"
load --concurrency 64 --items 1 --count "$full" >"$OUT/burst_1.json"
rate=$(num sigs_per_s <"$OUT/burst_1.json")
row load_burst_1 3 2 "$rate" signatures/s | tee -a "$OUT/load.jsonl"

echo "latency at half that rate" >&2
fresh 0 "$full"
fill_wait "$full"
load --rate "$(echo "$rate" | awk '{print int($1/2)}')" --items 1 --count "$((full / 2))" >"$OUT/latency_1.json"
row latency_burst_1 3 2 "$(num p50_us <"$OUT/latency_1.json")" us | tee -a "$OUT/load.jsonl"

echo "burst of 64-item requests from a full pool" >&2
fresh 0 "$full"
fill_wait "$full"
load --concurrency 16 --items 64 --count "$((full / 64 * 64))" >"$OUT/burst_64.json"
row load_burst_64 3 2 "$(num sigs_per_s <"$OUT/burst_64.json")" signatures/s | tee -a "$OUT/load.jsonl"
