#!/bin/bash
# Gate: test/verify/HOSTILE.md has a row for every number of the list of hostile evidence, each with a
# test or a reason; every test that it names exists and runs; and where a row of a table of documents
# is named, ("its words") behind the test, those words stand in the tests.
set -u
cd "$(dirname "$0")/.." || exit 1
doc=test/verify/HOSTILE.md
rows=114
bad=0
say() {
    echo "$doc: $*"
    bad=1
}

n=0
while IFS=: read -r file name; do
    n=$((n + 1))
    if [ ! -f "$file" ]; then
        say "$file does not exist"
    elif ! grep -Eq "^$name\(void \*\*state\)" "$file"; then
        say "$file has no test $name"
    elif ! grep -Eq "(cmocka_unit_test[a-z_]*|[A-Z_]+)\(${name}[,)]" "$file"; then
        say "$file does not run $name"
    fi
done < <(grep -o '`test/[a-z0-9_/]*\.c:[a-z0-9_]*`' "$doc" | tr -d '`' | sort -u)
[ "$n" -gt 30 ] || say "only $n tests are named: has the form of the table changed?"

w=0
while read -r words; do
    w=$((w + 1))
    grep -qF -- "\"$words" test/verify/*.c test/verify/*.def test/common/*.c ||
        say "no test has a document \"$words\""
done < <(grep -o '("[^"]*")' "$doc" | sed 's/^("//; s/")$//' | sort -u)

for i in $(seq 1 $rows); do
    row=$(grep -c "^| $i |" "$doc")
    [ "$row" = 1 ] || say "row $i stands there $row times"
    grep "^| $i |" "$doc" | grep -Eq '`test/[a-z0-9_/]*\.c:|does not apply' ||
        say "row $i has neither a test nor a reason"
done

[ $bad = 0 ] && echo "hostile: $rows rows, $n tests and $w documents named, all there"
exit $bad
