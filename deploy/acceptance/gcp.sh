#!/bin/bash
# Hardware acceptance on Google Cloud: a confidential VM (SEV-SNP or TDX) from the published image.
# Runs anywhere with gcloud and a way to the gateway; README.md here. About 40 minutes, most of it boots.
cd "$(dirname "$0")" || exit 1
here=$PWD
cd "$OLDPWD" || exit 1
# shellcheck source=deploy/acceptance/lib.sh
. "$here/lib.sh"
accept_begin gcp "$@"
# (e): a report of the processor through configfs-tsm, and a quote of Google's vTPM under a certified key.
[ "$EMULATION" = 1 ] || EXPECT='root chain signature binder ak quote pcrs event-log measurement policy'

confidential() {
    DETAIL=$(gcloud compute instances describe "$GCP_INSTANCE" --zone "$GCP_ZONE" \
        --format='value(confidentialInstanceConfig.confidentialInstanceType,machineType.basename(),shieldedInstanceConfig.enableVtpm)' 2>&1)
    ADVICE='create it with --confidential-compute-type=SEV_SNP or TDX and --shielded-vtpm (deploy/gcp)'
    grep -qE '^(SEV_SNP|TDX)' <<<"$DETAIL"
}
# The image's own reader takes the quorate: map and nothing else; what the provider runs in other guests does not run here.
quiet_serial() {
    DETAIL=$(gcloud compute instances get-serial-port-output "$GCP_INSTANCE" --zone "$GCP_ZONE" 2>/dev/null |
        grep -iE 'cloud-init|google_guest_agent|google-startup-scripts|sshd|login:' | head -n 1)
    ADVICE="the TEE image must hold none of these; was a stock image booted? seen: $DETAIL"
    [ -z "$DETAIL" ] && DETAIL='no guest agent, start-up script, sshd or login prompt on the serial console'
}
# User data that wants to run something: nothing runs, the party comes back as the same code.
hostile_metadata() {
    ADVICE='metadata could be set, yet the machine did not come back as it was: see the serial console'
    gcloud compute instances add-metadata "$GCP_INSTANCE" --zone "$GCP_ZONE" \
        --metadata='startup-script=touch /dev/shm/owned; poweroff -f,ssh-keys=x:ssh-ed25519 AAAA x' >"$OUT/metadata.out" 2>&1 || {
        DETAIL=$(tail -n 1 "$OUT/metadata.out")
        return 1
    }
    restart_rejoins
    local rc=$?
    gcloud compute instances remove-metadata "$GCP_INSTANCE" --zone "$GCP_ZONE" --keys=startup-script,ssh-keys >>"$OUT/metadata.out" 2>&1
    return $rc
}

step gcp-1 gcp 'the machine is a confidential VM with a vTPM' confidential
common_steps gcp-snp-vtpm gcp-tdx-vtpm
step gcp-2 gcp 'nothing of the provider runs in the image' quiet_serial
step gcp-3 gcp 'start-up scripts and keys in metadata execute nothing; evidence stays the same' hostile_metadata
step gcp-4 - 'a reset machine opens its shares and signs (vTPM sealing, peer secret)' restart_rejoins
step gcp-5 - 'after that, evidence verifies again' evidence_verifies
step gcp-6 - 'timings' timings
accept_end
