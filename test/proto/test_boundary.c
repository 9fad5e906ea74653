/* proto/boundary: round trips, frames cut anywhere, and everything a hostile side may send. */
#include "proto/boundary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static qr_view
frame_of(const struct qr_dbuf *d)
{
    assert_true(d->len > 4);
    assert_int_equal(qr_get32(d->p), d->len - 4);
    return qr_view_of(d->p + 4, d->len - 4);
}

static struct qr_ask
sign_ask(void)
{
    return (struct qr_ask){
        .id = UINT64_C(0x123456789abcdef0),
        .what = QR_ASK_SIGN,
        .body = qr_view_str("{\"v\":1}"),
        .n_stamps = 2,
        .stamps = {qr_view_str("c3RhbXA"), qr_view_str("b3RoZXI")},
        .traceparent = qr_view_str("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    };
}

static void
ask_equal(const struct qr_ask *a, const struct qr_ask *b)
{
    assert_true(a->id == b->id);
    assert_int_equal(a->what, b->what);
    assert_int_equal(a->query, b->query);
    assert_int_equal(a->admin, b->admin);
    assert_true(qr_view_eq(a->body, b->body));
    assert_int_equal(a->n_stamps, b->n_stamps);
    for (size_t i = 0; i < a->n_stamps; i++) {
        assert_true(qr_view_eq(a->stamps[i], b->stamps[i]));
    }
    assert_true(qr_view_eq(a->traceparent, b->traceparent));
    assert_int_equal(a->n_pieces, b->n_pieces);
    for (size_t i = 0; i < a->n_pieces; i++) {
        assert_true(qr_view_eq(a->pieces[i].name, b->pieces[i].name));
        assert_true(qr_view_eq(a->pieces[i].body, b->pieces[i].body));
    }
}

static void
round_trip_ask(const struct qr_ask *a)
{
    struct qr_dbuf d;
    struct qr_ask *got = NULL;
    qr_dbuf_init(&d, QR_ASK_FRAME_MAX + 4);
    assert_int_equal(qr_ask_put(&d, a), QR_OK);
    assert_int_equal(qr_ask_decode(frame_of(&d), &got), QR_OK);
    ask_equal(a, got);
    qr_ask_free(got);
    qr_dbuf_free(&d);
}

static void
test_ask_round_trip(void **state)
{
    (void)state;
    struct qr_ask a = sign_ask();
    uint8_t arg[33] = {2};
    round_trip_ask(&a);
    a.id = 0;
    a.traceparent = qr_view_of(NULL, 0);
    a.n_stamps = 0;
    round_trip_ask(&a);
    for (int q = QR_QUERY_STATUS; q < QR_QUERY_END_; q++) {
        struct qr_ask b = {.id = 7, .what = QR_ASK_QUERY, .query = (enum qr_query)q};
        b.body = qr_view_of(arg, qr_query_arg_len(b.query));
        round_trip_ask(&b);
    }
    struct qr_ask c = {.id = 8, .what = QR_ASK_ADMIN, .admin = QR_ADMIN_DRAIN};
    round_trip_ask(&c);
    c.admin = QR_ADMIN_LOAD_ROSTER;
    c.body = qr_view_str("{}");
    c.n_stamps = QR_ADMINS_MAX;
    for (size_t i = 0; i < c.n_stamps; i++) {
        c.stamps[i] = qr_view_str("c3RhbXA");
    }
    round_trip_ask(&c);
}

static struct qr_ask
collateral_ask(void)
{
    struct qr_ask a = {.id = 9, .what = QR_ASK_COLLATERAL, .body = qr_view_str("amd-kds")};
    a.n_pieces = QR_ASK_PIECES;
    for (size_t i = 0; i < QR_ASK_PIECES; i++) {
        a.pieces[i] = (struct qr_ask_piece){qr_view_str("vek.der"), qr_view_str("bytes")};
    }
    return a;
}

static void
test_ask_collateral(void **state)
{
    (void)state;
    static uint8_t big[QR_ASK_PIECE_MAX + 1];
    struct qr_dbuf d;
    struct qr_ask a = collateral_ask();
    qr_dbuf_init(&d, 2 * QR_ASK_FRAME_MAX);
    memset(big, 'x', sizeof big);

    round_trip_ask(&a);
    a.n_pieces = 2;
    a.pieces[0].body = a.pieces[1].body = qr_view_of(big, QR_ASK_PIECE_MAX);
    round_trip_ask(&a);
    a.n_pieces = 3; /* all together are more than a document */
    assert_int_equal(qr_ask_put(&d, &a), QR_ERR_TOO_LARGE);
    a = collateral_ask();
    a.pieces[3].body = qr_view_of(big, QR_ASK_PIECE_MAX + 1);
    assert_int_equal(qr_ask_put(&d, &a), QR_ERR_TOO_LARGE);
    a.pieces[3].body.len = 0;
    assert_int_equal(qr_ask_put(&d, &a), QR_ERR_MALFORMED);
    a = collateral_ask();
    a.pieces[0].name = qr_view_of(big, QR_ASK_PIECE_NAME_MAX + 1);
    assert_int_equal(qr_ask_put(&d, &a), QR_ERR_TOO_LARGE);
    a.pieces[0].name.len = 0;
    assert_int_equal(qr_ask_put(&d, &a), QR_ERR_MALFORMED);
    a = collateral_ask();
    a.n_pieces = 0;
    assert_int_equal(qr_ask_put(&d, &a), QR_ERR_MALFORMED);
    a = collateral_ask();
    a.body = qr_view_of(big, QR_ASK_SOURCE_MAX + 1);
    assert_int_equal(qr_ask_put(&d, &a), QR_ERR_TOO_LARGE);
    a.body.len = 0;
    assert_int_equal(qr_ask_put(&d, &a), QR_ERR_MALFORMED);
    a = collateral_ask();
    a.n_stamps = 1;
    a.stamps[0] = qr_view_str("c3RhbXA");
    assert_int_equal(qr_ask_put(&d, &a), QR_ERR_TOO_LARGE);
    a = sign_ask();
    a.n_pieces = 1; /* a signature's question has none */
    a.pieces[0] = collateral_ask().pieces[0];
    assert_int_equal(qr_ask_put(&d, &a), QR_ERR_MALFORMED);
    assert_int_equal(d.len, 0);
    qr_dbuf_free(&d);
}

static void
test_ask_limits(void **state)
{
    (void)state;
    static uint8_t big[QR_DOC_MAX + 1];
    struct qr_dbuf d;
    struct qr_ask a = sign_ask();
    qr_dbuf_init(&d, 2 * QR_ASK_FRAME_MAX);
    memset(big, 'x', sizeof big);

    a.body = qr_view_of(big, QR_BODY_MAX);
    round_trip_ask(&a);
    a.body.len++;
    assert_int_equal(qr_ask_put(&d, &a), QR_ERR_TOO_LARGE);
    a = sign_ask();
    a.body.len = 0;
    assert_int_equal(qr_ask_put(&d, &a), QR_ERR_MALFORMED);
    a = sign_ask();
    a.n_stamps = QR_STAMPS_MAX + 1;
    assert_int_equal(qr_ask_put(&d, &a), QR_ERR_TOO_LARGE);
    a = sign_ask();
    a.stamps[0] = qr_view_of(big, QR_STAMP_MAX + 1);
    assert_int_equal(qr_ask_put(&d, &a), QR_ERR_TOO_LARGE);
    a = sign_ask();
    a.traceparent.len--;
    assert_int_equal(qr_ask_put(&d, &a), QR_ERR_MALFORMED);
    a = (struct qr_ask){.what = QR_ASK_QUERY, .query = QR_QUERY_KEY, .body = {big, 32}};
    assert_int_equal(qr_ask_put(&d, &a), QR_ERR_LENGTH);
    a = (struct qr_ask){.what = QR_ASK_QUERY, .query = QR_QUERY_END_};
    assert_int_equal(qr_ask_put(&d, &a), QR_ERR_MALFORMED);
    a = (struct qr_ask){.what = QR_ASK_ADMIN, .admin = QR_ADMIN_DRAIN, .body = {big, 1}};
    assert_int_equal(qr_ask_put(&d, &a), QR_ERR_TOO_LARGE);
    a = (struct qr_ask){
        .what = QR_ASK_ADMIN, .admin = QR_ADMIN_LOAD_POLICY, .body = {big, QR_DOC_MAX}};
    round_trip_ask(&a);
    a.body.len++;
    assert_int_equal(qr_ask_put(&d, &a), QR_ERR_TOO_LARGE);
    assert_int_equal(d.len, 0); /* nothing was left behind by the refusals */
    qr_dbuf_free(&d);
}

static qr_err
decode_ask(const void *p, size_t n)
{
    struct qr_ask *a = NULL;
    qr_err e = qr_ask_decode(qr_view_of(p, n), &a);
    assert_true((e == QR_OK) == (a != NULL));
    qr_ask_free(a);
    return e;
}

/* id 7, version 1, query STATUS */
#define BASE 0x08, 7, 0x10, 1, 0x22, 2, 0x08, 1

static void
test_ask_strict(void **state)
{
    (void)state;
    const uint8_t good[] = {BASE};
    const uint8_t unknown[] = {BASE, 0x78, 1};
    const uint8_t unknown_inside[] = {0x08, 7, 0x10, 1, 0x22, 4, 0x08, 1, 0x78, 1};
    const uint8_t repeated[] = {0x08, 7, BASE};
    const uint8_t explicit_zero[] = {0x08, 0, 0x10, 1, 0x22, 2, 0x08, 1};
    const uint8_t overlong[] = {0x08, 0x87, 0x00, 0x10, 1, 0x22, 2, 0x08, 1};
    const uint8_t order[] = {0x10, 1, 0x08, 7, 0x22, 2, 0x08, 1};
    const uint8_t two_of_oneof[] = {BASE, 0x2a, 2, 0x08, 4};
    const uint8_t version[] = {0x08, 7, 0x10, 2, 0x22, 2, 0x08, 1};
    const uint8_t no_version[] = {0x08, 7, 0x22, 2, 0x08, 1};
    const uint8_t nothing[] = {0x08, 7, 0x10, 1};
    const uint8_t kind_zero[] = {0x08, 7, 0x10, 1, 0x22, 0};
    const uint8_t kind_high[] = {0x08, 7, 0x10, 1, 0x22, 2, 0x08, QR_QUERY_END_};
    const uint8_t cut[] = {0x08, 7, 0x10, 1, 0x22, 3, 0x08, 1};
    const uint8_t nul_trace[] = {0x08, 7, 0x10, 1, 0x1a, 8, 0x0a, 1, 'x', 0x1a, 3, 'a', 0, 'b'};
    const uint8_t wrong_wire[] = {0x0d, 7, 0, 0, 0, 0x10, 1, 0x22, 2, 0x08, 1};

    assert_int_equal(decode_ask(good, sizeof good), QR_OK);
    assert_int_equal(decode_ask(unknown, sizeof unknown), QR_ERR_UNKNOWN_FIELD);
    assert_int_equal(decode_ask(unknown_inside, sizeof unknown_inside), QR_ERR_UNKNOWN_FIELD);
    assert_int_equal(decode_ask(repeated, sizeof repeated), QR_ERR_MALFORMED);
    assert_int_equal(decode_ask(explicit_zero, sizeof explicit_zero), QR_ERR_MALFORMED);
    assert_int_equal(decode_ask(overlong, sizeof overlong), QR_ERR_MALFORMED);
    assert_int_equal(decode_ask(order, sizeof order), QR_ERR_MALFORMED);
    assert_int_equal(decode_ask(two_of_oneof, sizeof two_of_oneof), QR_ERR_MALFORMED);
    assert_int_equal(decode_ask(version, sizeof version), QR_ERR_VERSION);
    assert_int_equal(decode_ask(no_version, sizeof no_version), QR_ERR_VERSION);
    assert_int_equal(decode_ask(nothing, sizeof nothing), QR_ERR_MALFORMED);
    assert_int_equal(decode_ask(kind_zero, sizeof kind_zero), QR_ERR_MALFORMED);
    assert_int_equal(decode_ask(kind_high, sizeof kind_high), QR_ERR_MALFORMED);
    assert_int_equal(decode_ask(cut, sizeof cut), QR_ERR_MALFORMED);
    assert_int_equal(decode_ask(nul_trace, sizeof nul_trace), QR_ERR_MALFORMED);
    assert_int_not_equal(decode_ask(wrong_wire, sizeof wrong_wire), QR_OK);
    assert_int_not_equal(decode_ask(good, 0), QR_OK);
}

/* A frame of ten thousand two-byte fields must not cost more than the frame's own allowance. */
static void
test_ask_memory(void **state)
{
    (void)state;
    static uint8_t many[QR_ASK_FRAME_MAX + 1];
    size_t bytes, blocks, bytes_after, blocks_after;
    for (size_t i = 0; i + 1 < sizeof many; i += 2) {
        many[i] = 0x08;
        many[i + 1] = 1;
    }
    qr_alloc_stats(&bytes, &blocks);
    assert_int_equal(decode_ask(many, 20000), QR_ERR_MALFORMED);
    assert_int_equal(decode_ask(many, sizeof many), QR_ERR_TOO_LARGE);
    qr_alloc_stats(&bytes_after, &blocks_after);
    assert_int_equal(bytes, bytes_after);
    assert_int_equal(blocks, blocks_after);
}

/* Every byte of a good frame changed and every shorter frame: an error or a message that encodes
   to exactly these bytes; never a crash or a leak (sanitizers watch). */
static void
test_ask_mutations(void **state)
{
    (void)state;
    struct qr_dbuf d, again;
    struct qr_ask a = sign_ask();
    uint8_t buf[512];
    int accepted = 0;

    qr_dbuf_init(&d, QR_ASK_FRAME_MAX);
    qr_dbuf_init(&again, QR_ASK_FRAME_MAX);
    assert_int_equal(qr_ask_put(&d, &a), QR_OK);
    qr_view f = frame_of(&d);
    assert_true(f.len < sizeof buf);
    for (size_t n = 0; n < f.len; n++) {
        assert_int_not_equal(decode_ask(f.p, n), QR_OK);
    }
    for (size_t i = 0; i < f.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct qr_ask *got = NULL;
            memcpy(buf, f.p, f.len);
            buf[i] ^= (uint8_t)(1u << bit);
            if (qr_ask_decode(qr_view_of(buf, f.len), &got) == QR_OK) {
                accepted++;
                again.len = 0;
                assert_int_equal(qr_ask_put(&again, got), QR_OK);
                assert_true(qr_view_eq(frame_of(&again), qr_view_of(buf, f.len)));
                qr_ask_free(got);
            }
        }
    }
    assert_true(accepted > 100); /* changes of content are no errors of form */
    qr_dbuf_free(&d);
    qr_dbuf_free(&again);
}

static struct qr_answer
signed_answer(struct qr_answer_sig *sigs, size_t n)
{
    struct qr_answer a = {.id = 99, .is_signed = 1, .rule = qr_view_str("hot-1")};
    memset(a.sgn.request, 0xaa, 32);
    memset(a.sgn.key, 2, 33);
    for (size_t i = 0; i < n; i++) {
        memset(sigs[i].digest, (int)i + 1, 32);
        memset(sigs[i].rs, (int)i + 2, 64);
        sigs[i].recid = (uint8_t)(i % 4);
    }
    a.sgn.n_sigs = n;
    a.sgn.sigs = sigs;
    a.sgn.n_signers = 2;
    a.sgn.signers[0] = 1;
    a.sgn.signers[1] = 3;
    a.sgn.insecure_sim = 1;
    a.sgn.moves = 1;
    a.sgn.move_reason = qr_view_str("party 2 did not answer in 500 ms");
    a.sgn.micros = 812;
    a.sgn.bytes = 1234;
    return a;
}

static void
answer_equal(const struct qr_answer *a, const struct qr_answer *b)
{
    assert_true(a->id == b->id);
    assert_int_equal(a->error, b->error);
    assert_int_equal(a->party, b->party);
    assert_true(qr_view_eq(a->detail, b->detail));
    assert_true(qr_view_eq(a->rule, b->rule));
    assert_true(qr_view_eq(a->json, b->json));
    assert_true(qr_view_eq(a->text, b->text));
    assert_int_equal(a->need, b->need);
    assert_true(a->retry_s == b->retry_s);
    assert_int_equal(a->n_approvers, b->n_approvers);
    for (size_t i = 0; i < a->n_approvers; i++) {
        assert_true(qr_view_eq(a->approvers[i], b->approvers[i]));
    }
    assert_int_equal(a->is_signed, b->is_signed);
    if (!a->is_signed) {
        return;
    }
    assert_memory_equal(a->sgn.request, b->sgn.request, 32);
    assert_memory_equal(a->sgn.key, b->sgn.key, 33);
    assert_int_equal(a->sgn.n_sigs, b->sgn.n_sigs);
    for (size_t i = 0; i < a->sgn.n_sigs; i++) {
        assert_memory_equal(a->sgn.sigs[i].digest, b->sgn.sigs[i].digest, 32);
        assert_memory_equal(a->sgn.sigs[i].rs, b->sgn.sigs[i].rs, 64);
        assert_int_equal(a->sgn.sigs[i].recid, b->sgn.sigs[i].recid);
    }
    assert_int_equal(a->sgn.n_signers, b->sgn.n_signers);
    assert_memory_equal(a->sgn.signers, b->sgn.signers,
                        a->sgn.n_signers * sizeof a->sgn.signers[0]);
    assert_int_equal(a->sgn.insecure_sim, b->sgn.insecure_sim);
    assert_int_equal(a->sgn.moves, b->sgn.moves);
    assert_true(qr_view_eq(a->sgn.move_reason, b->sgn.move_reason));
    assert_true(a->sgn.micros == b->sgn.micros && a->sgn.bytes == b->sgn.bytes);
}

static void
round_trip_answer(const struct qr_answer *a)
{
    struct qr_dbuf d;
    struct qr_answer *got = NULL;
    qr_dbuf_init(&d, QR_ANSWER_FRAME_MAX + 4);
    assert_int_equal(qr_answer_put(&d, a), QR_OK);
    assert_int_equal(qr_answer_decode(frame_of(&d), &got), QR_OK);
    answer_equal(a, got);
    qr_answer_free(got);
    qr_dbuf_free(&d);
}

static void
test_answer_round_trip(void **state)
{
    (void)state;
    static struct qr_answer_sig sigs[QR_ITEMS_MAX];
    static uint8_t json[1024 * 1024];
    struct qr_answer a = signed_answer(sigs, 1);
    round_trip_answer(&a);
    a = signed_answer(sigs, QR_ITEMS_MAX);
    for (uint16_t i = 0; i < QR_MAX_PARTIES; i++) {
        a.sgn.signers[i] = (uint16_t)(i + 1);
    }
    a.sgn.n_signers = QR_MAX_PARTIES;
    round_trip_answer(&a);
    struct qr_answer e = {.id = 1,
                          .error = QR_ERR_POLICY_DENIED,
                          .party = 2,
                          .detail = qr_view_str("no rule allows kind \"digest\""),
                          .rule = qr_view_str("deny-raw")};
    round_trip_answer(&e);
    static char name[QR_NAME_MAX];
    memset(name, 'n', sizeof name);
    e.error = QR_ERR_APPROVALS;
    e.need = 2;
    e.n_approvers = QR_APPROVERS_MAX;
    for (size_t i = 0; i < e.n_approvers; i++) {
        e.approvers[i] = qr_view_of(name, i % QR_NAME_MAX + 1);
    }
    round_trip_answer(&e);
    struct qr_answer l = {.id = 1, .error = QR_ERR_LIMIT, .retry_s = 31536000};
    round_trip_answer(&l);
    memset(json, ' ', sizeof json);
    struct qr_answer j = {
        .id = 2, .json = qr_view_of(json, sizeof json), .text = qr_view_str("x\n")};
    round_trip_answer(&j);
}

static void
test_answer_strict(void **state)
{
    (void)state;
    struct qr_answer_sig sigs[2];
    struct qr_answer a;
    struct qr_dbuf d;
    qr_dbuf_init(&d, QR_ANSWER_FRAME_MAX);

    a = signed_answer(sigs, 2);
    a.sgn.signers[1] = 1; /* not ascending */
    assert_int_equal(qr_answer_put(&d, &a), QR_ERR_MALFORMED);
    a = signed_answer(sigs, 2);
    a.sgn.signers[1] = QR_MAX_PARTIES + 1;
    assert_int_equal(qr_answer_put(&d, &a), QR_ERR_MALFORMED);
    a = signed_answer(sigs, 2);
    sigs[1].recid = 4;
    assert_int_equal(qr_answer_put(&d, &a), QR_ERR_MALFORMED);
    a = signed_answer(sigs, 2);
    a.sgn.n_sigs = 0;
    assert_int_equal(qr_answer_put(&d, &a), QR_ERR_MALFORMED);
    a = signed_answer(sigs, 2);
    a.error = QR_ERR_NOT_READY; /* an error and a signature */
    assert_int_equal(qr_answer_put(&d, &a), QR_ERR_MALFORMED);
    char name[QR_NAME_MAX + 1] = "alice\0";
    const struct {
        qr_view name;
        size_t n;
        uint32_t need;
        qr_err e;
    } approvers[] = {{qr_view_of(name, 0), 1, 1, QR_ERR_MALFORMED},
                     {qr_view_of(name, 6), 1, 1, QR_ERR_MALFORMED}, /* its NUL as well */
                     {qr_view_of(name, QR_NAME_MAX + 1), 1, 1, QR_ERR_MALFORMED},
                     {qr_view_of(name, 5), QR_APPROVERS_MAX + 1, 1, QR_ERR_TOO_LARGE},
                     {qr_view_of(name, 5), 1, QR_APPROVERS_MAX + 1, QR_ERR_TOO_LARGE}};
    for (size_t i = 0; i < sizeof approvers / sizeof approvers[0]; i++) {
        struct qr_answer b = {.id = 1, .error = QR_ERR_APPROVALS, .need = approvers[i].need};
        b.n_approvers = approvers[i].n;
        for (size_t k = 0; k < b.n_approvers && k < QR_APPROVERS_MAX; k++) {
            b.approvers[k] = approvers[i].name;
        }
        assert_int_equal(qr_answer_put(&d, &b), approvers[i].e);
    }
    assert_int_equal(d.len, 0);

    /* Same rules on the way in: id 9, version 1, then an error number that does not exist. */
    const uint8_t bad_error[] = {0x08, 9, 0x10, 1, 0x18, 99};
    const uint8_t bad_party[] = {0x08, 9, 0x10, 1, 0x18, 100, 0x28, 17};
    const uint8_t short_sig[] = {0x08, 9, 0x10, 1, 0x3a, 2, 0x0a, 0};
    const uint8_t good_error[] = {0x08, 9, 0x10, 1, 0x18, 100};
    const uint8_t no_name[] = {0x08, 9, 0x10, 1, 0x18, 100, 0x5a, 0};
    const uint8_t much_need[] = {0x08, 9, 0x10, 1, 0x18, 100, 0x50, QR_APPROVERS_MAX + 1};
    uint8_t many[6 + 3 * (QR_APPROVERS_MAX + 1)] = {0x08, 9, 0x10, 1, 0x18, 100};
    for (size_t i = 6; i < sizeof many; i += 3) {
        memcpy(many + i, (const uint8_t[]){0x5a, 1, 'a'}, 3);
    }
    struct qr_answer *got = NULL;
    assert_int_equal(qr_answer_decode(qr_view_of(bad_error, sizeof bad_error), &got),
                     QR_ERR_MALFORMED);
    assert_int_equal(qr_answer_decode(qr_view_of(bad_party, sizeof bad_party), &got),
                     QR_ERR_MALFORMED);
    assert_int_not_equal(qr_answer_decode(qr_view_of(short_sig, sizeof short_sig), &got), QR_OK);
    assert_int_equal(qr_answer_decode(qr_view_of(no_name, sizeof no_name), &got), QR_ERR_MALFORMED);
    assert_int_equal(qr_answer_decode(qr_view_of(much_need, sizeof much_need), &got),
                     QR_ERR_TOO_LARGE);
    assert_int_equal(qr_answer_decode(qr_view_of(many, sizeof many), &got), QR_ERR_TOO_LARGE);
    assert_int_equal(qr_answer_decode(qr_view_of(good_error, sizeof good_error), &got), QR_OK);
    assert_int_equal(got->error, QR_ERR_MALFORMED);
    qr_answer_free(got);
    qr_dbuf_free(&d);
}

static void
test_answer_mutations(void **state)
{
    (void)state;
    struct qr_answer_sig sigs[3];
    struct qr_answer a = signed_answer(sigs, 3);
    struct qr_dbuf d, again;
    uint8_t buf[1024];

    qr_dbuf_init(&d, QR_ANSWER_FRAME_MAX);
    qr_dbuf_init(&again, QR_ANSWER_FRAME_MAX);
    assert_int_equal(qr_answer_put(&d, &a), QR_OK);
    qr_view f = frame_of(&d);
    assert_true(f.len < sizeof buf);
    for (size_t i = 0; i < f.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct qr_answer *got = NULL;
            memcpy(buf, f.p, f.len);
            buf[i] ^= (uint8_t)(1u << bit);
            if (qr_answer_decode(qr_view_of(buf, f.len), &got) == QR_OK) {
                again.len = 0;
                assert_int_equal(qr_answer_put(&again, got), QR_OK);
                assert_true(qr_view_eq(frame_of(&again), qr_view_of(buf, f.len)));
                qr_answer_free(got);
            }
        }
    }
    qr_dbuf_free(&d);
    qr_dbuf_free(&again);
}

