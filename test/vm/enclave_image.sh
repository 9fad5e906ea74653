#!/bin/sh
# The enclave's image of this tree's sources as they lie here, made once for their content, with
# test/vm/testparty as its party: quorated with a test's roots (see there). Never to be released.
#
# usage: test/vm/enclave_image.sh [--path]   prints build/artefacts/enclave-HASH
#   --path  fails instead of making it, and says how to
set -eu
cd "$(dirname "$0")/../.."
. deploy/artefact.sh

make=1
[ "${1-}" != --path ] || make=0
sources() {
    git ls-files -co --exclude-standard -- Makefile daemon enclave-shim proto protocol transport \
        deploy/nitro deploy/probe.sh deploy/deps.sh deploy/artefact.sh test/common test/vm/testparty.c test/vm/testparty_roots.h \
        test/vm/enclave_fixed.conf test/vm/enclave_image.sh |
        grep -v '\.md$' | LC_ALL=C sort | while read -r f; do [ ! -f "$f" ] || echo "$f"; done
}
# shellcheck disable=SC2046 # paths of ours have no spaces
dir=$(artefact_path enclave $(sources))
if [ ! -e "$dir/quorate.eif" ]; then
    if [ "$make" = 0 ]; then
        echo "$dir is missing: make artefacts TESTS=enclave" >&2
        exit 1
    fi
    rm -rf "$dir" "$dir.new"
    NITRO_PARTY=build/release/test/vm/testparty deploy/nitro/build.sh \
        --fixed test/vm/enclave_fixed.conf "$dir.new" >/dev/null
    mv "$dir.new" "$dir"
fi
echo "$dir"
