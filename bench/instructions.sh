#!/bin/bash
# Instructions of the protocol's CPU, counted by callgrind: exact, the same in every run of the same
# build, so that a change of 1 % shows on a machine that is busy with other things.
#
#   bench/instructions.sh                  prints the counts, one JSON object a line, and a table
#   bench/instructions.sh --check          and fails if a count is above 1.05 of bench/instructions.base
#   bench/instructions.sh --against REV    and fails if one is above 1.05 of what revision REV needs,
#                                          built beside this tree
#   bench/instructions.sh --record REV     writes bench/instructions.base from revision REV
#
# What is counted is one call of bench_measured() in bench_protocol.c: one batch of 16 presignatures
# and their 16 signatures, one key generation, one pair set-up; by all parties, then divided: a count
# is that of one party and one signature (key, pair). Everything random comes from a seeded generator.
# `ratio` is the count over that of one ECDSA signature and one verification by the system's
# libsecp256k1 in the same run. Valgrind knows no AVX-512: the row arithmetic is the portable one.
#
# Counts belong to a compiler, libraries and a processor's features, which the base file names. Where
# they are others than this machine's, --check builds the base's revision here and compares with that;
# without the history (a tarball, a shallow clone) it says that nothing was compared, and passes.
# Through `make instructions`, with CHECK=1 or AGAINST=REV.
set -u
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C
: "${BUILD:=build/release}"
: "${OUT:=build/bench}"
BASE=bench/instructions.base
LIMIT=1.05
CASES='cpu_sign_total/5/5 cpu_sign_total/3/3 cpu_sign_total/2/2 cpu_presign/2/2 cpu_sign_online/2/2
cpu_keygen/3/2 cpu_pair_setup/2/2'
mode=${1-} rev=${2-}
case $mode/$rev in
    / | --check/ | --against/?* | --record/?*) ;;
    *)
        sed -n '5,9s/^# *//p' "$0" >&2
        exit 2
        ;;
