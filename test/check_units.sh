#!/bin/sh
# Gate: the units in deploy/systemd have no unknown keys, and what systemd says they expose stays below
# a ceiling. Without systemd (it need not be installed to build or test) it says so and passes.
set -eu
cd "$(dirname "$0")/.."
CEILING=12 # tenths, of 100; Debian 12's systemd says 11

command -v systemd-analyze >/dev/null 2>&1 || {
    echo "units: not checked, there is no systemd-analyze"
    exit 0
}
export SYSTEMD_LOG_LEVEL=warning
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bad=0
for unit in deploy/systemd/*.service; do
    if ! systemd-analyze security --offline=true --no-pager --threshold=$CEILING "$unit" >"$tmp/out" 2>&1; then
        sed -n '/✗/p; $p' "$tmp/out"
        echo "$unit: exposes more than $CEILING tenths"
        bad=1
    fi
    # The programs are not installed here, and the units of the network are not ours.
    name=$(basename "$unit" | sed 's/@/@x/')
    sed 's,^ExecStart=[^ ]*,ExecStart=/bin/true,' "$unit" >"$tmp/$name"
    systemd-analyze verify --man=no --recursive-errors=no "$tmp/$name" >"$tmp/out" 2>&1 || true
    if grep -F "$name" "$tmp/out" | grep -Ei 'unknown|invalid|fail|not understood|ignoring|missing'; then
        bad=1
    fi
done
exit $bad
