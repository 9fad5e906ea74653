#!/bin/sh
# An image of this tree's sources as they lie here, made once for their content: for the tests.
#
# usage: deploy/image/cached.sh [--path | --again DIR] gcp|azure|sim
#   prints build/artefacts/image-VARIANT-HASH, made if it is not there (root);
#   --path fails instead of making it, and says how to; --again DIR makes it once more, there
set -eu
cd "$(dirname "$0")/../.."
. deploy/artefact.sh

make=1 again=
case ${1-} in
    --path)
        make=0
        shift
        ;;
    --again)
        again=$2
        shift 2
        ;;
esac
variant=$1
sources() {
    git ls-files -co --exclude-standard -- Makefile daemon enclave-shim proto protocol transport \
        deploy/image deploy/systemd deploy/probe.sh deploy/deps.sh deploy/artefact.sh |
        grep -v '\.md$' | LC_ALL=C sort | while read -r f; do [ ! -f "$f" ] || echo "$f"; done
}
# shellcheck disable=SC2046 # paths of ours have no spaces
dir=$(artefact_path "image-$variant" $(sources))
build() { # OUT
    mkdir -p "$1.src"
    # shellcheck disable=SC2046
    tar -cf - $(sources) | tar -xf - -C "$1.src"
    # The date is part of what is built: one for all trees with the same sources.
    SOURCE_DATE_EPOCH=1700000000 nice -n 10 deploy/image/build.sh \
        ${QUORATE_IMAGE_ROOT:+--root "$QUORATE_IMAGE_ROOT"} --source "$1.src" --out "$1" "$variant" >&2
    rm -rf "$1.src"
}
if [ -n "$again" ]; then
    dir=$again
    build "$dir"
elif [ ! -e "$dir/disk.raw" ]; then
    if [ "$make" = 0 ]; then
        echo "$dir is missing: run \`make artefacts TESTS=image-$variant\`" >&2
        exit 1
    fi
    build "$dir"
fi
echo "$dir"
