#!/bin/bash
# The constant-time test; through `make ctime`. Last line `N passed, N failed`.
#
# usage: test/ctime/run.sh BUILD...       gcc-O2, gcc-O3, clang-O2, clang-O3; and msan
#
# 1. Every secret-handling function (extract.py) runs in the drivers: a build with coverage, natively.
# 2. For each BUILD, with release's flags: leaks put there on purpose are reported, the drivers run clean
#    under valgrind (msan: in a build with clang's MemorySanitizer), and the object code holds no
#    division and no shift by an amount that may be secret (instructions.py).
# 3. What other libraries were called with secrets, how often, and what they say about it.
set -u
cd "$(dirname "$0")/../.." || exit 1
: "${JOBS:=$(nproc 2>/dev/null || echo 2)}"
: "${SOURCES:?the sources of the library; through make ctime}"
unset MAKEFLAGS MFLAGS MAKELEVEL # builds of their own, not parts of the one that called
python=/usr/bin/python3 # the system's: python3-clang is a package of the system's
logs=build/ctime
rm -rf "$logs"
mkdir -p "$logs"
pass=0 fail=0
good() {
    echo "ok   $1"
    pass=$((pass + 1))
}
bad() {
    echo "FAIL $1"
    [ -z "${2-}" ] || head -n 60 "$2" | sed 's/^/    | /'
    fail=$((fail + 1))
}

# The folder of a build, and how to make it.
folder() {
    case $1 in
        gcc-O2) [ "$(readlink -f "$(command -v cc)")" = "$(readlink -f "$(command -v gcc)")" ] &&
            echo build/release || echo build/ctime-gcc-O2 ;;
        *) echo "build/ctime-$1" ;;
    esac
}
build() {
    local cc=${1%-*} opt=${1##*-} dir
    dir=$(folder "$1")
    set -- make -s "-j$JOBS" BUILD="$dir" "$dir/test/ctime/ctime"
    case $dir in
        build/release) "$@" ;;
        *-cov) "$@" CONF=cov CC=gcc WERROR= ;;
        *-msan) "$@" CONF=msan CC=clang ;;
        *)
            # valgrind 3.19 does not read clang's DWARF 5.
            [ "$cc" = clang ] && cc='clang -gdwarf-4'
            # shellcheck disable=SC2016 # expanded by make
            # -Werror is for release's own level: other levels warn of other things.
            "$@" WERROR= CC="$cc" OPT_release="-$opt"' $(HARD)'
            ;;
    esac
}
watch() { # BUILD ARGUMENT...
    local b=$1 bin
    bin=$(folder "$b")/test/ctime/ctime
    shift
    case $b in
        msan) MSAN_OPTIONS=exit_code=99:halt_on_error=1 "$bin" "$@" ;;
        *) valgrind -q --error-exitcode=99 --num-callers=20 "$bin" "$@" ;;
    esac
}

# ---- 1. the list ----
if build cov >"$logs/cov.log" 2>&1; then
    dir=$(folder cov)
    find "$dir" -name '*.gcda' -delete
    if ! "$dir/test/ctime/ctime" --unwatched >"$logs/unwatched.log" 2>&1; then
        bad "the drivers, without a tool" "$logs/unwatched.log"
    elif CFLAGS="-I$dir/gen $(sed -n 's/^PKG_CFLAGS := //p' build/probe-gcc.mk)" "$python" \
        test/ctime/check.py "$dir" $SOURCES >"$logs/check.log" 2>&1; then
        good "$(tail -n 1 "$logs/check.log")"
    else
        bad "the list of secret-handling functions" "$logs/check.log"
    fi
else
    bad "the build with coverage" "$logs/cov.log"
fi

# ---- 2. the builds ----
for b in "$@"; do
    if [ "$b" = msan ] && ! grep -qw avx512ifma /proc/cpuinfo; then
        echo "skip msan: it is for AVX-512 IFMA, which this processor lacks"
        continue
    fi
    if ! build "$b" >"$logs/$b.build.log" 2>&1; then
        bad "$b does not build" "$logs/$b.build.log"
        continue
    fi
    built="${built-} $b"
done
parts='quorum daemon rows,primitives,libraries,multiplication,keeping platform plant,branch plant,index plant,compare
    plant,variable-time plant,lane'
# MSan calls no library: what one writes is unknown to it.
msan_parts='rows plant,branch plant,index plant,compare plant,lane'
parts_of() {
    [ "$1" = msan ] && echo "$msan_parts" || echo "$parts"
}
export -f watch folder
export logs
for b in ${built-}; do
    for part in $(parts_of "$b"); do echo "$b $part"; done
done | xargs -P "$JOBS" -L 1 bash -c '
    log=$logs/$0.$1
    watch "$0" $(tr , " " <<<"$1") >"$log.out" 2>"$log.err" </dev/null
    echo $? >"$log.rc"'
for b in ${built-}; do
    for part in $(parts_of "$b"); do
        log=$logs/$b.$part
        rc=$(cat "$log.rc")
        # The daemons' own log lines are no report.
        grep -v '^{' "$log.err" >"$log.report"
        name=${part//,/ }
        case $part in
            plant,*)
                if [ "$rc" = 99 ]; then
                    good "$b: ${name#plant } put there on purpose is reported"
                else
                    bad "$b: ${name#plant } put there on purpose is not reported" "$log.report"
                fi
                ;;
            *)
                if [ "$rc" = 0 ]; then
                    good "$b: $name"
                else
                    bad "$b: $name (status $rc): a branch or an address depends on a secret" "$log.report"
                fi
                ;;
        esac
    done
    [ "$b" = msan ] && continue
    if "$python" -B test/ctime/instructions.py "$(folder "$b")" >"$logs/$b.instructions" 2>&1; then
        good "$b: $(tail -n 1 "$logs/$b.instructions")"
    else
        bad "$b: object code" "$logs/$b.instructions"
    fi
done

# ---- 3. the boundary ----
echo "calls into other libraries, with secrets made public for the call (all builds together):"
cat "$logs"/*.out 2>/dev/null | sed -n 's/^boundary //p' | sort |
    awk -F '[ |]+' 'NR == FNR { if ($0 !~ /^#/ && NF) { why = $0; sub(/^[^|]*\| */, "", why); say[$1] = $2 ": " why } next }
        { calls[$1] += $2 }
        END { for (f in calls) printf "    %-52s %9d  %s\n", f, calls[f], (f in say) ? say[f] : "NOT IN THE TABLE" }' \
        test/ctime/boundary - | sort
echo "$pass passed, $fail failed"
[ $fail = 0 ]
