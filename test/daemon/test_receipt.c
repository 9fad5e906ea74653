/*
 * Audit and receipts in running parties: what is recorded, who vouches for whom, a log that nobody fetches, and
 * receipts, verified and not.
 */
#include "daemon/receipt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/audit_read.h"
#include "daemon/party_audit_int.h"
#include "protocol/base/enc.h"
#include "test/common/cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static struct cluster c;
static uint8_t pk[33];
static char body[8192], request[65], why[QR_ERR_TEXT_MAX];

static int
setup(void **state)
{
    (void)state;
    cluster_start(&c, 3,
                  "{\"id\":\"all\",\"effect\":\"allow\",\"clients\":[\"ops\"],\"keys\":[\"*\"],"
                  "\"kinds\":[\"sha256\"]}");
    cluster_keygen(&c, 2, pk);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    cluster_stop(&c);
    return 0;
}

/* A request through party i; its answer's error. request: its hash. */
static qr_err
sign(size_t i, const char *id, const char *kind, struct qr_answer_signed *ret)
{
    cluster_body(&c, pk, id, "", 2, kind, body, sizeof body);
    uint64_t ask = cluster_sign(&c, i, body);
    const struct qr_answer *a = cluster_wait(&c, ask, 3000);
    assert_non_null(a);
    uint8_t hash[32];
    assert_int_equal(qr_request_hash(qr_view_str(body), hash), QR_OK);
    qr_hex_encode(qr_view_of(hash, 32), request);
    if (a->error == QR_OK && ret) {
        *ret = a->sgn;
    }
    return a->error;
}

static const struct qr_answer *
receipt(size_t i)
{
    uint8_t hash[32];
    assert_int_equal(qr_hex_decode(request, 64, hash, 32), QR_OK);
    struct qr_ask q = {
        .what = QR_ASK_QUERY, .query = QR_QUERY_RECEIPT, .body = qr_view_of(hash, 32)};
    const struct qr_answer *a = cluster_wait(&c, cluster_ask(&c, i, 0, &q), 5000);
    assert_non_null(a);
    return a;
}

/* All records of party i, as its gateway would have them; confirmed. */
static const char *
fetch(size_t i)
{
    static struct qr_dbuf d;
    uint8_t arg[16] = {0};
    qr_dbuf_free(&d);
    qr_dbuf_init(&d, QR_AUDIT_BYTES);
    struct qr_audit *log = c.p[i].party->audit->log;
    struct qr_audit_head h;
    assert_int_equal(qr_audit_query(c.p[i].party, qr_view_of(arg, 16), &d), QR_OK);
    assert_int_equal(qr_dbuf_append(&d, "", 1), QR_OK);
    struct qr_dbuf none;
    qr_dbuf_init(&none, 4096);
    qr_audit_head(log, &h);
    qr_put64(arg, h.boot);
    qr_put64(arg + 8, h.serial);
    assert_int_equal(qr_audit_query(c.p[i].party, qr_view_of(arg, 16), &none), QR_OK);
    assert_int_equal(none.len, 0);
    qr_dbuf_free(&none);
    return (const char *)d.p;
}

static size_t
count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *p = strstr(text, what); p; p = strstr(p + 1, what)) {
        n++;
    }
    return n;
}

static int
never(struct cluster *x, void *ctx)
{
    (void)x;
    (void)ctx;
    return 0;
}

/* ---- what is recorded -------------------------------------------------------------------- */

