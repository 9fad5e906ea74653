#!/bin/sh
# Makes what is expensive once: foreign-suite systems, kernels, emulators, oracles.
#
# usage: deploy/artefact.sh path NAME FILE...            prints build/artefacts/NAME-HASH
#        deploy/artefact.sh chroot NAME SUITE PACKAGE... makes a minimal Debian there, prints its path
#        deploy/artefact.sh run ROOT [-b HOST:INSIDE]... -- COMMAND...
#
#   path    HASH is the first 12 hex digits of SHA-256 over the recipe: each FILE's name and content.
#           A changed recipe is another artefact; nothing is ever rebuilt in place.
#   chroot  HASH is over this file, the suite and the packages. Packages NAME:arm64 make arm64 a
#           second architecture. The sources are those of this machine's own apt (site and proxy).
#   run     runs COMMAND inside ROOT in a mount namespace of its own, with /proc, /dev and the folders
#           bound by -b: nothing stays mounted when it ends, however it ends.
# Other scripts source it (`. deploy/artefact.sh`) for the functions. Root is needed for chroot and run.
set -eu

ARTEFACTS=${ARTEFACTS:-build/artefacts}

artefact_path() { # NAME FILE...
    _name=$1
    shift
    _hash=$(for _f in "$@"; do
        printf '%s\n' "$_f"
        cat "$_f"
    done | sha256sum | cut -c1-12)
    printf '%s/%s-%s\n' "$ARTEFACTS" "$_name" "$_hash"
}

# The archive that this machine's apt uses for SUITE's like of its own release ("" or "-security").
artefact_site() { # SUFFIX
    _own=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    # shellcheck disable=SC2016 # apt's own variables
    apt-get indextargets --format '$(SITE) $(CODENAME) $(COMPONENT) $(CREATED_BY)' 2>/dev/null |
        awk -v s="$_own$1" '$2 == s && $3 == "main" && $4 == "Packages" { print $1; exit }'
}

artefact_root() {
    [ "$(id -u)" = 0 ] || {
        echo "artefact: needs root, for mounts and chroot" >&2
        exit 1
    }
}

artefact_chroot() { # NAME SUITE PACKAGE...
    artefact_root
    _name=$1 _suite=$2
    shift 2
    _hash=$({
        cat deploy/artefact.sh
        printf '%s\n' "$_suite" "$@"
    } | sha256sum | cut -c1-12)
    _dir=$ARTEFACTS/$_name-$_hash
    if [ -d "$_dir" ]; then
        printf '%s\n' "$_dir"
        return
    fi
    mkdir -p "$ARTEFACTS"
    # One maker at a time; the second finds it made.
    exec 9>"$ARTEFACTS/.$_name.lock"
    flock 9
    if [ ! -d "$_dir" ]; then
        command -v mmdebstrap >/dev/null || {
            echo "artefact: mmdebstrap is missing: deploy/deps.sh vm" >&2
            exit 1
        }
        _site=$(artefact_site '') _sec=$(artefact_site -security)
        [ -n "$_site" ] || {
            echo "artefact: apt knows no archive of this machine's own suite; run apt-get update" >&2
            exit 1
        }
        # Debian's own keys sign all its suites.
        _key='[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]'
        _list=$_dir.$$.list _tmp=$_dir.new.$$
        {
            for _t in deb deb-src; do
                echo "$_t $_key $_site $_suite main"
                echo "$_t $_key $_site $_suite-updates main"
                [ -z "$_sec" ] || echo "$_t $_key $_sec $_suite-security main"
            done
        } >"$_list"
        _arch=$(dpkg --print-architecture) _inc=
        for _p in "$@"; do
            case $_p in *:arm64) case $_arch in *arm64*) ;; *) _arch=$_arch,arm64 ;; esac ;; esac
            _inc=$_inc${_inc:+,}$_p
        done
        echo "artefact: making $_dir" >&2
        rm -rf --one-file-system "$_tmp"
        nice -n 15 mmdebstrap --quiet --mode=root --variant=apt --architectures="$_arch" \
            --include="$_inc" --aptopt='APT::Install-Recommends "false"' \
            --customize-hook='cp /etc/resolv.conf "$1/etc/resolv.conf"' \
            "$_suite" "$_tmp" "$_list" >"$_dir.log" 2>&1 || {
            tail -n 30 "$_dir.log" >&2
            rm -rf --one-file-system "$_tmp"
            exit 1
        }
        rm -f "$_list"
        mv "$_tmp" "$_dir"
    fi
    exec 9>&-
    printf '%s\n' "$_dir"
}

artefact_run() { # ROOT [-b HOST:INSIDE]... -- COMMAND...
    artefact_root
    # The inner shell mounts, then becomes the command.
    # shellcheck disable=SC2016
    ${ARTEFACT_EXEC:+exec} unshare --mount --propagation private sh -euc '
        root=$1
        shift
        while [ "$1" != -- ]; do
            mkdir -p "$root${2#*:}"
            mount --bind "${2%%:*}" "$root${2#*:}"
            shift 2
        done
        shift
        mount -t proc proc "$root/proc"
        mount --bind /dev "$root/dev"
        exec chroot "$root" /usr/bin/env -i HOME=/root LC_ALL=C.UTF-8 TZ=UTC \
            PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
            ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
            ${SOURCE_DATE_EPOCH:+SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH"} "$@"
    ' artefact "$@"
}

case ${0##*/} in
    artefact.sh)
        cd "$(dirname "$0")/.."
        verb=${1-}
        [ $# -lt 2 ] || shift
        case $verb in
            path) artefact_path "$@" ;;
            chroot) artefact_chroot "$@" ;;
            run)
                # In the place of this process, so that a signal meant for the command reaches it.
                ARTEFACT_EXEC=1
                artefact_run "$@"
                ;;
            *)
                sed -n '2,15s/^# \{0,1\}//p' "$0" >&2
                exit 2
                ;;
        esac
        ;;
esac
