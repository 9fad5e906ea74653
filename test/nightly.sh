#!/bin/bash
# What does not fit into .ci/run: at most four hours on two cores, and fuzzing, half an hour for each of
# more than 50 targets: half a day more on two cores, less on more. FUZZ_SECONDS=60 makes that half an
# hour in all. Through `make nightly`.
# Nothing is left out silently: a part that cannot run here says why and is counted.
# Last line: `N passed, N failed`.
set -u
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C.UTF-8
LOGS=build/nightly
# shellcheck source=test/steps.sh
. test/steps.sh

step deps 900 deploy/deps.sh dev
# First, on a machine that has done nothing yet: the figures.
step bench 1800 make bench
step bench-format 30 python3 -B test/check_bench.py build/bench
# An hour of it are parties killed a hundred times at every write.
step test 7200 env QR_TEST_LONG=1 TIME_LIMIT=1100 E2E_LIMIT=3600 make test
# The rungs of the ladder that need a software TPM or guests; what those are made of, first.
step swtpm 600 make test-swtpm
step swtpm-asan 1200 make CONF=asan test-swtpm
if [ "$(id -u)" = 0 ]; then
    step artefacts 7200 make artefacts
    step vm 3600 make test-vm
    step nitro 3600 make test-nitro
else
    skip vm 'making images needs root'
fi
# Every single allocation of SQLite's and the JSON reader's; `test` tried all of our own, and some of these.
step anomaly 5400 sh -ec 'for name in SQLite jansson "heap, 40 in a row"; do
    ANOMALY_NAME="$name" ANOMALY_CASES=1000000 build/release/test/daemon/test_anomaly_alloc
done'
if [ "$(id -u)" = 0 ]; then
    step fresh-bookworm 1200 test/fresh.sh bookworm
    step fresh-trixie 1200 test/fresh.sh trixie
else
    skip fresh 'test/fresh.sh needs root'
fi
# 36 kinds of faults in all their pairs, 15 times over; a million signatures.
step sim 14400 make sim SEEDS="${SIM_SEEDS:-10000}"
step mutants 3600 env QR_TEST_LONG=1 make mutants
step proofs 3600 make proofs PROOFS_LONG=1
step sim-asan 3600 make CONF=asan sim SEEDS=300
# All of it; .ci/run builds what has checks of its own.
step verify 3600 make CONF=verify check
step asan 3600 env QR_TEST_LONG=1 TIME_LIMIT=3500 make CONF=asan check
step tsan 3600 make tsan
step integer 1800 make integer
step asan-quorum 1800 env PATIENCE=4 test/sanitized.sh asan
# Half an hour a target, as many at a time as there are processors.
: "${FUZZ_SECONDS:=1800}"
targets=$(find test/fuzz -name 'fuzz_*.c' | wc -l)
step fuzz $((FUZZ_SECONDS * (targets / $(nproc) + 2) + 1800)) make fuzz FUZZ_SECONDS="$FUZZ_SECONDS"
step fuzz-coverage 1800 make fuzz-coverage
step ctime 1800 make ctime CTIME='gcc-O2 gcc-O3 clang-O2 clang-O3 msan'
# 100,000 samples a class; fewer of what takes long (test/ctime/dudect_targets.c).
step dudect 1800 make dudect DUDECT=100000
step coverage 1200 make coverage
step lint 1200 make lint
finish
