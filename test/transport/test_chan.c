/*
 * The channel: a good handshake, and input that no handshake has.
 */
#include "test/common/chanrig.h"

#include "protocol/base/hash.h"
#include "protocol/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void
good(void **state)
{
    static const size_t pieces[] = {SIZE_MAX, 1, 7, 1000};
    struct side a, b;
    (void)state;

    side_init(&a, 1);
    side_init(&b, 2);
    for (size_t i = 0; i < 4; i++) {
        side_open(&a, QR_ROLE_CLIENT, 2);
        side_open(&b, QR_ROLE_SERVER, 0);
        side_pump(&a, &b, pieces[i]);
        assert_int_equal(a.dead, QR_OK);
        assert_int_equal(b.dead, QR_OK);
        assert_int_equal(a.ready + b.ready, 2);
        assert_int_equal(a.identified + b.identified, 2);
        assert_int_equal(qr_chan_peer(a.chan)->index, 2);
        assert_int_equal(qr_chan_peer(b.chan)->index, 1);
        assert_int_equal(qr_chan_claims(a.chan)->measurement[0], 0x11);
        assert_int_equal(a.attester.made, i + 1);
        assert_int_equal(b.attester.verified, i + 1);
        side_check_ledger(&a);
        side_check_ledger(&b);
        assert_true(qr_ledger_wire(&a.row, QR_DIR_OUT) < 4096);
        /* Frames, both ways. */
        uint8_t body[8] = "ping 123";
        assert_int_equal(
            qr_chan_frame(a.chan, QR_FRAME_PING, QR_CLASSES_OVERHEAD, qr_view_of(body, 8)), QR_OK);
        assert_int_equal(qr_chan_push(a.chan), QR_OK);
        side_pump(&a, &b, pieces[i]);
        assert_int_equal(b.frames, 1);
        assert_memory_equal(b.last, body, 8);
        side_check_ledger(&a);
        side_check_ledger(&b);
        /* And goodbye. */
        qr_chan_close(b.chan, QR_ERR_LINK_CLOSED);
        side_pump(&a, &b, pieces[i]);
        assert_int_equal(a.dead, QR_ERR_LINK_CLOSED);
        assert_string_equal(qr_chan_why(a.chan), "closed the connection");
        side_check_ledger(&a);
        side_check_ledger(&b);
    }
    side_free(&a);
    side_free(&b);
}

/* What the layer above says no to: no evidence is made for it. */
static void
judged(void **state)
{
    struct side a, b;
    (void)state;

    side_init(&a, 1);
    side_init(&b, 2);
    b.verdict = QR_ERR_BOOT_NONCE;
    side_open(&a, QR_ROLE_CLIENT, 2);
    side_open(&b, QR_ROLE_SERVER, 0);
    side_pump(&a, &b, SIZE_MAX);
    side_refused(&b, QR_ERR_BOOT_NONCE, "judged", 0);
    assert_int_equal(b.identified, 1);
    assert_int_equal(a.attester.made, 0);
    assert_non_null(strstr(qr_chan_why(a.chan), "refused us"));
    side_free(&a);
    side_free(&b);
}

/* A dialler that reaches somebody else. */
static void
unexpected_party(void **state)
{
    struct side a, b;
    (void)state;

    side_init(&a, 1);
    side_init(&b, 3);
    side_open(&a, QR_ROLE_CLIENT, 2);
    side_open(&b, QR_ROLE_SERVER, 0);
    side_pump(&a, &b, SIZE_MAX);
    side_refused(&a, QR_ERR_IDENTITY, "party 3 answers at the address of party 2", 0);
    side_free(&a);
    side_free(&b);
}

/* Bytes that are not TLS, or stop, or never end. */
static void
not_tls(void **state)
{
    static const char *const junk[] = {
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "\x16\x03\x01\xff\xff\x01\x00\x00\x00", /* a record of 65,535 bytes */
        "\x16\x03\x01\x00\x05hello",
        "\x80\x2e\x01\x03\x01 an SSLv2 hello",
        "\x17\x03\x03\x00\x40zipped data ",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    };
    struct side s;
    uint8_t zeros[1000] = {0};
    (void)state;

    side_init(&s, 2);
    for (size_t i = 0; i < sizeof junk / sizeof junk[0]; i++) {
        side_open(&s, QR_ROLE_SERVER, 0);
        s.dead = qr_chan_input(s.chan, qr_view_str(junk[i]));
        if (s.dead == QR_OK) { /* cut short so far; zeros for ever are no help */
            s.dead = qr_chan_input(s.chan, qr_view_of(zeros, sizeof zeros));
        }
        assert_int_equal(s.dead, QR_ERR_TLS);
        assert_non_null(strstr(qr_chan_why(s.chan), "TLS handshake failed"));
        assert_int_equal(qr_ledger_wire(&s.row, QR_DIR_OUT), 0); /* not given to any link */
    }
    side_free(&s);
}

