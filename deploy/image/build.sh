#!/bin/sh
# Builds one confidential VM image: a UKI that holds everything, on a disk with an ESP.
#
# usage: deploy/image/build.sh [--locked] [--out DIR] [--source DIR] [--root DIR]
#                              [--release-key FILE] gcp|azure|sim
#   --locked      fails if the build root's packages are not those of deploy/image/packages.lock
#   --out DIR     where to (build/image/VARIANT)
#   --source DIR  a tree to build from instead of this one's last commit
#   --release-key FILE   who signs releases (public key, DER), for sealing by the TPM
#   --root DIR    a build root that was made before, instead of the one of deploy/image/chroot.sh
#
# Written: quorate.efi (the UKI), disk.raw (GPT, one ESP with the UKI as \EFI\BOOT\BOOTX64.EFI),
# packages.txt (what it was made of). Needs root, and the build root of deploy/image/chroot.sh.
# `sim` is for tests: the software TEE, which production policies refuse.
#
# The root file system is a squashfs inside the initrd inside the UKI. A verity disk would need the
# hash on the command line, device mapper and its tools in an initrd, and a block device of the host's
# at every read; this needs 30 MiB of memory. It boots within the bar: test/vm/README.md.
#
# Bit-identical when built again: fixed times (SOURCE_DATE_EPOCH), sorted names, one owner.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
cd "$top"

locked=0 out='' source='' root='' release_key=''
while [ $# -gt 1 ]; do
    case $1 in
    --locked) locked=1 ;;
    --out) out=$2 && shift ;;
    --source) source=$2 && shift ;;
    --root) root=$2 && shift ;;
    --release-key) release_key=$2 && shift ;;
    *) break ;;
    esac
    shift
done
variant=${1-}
case $variant in
gcp | azure | sim) ;;
*)
    sed -n '4,11s/^# \{0,1\}//p' "$0" >&2
    exit 64
    ;;
esac
[ "$(id -u)" = 0 ] || {
    echo "image: needs root: it works in a chroot" >&2
    exit 77
}
root=$(realpath "${root:-$(deploy/image/chroot.sh)}")
if [ "$locked" = 1 ] && ! deploy/image/chroot.sh --lock | diff -u deploy/image/packages.lock - >&2; then
    echo "image: the build root's packages are not those of deploy/image/packages.lock (above)" >&2
    echo "image: build it with QUORATE_MIRROR set to a snapshot, or commit the new list" >&2
    exit 78
fi
out=${out:-build/image/$variant}
mkdir -p "$out"
out=$(cd "$out" && pwd)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC

work=$(mktemp -d "$out/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
if [ -n "$source" ]; then
    tar -C "$source" --exclude=./build --exclude=./.git -cf - . | tar -xf - -C "$work/src"
else
    git archive "${QUORATE_COMMIT:-HEAD}" | tar -xf - -C "$work/src"
fi
cp -r deploy/image/. "$work/recipe"
[ -z "$release_key" ] || cp "$release_key" "$work/recipe/release_key.der"
cp deploy/systemd/*.service "$work/recipe/root/usr/lib/systemd/system/"
# Another date, to see that it makes no difference: QUORATE_CLOCK=+400d (test/vm/vm_reproducible.sh).
if [ -n "${QUORATE_CLOCK:-}" ]; then
    cp "$(ls /usr/lib/*/faketime/libfaketime.so.1)" "$work/clock.so"
    export QUORATE_CLOCK
fi
# A mount namespace of its own, so that two builds do not meet and nothing stays mounted.
# shellcheck disable=SC2016 # the inner shell's
unshare -m sh -euc '
    root=$1 work=$2
    mkdir "$work/up" "$work/ovl" "$work/root"
    mount -t tmpfs none "$work/up"
    mkdir "$work/up/u" "$work/up/w"
    mount -t overlay overlay -o "lowerdir=$root,upperdir=$work/up/u,workdir=$work/up/w" "$work/root"
    mkdir -p "$work/root/build"
    mount --bind "$work" "$work/root/build"
    mount -t proc proc "$work/root/proc"
    chroot "$work/root" env -i PATH=/usr/sbin:/usr/bin LC_ALL=C TZ=UTC \
        SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" JOBS="${JOBS:-2}" ${QUORATE_CLOCK:+LD_PRELOAD=/build/clock.so} \
        ${QUORATE_CLOCK:+FAKETIME="$QUORATE_CLOCK"} ${QUORATE_CLOCK:+NO_FAKE_STAT=1} \
        sh /build/recipe/inside.sh "$3"
' sh "$root" "$work" "$variant"
mv "$work/out/"* "$out/"
echo "image: $out"
