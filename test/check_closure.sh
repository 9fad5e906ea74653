#!/bin/bash
# Gate: what runs in a TEE besides libc stays small: the party, stripped, and every shared object it loads.
# Prints the table; `test/check_closure.sh --list` prints the files alone, for images.
# environment: BIN (default build/bin), CLOSURE_MAX (bytes). Exit 1 above the ceiling, or when something
# is loaded that has no business in a party.
set -u
cd "$(dirname "$0")/.." || exit 1
: "${BIN:=build/bin}"
# 12 MiB with Debian 12's libraries. Debian 13's OpenSSL 3.5 alone is 2.2 MB larger: 14 MiB there.
case $(openssl version 2>/dev/null) in
    'OpenSSL 3.0.'*) mib=12 ;;
    *) mib=14 ;;
esac
: "${CLOSURE_MAX:=$((mib * 1024 * 1024))}"
# libc's own parts; the loader is one of them.
libc='^(libc\.so\.6|libm\.so\.6|libpthread\.so\.0|libdl\.so\.2|librt\.so\.1|libresolv\.so\.2|ld-linux.*|linux-vdso.*)$'
# What libraries of the gateway bring along: HTTP, directories, Kerberos, text databases.
foreign='curl|microhttpd|gssapi|krb5|ldap|ssh|icu|nghttp|gnutls|idn|psl|tctildr'
f=$BIN/quorated
[ -x "$f" ] || {
    echo "check_closure: $f is not built"
    exit 1
}
declare -A at
while read -r name _ path _; do
    case $name in /*) path=$name name=${name##*/} ;; esac
    [[ $name =~ $libc ]] && continue
    case $path in /*) at[$name]=$path ;; *)
        echo "check_closure: $name is not found"
        exit 1
        ;;
    esac
done < <(LC_ALL=C ldd "$f")
if [ "${1-}" = --list ]; then
    printf '%s\n' "${at[@]}" | LC_ALL=C sort
    exit 0
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
total=0 bad=0
size() { # NAME PATH
    strip --strip-unneeded -o "$tmp/s" "$2" 2>/dev/null || cp -L "$2" "$tmp/s"
    local n
    n=$(stat -c %s "$tmp/s")
    total=$((total + n))
    printf '%9d  %s\n' "$n" "$1"
}
table=$(
    strip -o "$tmp/s" "$f"
    printf '%9d  %s\n' "$(stat -c %s "$tmp/s")" quorated
    for name in "${!at[@]}"; do size "$name" "${at[$name]}"; done
)
total=$(awk '{ s += $1 } END { print s }' <<<"$table")
sort -nr <<<"$table"
for name in "${!at[@]}"; do
    if grep -qE "$foreign" <<<"$name"; then
        echo "check_closure: a party loads $name"
        bad=1
    fi
done
printf '%9d  in all, of at most %d\n' "$total" "$CLOSURE_MAX"
[ "$total" -le "$CLOSURE_MAX" ] || {
    echo "check_closure: above the ceiling"
    bad=1
}
[ $bad = 0 ] && echo "check_closure: ok"
exit $bad
