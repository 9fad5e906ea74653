/*
 * Rules and what they decide: the text of rules, a NUL, and a script that makes a request.
 *
 * Oracles: a refusal to read is a printable sentence, and so is every line of a policy in words. A decision
 * is the same twice. A rule that denies everything refuses what any policy allows; without the approvals,
 * nothing is allowed that is not with them all; with an empty budget, nothing that takes from a limit.
 * What is charged names each limit once, and a full budget takes it.
 */
#include "daemon/policy.h"
#include "test/fuzz/kit.h"

#define WHY QR_ERR_TEXT_MAX
#define HEAD                                                                                       \
    "{\"v\":1,\"type\":\"quorate/policy\",\"cluster\":"                                            \
    "\"c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1\",\"serial\":3,\"peers\":" \
    "{"                                                                                            \
    "\"insecure_sim\":true},\"requests\":{\"clients\":[{\"name\":\"ops\",\"scheme\":"              \
    "\"secp256k1\","                                                                               \
    "\"key\":\"0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798\"}],"            \
    "\"approvers\""                                                                                \
    ":[{\"name\":\"alice\",\"scheme\":\"p256\",\"key\":"                                           \
    "\"036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\"},{\"name\":\"bob\","   \
    "\"scheme\":\"ed25519\",\"key\":"                                                              \
    "\"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\"}],\"gateways\":["        \
    "\"https://gw.example.org\"],\"rules\":["
#define DENY_ALL                                                                                   \
    "{\"id\":\"deny-all\",\"effect\":\"deny\",\"clients\":[\"*\"],\"keys\":[\"*\"],\"kinds\":["    \
    "\"eth_tx\",\"eip191\",\"eip712\",\"btc_legacy\",\"btc_bip143\",\"keccak256\",\"sha256\","     \
    "\"sha256d\",\"digest\"]}"
#define TEXT_MAX (QR_DOC_MAX + 4096u)

static qr_err
read_rules(qr_view rules, const char *before, struct qr_policy **ret)
{
    static char text[TEXT_MAX];
    char why[WHY] = "";

    if (rules.len > TEXT_MAX - 2048) {
        return QR_ERR_TOO_LARGE;
    }
    int n = snprintf(text, sizeof text, HEAD "%s%.*s]}}", before, (int)rules.len,
                     (const char *)rules.p);
    FUZZ_MUST(n > 0 && (size_t)n < sizeof text);
    qr_err e = qr_policy_parse(qr_view_str(text), ret, why, sizeof why);
    if (e != QR_OK) {
        FUZZ_MUST(why[0] != 0);
    }
    fuzz_text(why, sizeof why);
    return e;
}

static void
line(void *ctx, const char *text)
{
    size_t *n = ctx;

    fuzz_text(text, 4096);
    (*n)++;
}

static uint64_t
number(struct fuzz_in *in)
{
    uint64_t hi = fuzz_u32(in);
    return hi << 32 | fuzz_u32(in);
}

static void
make_btc(struct fuzz_in *in, struct qr_btc *t, uint8_t how)
{
    t->tx = fuzz_bytes(in);
    t->own_script = fuzz_bytes(in);
    t->outputs_at = fuzz_u8(in);
    t->n_out = fuzz_u8(in);
    t->spent_sat = number(in) % QR_SAT_MAX;
    t->out_sat = how & 1 ? t->spent_sat : number(in) % QR_SAT_MAX;
    t->fee_bound = how >> 1 & 1;
}

static void
make_item(struct fuzz_in *in, struct qr_request_item *item)
{
    uint8_t how = fuzz_u8(in);

    item->kind = (enum qr_kind)(fuzz_u8(in) % QR_KIND_COUNT);
    switch (item->kind) {
    case QR_KIND_ETH_TX:
        item->eth.type = how % 3;
        item->eth.has_chain_id = how >> 2 & 1;
        item->eth.has_to = how >> 3 & 1;
        item->eth.chain_id = fuzz_u8(in);
        item->eth.gas_limit = how & 16 ? number(in) : fuzz_u8(in);
        memset(item->eth.to, fuzz_u8(in), sizeof item->eth.to);
        memset(item->eth.value, how & 32 ? 0xff : 0, sizeof item->eth.value);
        item->eth.value[31] = fuzz_u8(in);
        memset(item->eth.max_fee, how & 64 ? 0xff : 0, sizeof item->eth.max_fee);
        item->eth.max_fee[31] = fuzz_u8(in);
        item->eth.data = fuzz_bytes(in);
        item->eth.has_selector = item->eth.has_to && item->eth.data.len >= 4;
        if (item->eth.has_selector) {
            memcpy(item->eth.selector, item->eth.data.p, 4);
        }
        break;
    case QR_KIND_EIP712:
        item->typed.has_chain_id = how & 1;
        item->typed.has_contract = how >> 1 & 1;
        item->typed.chain_id = fuzz_u8(in);
        memset(item->typed.contract, fuzz_u8(in), sizeof item->typed.contract);
        memset(item->typed.primary_type, how & 4 ? 'A' : 'M',
               how & 8 ? QR_NAME_MAX : fuzz_u8(in) % QR_NAME_MAX);
        break;
    case QR_KIND_BTC_LEGACY:
    case QR_KIND_BTC_BIP143:
        make_btc(in, &item->btc, how);
        break;
    default:
        item->preimage = fuzz_bytes(in);
        break;
    }
}

