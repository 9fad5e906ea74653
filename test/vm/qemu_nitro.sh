#!/bin/sh
# Builds the emulator with the nitro-enclave machine, which no Debian package has (they are built
# without libcbor): QEMU of Debian 13's own source package, that machine's dependencies switched on and
# nothing else. It is built in, and runs in, a Debian 13 folder of its own.
#
# usage: test/vm/qemu_nitro.sh [--path]     prints the folder that holds qemu-system-x86_64 and the
#                                           file `root`, the name of the Debian it must run in
#   --path  says where it would be; fails if it has not been built
# environment: JOBS=2. About 8 minutes on two idle cores, 2 GB while building, 26 MB kept.
set -eu
cd "$(dirname "$0")/../.."
. deploy/artefact.sh

out=$(artefact_path qemu-nitro test/vm/qemu_nitro.sh)
if [ -x "$out/qemu-system-x86_64" ]; then
    echo "$out"
    exit 0
fi
if [ "${1-}" = --path ]; then
    echo "qemu_nitro: $out has not been built: test/vm/qemu_nitro.sh (10 minutes)" >&2
    exit 1
fi

root=$(artefact_chroot trixie-qemu trixie gcc libc6-dev make ninja-build meson python3-venv \
    python3-setuptools pkg-config flex bison libcbor-dev libgnutls28-dev libglib2.0-dev \
    libpixman-1-dev libfdt-dev libslirp-dev zlib1g-dev dpkg-dev seabios qemu-system-data xz-utils)
exec 8>"$ARTEFACTS/.qemu-nitro.lock"
flock 8
if [ ! -x "$out/qemu-system-x86_64" ]; then
    work=$PWD/$out.work
    rm -rf "$work"
    mkdir -p "$work"
    echo "qemu_nitro: building; the log is $out.log" >&2
    JOBS=${JOBS:-2}
    # shellcheck disable=SC2016 # expands inside
    artefact_run "$root" -b "$work:/build" -- sh -euc '
        cd /build
        apt-get -q update
        apt-get source -q --only-source qemu
        cd qemu-*/
        mkdir b
        cd b
        ../configure --python=/usr/bin/python3 --target-list=x86_64-softmmu \
            --without-default-features --enable-system --enable-tcg --enable-gnutls \
            --enable-libcbor --enable-fdt=system --enable-vhost-user --enable-vhost-kernel \
            --enable-slirp --enable-tpm --disable-docs --disable-werror --disable-download \
            --disable-install-blobs
        nice -n 15 ninja -j "$1" qemu-system-x86_64
        strip -o /build/qemu-system-x86_64 qemu-system-x86_64
    ' sh "$JOBS" >"$out.log" 2>&1 </dev/null || {
        tail -n 30 "$out.log" >&2
        echo "qemu_nitro: the build failed; the whole log is $out.log" >&2
        exit 1
    }
    mkdir -p "$out.new"
    mv "$work/qemu-system-x86_64" "$out.new/"
    basename "$root" >"$out.new/root"
    rm -rf "$work" "$out"
    mv "$out.new" "$out"
fi
echo "$out"