esac
command -v valgrind >/dev/null 2>&1 || {
    echo "instructions: no valgrind (deploy/deps.sh dev installs it)" >&2
    exit 1
}
tmp=$(mktemp -d /tmp/quorate-instructions-XXXXXX) || exit 1
tree=$tmp/tree
cleanup() {
    [ ! -e "$tree" ] || git worktree remove --force "$tree" >/dev/null 2>&1
    rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

# What a count depends on beside the source: one line.
machine() {
    local flags want=' ssse3 sse4_1 sse4_2 aes pclmulqdq avx avx2 bmi1 bmi2 fma f16c movbe adx rdrand '
    flags=$(sed -n '/^flags/{s/.*: //p;q}' /proc/cpuinfo | tr ' ' '\n' | sort -u |
        while read -r f; do [ "${want#* "$f" }" = "$want" ] || printf ' %s' "$f"; done)
    printf '%s; %s%s\n' "$(${CC:-cc} --version | head -n 1)" \
        "$(dpkg-query -W -f '${Package} ${Version}; ' libsecp256k1-1 libsecp256k1-2 libsodium23 libssl3 \
            libssl3t64 libc6 valgrind 2>/dev/null)" "cpu$flags"
}

# count DIR BINARY: lines "CASE COUNT" in DIR/counts.
# shellcheck disable=SC2016 # expands in the inner shell
count() {
    mkdir -p "$1"
    # shellcheck disable=SC2086 # a list of words
    printf '%s\n' $3 | DIR=$1 BIN=$2 xargs -n 1 -P "$(nproc)" bash -c '
        log=$DIR/$(tr / _ <<<"$0").log
        valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect=bench_measured \
            "$BIN" --instructions "$0" >"$log" 2>&1
        i=$(sed -n "s/.*Collected : \([0-9]*\).*/\1/p" "$log")
        d=$(sed -n "s/.*\"divide_by\":\([0-9]*\).*/\1/p" "$log")
        if [ -z "$i" ] || [ -z "$d" ] || [ "$i" = 0 ]; then
            echo "instructions: $0 was not counted:" >&2
            tail -n 20 "$log" >&2
            exit 1
        fi
        echo "$0 $((i / d))" >"$log.count"' || return 1
    sort "$1"/*.count >"$1/counts"
}

# build REV: its bench, in $tree.
build_revision() {
    git worktree add --detach --quiet "$tree" "$1" || return 1
    echo "instructions: building $(git -C "$tree" rev-parse --short=12 HEAD)" >&2
    make -s -C "$tree" BUILD=build/release build/release/bench/bench_protocol >"$tmp/build.log" 2>&1 || {
        tail -n 30 "$tmp/build.log" >&2
        return 1
    }
}

if [ "$mode" = --record ]; then
    build_revision "$rev" && count "$tmp/base" "$tree/build/release/bench/bench_protocol" "$CASES" || exit 1
    {
        echo '# Instructions by bench/instructions.sh --record; see there. One party, one signature (key, pair).'
        echo "revision: $(git -C "$tree" rev-parse HEAD)"
        echo "machine: $(machine)"
        cat "$tmp/base/counts"
    } >"$BASE"
    cat "$BASE"
    exit 0
fi

count "$tmp/now" "$BUILD/bench/bench_protocol" "$CASES reference" || exit 1
reference=$(sed -n 's/^reference //p' "$tmp/now/counts")
commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
git diff --quiet HEAD 2>/dev/null || commit="$commit+"
mkdir -p "$OUT"
awk -v ref="$reference" -v commit="$commit" '{
    split($1, c, "/")
    if ($1 == "reference")
        next
    printf "{\"name\":\"%s\",\"n\":%d,\"t\":%d,\"value\":%d,\"unit\":\"instructions\",", c[1], c[2], c[3], $2
    printf "\"ratio\":%.3f,\"commit\":\"%s\"}\n", $2 / ref, commit
}' "$tmp/now/counts" | tee "$OUT/instructions.jsonl"
echo "reference: $reference instructions, one sign and one verify by libsecp256k1"

was=
case $mode in
    --against)
        build_revision "$rev" || exit 1
        ;;
    --check)
        here=$(machine)
        there=$(sed -n 's/^machine: //p' "$BASE")
        rev=$(sed -n 's/^revision: //p' "$BASE")
        if [ "$here" = "$there" ]; then
            grep / "$BASE" | grep '^cpu_' >"$tmp/was"
            was=$tmp/was
        elif git cat-file -e "$rev^{commit}" 2>/dev/null; then
            printf 'instructions: the base is of another machine; its revision is built here\n  base %s\n  here %s\n' \
                "$there" "$here"
            build_revision "$rev" || exit 1
        else
            printf 'instructions: NOT COMPARED: the base is of another machine, its revision not in this history\n'
            exit 0
        fi
        ;;
    *) exit 0 ;;
esac
if [ -z "$was" ]; then
    count "$tmp/was.d" "$tree/build/release/bench/bench_protocol" "$CASES" || exit 1
    was=$tmp/was.d/counts
fi
echo
printf '%-22s %12s %12s %8s   against %s\n' case before now ratio "$(git rev-parse --short "$rev" 2>/dev/null || echo "$rev")"
awk -v limit=$LIMIT -v was="$was" '
    BEGIN { while ((getline line < was) > 0) { split(line, f, " "); before[f[1]] = f[2] } }
    $1 == "reference" { next }
    !($1 in before) { printf "%-22s has no figure before\n", $1; bad = 1; next }
    {
        r = $2 / before[$1]
        printf "%-22s %12d %12d %8.4f%s\n", $1, before[$1], $2, r, (r > limit ? "   ABOVE " limit : "")
        bad = bad || (r > limit)
        n++
    }
    END { exit bad || n == 0 }' "$tmp/now/counts"
