/*
 * Ethereum JSON-RPC as anybody on the machine may send it, and what a gateway says when it refuses.
 *
 * The first byte chooses: 0 a body with the right token; 1 a request whose Host, Origin and token the
 * input gives; 2 one transaction as JSON; 3 a problem document.
 * Must hold: every answer to a body is JSON-RPC with a result or an error for each call; without token,
 * Host and Origin nothing is answered; a transaction that is taken encodes to what the parties' own reader
 * takes, with the same receiver, chain and nonce; of a problem only printable text is left. The quorum is the
 * target's: --wrap of qr_client_key and qr_client_sign.
 */
#include "daemon/facade/rpc.h"
#include "daemon/facade/rpc_tx.h"
#include "test/common/fakekey.h"
#include "test/fuzz/kit.h"

#include <jansson.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <string.h>

#define TOKEN "0123456789abcdef0123456789abcdef"

static struct fakekey key;
static struct qr_roster roster;
static struct qr_client *client;
static struct qr_facade_conf conf;
static struct qr_rpc rpc;

enum qr_client_verdict __wrap_qr_client_key(struct qr_client *c, const uint8_t pk[static 33],
                                            struct qr_key_pub *ret, struct qr_client_fail *f);
enum qr_client_verdict __wrap_qr_client_sign(struct qr_client *c, struct qr_client_job *j,
                                             struct qr_client_fail *f);

enum qr_client_verdict
__wrap_qr_client_key(struct qr_client *c, const uint8_t pk[static 33], struct qr_key_pub *ret,
                     struct qr_client_fail *f)
{
    (void)c;
    (void)f;
    (void)pk;
    *ret = key.pub;
    return QR_CLIENT_DONE;
}

enum qr_client_verdict
__wrap_qr_client_sign(struct qr_client *c, struct qr_client_job *j, struct qr_client_fail *f)
{
    (void)c;
    FUZZ_MUST(j->request.n_items == 1);
    if (j->request.items[0].digest[0] == 0) { /* now and then it is refused */
        memset(f, 0, sizeof *f);
        f->verdict = QR_CLIENT_REFUSED;
        (void)snprintf(f->problem.code, sizeof f->problem.code, "policy_denied");
        return f->verdict;
    }
    fakekey_sign(&key, j->request.path, j->request.depth, j->request.items[0].digest, j->out.rs[0],
                 &j->out.recid[0]);
    return QR_CLIENT_DONE;
}

static void
prepare(void)
{
    static const uint8_t zero[32];
    char err[256];

    if (client) {
        return;
    }
    fakekey_make(&key, 2, 3, 7, zero, zero, zero, 0);
    const struct qr_client_opts o = {
        .gateways = "http://127.0.0.1:1", .roster = &roster, .key = EVP_EC_gen("P-256")};
    FUZZ_MUST(qr_client_new(&o, &client, err, sizeof err) == QR_OK);
    conf = (struct qr_facade_conf){.n_keys = 2,
                                   .chain_id = 1,
                                   .token = TOKEN,
                                   .key = {{.depth = 0}, {.depth = 1, .path = {7}}},
                                   .n_origins = 1,
                                   .origin = {"https://a.example"}};
    memcpy(conf.key[0].key, key.pub.pk, 33);
    memcpy(conf.key[1].key, key.pub.pk, 33);
    FUZZ_MUST(qr_rpc_init(&rpc, client, &conf) == QR_OK);
    qr_rpc_listens(&rpc, "127.0.0.1:0", 8545);
    fuzz_mute();
}

static void
judge_one(const json_t *o)
{
    FUZZ_MUST(json_object_size(o) == 3);
    FUZZ_MUST(strcmp(json_string_value(json_object_get(o, "jsonrpc")), "2.0") == 0);
    FUZZ_MUST(json_object_get(o, "id"));
    FUZZ_MUST(!json_object_get(o, "result") != !json_object_get(o, "error"));
}

static void
ask(struct qr_facade_request *r, struct qr_facade_answer *a)
{
    memset(a, 0, sizeof *a);
    qr_dbuf_init(&a->body, 4u << 20);
    qr_rpc_handle(&rpc, r, a);
}

