# shellcheck shell=bash
# Hardware acceptance, what the clouds share; sourced by nitro.sh, gcp.sh and azure.sh. README.md here says
# what an operator does. Needs bash, curl, openssl, sha256sum, and `quorate`.
#
#   accept_begin CLOUD "$@"          reads --config FILE, --emulation, --out FOLDER
#   step ID NEEDS TITLE COMMAND...   runs one step. NEEDS: what it takes besides a party that runs: "-", or
#                                    the cloud ("aws"). Under --emulation such a step is not run, and
#                                    the report says so. COMMAND sets DETAIL (what was seen) and, before
#                                    it fails, ADVICE (what to do). EVIDENCE holds evidence it looked at.
#   accept_end                       report.json, report.txt, the operator's stamp; exit status
#
# A report of an emulation says so in its first member and in its verdict, which is never "accepted".
set -u
export LC_ALL=C.UTF-8

# Everything the operator sets; see deploy/acceptance/acceptance.conf.
QUORATE=quorate GATEWAY='' PARTY='' ROSTER='' POLICY='' MANIFEST='' OPERATOR_KEY='' CLIENT_KEY='' QUORUM_KEY=''
RESTART='' EXPECT='' OPERATOR='' START_LIMIT_S=180
EMULATION=0 OUT='' CLOUD='' CONFIG=''
DETAIL='' ADVICE='' EVIDENCE=()
steps='' text='' passed=0 failed=0 not_run=0

now_ms() { echo $(($(date +%s%N) / 1000000)); }
stamp_time() { date -u +%Y-%m-%dT%H:%M:%SZ; }
# A JSON string: what is not printable ASCII becomes "?".
json() {
    printf '"%s"' "$(printf '%s' "$1" | tr '\n\t' '  ' | tr -c '[:print:]' '?' | sed 's/[\\"]/\\&/g' | cut -c1-2000)"
}
# The first member NAME of a piece of JSON as our own programs print it.
member() { grep -oE "\"$1\":(\"[^\"]*\"|[^,}]*)" | head -n 1 | sed 's/^[^:]*://; s/^"\(.*\)"$/\1/'; }
random_hex() { head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'; }
die() {
    echo "acceptance: $*" >&2
    exit 64
}

accept_begin() {
    CLOUD=$1
    shift
    while [ $# -gt 0 ]; do
        case $1 in
            --config) CONFIG=${2-} && shift ;;
            --out) OUT=${2-} && shift ;;
            --emulation) EMULATION=1 ;;
            *) die "usage: $CLOUD.sh --config FILE [--out FOLDER] [--emulation]" ;;
        esac
        shift
    done
    [ -r "$CONFIG" ] || die "--config FILE: copy deploy/acceptance/acceptance.conf and fill it in"
    # shellcheck disable=SC1090 # the operator's
    . "$CONFIG"
    local v
    for v in GATEWAY PARTY ROSTER POLICY OPERATOR_KEY CLIENT_KEY QUORUM_KEY OPERATOR; do
        [ -n "${!v}" ] || die "$CONFIG: $v is not set"
    done
    for v in ROSTER POLICY OPERATOR_KEY CLIENT_KEY; do
        [ -r "${!v}" ] || die "$CONFIG: $v=${!v} cannot be read"
    done
    "$QUORATE" --version >/dev/null 2>&1 || die "QUORATE=$QUORATE does not run"
    : "${OUT:=acceptance-$CLOUD-$(date -u +%Y%m%dT%H%M%SZ)}"
    mkdir "$OUT" 2>/dev/null || die "$OUT exists already, or its folder does not"
    STARTED=$(stamp_time)
    say "Quorate hardware acceptance: $CLOUD$([ $EMULATION = 0 ] || echo ' (EMULATION: says nothing about hardware)')"
    say "$("$QUORATE" --version)"
    say "started $STARTED by $OPERATOR"
    say ''
}

say() {
    printf '%s\n' "$*"
    text="$text$*"$'\n'
}

