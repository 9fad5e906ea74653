#!/bin/sh
# The part of build.sh that runs in the build root: /build/src is the source, /build/recipe this
# folder; writes /build/out.
# usage: inside.sh VARIANT
set -eu
variant=$1
recipe=/build/recipe
stage=/build/stage
umask 022
mkdir -p /build/out $stage

# ---- programs
make -s -C /build/src -j"${JOBS:-2}" build/bin/quorated build/bin/quorate-gateway build/bin/quorate-userdata \
    build/bin/quorate
mkdir -p $stage/usr/bin $stage/usr/lib/quorate
for p in quorated quorate-gateway quorate-userdata quorate; do
    strip -o $stage/usr/bin/$p /build/src/build/bin/$p
done
[ ! -e $recipe/release_key.der ] || cp $recipe/release_key.der $stage/usr/lib/quorate/release_key.der
cp "$recipe/variants/$variant.conf" $stage/usr/lib/quorate/image.conf

# ---- files of packages, and the libraries they are linked with
kernel=$(basename "$(echo /boot/vmlinuz-*)" | sed 's/^vmlinuz-//')
sed '/^#/d;/^$/d' $recipe/files.list >/build/files
needed() { # PROGRAM...: the shared objects it is linked with
    ldd "$@" 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p;s/^[[:space:]]*\(\/lib64\/[^ ]*\) .*/\1/p'
}
{
    cat /build/files
    # shellcheck disable=SC2046 # paths without spaces
    needed $(grep -E '^/usr/(s?bin|lib/systemd/systemd|lib/x86)' /build/files) $stage/usr/bin/*
} | sort -u | while read -r f; do
    while :; do
        mkdir -p "$stage$(dirname "$(realpath -s "$f")" | sed 's#^/lib#/usr/lib#;s#^/usr/usr#/usr#')"
        d=$(echo "$f" | sed 's#^/lib\(64\)\{0,1\}/#/usr/lib\1/#')
        cp -a --no-preserve=ownership "$d" "$stage$d"
        [ -L "$d" ] || break
        f=$(realpath -sm "$(dirname "$d")/$(readlink "$d")")
        case $(readlink "$d") in /*) f=$(readlink "$d") ;; esac
    done
done
for l in bin sbin lib lib64; do
    ln -s usr/$l $stage/$l
done
mkdir -p $stage/usr/sbin $stage/usr/lib64

# ---- kernel modules: those named and what they depend on
# shellcheck disable=SC2013 # names without spaces
for m in $(sed '/^#/d' $recipe/modules.list); do
    modprobe -S "$kernel" --show-depends "$m" 2>/dev/null | sed -n 's/^insmod \([^ ]*\).*/\1/p'
done | sort -u | while read -r m; do
    mkdir -p "$stage$(dirname "$m" | sed 's#^/lib#/usr/lib#')"
    d=$stage$(echo "$m" | sed 's#^/lib#/usr/lib#')
    case $m in
    *.xz) xz -dc "$m" >"${d%.xz}" ;;
    *) cp "$m" "$d" ;;
    esac
done
cp /lib/modules/"$kernel"/modules.builtin /lib/modules/"$kernel"/modules.order \
    /lib/modules/"$kernel"/modules.builtin.modinfo $stage/usr/lib/modules/"$kernel"/
depmod -b $stage "$kernel"

# ---- our own files
cp -r $recipe/root/. $stage/
for d in dev proc sys run tmp etc/quorate var/lib/quorate var/cache var/tmp; do
    mkdir -p $stage/$d