static void
make_request(struct fuzz_in *in, struct qr_request *q)
{
    memset(q, 0, sizeof *q);
    q->n_items = 1u + fuzz_u8(in) % 4u;
    q->depth = fuzz_u8(in) % (QR_PATH_MAX + 1u);
    for (size_t i = 0; i < q->depth; i++) {
        q->path[i] = fuzz_u8(in);
    }
    q->window.issued_ms = 1000;
    q->window.expires_ms = 1000 + UINT64_C(1000) * fuzz_u16(in);
    for (size_t i = 0; i < q->n_items; i++) {
        make_item(in, &q->items[i]);
        q->kinds |= QR_KIND_BIT(q->items[i].kind);
    }
}

/* Everything that must hold of one decision; the same question twice. */
static qr_err
decide(const struct qr_policy *p, const struct qr_policy_ask *ask, struct qr_policy_says *ret)
{
    static struct qr_policy_says again;
    uint8_t seen[QR_LIMITS_MAX] = {0};

    memset(ret, 0x5a, sizeof *ret);
    qr_err e = qr_policy_decide(p, ask, ret);
    FUZZ_MUST(qr_policy_decide(p, ask, &again) == e);
    FUZZ_MUST(again.rule == ret->rule && again.item == ret->item && again.kind == ret->kind);
    FUZZ_MUST(again.n_charges == ret->n_charges && again.of == ret->of && again.need == ret->need);
    FUZZ_MUST(ret->rule && ret->item < ask->req->n_items);
    FUZZ_MUST(e == QR_OK || e == QR_ERR_POLICY_DENIED || e == QR_ERR_APPROVALS ||
              e == QR_ERR_LIMIT);
    FUZZ_MUST((e == QR_OK) == (ret->why[0] == 0));
    FUZZ_MUST((e == QR_ERR_APPROVALS) == (ret->need > 0));
    FUZZ_MUST(e == QR_OK || ret->n_charges == 0);
    fuzz_text(ret->why, sizeof ret->why);
    for (size_t i = 0; i < ret->n_charges; i++) {
        FUZZ_MUST(ret->charge[i].limit < qr_policy_n_limits(p) && !seen[ret->charge[i].limit]++);
    }
    if (e == QR_OK) {
        FUZZ_MUST(ret->rule[0] && ret->life_ms >= ask->req->window.expires_ms - 1000);
        FUZZ_MUST((ret->of & ~ask->approved) == 0);
    }
    return e;
}

static void
ask_all(const struct qr_policy *p, const struct qr_policy *denying, struct fuzz_in *in)
{
    static struct qr_request q;
    static struct qr_policy_says says;
    static const uint8_t key[33] = {2};
    struct qr_budget *full = NULL;
    size_t n = qr_policy_n_limits(p);
    const struct qr_limit *limits = n ? qr_policy_limit(p, 0) : NULL;
    int write = 0;

    make_request(in, &q);
    int64_t now = (int64_t)fuzz_u32(in) * 60000, lower = fuzz_u8(in) & 1 ? now : -1;
    struct qr_policy_ask ask = {.client = qr_policy_client(p, 0),
                                .req = &q,
                                .key = key,
                                .approved = 3,
                                .now_ms = now,
                                .lower_ms = lower};
    FUZZ_MUST(qr_budget_new(limits, n, 1, qr_view_of(NULL, 0), 0, &full) == QR_OK);
    qr_err known = decide(p, &ask, &says);
    FUZZ_MUST(known == QR_OK || known == QR_ERR_POLICY_DENIED);
    ask.approved = 0;
    qr_err alone = decide(p, &ask, &says);
    FUZZ_MUST(alone != QR_OK || known == QR_OK);
    FUZZ_MUST((alone == QR_ERR_POLICY_DENIED) == (known == QR_ERR_POLICY_DENIED));
    /* nobody knows the time: what takes from a limit is refused, and nothing else */
    ask.approved = 3;
    ask.budget = full;
    qr_err shut = decide(p, &ask, &says);
    FUZZ_MUST(shut == known || shut == QR_ERR_LIMIT);
    FUZZ_MUST(shut != QR_OK || says.n_charges == 0);
    qr_budget_time(full, 0, 0);
    if (decide(p, &ask, &says) == QR_OK) {
        FUZZ_MUST(known == QR_OK);
        FUZZ_MUST(qr_budget_take(full, says.charge, says.n_charges, &write) == QR_OK);
    }
    if (denying) {
        struct qr_policy_ask no = ask;
        no.client = qr_policy_client(denying, 0);
        no.budget = NULL;
        FUZZ_MUST(decide(denying, &no, &says) == QR_ERR_POLICY_DENIED);
        FUZZ_MUST(strcmp(says.rule, "deny-all") == 0);
    }
    qr_budget_free(full);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int started;
    struct qr_policy *p = NULL, *denying = NULL;
    size_t lines = 0;
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    qr_view rules = qr_view_of(data, nul ? (size_t)(nul - data) : size);

    if (!started) {
        FUZZ_MUST(qr_stamp_init() == QR_OK);
        started = 1;
    }
    if (read_rules(rules, "", &p) != QR_OK) {
        return 0;
    }
    struct fuzz_in in = fuzz_in_of(nul ? nul + 1 : data, nul ? size - rules.len - 1 : 0);
    qr_policy_explain(p, 3, 2, line, &lines);
    FUZZ_MUST(lines >= 3); /* two approvers, and what is said of the rest */
    /* the same rules behind one that denies everything: too many, or its name again, are refused */
    qr_err e = read_rules(rules, rules.len ? DENY_ALL "," : DENY_ALL, &denying);
    FUZZ_MUST(e == QR_OK || e == QR_ERR_TOO_LARGE || e == QR_ERR_MALFORMED);
    ask_all(p, denying, &in);
    qr_policy_free(p);
    qr_policy_free(denying);
    return 0;
}
