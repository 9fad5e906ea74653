#!/bin/sh
# Makes one party on Azure from the measured image: image, state disk, confidential VM.
#
# usage: deploy/azure/create.sh [--print] [--tdx] NAME GROUP LOCATION GALLERY USER_DATA [IMAGE_DIR]
#   --print    says what it would run, and runs nothing
#   --tdx      Intel TDX (DCesv5) instead of AMD SEV-SNP (DCasv5)
#   GALLERY    an Azure Compute Gallery of GROUP; USER_DATA: a file like cloud-init.yaml beside this one
#   IMAGE_DIR  what deploy/image/build.sh azure wrote (build/image/azure)
#
# Needs az with a subscription, azcopy and qemu-img. Tested against emulation only: the printed commands
# were checked for form, never run against the cloud.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
run=run_it size=Standard_DC2as_v5
run_it() { echo "+ $*" >&2 && "$@"; }
say_it() { echo "$*"; }
while [ $# -gt 0 ]; do
    case $1 in
        --print) run=say_it ;;
        --tdx) size=Standard_DC2es_v5 ;;
        *) break ;;
    esac
    shift
done
[ $# -ge 5 ] || {
    sed -n '4,8s/^# \{0,1\}//p' "$0" >&2
    exit 64
}
name=$1 group=$2 location=$3 gallery=$4 data=$5 image=${6:-$here/../../build/image/azure}
[ -f "$data" ] || {
    echo "create: $data: no such file" >&2
    exit 64
}
[ "$run" = say_it ] || [ -f "$image/disk.raw" ] || {
    echo "create: $image/disk.raw: no such file; build it with deploy/image/build.sh" >&2
    exit 64
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Azure takes fixed VHDs of whole mebibytes.
"$run" qemu-img convert -f raw -O vpc -o subformat=fixed,force_size "$image/disk.raw" "$work/quorate.vhd"
"$run" az disk create -g "$group" -n "$name-upload" -l "$location" --os-type Linux --hyper-v-generation V2 \
    --security-type ConfidentialVM_VMGuestStateEncryptedOnlyWithPlatformKey --upload-type Upload \
    --upload-size-bytes "$(stat -c %s "$work/quorate.vhd" 2>/dev/null || echo SIZE)"
sas=SAS
[ "$run" = say_it ] || sas=$(az disk grant-access -g "$group" -n "$name-upload" --access-level Write \
    --duration-in-seconds 3600 --query accessSAS -o tsv)
"$run" azcopy copy "$work/quorate.vhd" "$sas" --blob-type PageBlob
"$run" az disk revoke-access -g "$group" -n "$name-upload"
"$run" az sig image-definition create -g "$group" -r "$gallery" -i quorate --os-type Linux --os-state Specialized \
    --hyper-v-generation V2 --features SecurityType=ConfidentialVM -p quorate -f quorate -s quorate
"$run" az sig image-version create -g "$group" -r "$gallery" -i quorate -e 0.1.0 --os-snapshot "$name-upload"
# VMGuestStateOnly: the TPM's state outlives a stop, and with it what the party sealed.
# No agent in the image: nothing answers the platform but the party. A specialised image has no user to make.
"$run" az vm create -g "$group" -n "$name" -l "$location" --size "$size" --specialized \
    --image "/galleries/$gallery/images/quorate/versions/0.1.0" \
    --security-type ConfidentialVM --os-disk-security-encryption-type VMGuestStateOnly \
    --enable-vtpm true --enable-secure-boot false --enable-agent false \
    --data-disk-sizes-gb 16 --user-data "$data"
"$run" az vm open-port -g "$group" -n "$name" --port 9440 --priority 1001
