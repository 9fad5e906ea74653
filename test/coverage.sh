#!/bin/bash
# Lines and branches that the quick set reached, by layer, from the build that `make coverage` ran.
# environment: BUILD=build/cov
set -eu
cd "$(dirname "$0")/.."
: "${BUILD:=build/cov}"
for layer in protocol/base proto protocol transport enclave-shim/verify enclave-shim daemon; do
    find "$BUILD/$layer" -maxdepth 1 -name '*.gcda' -print0 2>/dev/null |
        xargs -0 -r gcov -n -b -r 2>/dev/null |
        awk -v layer="$layer" '
            /^File / { own = index($0, "\047" layer "/") && /\.c\047$/ }
            own && /^Lines executed/ { split($2, a, "[:%]"); n = $4; l += a[2] * n / 100; ln += n }
            own && /^Branches executed/ { bn += $4 }
            own && /^Taken at least once/ { split($4, a, "[:%]"); b += a[2] * $6 / 100 }
            END { if (ln) printf "%-16s lines %5.1f %% of %5d   branches %5.1f %% of %5d\n",
                      layer, 100 * l / ln, ln, bn ? 100 * b / bn : 0, bn }'
done
