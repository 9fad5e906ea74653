#!/bin/bash
# Builds the programs twice, in folders of different name and depth, one job against several, under
# different umask, locale and time zone, and compares them byte by byte.
set -eu
cd "$(dirname "$0")/.."
top=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git clone -q "$top" "$work/one"
mkdir -p "$work/a/longer/path"
git clone -q "$top" "$work/a/longer/path/two"
(cd "$work/one" && make -s -j2 all)
(
    umask 027
    export TZ=Pacific/Auckland LC_ALL=C.UTF-8
    cd "$work/a/longer/path/two" && make -s -j1 all
)
n=0
for f in "$work"/one/build/bin/*; do
    cmp "$f" "$work/a/longer/path/two/build/bin/${f##*/}"
    sha256sum "$f" | sed "s#$work/one/##"
    n=$((n + 1))
done
[ $n != 0 ] || {
    echo "reproducible: no program was built"
    exit 1
}
echo "reproducible: $n programs are the same bytes"
