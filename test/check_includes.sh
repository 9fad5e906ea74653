#!/bin/sh
# Gate: who may include what. The layers, low to high, are
#   protocol/base < proto < protocol < transport < enclave-shim < daemon
# and a file includes its own layer and lower ones, by paths from the repository's root. Stricter:
#   protocol/        knows nothing of proto/, and nothing that does I/O: no heap, clock, files, sockets
#   enclave-shim/verify  goes into a library for wallets: base files without libsodium, proto/json_strict.h
#   gateway files    reach no protocol/ (but protocol/base) and no enclave-shim/, even indirectly
#   some libraries   are included by one file only
# Prints each violation as FILE:LINE; exit 1 if there is one.
set -eu
cd "$(dirname "$0")/.."

git ls-files -co --exclude-standard -- '*.c' '*.h' |
    xargs grep -nHE '^[[:space:]]*#[[:space:]]*include[[:space:]]' |
    sed -E 's/^([^:]*):([0-9]*):[[:space:]]*#[[:space:]]*include[[:space:]]*([<"])([^>"]*).*/\1 \2 \3 \4/' |
    awk '
function layer(p) {
    if (p ~ /^protocol\/base\//) return 1
    if (p ~ /^proto\//) return 2
    if (p ~ /^protocol\//) return 3
    if (p ~ /^transport\//) return 4
    if (p ~ /^enclave-shim\//) return 5
    if (p ~ /^daemon\//) return 6
    return 0
}
function bad(why) { printf "%s:%s: %s: %s\n", file, $2, inc, why; n++ }
function gateway(p) { return p ~ /^daemon\/(gw_|main_gateway)/ }
# library header -> the only product files that may include it
BEGIN {
    verifier = "^(enclave-shim/verify/.*|proto/json_strict\\.h|protocol/base/(err|view|buf|mem|check|enc|limits)\\.(h|def)|build_info\\.h)$"
    only["^nng/"] = "^transport/link_nng\\.c$"
    only["^sqlite3\\.h$"] = "^daemon/store[a-z_]*\\.c$"
    only["^curl/"] = "^daemon/(gw_fetch|ud_fetch)\\.c$"
    only["^microhttpd\\.h$"] = "^daemon/(gw_[a-z0-9_]*\\.[ch]|facade/http\\.c)$"
    # stamps are checked by whoever has a stamp, the gateway too, which must not reach protocol/
    only["^secp256k1"] = "^(protocol/[a-z0-9_]*\\.[ch]|daemon/stamp\\.c)$"
    only["^zstd\\.h$"] = "^transport/"
    only["^ini\\.h$"] = "^daemon/config\\.c$"
    only["^cbor"] = "^enclave-shim/"
    only["^tss2/"] = "^enclave-shim/tpm/"
    only["^seccomp\\.h$"] = "^enclave-shim/sandbox\\.c$"
    only["^jansson\\.h$"] = "^(proto|enclave-shim|daemon)/"
    only["^protobuf-c/"] = "^(proto|daemon|transport)/"
    only["^openssl/"] = "^(protocol/base|transport|enclave-shim|daemon)/"
    sansio = "^(stdio|stdlib|time|errno|unistd|fcntl|signal|pthread|threads|poll|locale|dlfcn)\\.h$|^(sys|netinet|arpa)/"
}
{
    file = $1; quote = $3; inc = $4; from = layer(file)
    if (quote == "\"") {
        edges[file] = edges[file] " " inc
        to = layer(inc)
        if (to == 0 && inc !~ /^(build_info\.h|openapi\.inc)$/ && from) bad("not a path from the repository root")
        if (from && to > from) bad("an upper layer")
        if (from == 3 && to == 2) bad("protocol/ knows nothing of the wire schema")
        if (file ~ /^enclave-shim\/verify\// && inc !~ verifier) bad("the verifier library has none of it")
        if (from && inc ~ /^(test|bench)\//) bad("tests are no part of the product")
    } else if (from) {
        for (lib in only) if (inc ~ lib && file !~ only[lib]) bad("only " only[lib] " may include it")
        if (from == 3 && inc ~ sansio) bad("protocol/ does no I/O and has no heap and no clock")
        if (inc == "assert.h") bad("use QR_ASSERT")
    }
}
END {
    # Everything a gateway file reaches, with the way there.
    for (f in edges) if (gateway(f)) {
        split("", way); queue = f; way[f] = f
        while (queue != "") {
            i = index(queue, " "); cur = i ? substr(queue, 1, i - 1) : queue
            queue = i ? substr(queue, i + 1) : ""
            m = split(edges[cur], next_, " ")
            for (k = 1; k <= m; k++) {
                h = next_[k]
                if (h in way) continue
                way[h] = way[cur] " -> " h
                l = layer(h)
                if (l == 3 || l == 5) {
                    printf "%s: the gateway reaches %s\n", f, way[h]
                    n++
                    continue
                }
                queue = queue == "" ? h : queue " " h
            }
        }
    }
    if (n) { printf "check_includes: %d violations\n", n; exit 1 }
    print "check_includes: ok"
}'
