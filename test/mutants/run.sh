#!/bin/bash
# Does the simulator bite? Each patch of this folder takes one protection out of the product's source;
# the simulator is built with what the patch changes and must find a violation of the kind that the
# table `seeds` names, with a seed that it names. The product itself must be clean on the same seeds.
# Demonstrations of attacks (test/attacks) that the table names must succeed against their mutant and
# fail against the product. Through `make mutants`, which sets the variables below.
#
#   run.sh [NAME...]     only these mutants
#   QR_TEST_LONG=1       searches from seed 0 on, up to 200 seeds, and prints the first that catches
#   SEEDS_FROM=N         ... from seed N on
#
# Nothing is written but in a temporary folder. Last line: `N passed, N failed`.
set -u
cd "$(dirname "$0")/../.." || exit 1
export LC_ALL=C.UTF-8
: "${BUILD:?}" "${SIM_LINK:?}" "${SIM_OBJS:?}" "${DEMO_LINK:?}" "${DEMO_OBJS:?}" "${LINK_LIBS:?}"
JOBS=${JOBS:-2}
LONG=${QR_TEST_LONG:-}
FROM=${SEEDS_FROM:-0}
HERE=test/mutants
ROOT=$PWD
TMP=$(mktemp -d /tmp/quorate-mutants-XXXXXX)
trap 'rm -rf "$TMP"' EXIT
mkdir "$TMP/said"
# The wildcards of a line are the pattern's own.
set -f

# Source as it is now, once; each mutant gets a copy. No header is ever patched: what includes it
# would have to be compiled, too.
mkdir "$TMP/source"
cp -r protocol proto transport enclave-shim daemon "$TMP/source/" || exit 1
ln -s "$ROOT/test" "$TMP/source/test"
ln -s "$ROOT/build" "$TMP/source/build"
# A build beside this run replaces them.
cp "$BUILD/test/sim/sim" "$BUILD/test/attacks/attack_demo" "$TMP/" || exit 1

say() { printf '%s\n' "$*" >>"$TMP/said/$NAME"; }

# Applies, compiles what changed, links. In $TMP/$NAME.
mutant() {
    local dir=$TMP/$NAME patch=$HERE/$NAME.patch c objs='' flags
    cp -r "$TMP/source" "$dir" || return 1
    if ! patch -d "$dir" -p1 -F0 -s --dry-run <"$patch" >"$dir/log" 2>&1; then
        say "FAIL $NAME: the patch does not apply any more: $(tail -n 1 "$dir/log")"
        return 1
    fi
    patch -d "$dir" -p1 -F0 -s --no-backup-if-mismatch <"$patch" || return 1
    flags=$(cat "$BUILD/flags")
    for c in $(sed -n 's|^+++ b/||p' "$patch"); do
        case $c in *.c) ;; *) say "FAIL $NAME: it patches $c, which is no .c"; return 1 ;; esac
        mkdir -p "$dir/o/${c%/*}"
        # Code that nothing uses any more is what a removal leaves behind.
        if ! (cd "$dir" && $flags -Wno-error -w -c -o "o/${c%.c}.o" "$c") >"$dir/log" 2>&1; then
            say "FAIL $NAME: $c does not compile: $(grep -m1 error "$dir/log")"
            return 1
        fi
        objs="$objs $dir/o/${c%.c}.o"
    done
    # Before the library, so that its own members of these names are not taken.
    # shellcheck disable=SC2086
    if [ "$SEEDS" != - ] && ! $SIM_LINK -o "$dir/sim" $objs $SIM_OBJS $LINK_LIBS >"$dir/log" 2>&1; then
        say "FAIL $NAME: the simulator does not link: $(head -n 1 "$dir/log")"
        return 1
    fi
    # shellcheck disable=SC2086
    if [ "$ATTACK" != - ] && ! $DEMO_LINK -o "$dir/demo" $objs $DEMO_OBJS $LINK_LIBS >"$dir/log" 2>&1; then
        say "FAIL $NAME: the attacks do not link: $(head -n 1 "$dir/log")"
        return 1
    fi
}

# run SIM SEED: the violation, or nothing.
run() {
    local out rc
    out=$(timeout 200 "$1" --seed "$2" 2>&1)
    rc=$?
    case $rc in
    0) ;;
    1) sed -n 's/^VIOLATION seed [0-9]*: //p' <<<"$out" | grep . || echo "exit 1, but no violation" ;;
    *) echo "the simulator ended with status $rc: $(tail -n 1 <<<"$out")" ;;
    esac
}

