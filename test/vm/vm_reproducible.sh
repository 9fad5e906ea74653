#!/bin/bash
# The image of this tree, built once more in another folder and on another date, is the same file.
set -eu
cd "$(dirname "$0")/../.."
made=$(deploy/image/cached.sh --path sim) || exit 1
ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 || {
    echo "FAILED: libfaketime is missing: deploy/deps.sh vm"
    exit 1
}
tmp=$(mktemp -d /var/tmp/quorate-again.XXXXXX)
trap 'rm -rf "$tmp"' EXIT
QUORATE_CLOCK=+400d deploy/image/cached.sh --again "$tmp/again" sim >/dev/null
for f in quorate.efi disk.raw files.txt packages.txt; do
    cmp "$made/$f" "$tmp/again/$f" || {
        echo "FAILED: $f differs"
        exit 1
    }
done
echo "ok: $(sha256sum <"$made/disk.raw" | cut -c1-16) disk.raw, twice, 400 days and a folder apart"
echo "1 passed, 0 failed"
