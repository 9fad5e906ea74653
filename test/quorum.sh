# shellcheck shell=sh
# A real quorum on this machine: n parties in software TEEs, a gateway each, one administrator, one
# client. Sourced by test/demo.sh, bench/run.sh and the shell tests; needs BIN (the programs' folder).
#
#   quorum_start DIR N [POOL_LOW POOL_HIGH STANDBY]   processes, roster, policy; QUORUM_SECRET: the
#                                                      highest threshold of keys to come (2)
#   quorum_keygen DIR T                                prints the key; also in DIR/key
#   quorum_party DIR I start|stop|kill                 one party
#   quorum_stop DIR                                    everything

: "${BIN:=build/bin}"
: "${QUORUM_LINK:=nng}"
: "${QUORUM_BASE_PORT:=$((10000 + $$ % 20000))}"

quorum_die() {
    echo "quorum: $*" >&2
    return 1
}

# quorum_wait SECONDS TEXT COMMAND...: until it succeeds
quorum_wait() {
    _left=$(($1 * 20))
    _what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        _left=$((_left - 1))
        if [ "$_left" -le 0 ]; then
            quorum_die "gave up waiting for $_what"
            return 1
        fi
        sleep 0.05
    done
}

quorum_gateway_url() { # DIR I
    echo "http://127.0.0.1:$(($(cat "$1/base") + 100 + $2))"
}

quorum_party() { # DIR I start|stop|kill
    _p="$1/p$2"
    case $3 in
    start)
        "$BIN/quorated" --config "$_p/quorated.conf" </dev/null >>"$_p/log" 2>&1 &
        echo $! >"$_p/pid"
        quorum_wait 10 "party $2 (log: $_p/log)" "$BIN/quorate" status --socket "$_p/admin.sock" --json
        ;;
    stop) kill -TERM "$(cat "$_p/pid")" 2>/dev/null ;;
    kill) kill -KILL "$(cat "$_p/pid")" 2>/dev/null ;;
    esac
}

quorum_gateway() { # DIR I
    _p="$1/p$2"
    "$BIN/quorate-gateway" --config "$_p/gateway.conf" </dev/null >>"$_p/gateway.log" 2>&1 &
    echo $! >"$_p/gateway.pid"
}

quorum_configure() { # DIR I N LOW HIGH STANDBY
    _p="$1/p$2"
    _base=$(cat "$1/base")
    mkdir -p "$_p/state" "$_p/audit"
    chmod 700 "$_p/state"
    cat >"$_p/quorated.conf" <<EOF
[party]
state_dir = $_p/state
listen = tcp://127.0.0.1:$((_base + $2))
cloud = cloud-$2
operator = demo
gateway_socket = $_p/gateway.sock
admin_socket = $_p/admin.sock
link = $QUORUM_LINK

[pool]
low = $4
high = $5
standby = $6
EOF
    cat >"$_p/gateway.conf" <<EOF
[gateway]
listen = 127.0.0.1:$((_base + 100 + $2))
party_socket = $_p/gateway.sock
[audit]
path = $_p/audit
EOF
}

quorum_start() { # DIR N [LOW HIGH STANDBY]
    _dir=$1
    _n=$2
    mkdir -p "$_dir"
    echo "$QUORUM_BASE_PORT" >"$_dir/base"
    echo "$_n" >"$_dir/n"
    "$BIN/quorate" key new --scheme p256 --out "$_dir/admin.pem" >"$_dir/admin.hex" || return 1
    "$BIN/quorate" key new --scheme p256 --out "$_dir/client.pem" >"$_dir/client.hex" || return 1
    _sockets=
    _descriptors=
    for _i in $(seq 1 "$_n"); do
        # QUORUM_OTHERS: pool marks of all parties but the first
        # shellcheck disable=SC2086 # three numbers
        if [ "$_i" = 1 ] || [ -z "${QUORUM_OTHERS:-}" ]; then
            quorum_configure "$_dir" "$_i" "$_n" "${3:-32}" "${4:-64}" "${5:-16}"
        else
            quorum_configure "$_dir" "$_i" "$_n" $QUORUM_OTHERS
        fi
        quorum_party "$_dir" "$_i" start || return 1
        "$BIN/quorate" descriptor --socket "$_dir/p$_i/admin.sock" >"$_dir/p$_i/descriptor.json" || return 1
        _sockets="$_sockets --socket $_dir/p$_i/admin.sock"
        _descriptors="$_descriptors $_dir/p$_i/descriptor.json"
    done
    # shellcheck disable=SC2086 # lists of our own paths
    "$BIN/quorate" roster new --name demo --admin "admin:$(cat "$_dir/admin.hex")" --need 1 \
        $_descriptors >"$_dir/roster.json" || return 1
    "$BIN/quorate" stamp --key "$_dir/admin.pem" "$_dir/roster.json" || return 1
    "$BIN/quorate" policy new --roster "$_dir/roster.json" --insecure-sim \
        --peer-secret "${QUORUM_SECRET:-2}" \
        --client "client:$(cat "$_dir/client.hex")" >"$_dir/policy.json" || return 1
    "$BIN/quorate" stamp --key "$_dir/admin.pem" "$_dir/policy.json" || return 1
    # shellcheck disable=SC2086
    "$BIN/quorate" roster load --json $_sockets "$_dir/roster.json" >"$_dir/load.json" || return 1
    # shellcheck disable=SC2086
    "$BIN/quorate" policy load --json $_sockets "$_dir/policy.json" >"$_dir/load.json" || return 1
    for _i in $(seq 1 "$_n"); do
        quorum_gateway "$_dir" "$_i"
    done
    quorum_wait 20 "all parties to attest each other" quorum_linked "$_dir"
}

quorum_linked() { # DIR: every party sees every other, and its secret lies with them
    for _j in $(seq 1 "$(cat "$1/n")"); do
        "$BIN/quorate" status --socket "$1/p$_j/admin.sock" --json |
            grep -q -e '"up":false' -e '"peer_secret":{"state":"\(making\|locked\|broken\)"' && return 1
    done
    return 0
}

quorum_keygen() { # DIR T
    "$BIN/quorate" keygen --socket "$1/p1/admin.sock" --key "$1/admin.pem" --t "$2" --json >"$1/key.json" ||
        return 1
    sed -n 's/.*"key":"\([0-9a-f]\{66\}\)".*/\1/p' "$1/key.json" | head -n 1 >"$1/key"
    cat "$1/key"
}

quorum_stop() { # DIR
    for _f in "$1"/p*/gateway.pid "$1"/p*/pid; do
        if [ -f "$_f" ]; then
            kill -TERM "$(cat "$_f")" 2>/dev/null || true
        fi
    done
    _left=100
    for _f in "$1"/p*/gateway.pid "$1"/p*/pid; do
        while [ -f "$_f" ] && kill -0 "$(cat "$_f")" 2>/dev/null && [ "$_left" -gt 0 ]; do
            sleep 0.05
            _left=$((_left - 1))
        done
        if [ -f "$_f" ]; then
            kill -KILL "$(cat "$_f")" 2>/dev/null || true
        fi
    done
    return 0
}
