/*
 * CPU of one decision over a policy of 1,000 rules.
 *
 *     bench_policy             every case, one JSON object a line; a second
 *
 * policy_last:   all 1,000 rules concern the request (its client, any key, its kind) and ask for chain,
 *                receiver, selector and value; the last one allows. One item.
 * policy_none:   the same, and none allows: with the sentence that says so.
 * policy_deny:   1,000 deny rules about other receivers, behind one that allows. One item.
 * policy_items:  as policy_last, with 64 items; for the whole request.
 * policy_others: 999 rules of other kinds before the one that allows. One item.
 * value: microseconds, median of the runs, each the mean of many decisions. ratio: to the reference.
 */
#include "bench/bench.h"
#include "daemon/policy.h"
#include "protocol/base/hash.h"
#include "test/common/testrng.h"

#define RULES 1000u
#define CLIENT_KEY "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
#define HEAD                                                                                       \
    "{\"v\":1,\"type\":\"quorate/policy\",\"cluster\":"                                            \
    "\"c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1\",\"serial\":1,\"peers\":" \
    "{"                                                                                            \
    "\"insecure_sim\":true},\"requests\":{\"clients\":[{\"name\":\"c\",\"scheme\":\"secp256k1\","  \
    "\"key\":\"" CLIENT_KEY "\"}],\"rules\":["

static char text[QR_DOC_MAX];
static struct qr_request q;
static struct qr_policy_says says;

enum shape { LAST, DENY, OTHERS };

/* Rule i of 1,000; receivers are the rule's number. */
static int
put_rule(char *out, size_t cap, enum shape shape, unsigned i)
{
    const char *sep = i ? "," : "";

    if (shape == DENY && i > 0) {
        return snprintf(
            out, cap,
            "%s{\"id\":\"%u\",\"effect\":\"deny\",\"clients\":[\"*\"],\"keys\":[\"*\"],"
            "\"kinds\":[\"eth_tx\"],\"eth\":{\"create\":false,\"chain_ids\":[1],\"to\":["
            "\"0x%040x\"]}}",
            sep, i, i);
    }
    if (shape == OTHERS && i + 1 < RULES) {
        return snprintf(
            out, cap,
            "%s{\"id\":\"%u\",\"effect\":\"allow\",\"clients\":[\"c\"],\"keys\":[\"*\"],"
            "\"kinds\":[\"sha256\"],\"paths\":[[0,%u]]}",
            sep, i, i);
    }
    return snprintf(out, cap,
                    "%s{\"id\":\"%u\",\"effect\":\"allow\",\"clients\":[\"c\"],\"keys\":[\"*\"],"
                    "\"kinds\":[\"eth_tx\"],\"eth\":{\"chain_ids\":[1,10],\"to\":[\"0x%040x\"],"
                    "\"selectors\":[\"none\"],\"max_value_wei\":\"99\"}}",
                    sep, i, shape == LAST ? i : RULES - 1);
}

static struct qr_policy *
policy_of(enum shape shape)
{
    struct qr_policy *p = NULL;
    char why[QR_ERR_TEXT_MAX];
    size_t len = (size_t)snprintf(text, sizeof text, HEAD);

    for (unsigned i = 0; i < RULES; i++) {
        int n = put_rule(text + len, sizeof text - len, shape, i);
        QR_ASSERT(n > 0 && (size_t)n < sizeof text - len);
        len += (size_t)n;
    }
    int n = snprintf(text + len, sizeof text - len, "]}}");
    QR_ASSERT(n > 0 && (size_t)n < sizeof text - len);
    qr_err e = qr_policy_parse(qr_view_of(text, len + (size_t)n), &p, why, sizeof why);
    QR_ASSERT(e == QR_OK);
    return p;
}

/* n items to receiver `to`, worth 5. */
static void
request_of(size_t n, unsigned to)
{
    memset(&q, 0, sizeof q);
    q.n_items = n;
    q.kinds = QR_KIND_BIT(QR_KIND_ETH_TX);
    q.window.expires_ms = 60000;
    for (size_t i = 0; i < n; i++) {
        q.items[i].kind = QR_KIND_ETH_TX;
        q.items[i].eth =
            (struct qr_eth_tx){.type = 2, .has_chain_id = 1, .has_to = 1, .chain_id = 1};
        qr_put32(q.items[i].eth.to + 16, to);
        q.items[i].eth.value[31] = 5;
    }
}

static void
measure(const char *name, enum shape shape, size_t items, unsigned to, qr_err want)
{
    static const uint8_t key[33] = {2};
    struct qr_policy *p = policy_of(shape);
    struct bench_series s = {.runs = 0};
    const int rounds = items > 1 ? 50 : 2000;

    request_of(items, to);
    const struct qr_policy_ask ask = {.client = qr_policy_client(p, 0), .req = &q, .key = key};
    for (int run = 0; run < bench_runs(); run++) {
        double before = bench_reference_ns(), since = bench_cpu_ns();
        for (int i = 0; i < rounds; i++) {
            QR_ASSERT(qr_policy_decide(p, &ask, &says) == want);
        }
        double ns = (bench_cpu_ns() - since) / rounds;
        bench_add(&s, ns, before, bench_reference_ns());
    }
    bench_emit_series(name, 0, 0, &s);
    qr_policy_free(p);
}

int
main(void)
{
    struct qr_testrng seed;

    qr_testrng_seed(&seed, "bench policy");
    struct qr_rng rng = qr_testrng_rng(&seed);
    QR_ASSERT(qr_hash_init() == QR_OK && qr_group_init(&rng) == QR_OK && qr_stamp_init() == QR_OK);
    measure("policy_last", LAST, 1, RULES - 1, QR_OK);
    measure("policy_none", LAST, 1, RULES, QR_ERR_POLICY_DENIED);
    measure("policy_deny", DENY, 1, RULES - 1, QR_ERR_POLICY_DENIED);
    measure("policy_items", LAST, QR_ITEMS_MAX, RULES - 1, QR_OK);
    measure("policy_others", OTHERS, 1, RULES - 1, QR_OK);
    return 0;
}
