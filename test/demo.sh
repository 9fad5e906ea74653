#!/bin/sh
# A real quorum on this machine, from nothing to a signature that plain openssl verifies.
#   make demo            everything, then cleans up
#   make demo KEEP=1     leaves the quorum running and says how to reach it
set -eu
BIN=${BIN:-build/bin}
DEMO=${DEMO:-build/demo}
. test/quorum.sh

say() { printf '%s\n' "$*"; }
number() { sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" "$2"; } # NAME FILE
signers() { sed -n 's/.*"signers":\[\([0-9,]*\)\].*/\1/p' "$1" | tr , ' '; }
pooled() { "$BIN/quorate" status --socket "$DEMO/p1/admin.sock" --json | grep -q '"owner":1,"ready":[1-9]'; }
ms() { awk "BEGIN { printf \"%.1f\", $1 / 1000 }"; }

sign() { # NAME MORE-OPTIONS
    name=$1
    shift
    "$BIN/quorate" sign --gateway "$url" --roster "$DEMO/roster.json" --client "$DEMO/client.pem" \
        --key "$key" --kind sha256 --der "$DEMO/$name.der" --json "$@" "$DEMO/message.txt" \
        >"$DEMO/$name.json"
}

picture() { # NAME TEXT
    f=$DEMO/$1.json
    say "  $2 signed by parties $(signers "$f") of 1 2 3; nobody held the key."
    for i in $(signers "$f"); do
        say "      party $i   cloud-$i, platform \"sim\" (software TEE: only a policy that says insecure_sim takes it)"
    done
    say "      $(ms "$(number micros "$f")") ms in party 1, $(number bytes "$f") bytes between the signers," \
        "$(number moves "$f") moves to another signing set"
}

[ ! -f "$DEMO/n" ] || quorum_stop "$DEMO"
rm -rf "$DEMO"
mkdir -p "$DEMO"
trap 'quorum_stop "$DEMO"; rm -rf "$DEMO"' EXIT
trap 'exit 1' INT TERM HUP

say "1. Three parties start, each in a software TEE of its own, and attest each other."
quorum_start "$DEMO" 3
say "2. They make a 2-of-3 key together. It exists nowhere."
key=$(quorum_keygen "$DEMO" 2)
say "   $key"
quorum_wait 20 "presignatures" pooled

say "3. A client asks for a signature over a file, over HTTP."
printf 'Quorate signs with a key that exists nowhere.\n' >"$DEMO/message.txt"
url=$(quorum_gateway_url "$DEMO" 1)
sign first --pem "$DEMO/public.pem"

victim=$(signers "$DEMO/first.json" | sed 's/^1 //')
say "4. Party $victim, one of the two that signed, is killed. Signing goes on."
quorum_party "$DEMO" "$victim" kill
sign second

say ""
say "What happened"
picture first "first signature: "
picture second "second signature:"

say ""
say "An independent check, with nothing of ours:"
for name in first second; do
    say "  openssl dgst -sha256 -verify $DEMO/public.pem -signature $DEMO/$name.der $DEMO/message.txt"
    printf '  '
    openssl dgst -sha256 -verify "$DEMO/public.pem" -signature "$DEMO/$name.der" "$DEMO/message.txt"
done

if [ "${KEEP:-}" = 1 ]; then
    quorum_party "$DEMO" "$victim" start
    quorum_wait 20 "party $victim to be back" quorum_linked "$DEMO"
    trap - EXIT
    say ""
    say "The quorum is running, party $victim again as well."
    for i in 1 2 3; do
        say "  party $i: gateway $(quorum_gateway_url "$DEMO" "$i"), operator's socket $DEMO/p$i/admin.sock, log $DEMO/p$i/log"
    done
    say "  sign a file:"
    say "    $BIN/quorate sign --gateway $url --roster $DEMO/roster.json --client $DEMO/client.pem \\"
    say "        --key $key --der sig.der --pem pub.pem FILE"
    say "    openssl dgst -sha256 -verify pub.pem -signature sig.der FILE"
    say "  look:    $BIN/quorate status --socket $DEMO/p1/admin.sock"
    say "  stop it: make demo-stop"
fi