/* A valid ClientHello, cut at every length: waits, and does not read past the end. */
static void
truncated_client_hello(void **state)
{
    struct side s;
    (void)state;

    side_init(&s, 2);
    struct raw *w = qr_alloc(sizeof *w);
    int done;
    raw_init(w, QR_ROLE_CLIENT, 1);
    assert_int_equal(qr_tls_handshake(w->tls, &done), QR_OK);
    qr_view hello = qr_tls_out(w->tls);
    assert_true(hello.len > 100);
    for (size_t n = 1; n < hello.len; n++) {
        side_open(&s, QR_ROLE_SERVER, 0);
        uint8_t *copy = qr_alloc(n);
        memcpy(copy, hello.p, n);
        assert_int_equal(qr_chan_input(s.chan, qr_view_of(copy, n)), QR_OK);
        assert_int_equal(qr_chan_out(s.chan).len, 0);
        assert_string_equal(qr_chan_stage(s.chan), "TLS handshake");
        qr_free(copy);
    }
    raw_free(w);
    side_free(&s);
    qr_free(w);
}

/* Frames that are too long for the state are refused by their heads, before memory is taken. */
static void
oversized(void **state)
{
    static const struct {
        unsigned kind;
        uint32_t len;
        qr_err want;
    } cases[] = {
        {QR_FRAME_HELLO, 514, QR_ERR_LENGTH},
        {QR_FRAME_HELLO, 0, QR_ERR_LENGTH},
        {QR_FRAME_HELLO, QR_FRAME_MAX + 1, QR_ERR_TOO_LARGE},
        {QR_FRAME_HELLO, UINT32_MAX, QR_ERR_TOO_LARGE},
        {QR_FRAME_DATA, QR_FRAME_MAX, QR_ERR_STATE}, /* within bounds, but not now */
        {QR_FRAME_EVIDENCE, 1000, QR_ERR_STATE},
        {QR_FRAME_HELLO | QR_FRAME_ZSTD, 100, QR_ERR_MALFORMED},
        {0, 10, QR_ERR_MALFORMED},
        {10, 10, QR_ERR_MALFORMED},
        {0x7f, 10, QR_ERR_MALFORMED},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct duel *d = duel_new();
        uint8_t head[QR_FRAME_HEAD_LEN];
        size_t before, after, blocks;
        qr_put32(head, cases[i].len);
        head[4] = (uint8_t)cases[i].kind;
        assert_int_equal(qr_tls_write(d->w.tls, (qr_view){head, sizeof head}), QR_OK);
        qr_alloc_stats(&before, &blocks);
        raw_pump(&d->w, &d->s);
        qr_alloc_stats(&after, &blocks);
        assert_true(after < before + 64 * 1024);
        side_refused(&d->s, cases[i].want, "frame of kind", 0);
        duel_free(d);
    }
}

/* Evidence of the wrong size or packing. */
static void
bad_evidence(void **state)
{
    uint8_t *big = qr_alloc(QR_EVIDENCE_MAX + 1024), *packed = qr_alloc(QR_EVIDENCE_MAX + 1024);
    struct qr_zip *z = qr_zip_new(1);
    struct qr_hello peer;
    (void)state;

    struct duel *d = duel_new();
    duel_until_evidence(d, &peer);
    raw_frame(&d->w, QR_FRAME_EVIDENCE, (qr_view){big, QR_EVIDENCE_MAX + 1});
    raw_pump(&d->w, &d->s);
    side_refused(&d->s, QR_ERR_TOO_LARGE, "evidence of 262145 bytes", 1);
    duel_free(d);

    d = duel_new(); /* a bomb: 263,000 zeros in a few bytes */
    duel_until_evidence(d, &peer);
    size_t n = qr_zip_pack(z, (qr_view){big, QR_EVIDENCE_MAX + 1000}, packed);
    assert_true(n > 0 && n < 200);
    raw_frame(&d->w, QR_FRAME_EVIDENCE | QR_FRAME_ZSTD, (qr_view){packed, n});
    raw_pump(&d->w, &d->s);
    side_refused(&d->s, QR_ERR_TOO_LARGE, "packed evidence", 1);
    duel_free(d);

    d = duel_new(); /* says zstd, is not */
    duel_until_evidence(d, &peer);
    raw_frame(&d->w, QR_FRAME_EVIDENCE | QR_FRAME_ZSTD, (qr_view){big, 100});
    raw_pump(&d->w, &d->s);
    side_refused(&d->s, QR_ERR_MALFORMED, "packed evidence", 1);
    duel_free(d);
    qr_zip_free(z);
    qr_free(big);
    qr_free(packed);
}