static void
test_records(void **state)
{
    struct qr_answer_signed sgn = {0};
    char part[200];
    (void)state;
    assert_int_equal(sign(1, "records-000000001", "sha256", &sgn), QR_OK);
    (void)snprintf(part, sizeof part, "\"event\":\"signed\",\"request\":\"%s\",\"coordinator\":1,",
                   request);
    for (size_t i = 0; i < sgn.n_signers; i++) {
        const char *text = fetch(sgn.signers[i]);
        assert_int_equal(count(text, part), 1);
        struct qr_audit_signature *s = qr_alloc(sizeof *s);
        assert_non_null(s);
        const char *line = strstr(text, part);
        while (line > text && line[-1] != '\n') {
            line--;
        }
        assert_int_equal(
            qr_audit_read_signed(qr_view_of(line, strcspn(line, "\n")), s, why, sizeof why), QR_OK);
        assert_int_equal(s->n_set, sgn.n_signers);
        assert_int_equal(s->has_sigs, sgn.signers[i] == 1);
        assert_int_equal(s->n, 2);
        assert_string_equal(s->client, "ops");
        assert_string_equal(s->rule, "all");
        qr_free(s);
    }
    /* Refused, of a known client: recorded with the rule's absence; of a stranger: counted. */
    assert_int_equal(sign(1, "records-000000002", "digest", NULL), QR_ERR_POLICY_DENIED);
    struct qr_ask q = {.what = QR_ASK_SIGN, .body = qr_view_str(body)};
    const struct qr_answer *a = cluster_wait(&c, cluster_ask(&c, 1, 0, &q), 100);
    assert_int_equal(a->error, QR_ERR_STAMP_MISSING);
    (void)cluster_until(&c, 1200, never, NULL);
    const char *text = fetch(1);
    (void)snprintf(part, sizeof part, "\"event\":\"refused\",\"request\":\"%s\"", request);
    assert_int_equal(count(text, part), 1);
    assert_non_null(
        strstr(text, "\"unrecorded\":{\"unknown_clients\":1,\"refused\":0,\"other\":0}"));
    assert_int_equal(count(text, "\"code\":\"policy_denied\""), 1);
    assert_int_equal(count(text, "\"code\":\"stamp_missing\""), 0);
    assert_non_null(strstr(text, "\"event\":\"key\",\"what\":\"made\""));
    assert_non_null(strstr(text, "\"event\":\"admin\",\"what\":\"command\""));
}

/* A flood of refusals of a client that is known is not a flood of records. */
static void
test_refusals_are_bounded(void **state)
{
    size_t before = count(fetch(2), "\"event\":\"refused\"");
    struct qr_party *p = c.p[2].party;
    (void)state;
    assert_int_equal(sign(2, "bounded-000000001", "digest", NULL), QR_ERR_POLICY_DENIED);
    struct qr_judgement *v = &p->verdict; /* as it was judged just now */
    for (int i = 0; i < 1000; i++) {
        qr_audit_refused(p, 2, qr_view_str(body), v, QR_ERR_POLICY_DENIED);
    }
    (void)cluster_until(&c, 1200, never, NULL);
    const char *text = fetch(2);
    size_t n = count(text, "\"event\":\"refused\"") - before;
    assert_true(n <= 2 * QR_AUDIT_REFUSED_RATE && n >= QR_AUDIT_REFUSED_RATE);
    assert_non_null(strstr(text, "\"refused\":9"));
}

/* What the peers vouch for is what the gateway confirmed. */
static void
test_anchors(void **state)
{
    struct qr_audit_head at;
    char part[200], hash[65];
    (void)state;
    (void)fetch(1);
    at = c.p[1].party->audit->durable;
    assert_true(at.serial > 0);
    (void)cluster_until(&c, 3000, never, NULL);
    qr_hex_encode(qr_view_of(at.hash, 32), hash);
    (void)snprintf(part, sizeof part,
                   "\"event\":\"anchor\",\"of\":1,\"of_boot\":%llu,\"of_serial\":%llu,"
                   "\"of_hash\":\"%s\"",
                   (unsigned long long)at.boot, (unsigned long long)at.serial, hash);
    assert_int_equal(count(fetch(2), part), 1);
    assert_int_equal(count(fetch(3), part), 1);
}

