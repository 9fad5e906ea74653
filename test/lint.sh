#!/bin/bash
# clang-tidy over the given C files, with the flags of the build, and shellcheck over the scripts.
# usage: test/lint.sh FILE...   (through `make lint`)
set -u
cd "$(dirname "$0")/.." || exit 1
: "${BUILD:=build/release}"
fail=0
# shellcheck disable=SC2046 # a list of words
printf '%s\n' "$@" | grep -v '^test/fuzz/' | xargs -n 4 -P "$(nproc)" sh -c '
    clang-tidy --quiet "$@" -- -std=c11 -D_GNU_SOURCE -I. -I"$0/gen" \
        $(pkg-config --cflags libmicrohttpd) 2>/dev/null' "$BUILD" || fail=1
git ls-files '*.sh' .ci/run test/run | xargs shellcheck -x -S warning || fail=1
exit $fail
