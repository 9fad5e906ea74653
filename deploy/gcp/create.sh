#!/bin/sh
# Makes one party on Google Cloud from the measured image: image, state disk, confidential VM.
#
# usage: deploy/gcp/create.sh [--print] [--tdx] NAME ZONE BUCKET USER_DATA [IMAGE_DIR]
#   --print    says what it would run, and runs nothing
#   --tdx      Intel TDX (c3) instead of AMD SEV-SNP (n2d)
#   BUCKET     where the disk is uploaded to; USER_DATA: a file like cloud-init.yaml beside this one
#   IMAGE_DIR  what deploy/image/build.sh gcp wrote (build/image/gcp)
#
# Needs gcloud with a project. Tested against emulation only: the printed commands were checked for
# form, never run against the cloud.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
run=run_it type=SEV_SNP machine=n2d-standard-2 capable=SEV_SNP_CAPABLE
run_it() { echo "+ $*" >&2 && "$@"; }
say_it() { echo "$*"; }
while [ $# -gt 0 ]; do
    case $1 in
        --print) run=say_it ;;
        --tdx) type=TDX machine=c3-standard-4 capable=TDX_CAPABLE ;;
        *) break ;;
    esac
    shift
done
[ $# -ge 4 ] || {
    sed -n '4,8s/^# \{0,1\}//p' "$0" >&2
    exit 64
}
name=$1 zone=$2 bucket=$3 data=$4 image=${5:-$here/../../build/image/gcp}
[ -f "$data" ] || {
    echo "create: $data: no such file" >&2
    exit 64
}
release=$(basename "$(cd "$image" 2>/dev/null && pwd || echo gcp)")-$(sha256sum "$image/disk.raw" 2>/dev/null | cut -c1-12)
[ "$run" = say_it ] || [ -f "$image/disk.raw" ] || {
    echo "create: $image/disk.raw: no such file; build it with deploy/image/build.sh" >&2
    exit 64
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Google takes disks of whole gigabytes, in an archive, with the table's second copy at their end.
"$run" cp "$image/disk.raw" "$work/disk.raw"
"$run" truncate -s 1G "$work/disk.raw"
"$run" sfdisk -q --relocate gpt-bak-std "$work/disk.raw"
"$run" tar -C "$work" --format=oldgnu -Sczf "$work/quorate.tar.gz" disk.raw
"$run" gcloud storage cp "$work/quorate.tar.gz" "gs://$bucket/quorate-$release.tar.gz"
"$run" gcloud compute images create "quorate-$release" \
    --source-uri="gs://$bucket/quorate-$release.tar.gz" \
    --guest-os-features="UEFI_COMPATIBLE,$capable,GVNIC,VIRTIO_SCSI_MULTIQUEUE"
# No service account: the party has no rights in the project. No project-wide keys: nothing reads them.
"$run" gcloud compute instances create "$name" --zone="$zone" --machine-type="$machine" \
    --confidential-compute-type="$type" --maintenance-policy=TERMINATE \
    --shielded-vtpm --shielded-integrity-monitoring --no-shielded-secure-boot \
    --image="quorate-$release" --network-interface=nic-type=GVNIC \
    --create-disk="name=$name-state,size=10GB,type=pd-balanced,auto-delete=no" \
    --no-service-account --no-scopes --metadata=block-project-ssh-keys=true \
    --metadata-from-file="user-data=$data"
# The peers' port for the world, the operator's for the network it is asked from.
"$run" gcloud compute firewall-rules create "$name-peers" --allow=tcp:9440 --target-tags="$name"
"$run" gcloud compute instances add-tags "$name" --zone="$zone" --tags="$name"