step() {
    local id=$1 needs=$2 title=$3 t0 ms rc=0 result e list=''
    shift 3
    DETAIL='' ADVICE='' EVIDENCE=()
    t0=$(now_ms)
    if [ $EMULATION = 1 ] && [ "$needs" != - ]; then
        result=not_run DETAIL="needs $needs; this is an emulation"
    else
        "$@" || rc=$?
        result=pass
        [ $rc = 0 ] || result=fail
    fi
    ms=$(($(now_ms) - t0))
    case $result in
        pass) passed=$((passed + 1)) && say "PASS     $id  $title ($ms ms)" ;;
        fail) failed=$((failed + 1)) && say "FAIL     $id  $title ($ms ms)" ;;
        *) not_run=$((not_run + 1)) && say "NOT RUN  $id  $title" ;;
    esac
    [ -z "$DETAIL" ] || say "             $DETAIL"
    [ $result != fail ] || say "         do: ${ADVICE:-see the lines above; the logs of party and gateway say more}"
    for e in "${EVIDENCE[@]}"; do list="$list,\"$(sha256sum <"$e" | cut -c1-64)\""; done
    steps="$steps${steps:+,}
  {\"id\":$(json "$id"),\"title\":$(json "$title"),\"needs\":$(json "$needs"),\"result\":\"$result\",\"ms\":$ms,\"detail\":$(json "$DETAIL"),\"evidence_sha256\":[${list#,}]}"
    return 0
}

file_row() { # NAME FILE
    [ -n "$2" ] && [ -r "$2" ] &&
        printf '%s{"name":%s,"bytes":%s,"sha256":"%s"}' "$3" "$(json "$1")" "$(stat -c %s "$2")" "$(sha256sum <"$2" | cut -c1-64)"
}

# accept_end [NAME FILE]...: images whose digests belong into the report
accept_end() {
    local verdict=accepted files='' sep='' files_in=(roster "$ROSTER" policy "$POLICY" manifest "$MANIFEST" "$@")
    [ $failed = 0 ] && [ $not_run = 0 ] || verdict=failed
    [ $failed = 0 ] && [ $not_run != 0 ] && verdict=incomplete
    [ $EMULATION = 0 ] || verdict=emulation-$([ $failed = 0 ] && echo passed || echo failed)
    while [ ${#files_in[@]} -gt 1 ]; do
        files="$files$(file_row "${files_in[0]}" "${files_in[1]}" "$sep")"
        [ -z "$files" ] || sep=,
        files_in=("${files_in[@]:2}")
    done
    say ''
    say "verdict: $verdict ($passed passed, $failed failed, $not_run not run)"
    {
        printf '{"emulation":%s,"v":1,"type":"quorate/acceptance","cloud":"%s","verdict":"%s",\n' \
            "$([ $EMULATION = 1 ] && echo true || echo false)" "$CLOUD" "$verdict"
        printf '"passed":%d,"failed":%d,"not_run":%d,\n' $passed $failed $not_run
        printf '"operator":%s,"started":"%s","ended":"%s",\n' "$(json "$OPERATOR")" "$STARTED" "$(stamp_time)"
        printf '"program":%s,"program_sha256":"%s","kernel":%s,\n' "$(json "$("$QUORATE" --version)")" \
            "$(sha256sum <"$(command -v "$QUORATE")" | cut -c1-64)" "$(json "$(uname -srm)")"
        printf '"files":[%s],\n"steps":[%s]}\n' "$files" "$steps"
    } >"$OUT/report.json"
    printf '%s' "$text" >"$OUT/report.txt"
    if ! "$QUORATE" stamp --key "$OPERATOR_KEY" "$OUT/report.json"; then
        echo "acceptance: the report could not be signed with $OPERATOR_KEY" >&2
        exit 70
    fi
    echo "report: $OUT/report.json, $OUT/report.txt; signature: $OUT/report.json.stamps"
    echo "check:  $QUORATE stamp check --key $("$QUORATE" key show "$OPERATOR_KEY") $OUT/report.json"
    case $verdict in accepted | emulation-passed) exit 0 ;; *) exit 1 ;; esac
}