recorded() {
    local seed why n=0
    for seed in ${SEEDS//,/ }; do
        n=$((n + 1))
        why=$(run "$TMP/$NAME/sim" "$seed")
        if grep -Eq -- "$PATTERN" <<<"$why"; then
            say "ok   $NAME: seed $seed: $why"
            return 0
        fi
        [ -z "$why" ] || say "     $NAME: seed $seed found something else: $why"
    done
    say "FAIL $NAME: not caught by its $n seeds ($SEEDS); expected: $PATTERN"
    return 1
}

search() {
    local seed=$FROM line why start=$SECONDS
    while [ "$seed" -lt $((FROM + 200)) ]; do
        line=$("$TMP/$NAME/sim" --seeds "$seed..$((FROM + 199))" --jobs 1 --stop --whole --quiet |
            sed -n 's/^violation seed //p' | head -n 1)
        [ -n "$line" ] || break
        seed=${line%%:*} why=${line#*: }
        if grep -Eq -- "$PATTERN" <<<"$why"; then
            say "ok   $NAME: first caught by seed $seed, after $((SECONDS - start)) s: $why"
            return 0
        fi
        say "     $NAME: seed $seed found something else: $why"
        seed=$((seed + 1))
    done
    say "FAIL $NAME: not caught by seeds $FROM..$((FROM + 199)); expected: $PATTERN"
    return 1
}

attack() {
    local out rc
    out=$(cd / && timeout 120 "$1" "$ATTACK" 2>&1)
    rc=$?
    if [ $rc = "$2" ]; then
        say "ok   $3: $(tail -n 1 <<<"$out")"
    else
        say "FAIL $3: exit $rc, not $2: $(tail -n 1 <<<"$out")"
        return 1
    fi
}

# One mutant, in a process of its own.
one() {
    if mutant; then
        if [ "$SEEDS" != - ]; then
            if [ -n "$LONG" ]; then search; else recorded; fi
        fi
        if [ "$ATTACK" != - ]; then
            attack "$TMP/$NAME/demo" 1 "attack on $NAME"
        fi
    fi
    rm -rf "${TMP:?}/$NAME"
}

# What the mutants are caught by must not catch the product.
product() {
    local seed running=0 n=0
    NAME=product
    for seed in $ALL_SEEDS; do
        n=$((n + 1)) running=$((running + 1))
        if [ $running -gt "$JOBS" ]; then
            wait -n
            running=$((running - 1))
        fi
        (
            why=$(run "$TMP/sim" "$seed")
            [ -z "$why" ] || say "FAIL the product: seed $seed: $why"
        ) &
    done
    wait
    if [ $n -gt 0 ] && ! grep -q '^FAIL' "$TMP/said/product" 2>/dev/null; then
        say "ok   the product: clean on $n seeds"
    fi
    for ATTACK in $ALL_ATTACKS; do
        attack "$TMP/attack_demo" 0 "attack on the product"
    done
}

ALL_SEEDS='' ALL_ATTACKS='' LISTED=' '
waiting=0
mapfile -t TABLE <"$HERE/seeds"
for line in "${TABLE[@]}"; do
    read -r NAME SEEDS ATTACK PATTERN <<<"$line"
    case $NAME in '' | '#'*) continue ;; esac
    LISTED="$LISTED$NAME "
    if [ $# -gt 0 ]; then case " $* " in *" $NAME "*) ;; *) continue ;; esac; fi
    if [ ! -r "$HERE/$NAME.patch" ]; then
        say "FAIL $NAME: there is no $HERE/$NAME.patch"
        continue
    fi
    if [ "$SEEDS" != - ]; then
        if [ "$(tr , '\n' <<<"$SEEDS" | wc -l)" -gt 20 ]; then say "FAIL $NAME: more than 20 seeds"; fi
        ALL_SEEDS="$ALL_SEEDS ${SEEDS//,/ }"
    fi
    [ "$ATTACK" = - ] || ALL_ATTACKS="$ALL_ATTACKS $ATTACK"
    if [ $waiting -ge "$JOBS" ]; then
        wait -n
        waiting=$((waiting - 1))
    fi
    one &
    waiting=$((waiting + 1))
done
wait
set +f
for p in "$HERE"/*.patch; do
    NAME=$(basename "$p" .patch)
    case $LISTED in *" $NAME "*) ;; *) say "FAIL $NAME: it is not in $HERE/seeds" ;; esac
done
ALL_SEEDS=$(tr ' ' '\n' <<<"$ALL_SEEDS" | sort -nu)
ALL_ATTACKS=$(tr ' ' '\n' <<<"$ALL_ATTACKS" | sort -u)
product

cat "$TMP"/said/* 2>/dev/null
passed=$(cat "$TMP"/said/* 2>/dev/null | grep -c '^ok ')
failed=$(cat "$TMP"/said/* 2>/dev/null | grep -c '^FAIL ')
[ $((passed + failed)) -gt 0 ] || { echo "nothing was run"; failed=1; }
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
