#!/bin/sh
# The part of build.sh that runs in the Debian 13 folder: AT/src is the tree, AT/out gets the ramdisks.
# usage: inside.sh AT ARCH COMMIT PARTY JOBS
set -eu
at=$1 arch=$2 commit=$3 party=$4 jobs=$5
umask 022
src=$at/src
recipe=$src/deploy/nitro
stage=$at/stage
mkdir -p "$stage"

case $arch in
    x86_64)
        cc=gcc strip=strip triplet=x86_64-linux-gnu loader=lib64/ld-linux-x86-64.so.2
        made_by='gcc-14 binutils'
        ;;
    arm64)
        cc=aarch64-linux-gnu-gcc strip=aarch64-linux-gnu-strip triplet=aarch64-linux-gnu
        loader=lib/ld-linux-aarch64.so.1
        made_by='gcc-14-aarch64-linux-gnu libgcc-14-dev-arm64-cross binutils-aarch64-linux-gnu'
        PKG_CONFIG_LIBDIR=/usr/lib/$triplet/pkgconfig:/usr/share/pkgconfig
        export PKG_CONFIG_LIBDIR
        ;;
esac
# build.sh made this folder with every package that the build needs: nothing is installed from here on.
printf '#!/bin/sh\nexit 0\n' >"$src/deploy/deps.sh"
QR_COMMIT=$commit make -s -C "$src" -j"$jobs" CC="$cc" "$party" build/bin/quorate-pump \
    build/bin/quorate-init

# ---- stripped programs
$strip -o "$stage/init" "$src/build/bin/quorate-init"
$strip -o "$stage/quorated" "$src/$party"
$strip -o "$stage/quorate-pump" "$src/build/bin/quorate-pump"

# ---- what they load: NEEDED, and NEEDED of those, from this folder's Debian
needed() { readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'; }
: >"$stage/libs"
loads=$(needed "$stage/quorated" && needed "$stage/quorate-pump")
while [ -n "$loads" ]; do
    next=
    for so in $loads; do
        ! grep -q " $so\$" "$stage/libs" || continue
        file=$(realpath "/usr/lib/$triplet/$so")
        [ -f "$file" ] || {
            echo "inside: no $so in /usr/lib/$triplet" >&2
            exit 1
        }
        echo "$file $so" >>"$stage/libs"
        next="$next $(needed "$file")"
    done
    loads=$(echo "$next" | tr ' ' '\n' | sort -u)
done

# ---- what is in the two ramdisks
{
    echo "dir  dev 755"
    echo "node dev/console 600 5 1"
    echo "node dev/null 666 1 3"
    for d in proc sys run tmp; do echo "dir  $d 755"; done
    echo "file init 755 $stage/init"
} >"$at/out/boot.list"
version=$(sed -n 's/^#define QR_PRODUCT_VERSION "\(.*\)"/\1/p' "$src/daemon/config.h")
printf 'ID=quorate\nNAME="Quorate enclave"\nVERSION_ID=%s\nBUILD_ID=%s\n' "$version" "$commit" \
    >"$stage/os-release"
printf 'root:x:0:0::/:/nonexistent\nquorate:x:990:990::/:/nonexistent\nquorate-pump:x:991:991::/:/nonexistent\n' \
    >"$stage/passwd"
printf 'root:x:0:\nquorate:x:990:\nquorate-pump:x:991:\n' >"$stage/group"
printf '127.0.0.1 localhost\n' >"$stage/hosts"
printf 'passwd: files\ngroup: files\nhosts: files\n' >"$stage/nsswitch.conf"
{
    echo "file usr/bin/quorated 755 $stage/quorated"
    echo "file usr/bin/quorate-pump 755 $stage/quorate-pump"
    echo "file etc/quorate/pump.conf 644 $recipe/pump-inside.conf"
    echo "file etc/quorate/fixed.conf 644 $recipe/fixed.conf"
    for f in os-release passwd group hosts nsswitch.conf; do echo "file etc/$f 644 $stage/$f"; done
    sort -k 2 "$stage/libs" | while read -r file so; do
        case $so in
            ld-linux*) ;;
            *) echo "file usr/lib/$triplet/$so 755 $file" ;;
        esac
    done
    echo "file usr/${loader} 755 $(realpath /"$loader")"
    echo "link lib usr/lib"
    [ "$arch" != x86_64 ] || echo "link lib64 usr/lib64"
} >"$at/out/app.list"

for r in boot app; do
    python3 "$recipe/ramdisk.py" "$at/out/$r.list" "$at/out/$r.cpio.gz"
    # The paths of this build are nobody's business later.
    sed -i "s# $at/# #" "$at/out/$r.list"
done

# ---- which packages: of every object inside, of what is linked into the programs, and the compiler
{
    while read -r file _; do
        dpkg-query -S "$file" "/${file#/usr/}" 2>/dev/null | sed 's/: .*//' | head -n 1
    done <"$stage/libs"
    for p in $made_by libnng-dev libc6-dev; do echo "$p"; done
} | sort -u | while read -r p; do
    # shellcheck disable=SC2016 # dpkg's own variables
    dpkg-query -W -f '${Package} ${Version} ${Architecture}\n' "$p" 2>/dev/null || true
done >"$at/out/packages"