/* Quotes with collateral and event logs are long, and all of one must fit on both sides at once. */
static void
long_evidence(void **state)
{
    static const size_t bulk[] = {30000, 100000, QR_EVIDENCE_MAX - 68 - 1100};
    struct side a, b;
    (void)state;

    for (size_t i = 0; i < sizeof bulk / sizeof bulk[0]; i++) {
        side_init(&a, 1);
        side_init(&b, 2);
        a.attester.bulk = b.attester.bulk = bulk[i];
        side_open(&a, QR_ROLE_CLIENT, 2);
        side_open(&b, QR_ROLE_SERVER, 0);
        side_pump(&a, &b, i == 1 ? 1000 : SIZE_MAX);
        assert_int_equal(a.ready + b.ready, 2);
        side_check_ledger(&a);
        side_check_ledger(&b);
        side_free(&a);
        side_free(&b);
    }
    side_init(&a, 1); /* one byte more is our own platform's fault, and said so */
    side_init(&b, 2);
    b.attester.bulk = QR_EVIDENCE_MAX - 68 - 1100 + 1;
    side_open(&a, QR_ROLE_CLIENT, 2);
    side_open(&b, QR_ROLE_SERVER, 0);
    side_pump(&a, &b, SIZE_MAX);
    assert_int_equal(b.dead, QR_ERR_PLATFORM);
    assert_int_equal(a.ready + b.ready, 0);
    side_free(&a);
    side_free(&b);
}

/* Nobody may talk for ever before he is accepted, even if each piece is within its bounds. */
static void
endless(void **state)
{
    struct duel *d = duel_new();
    struct qr_hello peer;
    uint8_t head[QR_FRAME_HEAD_LEN], one = 0;
    (void)state;

    duel_until_evidence(d, &peer);
    /* The longest evidence, a byte a record: 23 bytes of ciphertext for each. */
    qr_frame_head_put(head, QR_FRAME_EVIDENCE, QR_EVIDENCE_MAX);
    assert_int_equal(qr_tls_write(d->w.tls, (qr_view){head, sizeof head}), QR_OK);
    for (size_t i = 0; i < QR_EVIDENCE_MAX - 1 && d->s.dead == QR_OK; i++) {
        assert_int_equal(qr_tls_write(d->w.tls, (qr_view){&one, 1}), QR_OK);
        if (i % 1000 == 0) {
            raw_pump(&d->w, &d->s);
        }
    }
    side_refused(&d->s, QR_ERR_TOO_LARGE, "bytes before it was accepted", 1);
    assert_true(d->s.taken < QR_CHAN_HANDSHAKE_MAX + 64 * 1024);
    duel_free(d);
}

static void
platform_fails(void **state)
{
    struct side a, b;
    (void)state;

    side_init(&a, 1);
    side_init(&b, 2);
    side_open(&a, QR_ROLE_CLIENT, 2);
    side_open(&b, QR_ROLE_SERVER, 0);
    b.attester.fail = 1;
    side_pump(&a, &b, SIZE_MAX);
    assert_int_equal(b.dead, QR_ERR_PLATFORM);
    assert_non_null(strstr(qr_chan_why(b.chan), "our platform (sim) makes no evidence"));
    assert_non_null(strstr(qr_chan_why(a.chan), "has no room or time for us now"));
    side_free(&a);
    side_free(&b);
}

/*
 * A frame of two TLS records that come in one piece, one bit of the second damaged. The failure was
 * kept for the next call behind the bytes of the first, nobody made that call, and what came next
 * ended the process: whoever sits on the network could stop a party.
 */
static void
damaged_second_record(void **state)
{
    static uint8_t body[20000], wire[32768];
    struct side a, b;
    (void)state;

    side_init(&a, 1);
    side_init(&b, 2);
    side_open(&a, QR_ROLE_CLIENT, 2);
    side_open(&b, QR_ROLE_SERVER, 0);
    side_pump(&a, &b, SIZE_MAX);
    assert_int_equal(a.ready + b.ready, 2);
    assert_int_equal(
        qr_chan_frame(a.chan, QR_FRAME_DATA, QR_CLASSES_PRESIGN, qr_view_of(body, sizeof body)),
        QR_OK);
    assert_int_equal(qr_chan_push(a.chan), QR_OK);
    qr_view out = qr_chan_out(a.chan);
    assert_in_range(out.len, sizeof body, sizeof wire);
    memcpy(wire, out.p, out.len);
    wire[out.len - 1] ^= 1;
    assert_int_equal(qr_chan_input(b.chan, qr_view_of(wire, out.len)), QR_ERR_TLS);
    /* The alert is on its way out, counted; later input is refused, not more. */
    size_t alert = qr_chan_out(b.chan).len;
    assert_true(alert > 0);
    qr_chan_sent(b.chan, alert);
    assert_int_equal(qr_chan_input(b.chan, qr_view_of(wire, 10)), QR_ERR_LINK_CLOSED);
    side_free(&a);
    side_free(&b);
}

static int
start(void **state)
{
    (void)state;
    return qr_hash_init() == QR_OK ? 0 : -1;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),
        cmocka_unit_test(judged),
        cmocka_unit_test(unexpected_party),
        cmocka_unit_test(not_tls),
        cmocka_unit_test(truncated_client_hello),
        cmocka_unit_test(oversized),
        cmocka_unit_test(bad_evidence),
        cmocka_unit_test(long_evidence),
        cmocka_unit_test(endless),
        cmocka_unit_test(platform_fails),
        cmocka_unit_test(damaged_second_record),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
