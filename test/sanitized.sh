#!/bin/bash
# End-to-end tests with daemons built under a sanitizer: `test/sanitized.sh tsan|asan [SCRIPT...]`, by
# default a quorum's whole life (test/e2e/lifecycle.py). Fails when a test fails or a daemon reports.
#
# A sanitizer's runtime reads its own maps, starts a thread that looks on, and calls a program to name
# addresses: what the system call filter is there to forbid. A library put in front of the daemons
# makes loading the filter, and giving up being traced, do nothing. Product code has no such switch.
set -u
cd "$(dirname "$0")/.." || exit 1
conf=${1-}
case $conf in
    tsan | asan) shift ;;
    *)
        sed -n '2,3s/^# *//p' "$0" >&2
        exit 2
        ;;
esac
[ $# != 0 ] || set -- test/e2e/lifecycle.py
make -s CONF="$conf" all || exit 1
dir=build/$conf/sanitized
rm -rf "$dir"
mkdir -p "$dir"
cat >"$dir/unbound.c" <<'C'
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int seccomp_load(void *filter);
int
seccomp_load(void *filter)
{
    (void)filter;
    return 0;
}
int
prctl(int option, ...)
{
    va_list ap;
    va_start(ap, option);
    unsigned long a = va_arg(ap, unsigned long), b = va_arg(ap, unsigned long);
    unsigned long c = va_arg(ap, unsigned long), d = va_arg(ap, unsigned long);
    va_end(ap);
    return option == PR_SET_DUMPABLE ? 0 : (int)syscall(SYS_prctl, option, a, b, c, d);
}
C
cc -shared -fPIC -O1 -Wall -Wextra -Werror -o "$dir/unbound.so" "$dir/unbound.c" || exit 1
export LD_PRELOAD=$PWD/$dir/unbound.so
log=$PWD/$dir/report
export TSAN_OPTIONS="log_path=$log suppressions=$PWD/test/tsan.supp history_size=4 exitcode=66"
export ASAN_OPTIONS="log_path=$log verify_asan_link_order=0 detect_leaks=1"
export UBSAN_OPTIONS="log_path=$log print_stacktrace=1"
export BIN=$PWD/build/$conf/bin
pass=0 fail=0
for script; do
    since=$SECONDS
    if python3 -B "$script" >"$dir/$(basename "$script").log" 2>&1; then
        pass=$((pass + 1))
        echo "ok   $script under $conf, $((SECONDS - since)) s"
    else
        fail=$((fail + 1))
        echo "FAIL $script under $conf"
        tail -n 40 "$dir/$(basename "$script").log"
    fi
done
unset LD_PRELOAD
if compgen -G "$log.*" >/dev/null; then
    fail=$((fail + 1))
    echo "FAIL reports of the sanitizer:"
    grep -h -A 40 -E 'WARNING|ERROR|runtime error' "$log".* | head -n 200
else
    pass=$((pass + 1))
    echo "ok   no reports"
fi
echo "$pass passed, $fail failed"
[ $fail = 0 ]
