#!/bin/bash
# Hardware acceptance on Azure: a confidential VM (SEV-SNP or TDX) from the published image.
# Runs anywhere with az and a way to the gateway; README.md here. About 40 minutes, most of it boots.
cd "$(dirname "$0")" || exit 1
here=$PWD
cd "$OLDPWD" || exit 1
# shellcheck source=deploy/acceptance/lib.sh
. "$here/lib.sh"
accept_begin azure "$@"
# (f): the report commits to the HCL's runtime data, which carries the TPM's key, and that key signed the quote.
[ "$EMULATION" = 1 ] || EXPECT='root chain signature runtime-data ak quote pcrs binder measurement policy'

confidential() {
    DETAIL=$(az vm show --resource-group "$AZURE_GROUP" --name "$AZURE_VM" \
        --query '[securityProfile.securityType,hardwareProfile.vmSize,securityProfile.uefiSettings.vTpmEnabled]' -o tsv 2>&1 | tr '\n' ' ')
    ADVICE='create it with --security-type ConfidentialVM --enable-vtpm true on a DCas, ECas, DCes or ECes size (deploy/azure)'
    grep -q ConfidentialVM <<<"$DETAIL"
}
quiet_agent() {
    DETAIL=$(az vm get-instance-view --resource-group "$AZURE_GROUP" --name "$AZURE_VM" \
        --query 'instanceView.vmAgent.statuses[0].displayStatus' -o tsv 2>&1)
    ADVICE='the TEE image holds no guest agent; was a stock image booted?'
    [ "$DETAIL" != Ready ]
}
run_command_refused() {
    ADVICE='a command ran inside the TEE: do not go on, report this'
    if az vm run-command invoke --resource-group "$AZURE_GROUP" --name "$AZURE_VM" --command-id RunShellScript \
        --scripts 'echo owned' >"$OUT/run-command.out" 2>&1 && grep -q owned "$OUT/run-command.out"; then
        DETAIL='run-command was executed'
        return 1
    fi
    DETAIL="run-command: $(tail -n 1 "$OUT/run-command.out")"
}

step azure-1 azure 'the machine is a confidential VM with a vTPM' confidential
common_steps azure-snp-vtpm azure-tdx-vtpm
step azure-2 azure 'no guest agent answers the provider' quiet_agent
step azure-3 azure 'the provider cannot run a command inside' run_command_refused
step azure-4 - 'a restarted machine opens its shares and signs (vTPM sealing, peer secret)' restart_rejoins
step azure-5 - 'after that, evidence verifies again' evidence_verifies
step azure-6 - 'timings' timings
accept_end
