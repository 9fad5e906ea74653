#!/bin/bash
# What runs on an enclave's parent (deploy/nitro/parent) without one: quorate-enclave against a stand-in for
# nitro-cli and a made-up allocator, the pump's configuration, cloud-init's document, the units.
# Last line: `N passed, N failed`.
set -u
cd "$(dirname "$0")/../.." || exit 1
: "${BIN:=build/bin}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pass=0 fail=0
check() { # WHAT EXIT-CODE PATTERN COMMAND...
    local what=$1 want=$2 pattern=$3 out rc=0
    shift 3
    out=$("$@" 2>&1) || rc=$?
    if [ $rc = "$want" ] && grep -q -- "$pattern" <<<"$out"; then
        pass=$((pass + 1))
    else
        fail=$((fail + 1))
        echo "FAIL $what: exit $rc, not $want, or no \"$pattern\" in: $out"
    fi
}

# nitro-cli as far as quorate-enclave uses it: the enclave runs for as many questions as $work/life says.
mkdir -p "$work/bin" "$work/pages/hugepages-2048kB" "$work/pages/hugepages-1048576kB"
cat >"$work/bin/nitro-cli" <<END
#!/bin/sh
echo "\$*" >>"$work/calls"
case \$1 in
    run-enclave) [ ! -e "$work/broken" ] || { echo "[ E39 ] Enclave process connection failure" >&2; exit 1; } ;;
    describe-enclaves)
        n=\$(cat "$work/life")
        [ "\$n" -gt 0 ] || { echo '[]'; exit 0; }
        echo \$((n - 1)) >"$work/life"
        printf '[\n  {\n    "EnclaveName": "quorate",\n    "EnclaveID": "i-0-enc0",\n    "State": "RUNNING"\n  }\n]\n'
        ;;
esac
END
chmod +x "$work/bin/nitro-cli"
echo 100 >"$work/pages/hugepages-2048kB/free_hugepages"
echo 0 >"$work/pages/hugepages-1048576kB/free_hugepages"
echo image >"$work/quorate.eif"
run() { # SETTING...
    env PATH="$work/bin:$PATH" HUGEPAGES="$work/pages" EIF="$work/quorate.eif" POLL_S=0 "$@" \
        deploy/nitro/parent/quorate-enclave
}

check 'too little memory set aside' 78 'needs 256 MiB of huge pages and 200 MiB are free: set memory_mib' run
check 'nitro-cli was not asked' 1 '' test -e "$work/calls"
echo 128 >"$work/pages/hugepages-2048kB/free_hugepages"
check 'no image' 78 'cannot be read' run EIF="$work/none"
check 'a setting that is no number' 78 'are numbers' run MEMORY_MIB=lots
touch "$work/broken"
check 'nitro-cli fails' 70 'nitro-cli could not start it' run
rm "$work/broken"
echo 3 >"$work/life"
check 'an enclave that ends is started again by systemd' 75 'the enclave has ended' run
check 'never in debug mode' 1 '' grep -q debug-mode "$work/calls"
check 'with the memory that was asked for' 0 'run-enclave --eif-path .* --memory 256 --cpu-count 2' \
    grep run-enclave "$work/calls"
check 'one that was left over was ended' 0 'terminate-enclave --enclave-name quorate' head -n 1 "$work/calls"

check "the pump's half inside" 0 '' "$BIN/quorate-pump" --inside --check-config --config deploy/nitro/pump-inside.conf
check "the pump's half outside" 0 '' "$BIN/quorate-pump" --outside --check-config --config deploy/nitro/pump-outside.conf
check "the gateway's configuration" 0 '' "$BIN/quorate-gateway" --check-config --config deploy/nitro/parent/gateway.conf
mkdir "$work/out"
check "cloud-init's document, read strictly" 0 '' "$BIN/quorate-userdata" --tee nitro --out "$work/out" \
    --file deploy/nitro/cloud-init.yaml

# The units, with the programs where they say, checked as on the parent.
if command -v systemd-analyze >/dev/null; then
    root=$work/root
    mkdir -p "$root/etc/systemd/system" "$root/usr/bin" "$root/usr/lib/systemd/system"
    cp -r deploy/nitro/parent/*.service* deploy/systemd/quorate-gateway@.service "$root/etc/systemd/system/"
    for p in quorate-enclave quorate-pump quorate-gateway; do
        printf '#!/bin/sh\n' >"$root/usr/bin/$p"
        chmod +x "$root/usr/bin/$p"
    done
    printf '[Unit]\nDescription=x\n[Service]\nExecStart=/usr/bin/quorate-pump\n' \
        >"$root/etc/systemd/system/nitro-enclaves-allocator.service"
    for u in quorate-pump quorate-enclave; do
        check "$u.service has no unknown key" 1 '' sh -c "systemd-analyze verify --root='$root' $u.service 2>&1 |
            grep -E 'Unknown|Invalid|not executable|Failed to (parse|load)'"
    done
    check 'exposure of quorate-pump' 0 '' systemd-analyze security --offline=true --threshold=25 \
        deploy/nitro/parent/quorate-pump.service
    check 'exposure of quorate-enclave' 0 '' systemd-analyze security --offline=true --threshold=50 \
        deploy/nitro/parent/quorate-enclave.service
else
    echo 'nitro_parent: no systemd-analyze here: the units were not looked at'
    echo "$pass passed, $fail failed, 4 skipped"
    [ $fail = 0 ]
    exit
fi
echo "$pass passed, $fail failed"
[ $fail = 0 ]