# ---- what a running party is asked, whatever it runs on ----

fetch() { # NONCE FILE
    curl -sS --max-time 30 -o "$2" -w '%{http_code}' "$GATEWAY/v1/attestation?nonce=$1" 2>"$OUT/curl.err" | grep -qx 200 || {
        DETAIL="$GATEWAY/v1/attestation: $(tail -n 1 "$OUT/curl.err") $(head -c 300 "$2" 2>/dev/null)"
        ADVICE='the gateway must run and its party be ready: quorate status; journalctl -u quorate-gateway'
        return 1
    }
}

judge() { # NONCE FILE [MORE]...: the verdict as JSON on stdout
    local nonce=$1 file=$2
    shift 2
    "$QUORATE" verify --attestation "$file" --nonce "$nonce" --roster "$ROSTER" --policy "$POLICY" \
        ${MANIFEST:+--manifest "$MANIFEST"} --json "$@" 2>"$OUT/verify.err"
}

party_ready() {
    local s
    s=$(curl -sS --max-time 10 "$GATEWAY/v1/status" 2>"$OUT/curl.err") || {
        DETAIL=$(tail -n 1 "$OUT/curl.err")
        ADVICE="is $GATEWAY reachable from here, and quorate-gateway running?"
        return 1
    }
    DETAIL="party $(member party <<<"$s"): $(member status <<<"$s")"
    ADVICE='peers must be linked before acceptance: quorate status names those that are not'
    [ "$(member party <<<"$s")" = "$PARTY" ] && [ "$(member ready <<<"$s")" = true ]
}

# Evidence over a new nonce is accepted by the operator's own policy, and every check in EXPECT was made.
evidence_verifies() {
    local nonce v c missing=''
    nonce=$(random_hex)
    fetch "$nonce" "$OUT/evidence.json" || return 1
    EVIDENCE=("$OUT/evidence.json")
    v=$(judge "$nonce" "$OUT/evidence.json")
    printf '%s\n' "$v" >"$OUT/verdict.json"
    DETAIL="platform $(member platform <<<"$v"), verdict $(member verdict <<<"$v"), reason $(member reason <<<"$v"), $(stat -c %s "$OUT/evidence.json") bytes"
    ADVICE="quorate verify --attestation $OUT/evidence.json ... names the check; $(tail -n 1 "$OUT/verify.err")"
    [ "$(member verdict <<<"$v")" = valid ] || return 1
    for c in $EXPECT; do
        grep -q "\"$c\":\"pass\"" <<<"$v" || missing="$missing $c"
    done
    [ -z "$missing" ] || {
        DETAIL="$DETAIL; not checked:$missing"
        ADVICE='evidence of this platform must pass these checks; is it the right platform?'
        return 1
    }
}

# Which platform the evidence proves: one of the words.
platform_is() {
    local p w
    p=$(member platform <"$OUT/verdict.json" 2>/dev/null)
    DETAIL="evidence is of platform ${p:-none}"
    ADVICE="expected one of: $*; the party runs elsewhere, or with another [party] tee"
    for w in "$@"; do [ "$p" = "$w" ] && return 0; done
    return 1
}

other_nonce_refused() {
    local v rc=0
    v=$(judge "$(random_hex)" "$OUT/evidence.json") || rc=$?
    DETAIL="exit $rc, reason $(member reason <<<"$v")"
    ADVICE='evidence that answers any question proves nothing: do not go on, report this'
    [ $rc = 77 ]
}