/* Long details are cut between characters. */
static void
test_answer_cuts_detail(void **state)
{
    (void)state;
    char text[QR_ANSWER_DETAIL_MAX + 8];
    struct qr_answer *got = NULL;
    struct qr_dbuf d;
    memset(text, 'a', sizeof text);
    memcpy(text + QR_ANSWER_DETAIL_MAX - 1, "\xe2\x82\xac", 3); /* straddles the limit */
    struct qr_answer a = {.error = QR_ERR_INTERNAL, .detail = qr_view_of(text, sizeof text)};
    qr_dbuf_init(&d, 4096);
    assert_int_equal(qr_answer_put(&d, &a), QR_OK);
    assert_int_equal(qr_answer_decode(frame_of(&d), &got), QR_OK);
    assert_int_equal(got->detail.len, QR_ANSWER_DETAIL_MAX - 1);
    qr_answer_free(got);
    qr_dbuf_free(&d);
}

/* Frames come out the same however the stream is cut. */
static void
test_frames_any_cut(void **state)
{
    (void)state;
    struct qr_dbuf d;
    struct qr_frames f;
    struct qr_ask a = sign_ask();
    qr_dbuf_init(&d, 64 * 1024);
    for (a.id = 1; a.id <= 5; a.id++) {
        assert_int_equal(qr_ask_put(&d, &a), QR_OK);
    }
    for (size_t step = 1; step <= d.len; step += step < 8 ? 1 : 37) {
        uint64_t next = 1;
        qr_frames_init(&f, QR_ASK_FRAME_MAX);
        for (size_t at = 0; at < d.len;) {
            uint8_t *p;
            size_t room;
            assert_int_equal(qr_frames_room(&f, &p, &room), QR_OK);
            size_t n = step < d.len - at ? step : d.len - at;
            n = n < room ? n : room;
            memcpy(p, d.p + at, n);
            qr_frames_added(&f, n);
            at += n;
            for (;;) {
                qr_view v;
                struct qr_ask *got = NULL;
                assert_int_equal(qr_frames_next(&f, &v), QR_OK);
                if (!v.p) {
                    break;
                }
                assert_int_equal(qr_ask_decode(v, &got), QR_OK);
                assert_true(got->id == next);
                next++;
                qr_ask_free(got);
            }
        }
        assert_true(next == 6);
        qr_frames_clear(&f);
    }
    qr_dbuf_free(&d);
}