static void
test_hostile_heads(void **state)
{
    struct qr_ctl_audit_head h = c.p[1].party->audit->told;
    uint8_t buf[QR_CTL_AUDIT_HEAD_LEN];
    struct qr_party *p = c.p[2].party;
    size_t before = count(fetch(2), "\"event\":\"anchor\"");
    (void)state;
    assert_true(h.boot > 0);
    for (int i = 0; i < 4; i++) {
        struct qr_ctl_audit_head x = h;
        x.serial += 100;
        x.sig[5] ^= i == 0;
        x.hash[5] ^= i == 1;
        x.nonce[5] ^= i == 2;
        struct qr_buf b = qr_buf_over(buf, sizeof buf);
        qr_ctl_put_audit_head(&b, &x);
        struct qr_msg_in m = {.from = 1, .type = QR_MSG_AUDIT_HEAD, .payload = qr_buf_view(&b)};
        m.payload.len -= i == 3;
        qr_audit_on_head(p, &m);
        p->audit->peer[1].next_at = 0;
        qr_audit_tick(p);
    }
    assert_int_equal(count(fetch(2), "\"event\":\"anchor\""), before);
}

/* ---- receipts ---------------------------------------------------------------------------- */

static qr_err
verify(qr_view text, struct qr_receipt_said *said)
{
    struct qr_party *p = c.p[1].party;
    return qr_receipt_verify(text, p->roster, p->policy, qr_view_str(body), said, why, sizeof why);
}

