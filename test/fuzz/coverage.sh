#!/bin/bash
# Replays every target's inputs in a build for source coverage, and prints the lines reached of each
# file that test/fuzz/TARGETS names, beside that file's floor (test/fuzz/FLOORS). Through
# `make fuzz-coverage`. Fails when a file is below its floor, or when a function of TARGETS was not run.
# environment: BUILD=build/fuzzcov  FOUND=build/fuzz/corpus: inputs that were found and not committed
set -u
cd "$(dirname "$0")/../.." || exit 1
: "${BUILD:=build/fuzzcov}" "${FOUND:=}"
prof=$BUILD/profile
rm -rf "$prof"
mkdir -p "$prof/new"
tmp=$(mktemp -d /dev/shm/qfz-XXXXXX 2>/dev/null || mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export TMPDIR=$tmp
version=$(clang -dumpversion)
tool() { # llvm-cov, llvm-profdata: of the compiler's own version
    command -v "$1-${version%%.*}" || command -v "$1" || echo "/usr/lib/llvm-${version%%.*}/bin/$1"
}
objects=()
for src in test/fuzz/fuzz_*.c; do
    name=${src##*/fuzz_}
    name=${name%.c}
    folders=("$prof/new")
    for f in "test/fuzz/corpus/$name" ${FOUND:+"$FOUND/$name"}; do
        [ ! -d "$f" ] || folders+=("$f")
    done
    LLVM_PROFILE_FILE=$prof/$name.profraw "$BUILD/test/fuzz/fuzz_$name" -runs=0 -timeout=60 \
        "${folders[@]}" >"$prof/$name.log" 2>&1 </dev/null || {
        echo "fuzz_$name failed on its inputs:"
        tail -n 20 "$prof/$name.log"
        exit 1
    }
    objects+=("-object=$BUILD/test/fuzz/fuzz_$name")
done
"$(tool llvm-profdata)" merge -sparse -o "$prof/all" "$prof"/*.profraw || exit 1
"$(tool llvm-cov)" export -instr-profile="$prof/all" "${objects[@]}" 2>"$prof/export.log" \
    >"$prof/all.json" || exit 1
python3 -B test/fuzz/coverage.py "$prof/all.json" test/fuzz/TARGETS test/fuzz/FLOORS
