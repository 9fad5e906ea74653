#!/bin/bash
# Makes what `make test-vm` and `make test-nitro` need and is not there yet: through `make artefacts`.
# usage: test/artefacts.sh [WORD...]   only those whose name is one of the words
#
# test/vm/ARTEFACTS lists them in the order of need: a name, and the command that makes it, which does
# nothing when it is there already (deploy/artefact.sh gives each recipe its own folder). The first
# time is half an hour on two cores; after that, seconds. Last line: `N passed, N failed`.
set -u
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C.UTF-8
logs=build/artefacts/logs
mkdir -p "$logs"
pass=0 fail=0
while read -r name command; do
    case $name in '' | '#'*) continue ;; esac
    if [ $# != 0 ]; then case " $* " in *" $name "*) ;; *) continue ;; esac fi
    start=$SECONDS rc=0
    timeout -k 20 "${ARTEFACT_LIMIT:-3600}" nice bash -c "$command" >"$logs/$name.log" 2>&1 </dev/null || rc=$?
    if [ $rc = 0 ]; then
        pass=$((pass + 1))
        printf 'ok   %-24s %5d s  %s\n' "$name" $((SECONDS - start)) "$(tail -n 1 "$logs/$name.log")"
    else
        fail=$((fail + 1))
        printf 'FAIL %-24s %5d s  exit %d; %s\n' "$name" $((SECONDS - start)) $rc "$logs/$name.log"
        tail -n 40 "$logs/$name.log" | sed 's/^/    | /'
    fi
done <test/vm/ARTEFACTS
[ $((pass + fail)) != 0 ] || {
    echo "artefacts: test/vm/ARTEFACTS lists none of: $*"
    fail=1
}
echo "$pass passed, $fail failed"
[ "$fail" = 0 ]
