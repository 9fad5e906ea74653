#!/bin/bash
# Hardware acceptance on AWS: our enclave image on an EC2 instance with enclaves enabled.
# Runs on the parent instance, with nitro-cli, the aws command line, and the gateway and pump in place
# (deploy/nitro); README.md here. About 45 minutes.
cd "$(dirname "$0")" || exit 1
here=$PWD
cd "$OLDPWD" || exit 1
# shellcheck source=deploy/acceptance/lib.sh
. "$here/lib.sh"
EIF='' EIF_OTHER_KERNEL='' EIF_CHANGED='' ENCLAVE_CPUS=2 ENCLAVE_MEMORY_MIB=256 KMS_KEY=''
accept_begin nitro "$@"
[ "$EMULATION" = 1 ] || EXPECT='root chain validity signature timestamp binder debug measurement policy'

# What of a description both tools must agree on.
pcrs_of() { grep -oE '"PCR[0128]": *"[0-9a-f]{96}"' | tr -d ' ' | sort; }
same_description() {
    nitro-cli describe-eif --eif-path "$EIF" 2>"$OUT/describe.err" | pcrs_of >"$OUT/pcrs.theirs"
    "$QUORATE" image eif describe --json "$EIF" 2>>"$OUT/describe.err" | grep -oiE '"PCR[0128]": *"[0-9a-f]{96}"' | tr -d ' ' |
        sed 's/"pcr/"PCR/' | sort >"$OUT/pcrs.ours"
    DETAIL="$(wc -l <"$OUT/pcrs.theirs") registers; $(head -n 1 "$OUT/pcrs.theirs" | cut -c1-40)..."
    ADVICE="compare $OUT/pcrs.theirs with $OUT/pcrs.ours; $(tail -n 1 "$OUT/describe.err")"
    [ -s "$OUT/pcrs.ours" ] && cmp -s "$OUT/pcrs.theirs" "$OUT/pcrs.ours"
}
stop_all() { nitro-cli terminate-enclave --all >>"$OUT/enclave.log" 2>&1; }
# nitro-cli returns once the heartbeat was heard.
run_image() { # EIF [MORE]...
    local eif=$1 t0
    shift
    stop_all
    t0=$(now_ms)
    nitro-cli run-enclave --eif-path "$eif" --cpu-count "$ENCLAVE_CPUS" --memory "$ENCLAVE_MEMORY_MIB" --enclave-cid 16 "$@" \
        >"$OUT/run.json" 2>"$OUT/run.err" || {
        DETAIL="run-enclave: $(grep -v '^$' "$OUT/run.err" | tail -n 1)"
        ADVICE='E26, E27: raise memory_mib in /etc/nitro_enclaves/allocator.yaml; E44, E36: nitro-cli console --enclave-name'
        return 1
    }
    DETAIL="started in $(($(now_ms) - t0)) ms; state $(nitro-cli describe-enclaves | grep -oE '"State": *"[A-Z]+"' | head -n 1)"
    ADVICE='the enclave ended by itself: nitro-cli console (debug mode) shows the kernel and quorate-init'
    nitro-cli describe-enclaves | grep -q '"State": *"RUNNING"'
}
wait_ready() {
    local i
    for i in $(seq 1 "$START_LIMIT_S"); do
        party_ready && return 0
        sleep 1
    done
    DETAIL="$DETAIL after $i s"
    return 1
}
boots() { run_image "$EIF" && local d=$DETAIL && wait_ready && DETAIL="$d; $DETAIL"; }
other_kernel() {
    ADVICE='EIF_OTHER_KERNEL is not set: publish the variant on the AWS kernel, or say in the report that it is not offered'
    [ -n "$EIF_OTHER_KERNEL" ] || { DETAIL='no second image' && return 1; }
    run_image "$EIF_OTHER_KERNEL"
}
# Debug mode: all PCRs are zero, the console is open. No policy of ours may accept it.
debug_refused() {
    local nonce v rc=0
    run_image "$EIF" --debug-mode || return 1
    local left=60
    nonce=$(random_hex)
    until fetch "$nonce" "$OUT/debug.json" || [ $left = 0 ]; do left=$((left - 1)) && sleep 1; done
    if [ ! -s "$OUT/debug.json" ] || [ $left = 0 ]; then
        DETAIL='the enclave in debug mode gives no evidence: its sealed store did not open either'
        return 0
    fi
    EVIDENCE=("$OUT/debug.json")
    v=$(judge "$nonce" "$OUT/debug.json") || rc=$?
    DETAIL="exit $rc, reason $(member reason <<<"$v")"
    ADVICE='evidence with zero PCRs was accepted: do not go on, report this'
    [ $rc = 77 ]
}
# KMS: the key's policy names the image's PCRs; another image of ours starts, and gets nothing.
kms_conditions() {
    DETAIL=$(aws kms get-key-policy --key-id "$KMS_KEY" --policy-name default --query Policy --output text 2>&1 |
        grep -oE 'kms:RecipientAttestation:[A-Za-z0-9]+' | sort -u | tr '\n' ' ')
    ADVICE='the key must be conditioned on kms:RecipientAttestation:PCR0 (or ImageSha384) of this release; deploy/nitro'
    grep -qE 'RecipientAttestation:(PCR0|ImageSha384)' <<<"$DETAIL"
}
changed_image_denied() {
    ADVICE='EIF_CHANGED is not set: any other image of ours will do, as the one of the release before'
    [ -n "$EIF_CHANGED" ] || { DETAIL='no other image' && return 1; }
    run_image "$EIF_CHANGED" || return 1
    sleep 30
    ADVICE='another image opened what this one sealed: the KMS key policy is not conditioned on the image'
    if party_ready; then return 1; fi
    DETAIL="the other image runs, and its party is not ready: $DETAIL"
}

step nitro-1 aws '(b) nitro-cli and quorate agree on PCR0, 1, 2 and 8 of the image' same_description
step nitro-2 aws '(a) the image boots on our kernel, heartbeat heard, party ready' boots
common_steps aws-nitro
step nitro-3 aws '(c) debug mode is refused' debug_refused
step nitro-4 aws '(d) the KMS key is conditioned on the image' kms_conditions
step nitro-5 aws '(d) another image cannot open the shares' changed_image_denied
step nitro-6 aws '(a) the published image again: KMS opens its shares' boots
step nitro-7 aws '(g) the variant on the AWS kernel boots' other_kernel
step nitro-8 aws '(a) and back' boots
step nitro-9 - 'a restarted enclave opens its shares and signs (KMS, peer secret)' restart_rejoins
step nitro-10 - 'after that, evidence verifies again' evidence_verifies
step nitro-11 - '(h) timings' timings
accept_end eif "$EIF" eif_other_kernel "$EIF_OTHER_KERNEL"