static void
test_frames_bounds(void **state)
{
    (void)state;
    struct qr_frames f;
    uint8_t *p;
    size_t room;
    qr_view v;

    qr_frames_init(&f, 1000);
    assert_int_equal(qr_frames_room(&f, &p, &room), QR_OK);
    qr_put32(p, 1001);
    qr_frames_added(&f, 4);
    assert_int_equal(qr_frames_next(&f, &v), QR_ERR_TOO_LARGE);
    qr_frames_clear(&f);
    assert_int_equal(qr_frames_room(&f, &p, &room), QR_OK);
    qr_put32(p, 0);
    qr_frames_added(&f, 4);
    assert_int_equal(qr_frames_next(&f, &v), QR_ERR_MALFORMED);
    qr_frames_clear(&f);

    /* A prefix alone allocates nothing for the frame it announces but the read chunk. */
    qr_frames_init(&f, QR_ANSWER_FRAME_MAX);
    assert_int_equal(qr_frames_room(&f, &p, &room), QR_OK);
    assert_true(f.buf.cap <= 128 * 1024);
    /* A long frame is read to its end and not beyond what fits. */
    qr_put32(p, QR_ANSWER_FRAME_MAX);
    qr_frames_added(&f, 4);
    assert_int_equal(qr_frames_next(&f, &v), QR_OK);
    assert_null(v.p);
    size_t have = 4;
    while (have < 4 + QR_ANSWER_FRAME_MAX) {
        assert_int_equal(qr_frames_room(&f, &p, &room), QR_OK);
        assert_true(room > 0);
        size_t n = room < 300000 ? room : 300000;
        n = n < 4 + QR_ANSWER_FRAME_MAX - have ? n : 4 + QR_ANSWER_FRAME_MAX - have;
        memset(p, 'z', n);
        qr_frames_added(&f, n);
        have += n;
    }
    assert_int_equal(qr_frames_next(&f, &v), QR_OK);
    assert_int_equal(v.len, QR_ANSWER_FRAME_MAX);
    qr_frames_clear(&f);
}

