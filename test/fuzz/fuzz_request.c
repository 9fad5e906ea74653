/*
 * Bodies of requests, both forms: whole ones, and lists of items or parameters that get a good head, so that
 * the fuzzer need not find one. What is read lies in the request's memory, and is the same when it is
 * read again into memory that another body used.
 */
#include "daemon/request.h"
#include "protocol/base/hash.h"
#include "test/fuzz/fuzz.h"

#define CLUSTER "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define KEY "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"

static const char *const heads[][2] = {
    {"", ""},
    {"{\"v\":1,\"cluster\":\"" CLUSTER "\",\"key\":\"" KEY
     "\",\"id\":\"0123456789abcdef\",\"issued_ms\":1,\"expires_ms\":2,\"path\":[],\"items\":[",
     "]}"},
    {"{\"type\":\"ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2\",\"timestampMs\":\"1\",\"organizationId\":"
     "\"" CLUSTER "\",\"parameters\":{",
     "}}"},
    {"{\"type\":\"ACTIVITY_TYPE_SIGN_RAW_PAYLOADS\",\"timestampMs\":\"1\",\"organizationId\":"
     "\"" CLUSTER "\",\"parameters\":{",
     "}}"},
    {"{\"type\":\"ACTIVITY_TYPE_SIGN_TRANSACTION_V2\",\"timestampMs\":\"1\",\"organizationId\":"
     "\"" CLUSTER "\",\"parameters\":{",
     "}}"},
};

static void
inside(const struct qr_request *r, qr_view v)
{
    FUZZ_MUST(v.len == 0 || (v.p >= r->mem && v.p + v.len <= r->mem + r->mem_cap));
}

static void
check(const struct qr_request *r)
{
    unsigned kinds = 0;

    FUZZ_MUST(r->n_items >= 1 && r->n_items <= QR_ITEMS_MAX && r->depth <= QR_PATH_MAX);
    FUZZ_MUST(strlen(r->id) >= QR_ID_MIN && strlen(r->id) <= QR_ID_MAX);
    FUZZ_MUST(r->cluster_len >= 8 && r->cluster_len <= 32);
    FUZZ_MUST(r->form == QR_FORM_RAW ? !r->depth : r->cluster_len == 32 && !r->by_address);
    FUZZ_MUST(r->by_address ? r->key[0] == 0 : r->key[0] == 2 || r->key[0] == 3);
    FUZZ_MUST(r->window.expires_ms > r->window.issued_ms);
    for (size_t i = 0; i < r->n_items; i++) {
        const struct qr_request_item *it = &r->items[i];
        kinds |= QR_KIND_BIT(it->kind);
        inside(r, it->preimage);
        FUZZ_MUST((unsigned)it->kind < QR_KIND_COUNT);
        if (it->kind == QR_KIND_ETH_TX) {
            inside(r, it->eth.data);
        } else if (it->kind == QR_KIND_BTC_LEGACY || it->kind == QR_KIND_BTC_BIP143) {
            inside(r, it->btc.tx);
            inside(r, it->btc.own_script);
            FUZZ_MUST(it->btc.first <= i && r->items[it->btc.first].kind == it->kind);
            FUZZ_MUST(!it->btc.fee_bound || it->btc.bip143);
            FUZZ_MUST(qr_view_eq(it->btc.tx, r->items[it->btc.first].btc.tx));
        }
    }
    FUZZ_MUST(kinds == r->kinds);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct qr_request r;
    static char body[QR_BODY_MAX + 1024];
    static uint8_t digests[QR_ITEMS_MAX][32];
    char why[256] = "";
    uint8_t hash[32];

    FUZZ_MUST(qr_hash_init() == QR_OK);
    unsigned how = fuzz_choice(&data, &size, sizeof heads / sizeof heads[0]);
    size_t head = strlen(heads[how][0]), tail = strlen(heads[how][1]);
    size = size > QR_BODY_MAX ? QR_BODY_MAX : size;
    memcpy(body, heads[how][0], head);
    memcpy(body + head, data, size);
    memcpy(body + head + size, heads[how][1], tail);
    qr_view v = qr_view_of(body, head + size + tail);
    if (qr_request_parse(v, &r, why, sizeof why) != QR_OK) {
        FUZZ_MUST(why[0] != 0);
        fuzz_text(why, sizeof why);
        return 0;
    }
    check(&r);
    FUZZ_MUST(qr_request_hash(v, hash) == QR_OK && memcmp(hash, r.hash, 32) == 0);
    size_t n = r.n_items;
    for (size_t i = 0; i < n; i++) {
        memcpy(digests[i], r.items[i].digest, 32);
    }
    memset(r.mem, 0xa5, r.mem_cap);
    FUZZ_MUST(qr_request_parse(v, &r, why, sizeof why) == QR_OK && r.n_items == n);
    check(&r);
    for (size_t i = 0; i < n; i++) {
        FUZZ_MUST(memcmp(digests[i], r.items[i].digest, 32) == 0);
    }
    return 0;
}
