#!/bin/sh
# Builds the test provider against the kernel headers of the image's build root, once per recipe.
# usage: test/vm/tsm/build.sh [--path]; prints the folder with vmlinuz, configfs.ko, tsm.ko and
#        quorate_tsm_test.ko; --path fails instead of making it
set -eu
cd "$(dirname "$0")/../../.."
. deploy/artefact.sh
dir=$(artefact_path tsm-guest test/vm/tsm/build.sh test/vm/tsm/quorate_tsm_test.c deploy/image/chroot.sh)
if [ ! -e "$dir/quorate_tsm_test.ko" ]; then
    if [ "${1-}" = --path ]; then
        echo "$dir is missing: run \`make artefacts TESTS=tsm-guest\`" >&2
        exit 1
    fi
    root=${QUORATE_IMAGE_ROOT:-$(deploy/image/chroot.sh)}
    mkdir -p "$dir.new"
    cp test/vm/tsm/quorate_tsm_test.c "$dir.new/"
    echo 'obj-m := quorate_tsm_test.o' >"$dir.new/Makefile"
    # shellcheck disable=SC2016
    artefact_run "$root" -b "$PWD/$dir.new:/mnt" -- sh -euc '
        cd /mnt
        k=$(basename /usr/src/linux-headers-*-cloud-amd64 | sed "s/^linux-headers-//")
        make -s -C /usr/src/linux-headers-"$k" M=/mnt modules >&2
        cp /boot/vmlinuz-"$k" vmlinuz
        for m in fs/configfs/configfs drivers/virt/coco/tsm; do
            f=/lib/modules/$k/kernel/$m.ko
            if [ -e "$f.xz" ]; then xz -dc "$f.xz" >"$(basename $m).ko"; else cp "$f" .; fi
        done'
    mv "$dir.new" "$dir"
fi
echo "$dir"