/* The nth allocation fails: NO_MEMORY, nothing left behind, nothing half made. */
static unsigned allocations, fail_at;

static int
gate(size_t n)
{
    (void)n;
    return ++allocations != fail_at;
}

static void
test_no_memory(void **state)
{
    (void)state;
    struct qr_answer_sig sigs[QR_ITEMS_MAX];
    struct qr_answer a = signed_answer(sigs, QR_ITEMS_MAX);
    struct qr_ask q = sign_ask();
    size_t bytes, blocks, bytes_after, blocks_after;
    int done = 0;
    qr_alloc_stats(&bytes, &blocks);
    for (fail_at = 1; !done; fail_at++) {
        struct qr_dbuf d, e;
        struct qr_ask *ask = NULL;
        struct qr_answer *answer = NULL;
        qr_dbuf_init(&d, QR_ASK_FRAME_MAX);
        qr_dbuf_init(&e, QR_ANSWER_FRAME_MAX);
        allocations = 0;
        qr_alloc_gate(gate);
        qr_err err = qr_ask_put(&d, &q);
        err = err == QR_OK ? qr_ask_decode(frame_of(&d), &ask) : err;
        err = err == QR_OK ? qr_answer_put(&e, &a) : err;
        err = err == QR_OK ? qr_answer_decode(frame_of(&e), &answer) : err;
        qr_alloc_gate(NULL);
        done = allocations < fail_at;
        assert_int_equal(err, done ? QR_OK : QR_ERR_NO_MEMORY);
        qr_ask_free(ask);
        qr_answer_free(answer);
        qr_dbuf_free(&d);
        qr_dbuf_free(&e);
    }
    assert_true(fail_at > 4);
    qr_alloc_stats(&bytes_after, &blocks_after);
    assert_int_equal(bytes, bytes_after);
    assert_int_equal(blocks, blocks_after);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ask_round_trip),    cmocka_unit_test(test_ask_limits),
        cmocka_unit_test(test_ask_collateral),    cmocka_unit_test(test_ask_strict),
        cmocka_unit_test(test_ask_memory),        cmocka_unit_test(test_ask_mutations),
        cmocka_unit_test(test_answer_round_trip), cmocka_unit_test(test_answer_strict),
        cmocka_unit_test(test_answer_mutations),  cmocka_unit_test(test_answer_cuts_detail),
        cmocka_unit_test(test_frames_any_cut),    cmocka_unit_test(test_frames_bounds),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
