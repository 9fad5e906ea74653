#!/bin/sh
# Builds AWS's own tools for enclave images, as independent witnesses of ours: `eif_build` (writer) and
# `nitro-cli` (for describe-eif). Test equipment; nothing of them goes into the product.
#
# usage: test/vm/eif_oracles.sh [--path]    prints the folder with bin/eif_build and bin/nitro-cli
# Needs cargo and the crates' registry; about 10 minutes on two cores. environment: JOBS=2
set -eu
cd "$(dirname "$0")/../.."
. deploy/artefact.sh

format=0.2.1
cli=1.5.2

out=$(artefact_path eif-oracles test/vm/eif_oracles.sh)
if [ -x "$out/bin/eif_build" ] && [ -x "$out/bin/nitro-cli" ]; then
    echo "$out"
    exit 0
fi
if [ "${1-}" = --path ]; then
    echo "eif_oracles: $out has not been built: test/vm/eif_oracles.sh (10 minutes)" >&2
    exit 1
fi
command -v cargo >/dev/null || {
    echo "eif_oracles: cargo is missing" >&2
    exit 1
}
mkdir -p "$ARTEFACTS"
exec 8>"$ARTEFACTS/.eif-oracles.lock"
flock 8
work=$PWD/$out.work
mkdir -p "$work"
echo "eif_oracles: building; the log is $out.log" >&2
build() {
    CARGO_TARGET_DIR=$work nice -n 15 cargo install --quiet --locked -j "${JOBS:-2}" \
        --root "$PWD/$out.new" "$@"
}
{
    build --version $format eif_build --bin eif_build &&
        build --version $cli aws-nitro-enclaves-cli --bin nitro-cli
} >"$out.log" 2>&1 </dev/null || {
    tail -n 30 "$out.log" >&2
    exit 1
}
rm -rf "$work" "$out"
mv "$out.new" "$out"
echo "$out"
