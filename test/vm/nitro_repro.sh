#!/bin/bash
# The enclave's image is a function of the tree: built twice, from two copies in different folders, in
# different folders inside, on different days, it is the same file, and so are its measurements; at most
# 24 MiB. KERNEL=1 builds the kernel a second time too (10 minutes). Last line: `N passed, N failed`.
set -eu
cd "$(dirname "$0")/../.."
artefacts=$PWD/build/artefacts
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pass=0 fail=0
check() { # WHAT COMMAND...
    local what=$1
    shift
    if "$@"; then
        pass=$((pass + 1))
        echo "ok   $what"
    else
        fail=$((fail + 1))
        echo "FAIL $what"
    fi
}
kernel=$(deploy/nitro/kernel/build.sh --path x86_64)
bin=$(cd "${BIN:-build/bin}" && pwd)
# The tree as it lies here, committed in the copies so that both have the same name and date.
git ls-files -co --exclude-standard -z | tar -cf "$work/tree.tar" --null -T - --ignore-failed-read 2>/dev/null
copy() { # FOLDER
    mkdir -p "$1"
    tar -xf "$work/tree.tar" -C "$1"
    git -C "$1" init -q
    git -C "$1" add -A
    GIT_AUTHOR_DATE=@1700000000 GIT_COMMITTER_DATE=@1700000000 GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@t \
        GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@t git -C "$1" commit -q -m t
}
copy "$work/one"
copy "$work/another/folder"
find "$work/another" -exec touch -h -d 2001-02-03 {} +
(cd "$work/one" && ARTEFACTS=$artefacts BIN=$bin deploy/nitro/build.sh "$work/out1" >"$work/log1")
(cd "$work/another/folder" && ARTEFACTS=$artefacts BIN=$bin NITRO_AT=/elsewhere/than/that \
    NITRO_DATE='2031-05-06 07:08:09' deploy/nitro/build.sh "$work/out2" >"$work/log2")
for f in quorate.eif measurements.json packages app.list boot.list; do
    check "$f of both builds is the same" cmp "$work/out1/$f" "$work/out2/$f"
done
size=$(stat -c %s "$work/out1/quorate.eif")
echo "figure: eif_size $size bytes"
check "the image has at most 24 MiB" [ "$size" -le $((24 * 1024 * 1024)) ]
check "the published values are the file's" [ "$("$bin/quorate" image eif measure --json \
    "$work/out2/quorate.eif")" = "$(cat "$work/out1/measurements.json")" ]
if [ "${KERNEL-}" = 1 ]; then
    KERNEL_OUT=$work/kernel deploy/nitro/kernel/build.sh x86_64 >/dev/null
    check "the kernel built again is the same" cmp "$kernel/bzImage" "$work/kernel/bzImage"
fi
echo "$pass passed, $fail failed"
[ $fail = 0 ]
