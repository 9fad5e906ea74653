/* What a party's platform wants from vendors, and what its host brings. */
#include "test/common/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct {
    unsigned calls;
    char source[24];
    size_t n, len[QR_ASK_PIECES];
    enum qr_part part[QR_ASK_PIECES];
    qr_err answer;
} got;

static qr_err
needs(void *ctx, struct qr_dbuf *out)
{
    static const char text[] = "{\"v\":1,\"needs\":[{\"source\":\"azure-thim\"}]}";
    (void)ctx;
    return qr_dbuf_append(out, text, sizeof text - 1);
}

static qr_err
collateral(void *ctx, qr_view source, const struct qr_tee_piece *piece, size_t n)
{
    (void)ctx;
    got.calls++;
    (void)snprintf(got.source, sizeof got.source, "%.*s", (int)source.len, (const char *)source.p);
    got.n = n;
    for (size_t i = 0; i < n; i++) {
        got.part[i] = piece[i].part;
        got.len[i] = piece[i].body.len;
    }
    return got.answer;
}

static const struct qr_answer *
ask(struct cluster *c, const struct qr_ask *a)
{
    return cluster_wait(c, cluster_ask(c, 1, 0, a), 100);
}

static struct qr_ask
brings(const char *first, const char *second)
{
    struct qr_ask a = {.what = QR_ASK_COLLATERAL, .body = qr_view_str("azure-thim"), .n_pieces = 2};
    a.pieces[0] = (struct qr_ask_piece){qr_view_str(first), qr_view_str("one")};
    a.pieces[1] = (struct qr_ask_piece){qr_view_str(second), qr_view_str("second")};
    return a;
}

static void
test_software_needs_nothing(void **state)
{
    struct cluster *c = *state;
    struct qr_ask q = {.what = QR_ASK_QUERY, .query = QR_QUERY_NEEDS},
                  b = brings("vek.der", "ask.der");
    const struct qr_answer *a = ask(c, &q);
    assert_int_equal(a->error, QR_OK);
    assert_true(qr_view_eq(a->json, qr_view_str("{\"v\":1,\"needs\":[]}")));
    a = ask(c, &b);
    assert_int_equal(a->error, QR_ERR_PLATFORM);
    assert_true(qr_view_eq(a->detail, qr_view_str("this platform needs no documents")));
}

static void
test_pieces_reach_the_platform(void **state)
{
    struct cluster *c = *state;
    struct qr_ask q = {.what = QR_ASK_QUERY, .query = QR_QUERY_NEEDS},
                  b = brings("vek.der", "ask.der");
    c->p[1].tee.needs = needs;
    c->p[1].tee.collateral = collateral;
    got.calls = 0;
    got.answer = QR_OK;
    assert_true(qr_view_eq(ask(c, &q)->json,
                           qr_view_str("{\"v\":1,\"needs\":[{\"source\":\"azure-thim\"}]}")));
    assert_int_equal(ask(c, &b)->error, QR_OK);
    assert_int_equal(got.calls, 1);
    assert_string_equal(got.source, "azure-thim");
    assert_int_equal(got.n, 2);
    assert_int_equal(got.part[0], QR_PART_SNP_VEK);
    assert_int_equal(got.len[0], 3);
    assert_int_equal(got.part[1], QR_PART_SNP_ASK);
    assert_int_equal(got.len[1], 6);
    /* Not asked for, says the platform. */
    got.answer = QR_ERR_PLATFORM;
    assert_int_equal(ask(c, &b)->error, QR_ERR_PLATFORM);
}

static void
test_pieces_that_evidence_does_not_have(void **state)
{
    struct cluster *c = *state;
    static uint8_t big[8192];
    struct qr_ask b = brings("vek.der", "/etc/passwd");
    c->p[1].tee.collateral = collateral;
    got.calls = 0;
    got.answer = QR_OK;
    const struct qr_answer *a = ask(c, &b);
    assert_int_equal(a->error, QR_ERR_MALFORMED);
    assert_non_null(memmem(a->detail.p, a->detail.len, "piece 2, \"/etc/passwd\"", 22));
    /* A name of the list with more bytes than it may have. */
    b = brings("vek.der", "ask.der");
    b.pieces[1].body = qr_view_of(big, sizeof big);
    assert_int_equal(ask(c, &b)->error, QR_ERR_MALFORMED);
    assert_int_equal(got.calls, 0);
}

static struct cluster stage;

static int
set_up(void **state)
{
    cluster_start(&stage, 2, NULL);
    *state = &stage;
    return 0;
}

static int
tear_down(void **state)
{
    cluster_stop(*state);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_software_needs_nothing),
        cmocka_unit_test(test_pieces_reach_the_platform),
        cmocka_unit_test(test_pieces_that_evidence_does_not_have),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
