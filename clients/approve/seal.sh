#!/bin/sh
# Writes the hashes of the page's parts into its two documents, and SHA256SUMS.
#
# usage: clients/approve/seal.sh          after any change (of config.js, too)
#        clients/approve/seal.sh --check  says whether a copy is sealed; changes nothing
set -eu
cd "$(dirname "$0")"
parts="app.js btc.js bytes.js config.js enrol.js eth.js forms.js hash.js json.js page.js passkey.js request.js style.css words.js"

hash() {
    printf 'sha256-%s' "$(openssl dgst -sha256 -binary "$1" | openssl base64 -A)"
}

# The document with every reference to a part followed by the part's hash.
sealed() {
    sed -E 's/ integrity="[^"]*"//g' "$1" >"$2"
    for p in $parts; do
        h=$(hash "$p" | sed 's/[&|]/\\&/g')
        sed -E -i "s|((href\|src)=\"$p\")|\\1 integrity=\"$h\"|g" "$2"
    done
}

sums() {
    # shellcheck disable=SC2086  # names of ours, without spaces
    sha256sum $parts "$1" "$2" | sed -E "s|$1|enrol.html|; s|$2|index.html|" | LC_ALL=C sort -k2
}

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
sealed enrol.html "$dir/enrol.html"
sealed index.html "$dir/index.html"
sums "$dir/enrol.html" "$dir/index.html" >"$dir/SHA256SUMS"
if [ "${1:-}" = --check ]; then
    for f in enrol.html index.html SHA256SUMS; do
        cmp -s "$dir/$f" "$f" || {
            echo "seal: $f does not fit the parts; run clients/approve/seal.sh and look at what changed"
            exit 1
        }
    done
    echo "seal: ok, $(wc -l <SHA256SUMS) files"
    exit 0
fi
for f in enrol.html index.html SHA256SUMS; do
    cmp -s "$dir/$f" "$f" || cp "$dir/$f" "$f"
done
