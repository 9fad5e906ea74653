#!/bin/bash
# A client asks three running parties for evidence over its own nonce, and judges the answers by the
# roster and the policy that it has: genuine ones are accepted, those to another question, of another
# party, under another policy or for two members are refused.
set -u
cd "$(dirname "$0")/../.." || exit 1
: "${BIN:=build/bin}"
export BIN
. test/quorum.sh
dir=$(mktemp -d /tmp/quorate-attestation-XXXXXX)
trap 'quorum_stop "$dir" 2>/dev/null; [ -n "${KEEP-}" ] || rm -rf "$dir"' EXIT
passed=0 failed=0
nonce=$(printf 'a5%.0s' {1..32})
other=$(printf '5a%.0s' {1..32})

# expect WHAT CODE TEXT ARGUMENTS...: exit code, and a text in what it says
expect() {
    local what=$1 code=$2 text=$3 out rc
    shift 3
    out=$("$BIN/quorate" verify "$@" 2>&1)
    rc=$?
    if [ $rc = "$code" ] && grep -qF -- "$text" <<<"$out"; then
        passed=$((passed + 1))
    else
        echo "$what: expected exit code $code and \"$text\", found $rc:"
        echo "$out" | head -n 20
        failed=$((failed + 1))
    fi
}

quorum_start "$dir" 3 || exit 1
for i in 1 2 3; do
    python3 -c 'import sys, urllib.request as u; sys.stdout.write(u.urlopen(sys.argv[1]).read().decode())' \
        "$(quorum_gateway_url "$dir" "$i")/v1/attestation?nonce=$nonce" >"$dir/a$i.json" || exit 1
done
with=(--roster "$dir/roster.json" --policy "$dir/policy.json" --nonce)
all=(--attestation "$dir/a1.json" "$dir/a2.json" "$dir/a3.json")

expect "three answers" 0 "party     3" "${all[@]}" "${with[@]}" "$nonce"
expect "what the software TEE is worth" 0 "protects nothing" "${all[@]}" "${with[@]}" "$nonce" --json
expect "one answer" 0 '"verdict":"valid"' --attestation "$dir/a2.json" "${with[@]}" "$nonce" --json
expect "another question" 77 "bound to another" --attestation "$dir/a1.json" "${with[@]}" "$other"
expect "one party twice" 77 "stands for two" --attestation "$dir/a1.json" "$dir/a1.json" "${with[@]}" "$nonce"
expect "no nonce" 64 "--nonce" --attestation "$dir/a1.json" --roster "$dir/roster.json" --policy "$dir/policy.json"
expect "a short nonce" 64 "--nonce" --attestation "$dir/a1.json" "${with[@]}" "${nonce:2}"

sed 's/"party":1/"party":2/' "$dir/a1.json" >"$dir/b.json"
expect "another party's number" 77 "identity-mismatch" --attestation "$dir/b.json" "${with[@]}" "$nonce"
sed 's/"party":1/"party":9/' "$dir/a1.json" >"$dir/b.json"
expect "a party that is none" 77 "identity-mismatch" --attestation "$dir/b.json" "${with[@]}" "$nonce"
sed 's/"platform":"sim"/"platform":"aws-nitro"/' "$dir/a1.json" >"$dir/b.json"
expect "another platform" 77 "identity-mismatch" --attestation "$dir/b.json" "${with[@]}" "$nonce"
sed 's/"boot_nonce":"../"boot_nonce":"00/' "$dir/a1.json" >"$dir/b.json"
if cmp -s "$dir/a1.json" "$dir/b.json"; then sed 's/"boot_nonce":"../"boot_nonce":"01/' "$dir/a1.json" >"$dir/b.json"; fi
expect "another boot" 77 "bound to another" --attestation "$dir/b.json" "${with[@]}" "$nonce"
sed 's/"evidence":"\(.\)\(.\)/"evidence":"\2\1/' "$dir/a1.json" >"$dir/b.json"
expect "changed evidence" 77 "invalid" --attestation "$dir/b.json" "${with[@]}" "$nonce"
sed 's/"v":1/"v":2/' "$dir/a1.json" >"$dir/b.json"
expect "a later version" 78 "b.json" --attestation "$dir/b.json" "${with[@]}" "$nonce"
sed 's/"serial":1/"serial":7/' "$dir/policy.json" >"$dir/other.json"
expect "another policy" 77 "found another in force" --attestation "$dir/a1.json" --roster "$dir/roster.json" \
    --policy "$dir/other.json" --nonce "$nonce"
sed 's/"insecure_sim": *true/"insecure_sim":false/' "$dir/policy.json" >"$dir/other.json"
expect "a policy against the software TEE" 77 "invalid" --attestation "$dir/a1.json" --roster "$dir/roster.json" \
    --policy "$dir/other.json" --nonce "$nonce"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
