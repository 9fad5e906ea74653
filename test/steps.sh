#!/bin/bash
# Steps of a longer run, for .ci/run and test/nightly.sh; sourced, not run.
#
#   step NAME SECONDS COMMAND...   runs it with a time limit; its output goes to $LOGS/NAME.log, its
#                                  end to the terminal when it fails. Later steps run all the same.
#   skip NAME REASON               says that something was left out, and why; it is counted.
#   finish                         the summary; last line `N passed, N failed`; exit status
#
# A step whose output closes with `N passed, N failed` counts that many cases, any other step one.
: "${LOGS:?folder of the log files}"
rm -rf "$LOGS"
mkdir -p "$LOGS"
steps_pass=0 steps_fail=0 steps_skip=0 steps_failed=

step() {
    local name=$1 limit=$2 start=$SECONDS rc=0 last p f
    shift 2
    timeout -k 20 "$limit" "$@" >"$LOGS/$name.log" 2>&1 </dev/null || rc=$?
    last=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$LOGS/$name.log" | tail -n 1)
    p=$(sed -n 's/^\([0-9]*\) passed.*/\1/p' <<<"$last")
    f=$(sed -n 's/.* passed, \([0-9]*\) failed.*/\1/p' <<<"$last")
    if [ -z "$p" ]; then
        p=1 f=0
        if [ $rc != 0 ]; then p=0 f=1; fi
    elif [ $rc != 0 ] && [ "$f" = 0 ]; then
        f=1
    fi
    steps_pass=$((steps_pass + p)) steps_fail=$((steps_fail + f))
    if [ $rc = 0 ] && [ "$f" = 0 ]; then
        printf 'ok   %-18s %5d s  %s\n' "$name" $((SECONDS - start)) "$last"
        return 0
    fi
    steps_failed="$steps_failed $name"
    printf 'FAIL %-18s %5d s  exit %d%s\n' "$name" $((SECONDS - start)) $rc \
        "$([ $rc != 124 ] || echo ", stopped after $limit s")"
    # A runner's own report of its failures if there is one, else the end.
    { grep -E -A 20 '^FAIL' "$LOGS/$name.log" || tail -n 60 "$LOGS/$name.log"; } | head -n 200 |
        sed 's/^/    | /'
    return 0
}

skip() {
    steps_skip=$((steps_skip + 1))
    printf 'skip %-18s          %s\n' "$1" "$2"
}

finish() {
    echo
    echo "time: $SECONDS s; logs: $LOGS; left out: $steps_skip"
    [ -z "$steps_failed" ] || echo "failed:$steps_failed"
    echo "$steps_pass passed, $steps_fail failed"
    [ "$steps_fail" = 0 ] && [ "$steps_pass" != 0 ]
}
