#!/bin/bash
# The published user data, as cloud-init's own schema check sees it.
#
# cloud-init knows no key quorate:; it warns of it at boot and goes on. So what is asked of its check is
# that this is the one thing it objects to, and that it objects to nothing without it; and, so that the
# check is known to work, that it sees a mistake that is put in.
set -eu
cd "$(dirname "$0")/../.."
. deploy/artefact.sh
root=${QUORATE_IMAGE_ROOT:-$(deploy/image/chroot.sh)}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
n=0
schema() { # FILE: its errors, one a line
    artefact_run "$root" -b "$tmp:/mnt" -- cloud-init schema --config-file "/mnt/$1" 2>&1 || true
}
fail() {
    echo "FAILED: $*"
    exit 1
}
for cloud in gcp azure; do
    cp "deploy/$cloud/cloud-init.yaml" "$tmp/whole.yaml"
    sed '/^quorate:/,/^# ---- evaluation tier/d' "$tmp/whole.yaml" >"$tmp/rest.yaml"
    sed 's/^packages: .*/packages: 7/' "$tmp/rest.yaml" >"$tmp/bad.yaml"
    out=$(schema whole.yaml)
    [ "$(sed -n 's/.*schema errors: //p' <<<"$out")" = \
        "quorate: Additional properties are not allowed ('quorate' was unexpected)" ] ||
        fail "$cloud: expected the one objection to quorate:, got: $out"
    out=$(schema rest.yaml)
    grep -q '^Valid schema' <<<"$out" || fail "$cloud: without the map: $out"
    out=$(schema bad.yaml)
    grep -q 'schema errors: packages' <<<"$out" || fail "$cloud: a mistake passes: $out"
    n=$((n + 3))
    echo "ok: deploy/$cloud/cloud-init.yaml is cloud-init's but for the map"
done
echo "$n passed, 0 failed"
