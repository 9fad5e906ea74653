#!/bin/sh
# What nitro_three.py needs, made once for these sources: the enclave's image and the confidential VM's,
# both with test/vm/testparty as their party, and the clouds and vendors that they believe. Never to be
# released.
#
# usage: test/vm/three_images.sh [--path]   prints build/artefacts/three-HASH
#   --path  fails instead of making it, and says how to
#
#   azure/, gcp/     tpm: a software TPM's state as that cloud provides it; the files of vtpmbox
#   roots            throwaway vendors; compiled into the parties of both images (testparty_roots.h)
#   release.*        the key that the VM's image seals to, and a statement for the image's own registers
#   uki/, eif/       what deploy/image and deploy/nitro build, unchanged, from a copy of the sources in
#                    which GNUmakefile puts testparty in quorated's place
set -eu
cd "$(dirname "$0")/../.."
. deploy/artefact.sh

make=1
[ "${1-}" != --path ] || make=0
sources() {
    git ls-files -co --exclude-standard -- Makefile daemon enclave-shim proto protocol transport deploy/nitro \
        deploy/image deploy/systemd deploy/probe.sh deploy/deps.sh deploy/artefact.sh test/common \
        test/vm/testparty.c test/vm/testparty_roots.h test/vm/vtpmbox.c test/vm/enclave_fixed.conf \
        test/vm/three_images.sh |
        grep -v '\.md$' | LC_ALL=C sort | while read -r f; do [ ! -f "$f" ] || echo "$f"; done
}
# shellcheck disable=SC2046 # paths of ours have no spaces
dir=$(artefact_path three $(sources))
if [ -e "$dir/done" ]; then
    echo "$dir"
    exit
fi
if [ "$make" = 0 ]; then
    echo "$dir is missing: make artefacts TESTS=three" >&2
    exit 1
fi
ARTEFACTS=$(mkdir -p "$ARTEFACTS" && cd "$ARTEFACTS" && pwd)
BIN=$(cd "${BIN:-build/bin}" && pwd)
BUILD=${BUILD:-build/release}
export ARTEFACTS BIN
root=$(deploy/image/chroot.sh)
new=$ARTEFACTS/${dir##*/}.new
rm -rf "$new"
mkdir -p "$new/src"

# ---- clouds: TPMs with their keys and reports, and whoever signs for them
make -s "$BUILD/test/vm/vtpmbox"
tpm=
# shellcheck disable=SC2064 # as it is now
trap '[ -z "$tpm" ] || kill "$tpm" 2>/dev/null || true' EXIT
cloud() { # FOLDER WORD
    mkdir -p "$new/$1/tpm"
    # One bank: OVMF hashes the whole image once for each.
    swtpm_setup --tpm2 --tpmstate "$new/$1/tpm" --pcr-banks sha256 --overwrite >/dev/null
    sock=$(mktemp -d)
    swtpm socket --tpm2 --tpmstate "dir=$new/$1/tpm" --server "type=unixio,path=$sock/data" \
        --ctrl "type=unixio,path=$sock/ctrl" --flags not-need-init,startup-clear &
    tpm=$!
    n=0
    while [ ! -S "$sock/data" ]; do
        n=$((n + 1))
        [ $n -lt 100 ] || {
            echo "three: swtpm does not start" >&2
            exit 1
        }
        sleep 0.1
    done
    "$BUILD/test/vm/vtpmbox" "$2" "unix:$sock/data" "$new/$1" >"$new/$1/registers"
    kill "$tpm"
    wait "$tpm" || true
    tpm=
    rm -rf "$sock"
}
cloud azure azure
cloud gcp google
LC_ALL=C sort -u "$new/azure/roots" "$new/gcp/roots" >"$new/roots"

# ---- sources in which the party is testparty and believes them
# shellcheck disable=SC2046
tar -cf - $(sources) | tar -xf - -C "$new/src"
{
    printf "%s\n" "#define TESTPARTY_ROOTS \\"
    sed 's/.*/    "&\\n" \\/' "$new/roots"
    echo '    ""'
} >"$new/src/test/vm/testparty_roots.h"
cat >"$new/src/GNUmakefile" <<'END'
include Makefile
build/bin/quorated: build/release/test/vm/testparty
	cp $< $@
END
(cd "$new/src" && git init -q && git add -A)

# ---- the two images
"$BIN/quorate" key new --scheme p256 --out "$new/release.pem" >/dev/null
"$BIN/quorate" image release key --out "$new/release.key" "$new/release.pem" >/dev/null
SOURCE_DATE_EPOCH=1700000000 nice -n 10 "$new/src/deploy/image/build.sh" --root "$root" --source "$new/src" \
    --release-key "$new/release.key" --out "$new/uki" azure >&2
"$BIN/quorate" image uki measure --json "$new/uki/quorate.efi" >"$new/uki/registers.json"
"$BIN/quorate" image release sign --key "$new/release.pem" --release 1 --pcrs "$new/uki/registers.json" \
    --out "$new/release.stmt"
NITRO_PARTY=build/release/test/vm/testparty nice -n 10 "$new/src/deploy/nitro/build.sh" \
    --fixed "$PWD/test/vm/enclave_fixed.conf" "$new/eif" >&2
rm -rf "$new/src" "${ARTEFACTS:?}/${dir##*/}"
touch "$new/done"
mv "$new" "$ARTEFACTS/${dir##*/}"
echo "$dir"
