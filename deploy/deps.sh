#!/bin/sh
# Installs the Debian packages that building, testing or working on Quorate needs.
#
# usage: deploy/deps.sh [--list|--check] [build|dev|vm|fresh|clients]
#   build   (default) compiler, libraries, and what `make test` and `make demo` run
#   dev     build, and what `make test-swtpm`, the gates, the fuzzers and `make nightly` run
#   vm      dev, and what `make artefacts`, `make test-vm` and `make test-nitro` run
#   fresh   build, and what test/fresh.sh needs to make a minimal system
#   clients build, and what `make test-clients` runs; Node.js 20 or later comes on top (12 has an older one)
#   --list  prints the packages; --check prints those missing and fails if there are any
#
# Nothing missing: one dpkg-query and no output. Something missing: says what it does and installs
# it, as root or through sudo. On a system without dpkg it prints the list and goes on, so that the
# build fails at the first missing header and not here.
set -eu

build='gcc libc6-dev make git ca-certificates pkg-config protobuf-c-compiler
libsecp256k1-dev libsodium-dev libssl-dev libnng-dev libprotobuf-c-dev libzstd-dev
libmicrohttpd-dev libcurl4-openssl-dev libjansson-dev libinih-dev libsqlite3-dev libseccomp-dev libcbor-dev libtss2-dev libcmocka-dev
openssl curl python3 procps'
dev='clang clang-format clang-tidy cppcheck llvm valgrind python3-clang shellcheck spin
mmdebstrap swtpm swtpm-tools tpm2-tools'
vm='qemu-system-x86 qemu-system-data seabios ovmf mtools dosfstools cpio xz-utils kmod binutils bc flex bison libelf-dev
libglib2.0-dev libpixman-1-dev libfdt-dev libslirp-dev libgnutls28-dev zlib1g-dev ninja-build python3-venv
swtpm swtpm-tools mmdebstrap iproute2 libfaketime'
fresh='debootstrap'
clients='chromium awscli python3-boto3 openssl curl'

mode=install
case ${1-} in
    --list | --check)
        mode=${1#--}
        shift
        ;;
esac
case ${1-build} in
    build) want=$build ;;
    dev) want="$build $dev" ;;
    vm) want="$build $dev $vm" ;;
    fresh) want="$build $fresh" ;;
    clients) want="$build $clients" ;;
    *)
        sed -n '2,13s/^# \{0,1\}//p' "$0" >&2
        exit 2
        ;;
esac

if [ "$mode" = list ]; then
    # shellcheck disable=SC2086 # a list of words
    printf '%s\n' $want
    exit 0
fi

if ! command -v dpkg-query >/dev/null 2>&1; then
    # shellcheck disable=SC2086
    echo "deps: no dpkg on this system; Quorate needs what Debian calls:" $want >&2
    exit 0
fi

# clang's sanitizer and fuzzer runtime is a package of its own, named after the compiler's version.
case ${1-build} in dev | vm) clang_set=1 ;; *) clang_set=0 ;; esac
if [ $clang_set = 1 ]; then
    v=$(clang --version 2>/dev/null | sed -n '1s/.*version \([0-9]*\).*/\1/p')
    [ -z "$v" ] || want="$want libclang-rt-$v-dev"
fi

missing() {
    # shellcheck disable=SC2086
    have=$(dpkg-query -W -f '${db:Status-Status} ${Package} ${Provides}\n' 2>/dev/null |
        sed -n 's/^installed //p' | tr ', ' '\n\n')
    for p in $want; do
        printf '%s\n' "$have" | grep -qxF "$p" || printf '%s ' "$p"
    done
}
lacking=$(missing)
[ -n "$lacking" ] || exit 0
if [ "$mode" = check ]; then
    echo "$lacking"
    exit 1
fi

sudo=
if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null 2>&1; then
        sudo=sudo
    else
        echo "deps: missing: $lacking" >&2
        echo "deps: run as root: apt-get install --no-install-recommends $lacking" >&2
        exit 1
    fi
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -o Dpkg::Use-Pty=0 -q "$@" \
        >"$log" 2>&1 </dev/null
}
echo "deps: installing $lacking"
# Package lists may be absent or old on a new machine. One source that fails to refresh is no reason
# to stop: the install that follows is what counts.
apt update || echo "deps: apt-get update had errors; going on" >&2
# shellcheck disable=SC2086
if ! apt install -y --no-install-recommends $lacking; then
    cat "$log" >&2
    echo "deps: apt-get install failed (above)" >&2
    exit 1
fi
# Now that there is a clang, its runtime has a name.
if [ $clang_set = 1 ] && command -v clang >/dev/null 2>&1; then
    v=$(clang --version | sed -n '1s/.*version \([0-9]*\).*/\1/p')
    if ! dpkg-query -W -f '${db:Status-Status}' "libclang-rt-$v-dev" 2>/dev/null |
        grep -qx installed; then
        apt install -y --no-install-recommends "libclang-rt-$v-dev" || {
            cat "$log" >&2
            exit 1
        }
    fi
fi
