#!/bin/bash
# The hardware acceptance kit, run dry: each cloud's script against a quorum of software TEEs. What it
# proves is the kit: the steps that need no cloud pass, those that do are not run, the report says
# EMULATION and is signed; a wrong party, a changed report and a run that only pretends are told apart.
set -u
cd "$(dirname "$0")/../.." || exit 1
: "${BIN:=build/bin}"
export BIN
. test/quorum.sh
DIR=$(mktemp -d /tmp/quorate-acceptance-XXXXXX)
trap 'quorum_stop "$DIR" 2>/dev/null; [ -n "${KEEP-}" ] || rm -rf "$DIR"' EXIT
passed=0 failed=0

expect() { # WHAT CONDITION...
    local what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $what"
    fi
}
has() { grep -qF -- "$2" "$1" || { echo "    $1 lacks: $2" && tail -n 40 "$1" && false; }; }
ends() { # CODE OUTPUT COMMAND...
    local want=$1 out=$2 rc=0
    shift 2
    "$@" >"$out" 2>&1 || rc=$?
    [ $rc = "$want" ] || { echo "    exit $rc, not $want:" && tail -n 40 "$out" && false; }
}

quorum_start "$DIR" 3 || exit 1
KEY=$(quorum_keygen "$DIR" 2) || exit 1
"$BIN/quorate" key new --scheme ed25519 --out "$DIR/operator.pem" >"$DIR/operator.hex"
OPERATOR=$(cat "$DIR/operator.hex")
cat >"$DIR/restart" <<R
. test/quorum.sh
p=\$(cat "$DIR/p1/pid")
quorum_party "$DIR" 1 stop
quorum_wait 20 "party 1 to end" sh -c "! kill -0 \$p"
quorum_party "$DIR" 1 start
R
cat >"$DIR/conf" <<C
QUORATE=$BIN/quorate
OPERATOR='a test'
OPERATOR_KEY=$DIR/operator.pem
GATEWAY=$(quorum_gateway_url "$DIR" 1)
PARTY=1
ROSTER=$DIR/roster.json
POLICY=$DIR/policy.json
CLIENT_KEY=$DIR/client.pem
QUORUM_KEY=$KEY
RESTART='sh $DIR/restart'
START_LIMIT_S=30
C

for cloud in nitro gcp azure; do
    out=$DIR/$cloud
    expect "$cloud: the dry run" ends 0 "$DIR/$cloud.out" \
        "deploy/acceptance/$cloud.sh" --config "$DIR/conf" --out "$out" --emulation
    report=$out/report.json
    expect "$cloud: is JSON" python3 -c 'import json, sys
r = json.load(open(sys.argv[1]))
assert list(r)[0] == "emulation" and r["emulation"] is True and r["verdict"] == "emulation-passed", r
assert r["failed"] == 0 and r["not_run"] > 2 and r["passed"] >= 7, r
steps = {s["id"]: s for s in r["steps"]}
assert len(steps) == len(r["steps"]) == r["passed"] + r["not_run"]
assert all(s["result"] == ("pass" if s["needs"] == "-" else "not_run") for s in r["steps"]), r
assert steps["common-2"]["evidence_sha256"][0].__len__() == 64
assert {f["name"] for f in r["files"]} >= {"roster", "policy"}, r' "$report"
    expect "$cloud: says what it is" has "$out/report.txt" 'EMULATION: says nothing about hardware'
    expect "$cloud: and that steps were left out" has "$out/report.txt" 'NOT RUN'
    expect "$cloud: the signature holds" ends 0 "$DIR/check.out" \
        "$BIN/quorate" stamp check --key "$OPERATOR" "$report"
done

report=$DIR/gcp/report.json
expect 'another key has not signed' ends 77 "$DIR/check.out" \
    "$BIN/quorate" stamp check --key "$(cat "$DIR/admin.hex")" "$report"
expect 'that is said' has "$DIR/check.out" 'no stamp by key'
sed -i 's/"emulation":true/"emulation":false/; s/emulation-passed/accepted/' "$report"
expect 'a changed report is refused' ends 77 "$DIR/check.out" \
    "$BIN/quorate" stamp check --key "$OPERATOR" "$report"
expect 'that is said, too' has "$DIR/check.out" 'was changed after it was stamped'
expect 'a report without a stamp is none' ends 77 "$DIR/check.out" \
    "$BIN/quorate" stamp check "$DIR/gcp/report.txt"

# A policy that does not accept this party: the steps that look at it fail and say what to do.
sed 's/"insecure_sim": *true/"insecure_sim":false/' "$DIR/policy.json" >"$DIR/strict.json"
sed "s,^POLICY=.*,POLICY=$DIR/strict.json," "$DIR/conf" >"$DIR/strict.conf"
expect 'a party that is refused fails' ends 1 "$DIR/strict.out" \
    deploy/acceptance/gcp.sh --config "$DIR/strict.conf" --out "$DIR/strict" --emulation
expect 'the step is named' has "$DIR/strict/report.txt" 'FAIL     common-2'
expect 'and what to do' has "$DIR/strict/report.txt" 'do: '
expect 'the verdict says so' has "$DIR/strict/report.json" '"verdict":"emulation-failed"'

# As if it were hardware: no step may pass for that, and nothing is accepted.
printf "GCP_INSTANCE=none GCP_ZONE=none\n" | cat "$DIR/conf" - >"$DIR/real.conf"
expect 'software TEEs are no hardware' ends 1 "$DIR/real.out" \
    deploy/acceptance/gcp.sh --config "$DIR/real.conf" --out "$DIR/real"
expect 'the checks of hardware were missed' has "$DIR/real/report.txt" 'not checked: root chain'
expect 'the platform is named' has "$DIR/real/report.txt" 'evidence is of platform sim'
expect 'the verdict is plain' has "$DIR/real/report.json" '"verdict":"failed"'

# Wrong use says what is missing.
expect 'no configuration' ends 64 "$DIR/check.out" deploy/acceptance/azure.sh --emulation
sed '/^ROSTER/d' "$DIR/conf" >"$DIR/half.conf"
expect 'half a configuration' ends 64 "$DIR/check.out" deploy/acceptance/azure.sh --config "$DIR/half.conf"
expect 'names it' has "$DIR/check.out" 'ROSTER is not set'
expect 'a folder that is there' ends 64 "$DIR/check.out" \
    deploy/acceptance/azure.sh --config "$DIR/conf" --out "$DIR" --emulation

echo "$passed passed, $failed failed"
[ $failed = 0 ]
