#!/bin/bash
# `quorate image eif` as a program: images of small parts, measured by openssl as README of deploy/nitro says,
# and what it refuses. AWS's tools judge the same in test/vm/nitro_oracle.py. Last line: `N passed, N failed`.
set -u
cd "$(dirname "$0")/../.." || exit 1
: "${BIN:=build/bin}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pass=0 fail=0
check() { # WHAT EXIT-CODE PATTERN COMMAND...
    local what=$1 want=$2 pattern=$3 rc=0
    shift 3
    out=$("$@" 2>&1) || rc=$?
    if [ $rc = "$want" ] && grep -q -- "$pattern" <<<"$out"; then
        pass=$((pass + 1))
    else
        fail=$((fail + 1))
        echo "FAIL $what: exit $rc, not $want, or no \"$pattern\" in: $out"
    fi
}
p() { { head -c48 /dev/zero; cat "$@" | openssl dgst -sha384 -binary; } | openssl dgst -sha384 -r | cut -d' ' -f1; }
eif() { "$BIN/quorate" image eif "$@"; }

{ head -c 514 /dev/zero && printf HdrS && head -c 1000 /dev/urandom; } >"$work/kernel"
printf 070701boot >"$work/boot"
printf 070701application | gzip -n >"$work/app"
printf 'console=ttyS0 panic=30' >"$work/cmdline"
openssl ecparam -name secp384r1 -genkey -noout -out "$work/key.pem"
openssl ecparam -name prime256v1 -genkey -noout -out "$work/p256.pem"
chmod 600 "$work/key.pem" "$work/p256.pem"
for k in key p256; do
    openssl req -x509 -new -key "$work/$k.pem" -sha384 -days 2 -subj "/CN=$k" -out "$work/$k.cert"
done
openssl x509 -in "$work/key.cert" -outform der -out "$work/cert.der"
parts=(--kernel "$work/kernel" --cmdline "$(cat "$work/cmdline")" --ramdisk "$work/boot" --ramdisk "$work/app")

check 'build' 0 PCR0 eif build "${parts[@]}" --output "$work/a.eif"
check 'PCR0 as openssl has it' 0 "PCR0 $(p "$work/kernel" "$work/cmdline" "$work/boot" "$work/app")" eif measure "$work/a.eif"
check 'PCR1' 0 "PCR1 $(p "$work/kernel" "$work/cmdline" "$work/boot")" eif measure "$work/a.eif"
check 'PCR2' 0 "PCR2 $(p "$work/app")" eif measure "$work/a.eif"
check 'PCR4' 0 "PCR4 $({ head -c48 /dev/zero && printf i-0abc; } | openssl dgst -sha384 -r | cut -d' ' -f1)" \
    eif measure --parent-id i-0abc "$work/a.eif"
check 'signed' 0 "PCR8 $(p "$work/cert.der")" eif build "${parts[@]}" --output "$work/b.eif" --key "$work/key.pem" \
    --cert "$work/key.cert"
check 'signed again: the same file' 0 '' eif build "${parts[@]}" --output "$work/c.eif" --key "$work/key.pem" \
    --cert "$work/key.cert"
check 'signed again: the same file' 0 '' cmp "$work/b.eif" "$work/c.eif"
check 'describe' 0 'signature  good' eif describe "$work/b.eif"
check 'describe --json' 0 '"signer":{"subject":"CN=key"' eif describe --json "$work/b.eif"

check 'nothing is overwritten' 78 'exists already' eif build "${parts[@]}" --output "$work/a.eif"
check 'a key without a certificate' 64 'belong together' eif build "${parts[@]}" --output "$work/d" --key "$work/key.pem"
check 'a P-256 key' 78 'P-384' eif build "${parts[@]}" --output "$work/d" --key "$work/p256.pem" --cert "$work/p256.cert"
check 'another key than the certificate has' 78 'belong together' eif build "${parts[@]}" --output "$work/d" \
    --key "$work/key.pem" --cert "$work/p256.cert"
check 'the wrong architecture' 78 'no arm64 Image' eif build "${parts[@]}" --output "$work/d" --arch arm64
check 'no architecture' 64 'x86_64 or arm64' eif build "${parts[@]}" --output "$work/d" --arch sparc
check 'to stdout' 64 'is a file' eif build "${parts[@]}" --output -
check 'no file' 64 'No such file' eif measure "$work/none"
check 'no image' 78 'not an enclave image' eif measure "$work/kernel"
head -c 1000 "$work/a.eif" >"$work/cut"
check 'half an image' 78 'section 0 at 548' eif measure "$work/cut"
check 'nothing was left behind' 1 '' test -e "$work/d"
# Another image's signature: cut from one, put behind the other's sections by hand.
python3 - "$work" <<'END'
import struct, sys, zlib
w = sys.argv[1]
b = bytearray(open(w + "/b.eif", "rb").read())
at = struct.unpack_from(">Q", b, 28 + 8 * 4)[0] + 12  # the application's ramdisk
b[at + 20] ^= 1
struct.pack_into(">I", b, 544, zlib.crc32(b[548:], zlib.crc32(b[:544])))
open(w + "/other.eif", "wb").write(b)
END
check "another image's signature" 77 "another image's PCR0" eif measure "$work/other.eif"
echo "$pass passed, $fail failed"
[ $fail = 0 ]
