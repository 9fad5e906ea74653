#!/bin/bash
# Proves README's promise on a new machine: makes a minimal Debian in a folder, with git, make and
# nothing else of ours, clones this repository's HEAD into it, runs `make demo` against the clock,
# and then `make test`.
#
# usage: test/fresh.sh SUITE [demo|test|build]      SUITE: bookworm (12) or trixie (13)
#   demo   only `make demo`;  build  only `make all tests`;  without it: demo, then test
# environment: FRESH_LIMIT=180  seconds that `make demo` may take, installs included
#              FRESH_KEEP=1     leave the system in build/fresh/SUITE
# Needs root (chroot), debootstrap, and this machine's package sources, which are read from its apt
# configuration; the suite need not be this machine's own.
set -eu
cd "$(dirname "$0")/.."
suite=${1:?usage: test/fresh.sh SUITE [demo|test|build]}
what=${2:-both}
limit=${FRESH_LIMIT:-180}
top=$PWD
vectors=${QUORATE_VECTORS:-$top/../shared/vectors}
root=$top/build/fresh/$suite
base=$top/build/fresh/$suite.tar
mkdir -p build/fresh

[ "$(id -u)" = 0 ] || {
    echo "fresh: needs root for chroot" >&2
    exit 1
}
deploy/deps.sh fresh

# The archive this machine takes its own suite's main component from.
own=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
mirror=$(apt-get indextargets --format '$(SITE) $(CODENAME) $(COMPONENT) $(CREATED_BY)' 2>/dev/null |
    awk -v s="$own" '$2 == s && $3 == "main" && $4 == "Packages" { print $1; exit }')
[ -n "$mirror" ] || {
    echo "fresh: apt knows no archive for $own; run apt-get update once" >&2
    exit 1
}

# /proc is all that is mounted inside; debootstrap makes the device nodes.
remove() {
    if mountpoint -q "$root/proc"; then umount -l "$root/proc"; fi
    rm -rf --one-file-system "$root"
}
finish() {
    if [ "${FRESH_KEEP-}" != 1 ]; then remove; fi
}
trap finish EXIT
remove # what a killed run may have left
mkdir -p "$root"

# The minimal system is the same every time: made once, kept as an archive for a week.
if [ -n "$(find "$base" -mtime -7 2>/dev/null)" ]; then
    tar -xf "$base" -C "$root"
else
    echo "fresh: making a minimal $suite"
    debootstrap --variant=minbase --include=ca-certificates,git,make "$suite" "$root" "$mirror" \
        >"build/fresh/$suite.debootstrap.log" 2>&1 || {
        tail -n 20 "build/fresh/$suite.debootstrap.log" >&2
        exit 1
    }
    # debootstrap leaves its downloads and lists; a new machine has neither.
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
    tar -cf "$base.new" -C "$root" .
    mv "$base.new" "$base"
fi

apt-config dump | grep -E '^Acquire::(http|https)::(Proxy|CaInfo)' \
    >"$root/etc/apt/apt.conf.d/90fresh" || true
cp /etc/resolv.conf "$root/etc/resolv.conf"
# An installed Debian has this file; debootstrap does not write it.
printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
# Certificates that this machine trusts besides Debian's, for archives behind a proxy of one's own.
if [ -d /usr/local/share/ca-certificates ]; then
    cp -a /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/"
fi
mount -t proc proc "$root/proc"

git clone -q --no-local --depth 1 "file://$top" "$root/src/quorate" 2>/dev/null ||
    git clone -q --no-hardlinks "$top" "$root/src/quorate"
if [ -d "$vectors" ]; then
    mkdir -p "$root/src/shared"
    cp -r "$vectors" "$root/src/shared/vectors"
fi

inside() {
    chroot "$root" /usr/bin/env -i HOME=/root LC_ALL=C.UTF-8 \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
        sh -c "cd /src/quorate && $1" </dev/null
}
fail=0
step() {
    local name=$1 t=$SECONDS
    shift
    if "$@" >"build/fresh/$suite.$name.log" 2>&1; then
        echo "fresh: $suite: $name ok in $((SECONDS - t)) s"
    else
        echo "fresh: $suite: $name FAILED after $((SECONDS - t)) s; build/fresh/$suite.$name.log ends:"
        tail -n 40 "build/fresh/$suite.$name.log" | sed 's/^/    | /'
        fail=1
    fi
    took=$((SECONDS - t))
}
case $what in
    build) step build inside 'make all tests' ;;
    both | demo)
        step demo inside 'make demo'
        if [ $fail = 0 ] && [ "$took" -gt "$limit" ]; then
            echo "fresh: $suite: make demo took $took s; the promise is $limit s"
            fail=1
        fi
        ;;
esac
case $what in both | test) step test inside 'make test' ;; esac
exit $fail
