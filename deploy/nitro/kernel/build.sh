#!/bin/sh
# Builds the enclave's kernel from Debian 13's kernel source, with the committed configuration.
#
# usage: deploy/nitro/kernel/build.sh [--update-config] [--path] [x86_64|arm64]
#   prints the folder that holds the kernel (bzImage or Image) and `config`
#   --path           only says where; fails if it has not been built
#   --update-config  makes config-ARCH from the fragments again, and stops
#
# Source and compiler are pinned below by Debian's version: another compiler is another kernel, another
# PCR0 and PCR1. When the archive no longer has them, this script fails and says so; then raise the pin,
# build, and publish new measurements. Two builds are the same bytes wherever and whenever they run
# (test/vm/nitro_repro.sh). 5 to 10 minutes on two idle cores, 2 GB while building.
# environment: JOBS=2, KERNEL_OUT=DIR builds there even if it was built before.
set -eu
cd "$(dirname "$0")/../../.."
. deploy/artefact.sh

source=6.12.117-1
gcc=14.2.0-19
binutils=2.44-3
base=${source%-*}
tree=linux-source-${base%.*}

mode=build arch=x86_64
for a in "$@"; do
    case $a in
        --update-config) mode=config ;;
        --path) mode=path ;;
        x86_64 | arm64) arch=$a ;;
        *)
            sed -n '2,14s/^# \{0,1\}//p' "$0" >&2
            exit 2
            ;;
    esac
done
here=deploy/nitro/kernel
case $arch in
    x86_64) karch=x86 image=arch/x86/boot/bzImage cross='' tools="gcc-14=$gcc binutils=$binutils" ;;
    arm64)
        karch=arm64 image=arch/arm64/boot/Image cross=aarch64-linux-gnu-
        tools="gcc-14-aarch64-linux-gnu=${gcc}cross1 gcc-aarch64-linux-gnu binutils-aarch64-linux-gnu=$binutils"
        ;;
esac
out=${KERNEL_OUT:-$(artefact_path "kernel-$arch" $here/build.sh $here/config-"$arch")}
if [ "$mode" != config ] && [ -z "${KERNEL_OUT-}" ] && [ -f "$out/${image##*/}" ]; then
    echo "$out"
    exit 0
fi
if [ "$mode" = path ]; then
    echo "kernel: $out has not been built: $here/build.sh $arch (10 minutes)" >&2
    exit 1
fi

# shellcheck disable=SC2086 # a list of words
root=$(artefact_chroot "trixie-kernel-$arch" trixie "$tree=$source" $tools gcc libc6-dev make flex \
    bison bc perl xz-utils libelf-dev) || {
    echo "kernel: if the archive no longer has these versions: raise the pins in $here/build.sh" >&2
    exit 1
}
exec 8>"$ARTEFACTS/.kernel-$arch.lock"
flock 8
if [ "$mode" != config ] && [ -z "${KERNEL_OUT-}" ] && [ -f "$out/${image##*/}" ]; then
    echo "$out"
    exit 0
fi
work=$PWD/$ARTEFACTS/kernel-$arch.work.$$
[ -z "${KERNEL_OUT-}" ] || case $KERNEL_OUT in /*) work=$KERNEL_OUT.work ;; *) work=$PWD/$KERNEL_OUT.work ;; esac
log=$ARTEFACTS/kernel-$arch.log
rm -rf "$work"
mkdir -p "$work/in"
cp $here/fragment "$here/fragment-$arch" "$work/in/"
[ "$mode" = config ] || cp "$here/config-$arch" "$work/in/"
echo "kernel: $mode for $arch; the log is $log" >&2
# shellcheck disable=SC2016 # expands inside
artefact_run "$root" -b "$work:/build" -- sh -euc '
    mode=$1 arch=$2 karch=$3 cross=$4 tree=$5 target=$6 jobs=$7
    cd /build
    tar -xf "/usr/src/$tree.tar.xz" --strip-components=1 --one-top-level=src
    cd src
    # Nothing of this machine or this moment gets in. The date is the one Debian'"'"'s source carries.
    export KBUILD_BUILD_TIMESTAMP="@0" KBUILD_BUILD_USER=quorate KBUILD_BUILD_HOST=quorate
    export KBUILD_BUILD_VERSION=1 ARCH=$karch CROSS_COMPILE=$cross
    if [ "$mode" = config ]; then
        make -s tinyconfig
        cat ../in/fragment "../in/fragment-$arch" >../in/all
        scripts/kconfig/merge_config.sh -m .config ../in/all >/dev/null
        make -s olddefconfig
        bad=0
        while IFS= read -r line; do
            case $line in
                CONFIG_*=*) grep -qxF "$line" .config || { echo "not taken: $line" >&2; bad=1; } ;;
                "# CONFIG_"*" is not set")
                    o=${line#"# "} o=${o%" is not set"}
                    if grep -q "^$o=" .config; then echo "not off: $o" >&2; bad=1; fi ;;
            esac
        done <../in/all
        cp .config /build/config
        exit $bad
    fi
    cp "../in/config-$arch" .config
    make -s olddefconfig
    cmp .config "../in/config-$arch" || {
        echo "the committed configuration is not this source'"'"'s: --update-config" >&2
        exit 1
    }
    nice -n 15 make -s -j "$jobs" "${target##*/}"
    cp "$target" .config /build/
' sh $mode $arch $karch "$cross" "$tree" $image "${JOBS:-2}" >"$log" 2>&1 </dev/null || {
    tail -n 30 "$log" >&2
    echo "kernel: $mode failed; the whole log is $log" >&2
    exit 1
}
if [ $mode = config ]; then
    mv "$work/config" "$here/config-$arch"
    rm -rf "$work"
    echo "$here/config-$arch"
    exit 0
fi
rm -rf "$out.new" "$out"
mkdir -p "$out.new"
mv "$work/${image##*/}" "$out.new/"
mv "$work/.config" "$out.new/config"
rm -rf "$work"
mv "$out.new" "$out"
echo "$out"
