#!/bin/bash
# Bounded proofs with CBMC, and the proof that each of them bites.
#
# Each NAME.c here is one harness. It includes the product's file under proof, chooses inputs freely up
# to its bound, and says what must hold. It must be proved for the sources as they are, and refuted for
# a copy with an error planted (the BITE lines of its head comment): a proof that cannot fail proves
# nothing.
#
# usage: test/proof/cbmc/run.sh [--long] [NAME...]
#   no NAME: all but those whose head comment has a line SLOW; --long: all
# environment: BUILD=build/release  for the generated headers;  JOBS=2
# CBMC is not in Debian 12. It runs in a minimal Debian 13 made in build/proof/trixie from this machine's
# package sources, once a week; never beside this machine's own packages. That needs root and
# mmdebstrap. Exit 0 proved, 1 not, 77 skipped (with the reason).
set -eu
cd "$(dirname "$0")/../../.."
export LC_ALL=C
here=test/proof/cbmc
root=$PWD/build/proof/trixie
: "${BUILD:=build/release}" "${JOBS:=2}"

packages=bash,dash,coreutils,sed,grep,findutils,diffutils,cbmc,gcc,libc6-dev,libsodium-dev
packages=$packages,libsecp256k1-dev,libssl-dev,libjansson-dev,libprotobuf-c-dev

# What every proof gets. Standard checks (bounds, pointers, signed overflow, division, shifts, memory
# primitives) are on by default from CBMC 6; they are named here all the same. Unwinding assertions:
# a bound that is too small is a failure and not a silent cut.
ALWAYS='--function proof --bounds-check --pointer-check --pointer-primitive-check
--pointer-overflow-check --signed-overflow-check --undefined-shift-check --div-by-zero-check
--unwinding-assertions --no-malloc-may-fail --slice-formula --drop-unused-functions --verbosity 4'
# A planted error is refuted by its first failure.

# ---- inside: one proof, in the sources of the system it runs in ----------------------------------

# Copies the files that the directives of one kind name to $2 and edits them there.
edit() {
    local dir=$1 file script
    shift
    while read -r file script; do
        [ -n "$file" ] || continue
        mkdir -p "$dir/$(dirname "$file")"
        [ -f "$dir/$file" ] || cp "$file" "$dir/$file"
        sed "$script" "$dir/$file" >"$dir/$file.new"
        if cmp -s "$dir/$file" "$dir/$file.new"; then
            echo "$name: no longer applies: $file $script"
            return 1
        fi
        mv "$dir/$file.new" "$dir/$file"
    done <<<"$1"
}

check() { # DIR LOG MORE; the harness with DIR's files in front of the product's
    # A limit of processor time: how busy the machine is says nothing about a proof.
    # shellcheck disable=SC2086 # lists of words
    (
        ulimit -t 600
        exec cbmc "$here/$name.c" $ALWAYS $options ${3-} -D_GNU_SOURCE -D__CPROVER -I "$1" -I . -I gen
    ) >"$2" 2>&1
}

