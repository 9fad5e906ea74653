#!/bin/bash
# Static analysis: clang-tidy, cppcheck and gcc's -fanalyzer over the product, the first two, with
# lighter checks, over tests and benches as well, shellcheck over the scripts.
#
#   test/lint.sh [TOOL...]     of shellcheck cppcheck clang-tidy fanalyzer; all without (`make lint`)
#
# What a tool finds is either mended or stands in test/lint.exceptions with the reason why it is
# wrong; test/lint_judge.py fails on anything else, and on an exception that no longer occurs.
# Last line: `N passed, N failed`, a tool counting as one.
set -u
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C
: "${BUILD:=build/release}" "${JOBS:=$(nproc)}"
OUT=$BUILD/lint
FLAGS="-std=c11 -D_GNU_SOURCE -I. -I$BUILD/gen"
mkdir -p "$OUT"
product=$(ls protocol/base/*.c proto/*.c protocol/*.c transport/*.c enclave-shim/*/*.c enclave-shim/*.c daemon/*.c)
# Fuzz targets are clang's own kind of program; what they share with the rest is in test/common.
tests=$(printf '%s\n' test/*/*.c bench/*.c | grep -v '^test/fuzz/')

run_cppcheck() {
    # cppcheck reads the system's headers badly; the library it needs to know is test/lint.cfg.
    cppcheck --quiet --std=c11 --language=c -j "$JOBS" -D_GNU_SOURCE -D__x86_64__ -DPROTOBUF_C_VERSION_NUMBER=1004001 \
        -DPROTOBUF_C_MIN_COMPILER_VERSION=0 -I. "-I$BUILD/gen" --library=test/lint.cfg --suppress=missingIncludeSystem \
        --suppress='*:*/gen/*' --template='cppcheck|{id}|{file}|{line}|{message}' "$@" 2>&1
}
tool_cppcheck() {
    # shellcheck disable=SC2086 # lists of words
    run_cppcheck --enable=warning,portability,performance $product &&
        run_cppcheck --enable=warning,portability --suppress=nullPointerRedundantCheck --suppress=uninitvar \
            --suppress=uninitStructMember --suppress=uninitdata --suppress=legacyUninitvar --suppress=autoVariables --suppress=arrayIndexOutOfBoundsCond \
            --suppress=nullPointerArithmeticRedundantCheck $tests
}
# The checks are those of .clang-tidy and test/.clang-tidy. Warnings come once a file that includes a header.
tool_clang-tidy() {
    # shellcheck disable=SC2016 # expands in the inner shell
    printf '%s\n' $product $tests | FLAGS="$FLAGS" xargs -n 4 -P "$JOBS" sh -c '
        clang-tidy --quiet "$@" -- $FLAGS $(pkg-config --cflags libmicrohttpd) 2>/dev/null || :' lint |
        sed -nE "s~^($PWD/|\./)?([^:]*):([0-9]+):[0-9]+: (warning|error): (.*) \[([^],]*)(,-warnings-as-errors)?\]\$~clang-tidy|\6|\2|\3|\5~p"
}
# With the compiler's own inlining, but for field arithmetic, which then has more paths than time.
tool_fanalyzer() {
    # shellcheck disable=SC2016
    printf '%s\n' $product | FLAGS="$FLAGS" xargs -n 1 -P "$JOBS" sh -c '
        case $1 in protocol/fq.c) o=-O0 ;; *) o=-O1 ;; esac
        gcc $FLAGS $o -fanalyzer -fdiagnostics-plain-output -c -o /dev/null "$1" 2>&1' lint |
        sed -nE 's~^(\./)?([^:]*):([0-9]+):[0-9]+: (warning|error): (.*) \[(CWE-[0-9]+\] \[)?-W([^]]*)\]$~fanalyzer|\7|\2|\3|\5~p'
}
version() {
    case $1 in
        cppcheck) cppcheck --version | sed 's/^Cppcheck //' ;;
        clang-tidy) clang-tidy --version | sed -n 's/.*version \([0-9]*\).*/\1/p' ;;
        fanalyzer) gcc -dumpversion | sed 's/\..*//' ;;
    esac
}

[ $# != 0 ] || set -- shellcheck cppcheck clang-tidy fanalyzer
pass=0 fail=0
for tool; do
    since=$SECONDS
    case $tool in
        shellcheck)
            git ls-files '*.sh' .ci/run test/run | xargs shellcheck -x -S warning
            ;;
        cppcheck | clang-tidy | fanalyzer)
            "tool_$tool" | sort -u >"$OUT/$tool"
            python3 -B test/lint_judge.py "$tool" "$(version "$tool")" "$OUT/$tool"
            ;;
        *)
            sed -n '5p' "$0" >&2
            exit 2
            ;;
    esac
    # shellcheck disable=SC2181
    if [ $? = 0 ]; then
        pass=$((pass + 1))
        echo "ok   $tool, $((SECONDS - since)) s"
    else
        fail=$((fail + 1))
        echo "FAIL $tool, $((SECONDS - since)) s"
    fi
done
echo "$pass passed, $fail failed"
[ $fail = 0 ]
