#!/bin/sh
# A real quorum on this machine, from nothing to a signature that plain openssl verifies.
#   make demo            everything, then cleans up
#   make demo KEEP=1     leaves the quorum running and says how to reach it
set -eu
BIN=${BIN:-build/bin}
DEMO=${DEMO:-build/demo}
. test/quorum.sh

say() { printf '%s\n' "$*"; }
field() { sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p" "$2" | head -n 1; }

[ -f "$DEMO/n" ] && quorum_stop "$DEMO"
rm -rf "$DEMO"
mkdir -p "$DEMO"
if [ "${KEEP:-}" != 1 ]; then
    trap 'quorum_stop "$DEMO"; rm -rf "$DEMO"' EXIT
    trap 'exit 1' INT TERM
fi

say "1. Three parties start, each in a software TEE, and attest each other."
quorum_start "$DEMO" 3
say "2. They make a 2-of-3 key together; it exists nowhere."
key=$(quorum_keygen "$DEMO" 2)
say "   key $key"

say "3. A client asks for a signature over a file, over HTTP."
printf 'Quorate signs with a key that exists nowhere.\n' >"$DEMO/message.txt"
sign() { # GATEWAY NAME
    "$BIN/quorate" sign --gateway "$1" --roster "$DEMO/roster.json" --client "$DEMO/client.pem" --key "$key" \
        --kind sha256 --der "$DEMO/$2.der" --pem "$DEMO/public.pem" --json "$DEMO/message.txt" >"$DEMO/$2.json"
}
url=$(quorum_gateway_url "$DEMO" 1)
sign "$url" first

say "4. One party is killed. Signing goes on with the other two."
quorum_party "$DEMO" 2 kill
sign "$url" second

say ""
say "What happened"
for f in first second; do
    say "  $f signature: signed by parties $(sed -n 's/.*"signers":\[\([0-9,]*\)\].*/\1/p' "$DEMO/$f.json")," \
        "each on the platform \"sim\" (a software TEE: fine for a demo, refused by every other policy)"
    say "    $(field micros "$DEMO/$f.json") microseconds in the coordinating party," \
        "$(field bytes "$DEMO/$f.json") bytes between the signers, $(field moves "$DEMO/$f.json") moves to another set"
done
"$BIN/quorate" status --socket "$DEMO/p1/admin.sock" --json >"$DEMO/status.json"
say ""
say "An independent check, with nothing of ours:"
say "  openssl dgst -sha256 -verify $DEMO/public.pem -signature $DEMO/second.der $DEMO/message.txt"
openssl dgst -sha256 -verify "$DEMO/public.pem" -signature "$DEMO/first.der" "$DEMO/message.txt" >/dev/null
printf '  '
openssl dgst -sha256 -verify "$DEMO/public.pem" -signature "$DEMO/second.der" "$DEMO/message.txt"

if [ "${KEEP:-}" = 1 ]; then
    quorum_party "$DEMO" 2 start
    say ""
    say "The quorum is running (party 2 again as well):"
    for i in 1 2 3; do
        say "  party $i: gateway $(quorum_gateway_url "$DEMO" "$i"), operator's socket $DEMO/p$i/admin.sock, log $DEMO/p$i/log"
    done
    say "  sign a file:  $BIN/quorate sign --gateway $url --roster $DEMO/roster.json --client $DEMO/client.pem --key $key --kind sha256 --der sig.der --pem pub.pem FILE"
    say "  stop it:      make demo-stop"
fi
