#!/bin/bash
# Gate: what the documents say exists, exists; nothing in the tree is unfinished or tied to one machine.
#   - every `make TARGET` named in a document or a script is a target of the Makefile
#   - every path below a folder of the tree, and every link between documents, exists
#   - no @@PLACEHOLDER@@, no mark of unfinished work, no path of this machine, no package mirror
#   - no file above 1 MiB
# Prints each violation; exit 1 if there is one.
set -u
cd "$(dirname "$0")/.." || exit 1
n=0
bad() {
    echo "$1"
    n=$((n + 1))
}
mapfile -t all < <(git ls-files -co --exclude-standard | while read -r f; do
    [ ! -f "$f" ] || echo "$f"
done)
mapfile -t docs < <(printf '%s\n' "${all[@]}" | grep -E '\.md$')
me=test/check_docs.sh

# Targets. In documents: between backquotes or at the start of a line of a code block.
targets=" $(sed -n 's/^\([a-z][a-z-]*\):.*/\1/p' Makefile | tr '\n' ' ')"
while IFS=: read -r file line words; do
    t=
    for w in $words; do
        case $w in
            make | *=* | -*) ;;
            *)
                t=$w
                break
                ;;
        esac
    done
    [[ -z $t || ! $t =~ ^[a-z][a-z-]*$ || $targets == *" $t "* ]] ||
        bad "$file:$line: \`make $t\`: the Makefile has no such target"
done < <(grep -noE '(`|^ *(\$ )?)make [A-Za-z0-9_=/" .-]+' "${docs[@]}" /dev/null | tr -d '`$"')

# Paths between backquotes, from the repository's root or from the document's folder. A path with a
# placeholder (X, <, *, {) is a pattern and not looked up.
top='(protocol|proto|transport|enclave-shim|daemon|test|bench|deploy|\.ci)'
while IFS=: read -r file line path; do
    path=${path#\`}
    path=${path%%[\` ]*}
    case $path in *[\*\<\{X\$]* | *...*) continue ;; esac
    path=${path%%#*}
    path=${path%[.,:;]}
    path=${path%:[a-z_]*} # file:function
    [ -e "$path" ] || [ -e "$(dirname "$file")/$path" ] || bad "$file:$line: $path does not exist"
done < <(grep -noE "\`$top/[^\` ]*" "${docs[@]}" /dev/null)

# Links between documents.
while IFS=: read -r file line target; do
    target=${target#*](}
    target=${target%)}
    target=${target%%#*}
    case $target in '' | http:* | https:* | mailto:*) continue ;; esac
    [ -e "$(dirname "$file")/$target" ] || bad "$file:$line: link to $target, which does not exist"
done < <(grep -noE '\]\([^)]+\)' "${docs[@]}" /dev/null)

# Words that have no place anywhere.
show() {
    local what=$1 pattern=$2
    shift 2
    local hits
    hits=$(printf '%s\n' "${all[@]}" | grep -vxF -e "$me" -e LICENSE | tr '\n' '\0' |
        xargs -0 grep -nIE "$@" -e "$pattern" | head -n 10)
    [ -z "$hits" ] || bad "$what:
$hits"
}
show 'a placeholder was left' '@@[A-Z0-9_]+@@'
show 'marks of unfinished work' '\b(TODO|FIXME|XXX|HACK)\b'
parent=$(dirname "$PWD")
[ "$parent" = / ] || show 'a path of this machine' "(^|[^A-Za-z0-9_.])${parent//./\\.}/"
hosts=$(grep -rhoE 'https?://[A-Za-z0-9.-]+' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null |
    sed -E 's#https?://##; s#\.#\\.#g' | sort -u | paste -sd '|')
[ -z "$hosts" ] || show 'a package mirror is named' "$hosts"

while read -r size file; do
    bad "$file: $size bytes; nothing above 1 MiB belongs here"
done < <(printf '%s\0' "${all[@]}" | xargs -0 stat -c '%s %n' | awk '$1 > 1048576')

if [ $n != 0 ]; then
    echo "check_docs: $n violations"
    exit 1
fi
echo "check_docs: ok, ${#docs[@]} documents"