static void
body(struct fuzz_in *in)
{
    struct qr_facade_answer a;
    struct qr_facade_request r = {.method = "POST",
                                  .target = "/",
                                  .header = {{"Host", "127.0.0.1:8545"},
                                             {"Content-Type", "application/json"},
                                             {"Authorization", "Bearer " TOKEN}},
                                  .n_headers = 3,
                                  .body = qr_view_of(in->p, in->len)};

    ask(&r, &a);
    FUZZ_MUST(a.status == 200);
    json_t *j = json_loadb((const char *)a.body.p, a.body.len, JSON_REJECT_DUPLICATES, NULL);
    FUZZ_MUST(j != NULL);
    for (size_t i = 0; json_is_array(j) && i < json_array_size(j); i++) {
        judge_one(json_array_get(j, i));
    }
    if (!json_is_array(j)) {
        judge_one(j);
    }
    json_decref(j);
    qr_dbuf_free(&a.body);
}

static const char *
word(struct fuzz_in *in, char out[static 300])
{
    qr_view v = fuzz_bytes(in);
    size_t n = v.len < 299 ? v.len : 299;
    if (n) {
        memcpy(out, v.p, n);
    }
    out[n] = '\0';
    return out;
}

static void
stranger(struct fuzz_in *in)
{
    char host[300], origin[300], auth[300];
    uint8_t how = fuzz_u8(in);
    struct qr_facade_answer a;
    struct qr_facade_request r = {.method = how & 1 ? "OPTIONS" : "POST", .target = "/"};

    r.header[r.n_headers++] = (struct qr_facade_header){"Host", word(in, host)};
    r.header[r.n_headers++] = (struct qr_facade_header){"Content-Type", "application/json"};
    if (how & 2) {
        r.header[r.n_headers++] = (struct qr_facade_header){"Origin", word(in, origin)};
    }
    r.header[r.n_headers++] = (struct qr_facade_header){"Authorization", word(in, auth)};
    r.body = qr_view_str("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_chainId\"}");
    ask(&r, &a);
    FUZZ_MUST(a.status != 200 ||
              (strcmp(auth, "Bearer " TOKEN) == 0 &&
               (strcmp(host, "127.0.0.1:8545") == 0 || strcmp(host, "localhost:8545") == 0) &&
               (!(how & 2) || strcmp(origin, "https://a.example") == 0)));
    qr_dbuf_free(&a.body);
}

static void
transaction(struct fuzz_in *in)
{
    static const uint8_t rs[64] = {1};
    struct qr_rpc_tx t;
    struct qr_eth_tx read;
    struct qr_dbuf d;
    char why[256] = "";
    json_t *o = json_loadb((const char *)in->p, in->len, JSON_REJECT_DUPLICATES, NULL);

    qr_dbuf_init(&d, 4 * QR_RPC_TX_MAX);
    if (qr_rpc_tx_read(o, 1, &t, why, sizeof why) == QR_OK) {
        qr_err e = qr_rpc_tx_put(&t, NULL, 0, &d);
        if (e == QR_OK &&
            qr_eth_tx_parse(qr_view_of(d.p, d.len), &read, why, sizeof why) == QR_OK) {
            FUZZ_MUST(read.type == t.type && read.nonce == t.nonce && read.chain_id == 1);
            FUZZ_MUST(read.has_to == t.has_to && read.gas_limit == t.gas);
            FUZZ_MUST(!t.has_to || memcmp(read.to, t.to, 20) == 0);
            FUZZ_MUST(memcmp(read.value, t.value, 32) == 0);
        }
        d.len = 0;
        if (e == QR_OK && qr_rpc_tx_put(&t, rs, 1, &d) == QR_OK) {
            json_t *shown = qr_rpc_tx_json(&t, rs, 1, qr_view_of(d.p, d.len));
            FUZZ_MUST(shown != NULL);
            json_decref(shown);
        }
    } else {
        FUZZ_MUST(why[0]);
    }
    qr_rpc_tx_clear(&t);
    qr_dbuf_free(&d);
    json_decref(o);
}

static void
problem(struct fuzz_in *in)
{
    struct qr_problem p;
    char text[1400];
    unsigned status = fuzz_u16(in) % 600u;

    qr_problem_read(status, qr_view_of(in->p, in->len), &p);
    FUZZ_MUST(p.status == status && p.party <= QR_MAX_PARTIES);
    for (const char *s = qr_problem_text(&p, text, sizeof text); *s; s++) {
        FUZZ_MUST(*s >= 0x20 && *s < 0x7f);
    }
    FUZZ_MUST(!qr_problem_is_temporary(&p) || !qr_problem_is_refusal(&p));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_in in = fuzz_in_of(data, size);

    prepare();
    switch (fuzz_u8(&in) % 4) {
    case 0:
        body(&in);
        break;
    case 1:
        stranger(&in);
        break;
    case 2:
        transaction(&in);
        break;
    default:
        problem(&in);
    }
    return 0;
}
