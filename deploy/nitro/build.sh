#!/bin/sh
# Builds the enclave's image from this tree: kernel, boot ramdisk (quorate-init), application ramdisk
# (quorated, quorate-pump and the shared objects they load), in one `.eif`.
#
# usage: deploy/nitro/build.sh [--arch x86_64|arm64] [--fixed FILE] [--kernel FILE]
#        [--key FILE --cert FILE] OUTPUT-FOLDER
#   OUTPUT-FOLDER  gets quorate.eif, measurements.json (the PCRs to publish), packages (what of Debian
#                  is inside, with versions), boot.list and app.list (every file inside)
#   --fixed        lines "[section] key = value" of the operator's that the image fixes, and PCR0 and PCR2
#                  measure, beside fixed.conf: the KMS key above all
#   --kernel       another kernel than ours: bzImage or Image, with what README.md says built in
#   --key, --cert  sign it: a P-384 key and its certificate; PCR8 is over the certificate
# environment: JOBS=2; for tests: NITRO_PARTY=TARGET takes that make target for quorated, and
#   NITRO_AT=/path, NITRO_DATE=date build in another folder and on another day.
#
# The programs are compiled in a Debian 13 folder of their own, with its compiler and its libraries: what
# this machine has installed does not matter. The same tree, the same packages: the same bytes
# (test/vm/nitro_repro.sh). Which packages those were stands in `packages`; keep it with a release.
# Needs root, mmdebstrap, and the kernel (deploy/nitro/kernel/build.sh, built here if it is not there).
set -eu
cd "$(dirname "$0")/../.."
. deploy/artefact.sh

arch=x86_64 key='' cert='' fixed='' kernel='' out=
while [ $# != 0 ]; do
    case $1 in
        --arch | --key | --cert | --fixed | --kernel)
            [ $# -ge 2 ] || { echo "build: $1 needs a value" >&2 && exit 2; }
            case $1 in --arch) arch=$2 ;; --key) key=$2 ;; --cert) cert=$2 ;; --fixed) fixed=$2 ;; --kernel) kernel=$2 ;; esac
            shift
            ;;
        -*) out= && break ;;
        *) out=$1 ;;
    esac
    shift
done
case $arch in x86_64 | arm64) ;; *) out= ;; esac
[ -n "$out" ] || {
    sed -n '2,21s/^# \{0,1\}//p' "$0" >&2
    exit 2
}
[ ! -e "$out/quorate.eif" ] || {
    echo "build: $out/quorate.eif exists already and is not overwritten" >&2
    exit 1
}
quorate=${BIN:-build/bin}/quorate
[ -x "$quorate" ] || {
    echo "build: $quorate is missing: make" >&2
    exit 1
}

# shellcheck disable=SC2046,SC2086 # lists of words
root=$(
    libs=$(deploy/deps.sh --list build | grep -E -- '-dev$|^libc6')
    tools='make gcc pkg-config protobuf-c-compiler python3-minimal binutils faketime'
    if [ "$arch" = arm64 ]; then
        tools="$tools gcc-aarch64-linux-gnu libc6-dev:arm64 python3"
        libs=$(for l in $libs; do echo "$l:arm64"; done)
    fi
    artefact_chroot "trixie-nitro-$arch" trixie $tools $libs
)
release='another kernel'
if [ -z "$kernel" ]; then
    kernel=$(deploy/nitro/kernel/build.sh "$arch")
    release=$(sed -n 's/^# Linux\/[^ ]* \([^ ]*\) .*/\1/p' "$kernel/config")
    case $arch in x86_64) kernel=$kernel/bzImage ;; arm64) kernel=$kernel/Image ;; esac
fi

mkdir -p "$out"
mkdir -p "$ARTEFACTS"
work=$(mktemp -d "$(cd "$ARTEFACTS" && pwd)/nitro-work.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/src" "$work/out"
# Sources as they lie here, without what is not tracked.
git ls-files -z | tar -cf - --null -T - --ignore-failed-read 2>/dev/null | tar -xf - -C "$work/src"
cat deploy/nitro/fixed.conf ${fixed:+"$fixed"} >"$work/src/deploy/nitro/fixed.conf"
commit=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
git diff --quiet HEAD 2>/dev/null || commit=$commit+
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || echo 0)
export SOURCE_DATE_EPOCH

at=${NITRO_AT:-/build}
artefact_run "$root" -b "$work:$at" -- ${NITRO_DATE:+faketime "$NITRO_DATE"} \
    sh "$at/src/deploy/nitro/inside.sh" "$at" "$arch" "$commit" "${NITRO_PARTY:-build/bin/quorated}" \
    "${JOBS:-2}" >"$work/log" 2>&1 </dev/null || {
    tail -n 40 "$work/log" >&2
    exit 1
}

printf '%s' "{\"ImageName\":\"quorate\",\"ImageVersion\":\"$commit\",\"BuildMetadata\":{\"BuildTime\":\"$(
    date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%S+00:00)\",\"BuildTool\":\"quorate\",\"BuildToolVersion\":\
\"$commit\",\"OperatingSystem\":\"Debian 13\",\"KernelVersion\":\"$release\"},\"DockerInfo\":null,\"CustomMetadata\":null}" >"$work/metadata.json"
"$quorate" image eif build --json --arch "$arch" --kernel "$kernel" \
    --cmdline "$(cat deploy/nitro/cmdline-"$arch")" --metadata "$work/metadata.json" \
    --ramdisk "$work/out/boot.cpio.gz" --ramdisk "$work/out/app.cpio.gz" --output "$out/quorate.eif" \
    ${key:+--key "$key" --cert "$cert"} >"$out/measurements.json"
cp "$work/out/packages" "$work/out/boot.list" "$work/out/app.list" "$out/"
cat "$out/measurements.json"