# One letter of the evidence, in the middle of it, is another one.
changed_refused() {
    local all at n v rc=0 c nonce
    nonce=$(random_hex)
    fetch "$nonce" "$OUT/changed.json" || return 1
    all=$(cat "$OUT/changed.json")
    at=${all%%\"evidence\":\"*}
    n=$((${#at} + (${#all} - ${#at}) / 2))
    c=${all:n:1}
    printf '%s%s%s' "${all:0:n}" "$([ "$c" = A ] && echo B || echo A)" "${all:n+1}" >"$OUT/changed.json"
    v=$(judge "$nonce" "$OUT/changed.json") || rc=$?
    DETAIL="exit $rc, reason $(member reason <<<"$v")"
    ADVICE='changed evidence was believed: do not go on, report this'
    [ $rc = 77 ]
}

signs() {
    printf 'acceptance %s %s\n' "$CLOUD" "$(random_hex)" >"$OUT/message"
    rm -f "$OUT/message.der" "$OUT/quorum.pem"
    "$QUORATE" sign --gateway "$GATEWAY" --roster "$ROSTER" --client "$CLIENT_KEY" --key "$QUORUM_KEY" --kind sha256 \
        --der "$OUT/message.der" --pem "$OUT/quorum.pem" "$OUT/message" >"$OUT/sign.out" 2>&1 || {
        DETAIL=$(tail -n 1 "$OUT/sign.out")
        ADVICE='quorate sign says why; the policy must let this client sign with this key'
        return 1
    }
    DETAIL=$(openssl dgst -sha256 -verify "$OUT/quorum.pem" -signature "$OUT/message.der" "$OUT/message" 2>&1 | tail -n 1)
    [ "$DETAIL" = 'Verified OK' ]
}

# Boot and quote timings, of twenty answers: each with a report or quote of the hardware made for it.
timings() {
    local i t0 list=''
    for i in $(seq 1 20); do
        t0=$(now_ms)
        fetch "$(random_hex)" "$OUT/timing.json" || return 1
        list="$list $(($(now_ms) - t0))"
    done
    # shellcheck disable=SC2086 # numbers
    DETAIL="attestation, request to answer, of $i: $(printf '%s\n' $list | sort -n | awk '{ a[NR] = $1 } END { printf "p50 %d ms, p95 %d ms, max %d ms", a[int(NR/2)], a[int(NR*0.95)], a[NR] }')"
}

# RESTART is the operator's command. A new process, which opens what it had sealed, proves itself and signs.
restart_rejoins() {
    local before after t0 left=$START_LIMIT_S
    before=$(curl -sS --max-time 10 "$GATEWAY/v1/status" | member boot_nonce)
    ADVICE="RESTART='$RESTART' must restart the party's machine or enclave, and return"
    t0=$(now_ms)
    sh -c "$RESTART" >"$OUT/restart.out" 2>&1 || {
        DETAIL="restart command: exit $?: $(tail -n 1 "$OUT/restart.out")"
        return 1
    }
    until after=$(curl -sS --max-time 2 "$GATEWAY/v1/status" 2>/dev/null) &&
        [ "$(member ready <<<"$after")" = true ] && [ "$(member boot_nonce <<<"$after")" != "$before" ] && signs; do
        left=$((left - 1))
        [ $left -gt 0 ] || {
            DETAIL="not ready again after $START_LIMIT_S s: $(member status <<<"$after")"
            ADVICE='did it open its store? the log names what sealing refused; peers must be up for the peer secret'
            return 1
        }
        sleep 1
    done
    DETAIL="restart to next signature: $(($(now_ms) - t0)) ms"
}

# What every cloud's script does with a party that runs. ARGS: the platforms it may be.
common_steps() {
    step common-1 - 'the party is ready and linked to its peers' party_ready
    step common-2 - 'evidence over a new nonce verifies by the operator'"'"'s policy' evidence_verifies
    step common-3 "$CLOUD" "the evidence is of this cloud: $*" platform_is "$@"
    step common-4 - 'the same evidence is refused for another nonce' other_nonce_refused
    step common-5 - 'changed evidence is refused' changed_refused
    step common-6 - 'the quorum signs, and openssl verifies' signs
}
