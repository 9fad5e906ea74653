#!/bin/bash
# Gate: every function that reads what a stranger, a peer, the host or a file gives stands in
# test/fuzz/TARGETS with the fuzz targets that reach it, or with the reason why none does.
#   - candidates: functions whose name has a reading word and that take bytes, text, a message or JSON
#   - no candidate is missing from the table, no line of the table names what does not exist
#   - every target of the table is a file fuzz_X.c, every target is in the table, and has seeds
# That the targets really reach the functions is `make fuzz-coverage`'s to show.
set -u
cd "$(dirname "$0")/.." || exit 1
n=0
bad() {
    echo "$1"
    n=$((n + 1))
}
candidates=$(awk '
    FNR == 1 { name = "" }
    /^[a-z_][a-z0-9_]*\(/ { name = $0; sub(/\(.*/, "", name); args = "" }
    name != "" { args = args $0 }
    name != "" && /^\{/ {
        if (name ~ /(^|_)(decode|parse|recv|receive|load|open|import|read|unseal|unpack|input|feed|item|verify|check|accept|judge|hear|frame|message|header|ctl_get|resume|ack|on_[a-z]+)(_|$)/ &&
            args ~ /qr_view|uint8_t|char \*|qr_msg_in|qr_buf |qr_stream|qr_json_at|qr_db_row|qr_answer|qr_ask|qr_hello|qr_command|qr_key_pub/)
            print FILENAME, name
        name = ""
    }
    name != "" && /;[ ]*$/ { name = "" }
' protocol/base/*.c proto/*.c protocol/*.c transport/*.c enclave-shim/verify/*.c enclave-shim/*.c enclave-shim/tpm/*.c enclave-shim/nitro/*.c daemon/*.c daemon/client/*.c daemon/facade/*.c)
table=$(sed 's/#.*//' test/fuzz/TARGETS | awk 'NF')

while read -r file name; do
    grep -q "^$file $name " <<<"$table" ||
        bad "$file: $name reads input and is not in test/fuzz/TARGETS: name its fuzz target, or '-' and a reason"
done <<<"$candidates"
while read -r file name targets reason; do
    grep -q "^$name(" "$file" 2>/dev/null || bad "test/fuzz/TARGETS: $file has no function $name"
    if [ "$targets" = - ]; then
        [ -n "$reason" ] || bad "test/fuzz/TARGETS: $file $name: an exemption needs a reason"
        continue
    fi
    for t in ${targets//,/ }; do
        [ -f "test/fuzz/fuzz_$t.c" ] || bad "test/fuzz/TARGETS: $file $name: no target fuzz_$t.c"
    done
done <<<"$table"
for src in test/fuzz/fuzz_*.c; do
    t=${src##*/fuzz_}
    t=${t%.c}
    awk -v t="$t" '{ k = split($3, a, ","); for (i = 1; i <= k; i++) if (a[i] == t) found = 1 }
        END { exit !found }' <<<"$table" || bad "$src: in no line of test/fuzz/TARGETS"
    [ -n "$(ls -A "test/fuzz/corpus/$t" 2>/dev/null)" ] || bad "$src: no seeds in test/fuzz/corpus/$t"
done
size=$(find test/fuzz/corpus -type f -printf '%s\n' | awk '{ s += $1 } END { print s + 0 }')
[ "$size" -le 614400 ] || bad "test/fuzz/corpus: $size bytes, at most 614400"
dup=$(awk '{ print $1, $2 }' <<<"$table" | sort | uniq -d)
[ -z "$dup" ] || bad "test/fuzz/TARGETS: twice: $dup"

if [ $n != 0 ]; then
    echo "check_fuzz: $n violations"
    exit 1
fi
echo "check_fuzz: ok, $(wc -l <<<"$candidates") readers, $(find test/fuzz -name 'fuzz_*.c' | wc -l) targets"
