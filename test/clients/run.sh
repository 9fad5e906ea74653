#!/bin/bash
# Real clients against real daemons: `make test-clients`.
#
# usage: test/clients/run.sh [WORD...]     (through `make test-clients`, which builds first)
#   WORD  only the parts whose name holds one of the words
# environment: BIN=build/bin  JOBS=2  TIME_LIMIT=seconds for one part  KEEP=1 keeps quorums' folders
#
# A part is a *.py, *.mjs or *.sh in this folder (not in those below it). It prints `N passed, N failed`
# at its end, or nothing of the kind and is one case; whatever else happens, a time-out included, is one
# failure. Nothing may be skipped: a part that says so fails.
# Everything is copied to build/clients and runs there, so that npm leaves nothing in the source tree;
# npm installs what the committed lock files say and runs no package's scripts.
# Ends with `N passed, N failed`; exit 0 when nothing failed.
set -u
cd "$(dirname "$0")/../.." || exit 1
ROOT=$PWD
: "${BIN:=build/bin}" "${JOBS:=2}" "${TIME_LIMIT:=300}"
BIN=$(realpath "$BIN")
WORK=$ROOT/build/clients
LOGS=$WORK/logs
export ROOT BIN WORK LC_ALL=C.UTF-8 NO_COLOR=1 PYTHONDONTWRITEBYTECODE=1
export PYTHONPATH=$ROOT/test/e2e NPM_CONFIG_UPDATE_NOTIFIER=false
# Clients of a cloud look for accounts, and for a machine that tells them; here is neither.
export AWS_EC2_METADATA_DISABLED=true AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null
# Debian's, whatever else is in the path: awscli and boto3 are packages of its Python.
PYTHON=/usr/bin/python3

die() {
    echo "test-clients: $*" >&2
    echo "0 passed, 1 failed"
    exit 1
}

deploy/deps.sh clients || die "packages are missing (above)"
command -v npm >/dev/null || die "npm is missing; install Node.js 20 or later (Debian 13: apt-get install nodejs npm)"
node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' ||
    die "Node.js $(node --version) is too old for these clients: 20 or later is needed"

# tree SOURCE TARGET: a copy to work in, with its packages; npm runs when the lock file has changed.
tree() {
    local from=$1 to=$2 lock
    mkdir -p "$to"
    # What was taken out of the source goes; what npm or a compiler made stays.
    find "$to" -mindepth 1 -maxdepth 1 ! -name node_modules ! -name .locked ! -name ts ! -name logs \
        -exec rm -rf {} +
    cp -r "$from/." "$to/"
    lock=$(cat "$from/package.json" "$from/package-lock.json" | sha256sum)
    if [ "$(cat "$to/.locked" 2>/dev/null)" != "$lock" ]; then
        (cd "$to" && npm ci --no-audit --no-fund --ignore-scripts >npm.log 2>&1) ||
            { tail -n 20 "$to/npm.log" >&2; return 1; }
        echo "$lock" >"$to/.locked"
    fi
}
start=$SECONDS
tree "$ROOT/test/clients" "$WORK" || die "npm ci in test/clients failed (above)"
tree "$ROOT/clients/ts" "$WORK/ts" || die "npm ci in clients/ts failed (above)"
(cd "$WORK/ts" && npm run -s build >build.log 2>&1) ||
    { cat "$WORK/ts/build.log" >&2; die "clients/ts does not build (above)"; }
# The package as its users get it, beside the other clients: packed, then unpacked.
(cd "$WORK/ts" && npm pack --silent >/dev/null && mkdir -p ../node_modules/quorate-client &&
    tar -xzf quorate-client-*.tgz -C ../node_modules/quorate-client --strip-components=1) ||
    die "clients/ts cannot be packed"
printf 'ready %29s %4d s\n' "" $((SECONDS - start))

# One part: "passed failed seconds" to $LOGS/NAME.res.
run_part() {
    local name=$1 log=$LOGS/$1.log t0=$SECONDS rc last pass=0 fail=1
    case $name in
        *.py) set -- "$PYTHON" -B "$WORK/$name" ;;
        *.mjs) set -- node "$WORK/$name" ;;
        *) set -- bash "$WORK/$name" ;;
    esac
    timeout -k 10 "$TIME_LIMIT" "$@" >"$log" 2>&1 </dev/null
    rc=$?
    last=$(grep -v '^ *$' "$log" | tail -n 1)
    if [[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed(,\ ([0-9]+)\ skipped)?$ ]]; then
        pass=${BASH_REMATCH[1]} fail=$((BASH_REMATCH[2] + ${BASH_REMATCH[4]:-0}))
        if [ $rc != 0 ] && [ $fail = 0 ]; then fail=1; fi
        if [ "$pass$fail" = 00 ]; then fail=1; fi
    elif [ $rc = 0 ]; then
        pass=1 fail=0
    fi
    if [ $fail = 0 ]; then
        printf 'ok    %-29s %4d s  %s passed\n' "$name" $((SECONDS - t0)) "$pass"
    else
        printf 'FAIL  %-29s %4d s  %s passed, %s failed, exit %s\n%s\n' "$name" $((SECONDS - t0)) \
            "$pass" "$fail" $rc "$(tail -n 80 "$log" | sed 's/^/    | /')"
    fi
    echo "$pass $fail" >"$LOGS/$name.res"
}

rm -rf "$LOGS"
mkdir -p "$LOGS"
parts=()
for f in test/clients/*.py test/clients/*.mjs test/clients/*.sh; do
    name=${f##*/}
    if [ ! -e "$f" ] || [ "$name" = run.sh ]; then continue; fi
    want=$([ $# = 0 ] && echo 1)
    for w in "$@"; do [[ $name == *"$w"* ]] && want=1; done
    [ -z "$want" ] || parts+=("$name")
done
[ ${#parts[@]} != 0 ] || die "no part's name holds one of: $*"
for name in "${parts[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge "$JOBS" ]; do wait -n; done
    run_part "$name" &
done
wait
pass=0 fail=0
for name in "${parts[@]}"; do
    if read -r p f <"$LOGS/$name.res"; then
        pass=$((pass + p)) fail=$((fail + f))
    else
        fail=$((fail + 1))
    fi
done
printf 'took %30s %4d s\n' "" $((SECONDS - start))
echo "$pass passed, $fail failed"
[ $fail = 0 ]
