#!/bin/bash
# Gate: every test that test/ATTACKS.md names exists and runs, every row is there, every attack_* test
# is named in it, and each demonstration has its test.
set -u
cd "$(dirname "$0")/.." || exit 1
doc=test/ATTACKS.md
bad=0
say() {
    echo "$doc: $*"
    bad=1
}

# registered FILE FUNCTION: handed to cmocka in the same file
registered() {
    grep -Eq "cmocka_unit_test[a-z_]*\($2[,)]" "$1"
}

n=0
while IFS=: read -r file name; do
    n=$((n + 1))
    if [ ! -f "$file" ]; then
        say "$file does not exist"
    elif ! grep -Eq "^$name\(void \*\*state\)|^DEMO\(${name#test_demo_}\)" "$file"; then
        say "$file has no test $name"
    elif ! registered "$file" "$name"; then
        say "$file does not run $name"
    fi
done < <(grep -o '`[a-z0-9_/]*\.c:[a-z0-9_]*`' "$doc" | tr -d '`' | sort -u)
[ "$n" -gt 60 ] || say "only $n tests are named: has the form of the table changed?"

# paths that stand alone
for path in $(grep -o '`test/[a-z0-9_/.]*`' "$doc" | tr -d '`' | sort -u); do
    [ -e "$path" ] || say "$path does not exist"
done

for i in $(seq 1 33); do
    row=$(grep -c "^| $i |" "$doc")
    [ "$row" = 1 ] || say "row $i stands there $row times"
    grep "^| $i |" "$doc" | grep -Eq 'test/|does not apply' ||
        say "row $i has neither a test nor a reason"
done

# the other way round
for file in test/*/test_*.c; do
    for name in $(grep -Eo '^attack_[0-9][0-9]_[a-z0-9_]+' "$file"); do
        grep -q "\`$file:$name\`" "$doc" || say "$file:$name is not in it"
        i=${name#attack_}
        i=$((10#${i%%_*}))
        grep "^| $i |" "$doc" | grep -q ":$name\`" || say "$name is not in row $i"
    done
done
for name in $(sed -n 's/^ *{"\([a-z0-9_]*\)",.*/\1/p' test/common/attacks.c); do
    grep -q "test_demo_$name\`" "$doc" || say "the demonstration $name is not in it"
done

[ $bad = 0 ] && echo "attacks: $n tests named, all there"
exit $bad
