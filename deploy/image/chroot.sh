#!/bin/sh
# The Debian 13 system in which the confidential VM image is built, made once per list of packages.
#
# usage: deploy/image/chroot.sh          prints its folder, made if it is not there (root)
#        deploy/image/chroot.sh --lock   prints the packages in it with their versions
#
# Why Debian 13: its 6.12 kernel has configfs-tsm, sev-guest and tdx-guest, and its systemd-stub
# measures what it loads into PCR 11 and 12. Nothing of it gets into the image but what files.list and
# modules.list name. The archive moves: build.sh --locked refuses versions other than packages.lock's.
set -eu
cd "$(dirname "$0")/../.."
. deploy/artefact.sh

# shellcheck disable=SC2046 # a list of words
set -- $(deploy/deps.sh --list build) \
    systemd systemd-boot-efi systemd-ukify systemd-boot-tools udev kmod e2fsprogs libbpf1 \
    squashfs-tools cpio zstd xz-utils mtools dosfstools fdisk sbsigntool python3-virt-firmware \
    linux-image-cloud-amd64 linux-headers-cloud-amd64 libtss2-dev zlib1g-dev tpm2-tools cloud-init "$@"
case " $* " in *" --lock "*) lock=1 ;; *) lock=0 ;; esac
for p; do
    shift
    [ "$p" = --lock ] || set -- "$@" "$p"
done
root=$(artefact_chroot image-root trixie "$@")
if [ "$lock" = 1 ]; then
    # shellcheck disable=SC2016 # dpkg's own variables
    chroot "$root" dpkg-query -W -f '${Package} ${Version} ${Architecture}\n' | LC_ALL=C sort
else
    printf '%s\n' "$root"
fi
