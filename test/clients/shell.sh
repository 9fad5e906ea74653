#!/bin/bash
# A request with curl and openssl alone: the stamp is made by `openssl dgst`, and the signature that
# comes back is verified by `openssl dgst` under the key's own PEM. Then the same with one character of
# the body changed after the stamp, and with the same id for another body.
set -eu
cd "$ROOT"
# shellcheck source=test/quorum.sh
. test/quorum.sh
dir=$(mktemp -d /tmp/quorate-shell-XXXXXX)
trap 'quorum_stop "$dir" 2>/dev/null; [ -n "${KEEP-}" ] || rm -rf "$dir"' EXIT
passed=0 failed=0
check() { # WHAT COMMAND...
    local what=$1
    shift
    if "$@"; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "failed: $what"
    fi
}
member() { sed -n "s/.*\"$1\":\"\\{0,1\\}\\([^\",}]*\\).*/\\1/p" "$2" | head -n 1; }

quorum_start "$dir" 3
key=$(quorum_keygen "$dir" 2)
cluster=$(member cluster "$dir/roster.json")
gateway=$(quorum_gateway_url "$dir" 1)

# ---- what a user types
public=$(openssl ec -in "$dir/client.pem" -pubout -conv_form compressed -outform DER 2>/dev/null | tail -c 33 | od -An -v -tx1 | tr -d ' \n')
make_body() { # ID TEXT
    local now
    now=$(date +%s%3N)
    printf '{"v":1,"cluster":"%s","key":"%s","id":"%s","issued_ms":%s,"expires_ms":%s,"path":[],"items":[{"kind":"sha256","preimage":"%s"}]}' \
        "$cluster" "$key" "$1" "$now" $((now + 60000)) "$(printf %s "$2" | od -An -v -tx1 | tr -d ' \n')" >"$dir/body"
}
make_stamp() {
    printf '{"publicKey":"%s","signature":"%s","scheme":"SIGNATURE_SCHEME_TK_API_P256"}' "$public" \
        "$(openssl dgst -sha256 -sign "$dir/client.pem" "$dir/body" | od -An -v -tx1 | tr -d ' \n')" |
        base64 -w0 | tr '+/' '-_' | tr -d '='
}
post() { # STAMP; the status is printed
    curl -sS -o "$dir/answer" -w '%{http_code}' -H 'Content-Type: application/json' -H "X-Stamp: $1" \
        --data-binary "@$dir/body" "$gateway/v1/sign"
}
# ----

integer() { # 64 hex digits: DER
    local v=$1
    while [[ ${#v} -gt 2 && $v == 00* ]]; do v=${v#00}; done
    case $v in [89a-f]*) v=00$v ;; esac
    printf '02%02x%s' $((${#v} / 2)) "$v"
}
id=curl-and-openssl-$$
make_body "$id" "hello from a shell"
stamp=$(make_stamp)
check "the request is answered" test "$(post "$stamp")" = 200
cp "$dir/answer" "$dir/first"
rs=$(integer "$(member r "$dir/answer")")$(integer "$(member s "$dir/answer")")
# shellcheck disable=SC2059 # the format is the bytes
printf "$(printf '30%02x%s' $((${#rs} / 2)) "$rs" | sed 's/../\\x&/g')" >"$dir/sig.der"
# SPKI of a compressed point on secp256k1
# shellcheck disable=SC2059
printf "$(echo "3036301006072a8648ce3d020106052b8104000a032200$key" | sed 's/../\\x&/g')" >"$dir/pub.der"
openssl pkey -pubin -inform DER -in "$dir/pub.der" -out "$dir/pub.pem"
printf %s "hello from a shell" >"$dir/message"
verified() { openssl dgst -sha256 -verify "$dir/pub.pem" -signature "$dir/sig.der" "$1" 2>&1 | grep -qx "$2"; }
check "openssl verifies the signature" verified "$dir/message" "Verified OK"
check "openssl refuses it for other bytes" verified "$dir/body" "Verification failure"

check "the same request again" test "$(post "$stamp")" = 200
signatures() { sed 's/.*"signatures":\(\[[^]]*\]\).*/\1/' "$1"; }
check "has the same signature" test "$(signatures "$dir/answer")" = "$(signatures "$dir/first")"
sed -i 's/68656c6c6f/68656c6c6e/' "$dir/body"
check "a changed body" test "$(post "$stamp") $(member code "$dir/answer")" = "401 stamp_invalid"
check "no stamp" test "$(curl -sS -o "$dir/answer" -w '%{http_code}' -H 'Content-Type: application/json' --data-binary "@$dir/body" "$gateway/v1/sign") $(member code "$dir/answer")" = "401 stamp_missing"
make_body "$id" "something else"
check "the same id for another body" test "$(post "$(make_stamp)") $(member code "$dir/answer")" = "409 replay_conflict"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