# Processor seconds of the children of the shell whose `times` are in file $1. There is no awk in there.
seconds() {
    local ms=0 t
    for t in $(tail -n 1 "$1"); do # 1m2.345s
        t=${t%s}
        ms=$((ms + 60000 * ${t%m*} + 10#$(tr -d . <<<"${t#*m}")))
    done
    printf '%d.%03d' $((ms / 1000)) $((ms % 1000))
}

inside() {
    name=$1
    local source=$here/$name.c out=/out/$name rc=0 n=0 props bite
    options=$(sed -n 's/^ \* CBMC: *//p' "$source" | tr '\n' ' ')
    rm -rf "$out"
    mkdir -p "$out/good"
    edit "$out/good" "$(sed -n 's/^ \* SCALE: *//p' "$source")" || return 1
    check "$out/good" "$out/good.log" || rc=$?
    props=$(grep -c ': SUCCESS$' "$out/good.log") || props=0
    if [ $rc != 0 ] || [ "$props" = 0 ]; then
        echo "FAIL $name: not proved (cbmc exit $rc); $out/good.log:"
        grep -E 'FAILURE$|error|^\*\*' "$out/good.log" | head -n 20 | sed 's/^/    | /'
        return 1
    fi
    while read -r bite; do
        [ -n "$bite" ] || break
        n=$((n + 1)) rc=0
        cp -r "$out/good" "$out/bite$n"
        edit "$out/bite$n" "$bite" || return 1
        check "$out/bite$n" "$out/bite$n.log" --stop-on-fail || rc=$?
        if [ $rc != 10 ] || ! grep -q '^VERIFICATION FAILED' "$out/bite$n.log"; then
            echo "FAIL $name: the planted error was not refuted (cbmc exit $rc): $bite"
            return 1
        fi
    done <<<"$(sed -n 's/^ \* BITE: *//p' "$source")" # there is no /dev/fd in there
    [ $n != 0 ] || {
        echo "FAIL $name: no planted error"
        return 1
    }
    times >"$out/times" # not in a subshell, which would have none; a clock would count other work
    printf 'ok   %-20s %5d properties  %d planted  %5.1f s\n' "$name" "$props" "$n" \
        "$(seconds "$out/times")"
}

if [ "${1-}" = --inside ]; then
    shift
    inside "$1"
    exit
fi

# ---- outside -------------------------------------------------------------------------------------

skip() {
    echo "cbmc: skipped: $1"
    exit 77
}
long=0 slow=0
if [ "${1-}" = --long ]; then
    long=1
    shift
fi
names=("$@")
if [ ${#names[@]} = 0 ]; then
    for f in "$here"/*.c; do
        if [ $long = 0 ] && grep -q '^ \* SLOW:' "$f"; then
            slow=$((slow + 1))
        else
            names+=("$(basename "$f" .c)")
        fi
    done
fi
[ $slow = 0 ] || echo "cbmc: $slow slow proofs are left to --long"
[ "$(id -u)" = 0 ] || skip 'needs root for chroot'
command -v mmdebstrap >/dev/null || skip 'mmdebstrap is not installed (deploy/deps.sh dev)'

mkdir -p build/proof
if [ -z "$(find "$root.made" -mtime -7 2>/dev/null)" ] || [ ! -x "$root/usr/bin/cbmc" ]; then
    own=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    mirror=$(apt-get indextargets --format '$(SITE) $(CODENAME) $(COMPONENT) $(CREATED_BY)' \
        2>/dev/null |
        awk -v s="$own" '$2 == s && $3 == "main" && $4 == "Packages" { print $1; exit }')
    [ -n "$mirror" ] || skip "apt knows no archive for $own (run apt-get update once)"
    start=$SECONDS
    rm -rf --one-file-system "$root" "$root.made"
    # Unpacked, not set up: nothing in there runs but the tools themselves.
    mmdebstrap --variant=extract --mode=root --format=directory --include="$packages" \
        trixie "$root" "$mirror" >build/proof/mmdebstrap.log 2>&1 || {
        tail -n 5 build/proof/mmdebstrap.log
        skip 'the Debian 13 system could not be made (no network?); build/proof/mmdebstrap.log'
    }
    touch "$root.made"
    echo "cbmc: made a minimal Debian 13 in $((SECONDS - start)) s"
fi

# The sources as they are now, and the generated headers.
rm -rf "$root/src" "$root/out"
mkdir -p "$root/src/gen" "$root/out"
tar -cf - protocol proto transport enclave-shim daemon "$here" | tar -xf - -C "$root/src"
tar -C "$BUILD/gen" -cf - --exclude='*.o' . | tar -xf - -C "$root/src/gen"

start=$SECONDS rc=0
printf '%s\n' "${names[@]}" |
    chroot "$root" /usr/bin/env -i HOME=/root LC_ALL=C PATH=/usr/bin:/bin \
        bash -c "cd /src && exec xargs -P $JOBS -n 1 bash $here/run.sh --inside" |
    tee build/proof/cbmc.log || rc=1
rm -rf build/proof/cbmc
cp -r "$root/out" build/proof/cbmc
awk -v s=$((SECONDS - start)) -v want=${#names[@]} '
    /^ok / { n++; p += $3; b += $5; cpu += $7 }
    END {
        printf "cbmc: %d harnesses, %d properties, %d planted errors refuted, %d s (%d of processors)\n", n, p, b, s, cpu
        printf "%d passed, %d failed\n", n, want - n
        exit n != want
    }' build/proof/cbmc.log || rc=1
exit $rc