static void
test_receipt(void **state)
{
    struct qr_answer_signed sgn = {0};
    struct qr_receipt_said said;
    struct timespec from, to;
    (void)state;
    assert_int_equal(sign(1, "receipt-000000001", "sha256", &sgn), QR_OK);
    const struct qr_answer *a = receipt(1);
    assert_int_equal(a->error, QR_OK);
    char *text = qr_alloc(a->json.len + 1);
    assert_non_null(text);
    memcpy(text, a->json.p, a->json.len);
    size_t len = a->json.len;
    const unsigned rounds = 50;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    for (unsigned i = 0; i < rounds; i++) {
        assert_int_equal(verify(qr_view_of(text, len), &said), QR_OK);
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    double ms =
        ((double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6);
    printf("a receipt of 2 signers and 2 signatures verifies in %.3f ms of CPU, evidence of the "
           "software "
           "TEE included\n",
           ms / rounds);
    assert_int_equal(said.n_signers, 2);
    assert_int_equal(said.n_sigs, 2);
    assert_memory_equal(said.key, pk, 33);
    assert_true(said.bytes > 500);
    assert_string_equal(said.rule, "all");
    /* Every byte counts: whatever is flipped, it does not verify, or says the same. */
    size_t accepted = 0;
    for (size_t i = 0; i < len; i += 1 + i / 64) {
        text[i] ^= 1;
        accepted += verify(qr_view_of(text, len), &said) == QR_OK;
        text[i] ^= 1;
    }
    assert_int_equal(accepted, 0);
    for (size_t n = 0; n < len; n += 97) {
        assert_int_not_equal(verify(qr_view_of(text, n), &said), QR_OK);
    }
    /* The request of another body. */
    body[strlen(body) - 3] ^= 1;
    assert_int_equal(verify(qr_view_of(text, len), &said), QR_ERR_MALFORMED);
    qr_free(text);
}

static void
test_receipt_refused(void **state)
{
    (void)state;
    assert_int_equal(sign(2, "receipt-000000002", "sha256", NULL), QR_OK);
    assert_int_equal(receipt(1)->error, QR_ERR_NO_RECEIPT); /* did not lead it */
    assert_int_equal(receipt(2)->error, QR_OK);
    assert_int_equal(receipt(2)->error, QR_OK); /* again: the evidence does not travel twice */
    memset(request, '0', 64);
    assert_int_equal(receipt(2)->error, QR_ERR_NO_RECEIPT);
    /* Under a new policy the old record has no receipt any more. */
    assert_int_equal(sign(1, "receipt-000000003", "sha256", NULL), QR_OK);
    cluster_policy(&c, "{\"insecure_sim\":true}");
    (void)cluster_until(&c, 50, never, NULL); /* all links are made anew */
    assert_true(cluster_until(&c, 20000, cluster_linked, NULL));
    assert_int_equal(receipt(1)->error, QR_ERR_NO_RECEIPT);
    assert_int_equal(sign(1, "receipt-000000004", "sha256", NULL), QR_OK);
    assert_int_equal(receipt(1)->error, QR_OK);
}

/* A peer's part that is not its own record of this request, or not signed, ends in a refusal that names it. */
static void
test_receipt_lies(void **state)
{
    struct qr_party *p = c.p[1].party;
    struct qr_ctl_receipt_tell t = {.attempt = 1, .made_ms = 1};
    uint8_t hash[32], buf[1024];
    (void)state;
    struct qr_answer_signed sgn = {0};
    assert_int_equal(sign(1, "receipt-000000005", "sha256", &sgn), QR_OK);
    assert_int_equal(qr_hex_decode(request, 64, hash, 32), QR_OK);
    uint16_t other = sgn.signers[0] == 1 ? sgn.signers[1] : sgn.signers[0];
    struct qr_ask q = {
        .what = QR_ASK_QUERY, .query = QR_QUERY_RECEIPT, .body = qr_view_of(hash, 32)};
    uint64_t ask = cluster_ask(&c, 1, 0, &q);
    for (size_t i = 0; i < QR_RECEIPT_RUNS; i++) {
        if (p->audit->run[i].used) {
            t.attempt = p->audit->run[i].attempt;
        }
    }
    t.record = qr_view_str("{}");
    struct qr_buf b = qr_buf_over(buf, sizeof buf);
    qr_ctl_put_receipt_tell(&b, &t);
    struct qr_msg_in m = {.from = other, .type = QR_MSG_RECEIPT_TELL, .payload = qr_buf_view(&b)};
    memcpy(m.sid, hash, 32);
    qr_receipt_on_tell(p, &m);
    const struct qr_answer *a = cluster_answer(&c, ask);
    assert_non_null(a);
    assert_int_equal(a->error, QR_ERR_QUORUM);
    assert_int_equal(a->party, other);
    qr_receipt_on_tell(p, &m); /* of nothing that waits: ignored */
    assert_int_equal(receipt(1)->error, QR_OK);
}

/* ---- nobody fetches ---------------------------------------------------------------------- */

static void
test_full(void **state)
{
    struct qr_party *p = c.p[1].party;
    char line[400], filler[390];
    (void)state;
    c.no_fetch = 1;
    memset(filler, 'x', sizeof filler - 1);
    filler[sizeof filler - 1] = '\0';
    while (qr_audit_room(p->audit->log, 0)) {
        qr_audit_event(p, "peer", "filler", 2, "%s", filler);
    }
    cluster_turn(&c);
    (void)cluster_until(&c, 200, never, NULL);
    assert_int_equal(sign(1, "full-000000000001", "sha256", NULL), QR_ERR_NOT_READY);
    assert_int_equal(qr_party_ready(p, line, sizeof line), 0);
    assert_non_null(strstr(line, "AUDIT LOG FULL"));
    uint64_t waiting = qr_audit_waiting(p->audit->log);
    qr_audit_event(p, "peer", "up", 2, "still recorded");
    assert_int_equal(qr_audit_waiting(p->audit->log), waiting + 1);
    /* Fetched: it goes on by itself. */
    struct qr_audit_head h;
    uint8_t arg[16];
    struct qr_dbuf none;
    qr_dbuf_init(&none, 64 * 1024);
    qr_audit_head(p->audit->log, &h);
    qr_put64(arg, h.boot);
    qr_put64(arg + 8, h.serial);
    assert_int_equal(qr_audit_query(p, qr_view_of(arg, 16), &none), QR_OK);
    qr_dbuf_free(&none);
    (void)cluster_until(&c, 200, never, NULL);
    assert_int_equal(sign(1, "full-000000000002", "sha256", NULL), QR_OK);
    assert_int_equal(qr_party_ready(p, line, sizeof line), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),      cmocka_unit_test(test_refusals_are_bounded),
        cmocka_unit_test(test_anchors),      cmocka_unit_test(test_hostile_heads),
        cmocka_unit_test(test_receipt),      cmocka_unit_test(test_receipt_refused),
        cmocka_unit_test(test_receipt_lies), cmocka_unit_test(test_full),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