done
chmod 1777 $stage/tmp
ln -s /run $stage/var/run
ln -s /run/quorate-userdata/resolv.conf $stage/etc/resolv.conf
ln -s quorate.target $stage/usr/lib/systemd/system/default.target
cat >$stage/usr/lib/os-release <<END
ID=quorate
NAME="Quorate party image"
VARIANT_ID=$variant
VERSION_ID=$(sed -n 's/^#define QR_PRODUCT_VERSION "\(.*\)"/\1/p' /build/src/daemon/config.h)
END
ln -s ../usr/lib/os-release $stage/etc/os-release
sys=$stage/usr/lib/systemd/system
wants() { # TARGET UNIT...
    t=$1
    shift
    mkdir -p "$sys/$t.wants"
    for u in "$@"; do ln -s "../$u" "$sys/$t.wants/$u"; done
}
wants sysinit.target systemd-journald.service systemd-udevd.service systemd-udev-trigger.service \
    systemd-sysctl.service
wants local-fs.target var-tmp.mount var-cache.mount tmp.mount
wants sockets.target systemd-journald.socket systemd-journald-dev-log.socket \
    systemd-udevd-control.socket systemd-udevd-kernel.socket
# What a generator, a package or a command line might want to start stays off.
for u in systemd-sysext.service systemd-confext.service debug-shell.service emergency.service \
    emergency.target rescue.service rescue.target getty.target systemd-tmpfiles-setup.service swap.target kexec.target \
    ctrl-alt-del.target systemd-network-generator.service systemd-udev-load-credentials.service; do
    ln -sf /dev/null "$sys/$u"
done

# ---- initrd
mkdir -p /build/initrd
# Its threads do not get on with a preloaded clock; it is told all times anyway.
env -u SOURCE_DATE_EPOCH -u LD_PRELOAD mksquashfs $stage /build/initrd/root.squashfs -quiet -no-progress -all-root -no-xattrs -noappend \
    -mkfs-time 0 -all-time 0 -comp zstd -Xcompression-level 19 -b 128K -processors "${JOBS:-2}"
gcc -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -O2 -static -s -o /build/initrd/init $recipe/stage0.c
for m in drivers/block/loop fs/squashfs/squashfs; do
    f=/lib/modules/$kernel/kernel/$m.ko
    if [ -e "$f.xz" ]; then xz -dc "$f.xz" >/build/initrd/"$(basename "$m")".ko
    elif [ -e "$f" ]; then cp "$f" /build/initrd/; fi
done
chmod 755 /build/initrd/init
find /build/initrd -exec touch -hd @0 {} +
(cd /build/initrd && find . -mindepth 1 | sort | cpio --quiet -o -H newc --reproducible -R 0:0) >/build/initrd.cpio

# ---- UKI
tr -d '\n' <$recipe/cmdline >/build/cmdline
ukify build --linux=/boot/vmlinuz-"$kernel" --initrd=/build/initrd.cpio --cmdline=@/build/cmdline \
    --os-release=@$stage/usr/lib/os-release --uname="$kernel" \
    --stub=/usr/lib/systemd/boot/efi/linuxx64.efi.stub --output=/build/out/quorate.efi >/dev/null

# ---- disk: GPT, one ESP
size=$(stat -c %s /build/out/quorate.efi)
sectors=$(((size / 1048576 + 8) * 2048))
truncate -s $((sectors * 512)) /build/esp
mkfs.vfat -F 32 -i 51756f72 -n QUORATE --invariant /build/esp >/dev/null
touch -d @0 /build/out/quorate.efi
mmd -i /build/esp ::/EFI ::/EFI/BOOT
mcopy -m -i /build/esp /build/out/quorate.efi ::/EFI/BOOT/BOOTX64.EFI
truncate -s $(((sectors + 4096) * 512)) /build/out/disk.raw
sfdisk -q /build/out/disk.raw <<END
label: gpt
label-id: 51756F72-6174-6520-496D-616765000001
start=2048, size=$sectors, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid=51756F72-6174-6520-496D-616765000002, name=quorate-esp
END
dd if=/build/esp of=/build/out/disk.raw bs=1M seek=1 conv=notrunc,sparse status=none
dpkg-query -W -f '${Package} ${Version} ${Architecture}\n' | sort >/build/out/packages.txt
(cd $stage && find . -type f | sort | xargs sha256sum) >/build/out/files.txt
