/*
 * The channel's handshake against an attacker who may hold every key but one, and terminates TLS
 * wherever he likes. The attacks are those of transport/README.md, by name.
 */
#include "test/common/chanrig.h"

#include "protocol/base/hash.h"
#include "protocol/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* By hand but by the rules: shows that the tests below fail for the reason they name. */
static void
by_hand(void **state)
{
    uint8_t hello_c[QR_HELLO_LEN], hello_s[QR_HELLO_LEN], ev_c[128], ev_s[4096], body[33] = {1};
    uint8_t binder[32], msg[1 + 4 * 32 + 2];
    struct duel *d = duel_new();
    struct qr_hello peer;
    (void)state;

    struct qr_id_signer signer = test_signer(&d->w.identity);
    assert_int_equal(qr_hello_make(&d->w.own, &d->w.binding, &signer, hello_c), QR_OK);
    raw_frame(&d->w, QR_FRAME_HELLO, (qr_view){hello_c, sizeof hello_c});
    raw_pump(&d->w, &d->s);
    assert_int_equal(raw_take(&d->w, QR_FRAME_HELLO, hello_s, sizeof hello_s), QR_HELLO_LEN);
    assert_int_equal(qr_hello_parse((qr_view){hello_s, sizeof hello_s}, &peer), QR_OK);
    size_t n_s = raw_take(&d->w, QR_FRAME_EVIDENCE, ev_s, sizeof ev_s);
    assert_true(n_s > 1000); /* it went packed and came out whole */
    qr_hello_binder(&peer, &d->w.own, &d->w.binding, binder);
    assert_memory_equal(ev_s + 36, binder, 32);

    qr_hello_binder(&d->w.own, &peer, &d->w.binding, binder);
    size_t n_c = raw_evidence(binder, ev_c);
    raw_frame(&d->w, QR_FRAME_EVIDENCE, (qr_view){ev_c, n_c});
    raw_pump(&d->w, &d->s);
    assert_int_equal(d->s.dead, QR_OK);

    msg[0] = 'C';
    qr_sha256((qr_view){hello_c, sizeof hello_c}, msg + 1);
    qr_sha256((qr_view){hello_s, sizeof hello_s}, msg + 33);
    qr_sha256((qr_view){ev_c, n_c}, msg + 65);
    qr_sha256((qr_view){ev_s, n_s}, msg + 97);
    msg[129] = msg[130] = 1;
    crypto_auth_hmacsha256(body + 1, msg, sizeof msg, d->w.confirm_key);
    raw_frame(&d->w, QR_FRAME_CONFIRM, (qr_view){body, sizeof body});
    raw_pump(&d->w, &d->s);
    assert_int_equal(d->s.dead, QR_OK);
    assert_int_equal(d->s.ready, 1);
    side_check_ledger(&d->s);

    /* READY is not a licence to start over. */
    raw_frame(&d->w, QR_FRAME_HELLO, (qr_view){hello_c, sizeof hello_c});
    raw_pump(&d->w, &d->s);
    assert_int_equal(d->s.dead, QR_ERR_STATE);
    assert_int_equal(d->s.attester.made, 1);
    duel_free(d);
}

static void
evidence_of_another_connection(void **state)
{
    struct side a, b;
    (void)state;

    side_init(&a, 1);
    side_init(&b, 2);
    for (int i = 0; i < 2; i++) {
        side_open(&a, QR_ROLE_CLIENT, 2);
        side_open(&b, QR_ROLE_SERVER, 0);
        side_pump(&a, &b, SIZE_MAX);
        assert_int_equal(b.dead, i == 0 ? QR_OK : QR_ERR_ATTESTATION);
        a.attester.replay = 1; /* the second time, with the first one's evidence */
    }
    assert_non_null(strstr(qr_chan_why(b.chan), "made over another binder"));
    assert_int_equal(a.ready + b.ready, 0);
    side_free(&a);
    side_free(&b);
}

static void
reflection(void **state)
{
    uint8_t ev[4096], hello[QR_HELLO_LEN];
    struct duel *d = duel_new();
    struct qr_hello peer;
    (void)state;

    /* With the identity key, but no TEE: the victim's own evidence comes back. */
    duel_until_evidence(d, &peer);
    size_t n = raw_take(&d->w, QR_FRAME_EVIDENCE, ev, sizeof ev);
    assert_true(n > 0);
    raw_frame(&d->w, QR_FRAME_EVIDENCE, (qr_view){ev, n});
    raw_pump(&d->w, &d->s);
    side_refused(&d->s, QR_ERR_ATTESTATION, "made over another binder", 1);
    duel_free(d);

    /* With nothing: the victim dials, and its own HELLO comes back. */
    struct raw *w = qr_alloc(sizeof *w);
    struct side s;
    raw_init(w, QR_ROLE_SERVER, 2);
    side_init(&s, 1);
    side_open(&s, QR_ROLE_CLIENT, 2);
    raw_pump(w, &s);
    assert_int_equal(raw_take(w, QR_FRAME_HELLO, hello, sizeof hello), QR_HELLO_LEN);
    raw_frame(w, QR_FRAME_HELLO, (qr_view){hello, sizeof hello});
    raw_pump(w, &s);
    side_refused(&s, QR_ERR_IDENTITY, "HELLO has our own role: a reflection", 0);
    raw_free(w);
    side_free(&s);
    qr_free(w);
}

static void
swapped_roles(void **state)
{
    uint8_t binder[32], ev[128];
    struct duel *d = duel_new();
    struct qr_hello peer;
    (void)state;

    d->w.own.role = QR_ROLE_SERVER; /* a client that says it is the server */
    raw_hello(&d->w);
    raw_pump(&d->w, &d->s);
    side_refused(&d->s, QR_ERR_IDENTITY, "HELLO has our own role", 0);
    duel_free(d);

    d = duel_new(); /* evidence as if the roles were the other way round */
    duel_until_evidence(d, &peer);
    struct qr_hello me = d->w.own;
    me.role = QR_ROLE_SERVER;
    qr_hello_binder(&me, &peer, &d->w.binding, binder);
    raw_frame(&d->w, QR_FRAME_EVIDENCE, (qr_view){ev, raw_evidence(binder, ev)});
    raw_pump(&d->w, &d->s);
    side_refused(&d->s, QR_ERR_ATTESTATION, "another binder", 1);
    duel_free(d);
}

static void
swapped_certificates(void **state)
{
    uint8_t binder[32], ev[128];
    struct duel *d = duel_new();
    struct qr_hello peer;
    (void)state;

    struct qr_binding right = d->w.binding;
    memcpy(d->w.binding.spki_client, right.spki_server, 32);
    memcpy(d->w.binding.spki_server, right.spki_client, 32);
    raw_hello(&d->w);
    raw_pump(&d->w, &d->s);
    side_refused(&d->s, QR_ERR_IDENTITY, "its signature is not by that party's identity key", 0);
    duel_free(d);

    d = duel_new();
    duel_until_evidence(d, &peer);
    right = d->w.binding;
    memcpy(d->w.binding.spki_client, right.spki_server, 32);
    memcpy(d->w.binding.spki_server, right.spki_client, 32);
    qr_hello_binder(&d->w.own, &peer, &d->w.binding, binder);
    raw_frame(&d->w, QR_FRAME_EVIDENCE, (qr_view){ev, raw_evidence(binder, ev)});
    raw_pump(&d->w, &d->s);
    side_refused(&d->s, QR_ERR_ATTESTATION, "another binder", 1);
    duel_free(d);
}

/*
 * TLS 1.3's exporter secret does not cover the client's certificate: a HELLO and evidence that were
 * made for the same session with another client key must not pass.
 */
static void
client_certificate_replaced(void **state)
{
    uint8_t binder[32], ev[128];
    struct duel *d = duel_new();
    struct qr_hello peer;
    (void)state;

    memset(d->w.binding.spki_client, 0xee, 32);
    raw_hello(&d->w);
    raw_pump(&d->w, &d->s);
    side_refused(&d->s, QR_ERR_IDENTITY, "its signature is not by", 0);
    duel_free(d);

    d = duel_new();
    duel_until_evidence(d, &peer);
    memset(d->w.binding.spki_client, 0xee, 32);
    qr_hello_binder(&d->w.own, &peer, &d->w.binding, binder);
    raw_frame(&d->w, QR_FRAME_EVIDENCE, (qr_view){ev, raw_evidence(binder, ev)});
    raw_pump(&d->w, &d->s);
    side_refused(&d->s, QR_ERR_ATTESTATION, "another binder", 1);
    duel_free(d);
}

/*
 * The attacker has party 1's identity key and a genuine party 3 of the same measurement
 * that attests to him on a connection of its own; its evidence is of no use on his.
 */
static void
another_node_of_the_same_measurement(void **state)
{
    uint8_t ev[4096];
    struct duel *d = duel_new(), *other = duel_new();
    struct qr_hello peer;
    (void)state;

    side_free(&other->s); /* party 3 in the place of 2 */
    raw_free(&other->w);
    raw_init(&other->w, QR_ROLE_CLIENT, 1);
    side_init(&other->s, 3);
    side_open(&other->s, QR_ROLE_SERVER, 0);
    raw_pump(&other->w, &other->s);

    duel_until_evidence(d, &peer);
    memcpy(other->w.own.nonce, peer.nonce, 32); /* the victim's nonce is passed on */
    duel_until_evidence(other, &peer);
    size_t n = raw_take(&other->w, QR_FRAME_EVIDENCE, ev, sizeof ev);
    assert_true(n > 0);
    raw_frame(&d->w, QR_FRAME_EVIDENCE, (qr_view){ev, n});
    raw_pump(&d->w, &d->s);
    side_refused(&d->s, QR_ERR_ATTESTATION, "another binder", 1);
    duel_free(d);
    duel_free(other);

    /* And party 3 itself, without party 1's key, is not party 1. */
    d = duel_new();
    test_identity_make(&d->w.identity, 3);
    raw_hello(&d->w);
    raw_pump(&d->w, &d->s);
    side_refused(&d->s, QR_ERR_IDENTITY, "claims index 1, but its signature is not by", 0);
    duel_free(d);
}

/*
 * Diversion: what was meant for party 2 ends at party 3, a genuine machine with the same software,
 * whose keys the attacker may even hold.
 */
static void
diversion(void **state)
{
    uint8_t ev[4096];
    struct side a, b;
    (void)state;

    side_init(&a, 1); /* the network leads 1's connection to 3 */
    side_init(&b, 3);
    side_open(&a, QR_ROLE_CLIENT, 2);
    side_open(&b, QR_ROLE_SERVER, 0);
    side_pump(&a, &b, SIZE_MAX);
    side_refused(&a, QR_ERR_IDENTITY, "party 3 answers at the address of party 2", 0);
    assert_int_equal(a.ready + b.ready, 0);
    side_free(&a);
    side_free(&b);

    /* 3's keys are the attacker's, and he says that he is 2. */
    struct raw *w = qr_alloc(sizeof *w);
    raw_init(w, QR_ROLE_SERVER, 2);
    test_identity_make(&w->identity, 3);
    side_init(&a, 1);
    side_open(&a, QR_ROLE_CLIENT, 2);
    raw_pump(w, &a);
    raw_hello(w);
    raw_pump(w, &a);
    side_refused(&a, QR_ERR_IDENTITY, "claims index 2, but its signature is not by", 0);
    assert_int_equal(raw_take(w, QR_FRAME_EVIDENCE, ev, sizeof ev), 0);
    raw_free(w);
    side_free(&a);
    qr_free(w);
}

/*
 * Relay with stolen keys: the attacker holds the identity keys of 1 and 3. As 1 he comes to 2; as 3 he
 * is dialled by the genuine 1, passes 2's nonce on, and shows 2 what 1's machine answers.
 */
static void
relay_of_evidence(void **state)
{
    uint8_t ev[4096];
    struct duel *d = duel_new();
    struct raw *w = qr_alloc(sizeof *w);
    struct side a;
    struct qr_hello peer;
    (void)state;

    duel_until_evidence(d, &peer); /* 2 waits for 1's evidence over its nonce */
    raw_init(w, QR_ROLE_SERVER, 3);
    memcpy(w->own.nonce, peer.nonce, 32);
    side_init(&a, 1);
    side_open(&a, QR_ROLE_CLIENT, 3);
    raw_pump(w, &a);
    raw_hello(w);
    raw_pump(w, &a);
    size_t n = raw_take(w, QR_FRAME_EVIDENCE, ev, sizeof ev);
    assert_true(n > 0); /* genuine, of the right machine, over the right nonce */
    assert_int_equal(a.attester.made, 1);
    raw_frame(&d->w, QR_FRAME_EVIDENCE, (qr_view){ev, n});
    raw_pump(&d->w, &d->s);
    side_refused(&d->s, QR_ERR_ATTESTATION, "another binder", 1);
    raw_free(w);
    side_free(&a);
    qr_free(w);
    duel_free(d);
}

static void
evidence_asked_for_twice(void **state)
{
    struct duel *d = duel_new();
    struct qr_hello peer;
    (void)state;

    duel_until_evidence(d, &peer);
    assert_int_equal(d->s.attester.made, 1);
    memset(d->w.own.nonce, 0x33, 32); /* over another nonce, please */
    raw_hello(&d->w);
    raw_pump(&d->w, &d->s);
    side_refused(&d->s, QR_ERR_STATE, "frame of kind 1 while waiting for evidence", 1);
    duel_free(d);
}

/*
 * Relay: genuine client A and genuine server B, the attacker terminates TLS towards both and passes
 * on what they say.
 */
static void
relay(void **state)
{
    uint8_t hello[QR_HELLO_LEN];
    struct raw *to_a = qr_alloc(sizeof *to_a), *to_b = qr_alloc(sizeof *to_b);
    struct side a, b;
    (void)state;

    raw_init(to_a, QR_ROLE_SERVER, 2);
    raw_init(to_b, QR_ROLE_CLIENT, 1);
    side_init(&a, 1);
    side_init(&b, 2);
    side_open(&a, QR_ROLE_CLIENT, 2);
    side_open(&b, QR_ROLE_SERVER, 0);
    raw_pump(to_a, &a);
    raw_pump(to_b, &b);
    assert_int_equal(raw_take(to_a, QR_FRAME_HELLO, hello, sizeof hello), QR_HELLO_LEN);
    raw_frame(to_b, QR_FRAME_HELLO, (qr_view){hello, sizeof hello});
    raw_pump(to_b, &b);
    side_refused(&b, QR_ERR_IDENTITY, "claims index 1, but its signature is not by", 0);
    assert_int_equal(raw_take(to_b, QR_FRAME_HELLO, hello, sizeof hello), 0); /* B says nothing */
    raw_free(to_a);
    raw_free(to_b);
    side_free(&a);
    side_free(&b);
    qr_free(to_a);
    qr_free(to_b);
}

static void
bad_confirmation(void **state)
{
    uint8_t binder[32], ev[128], body[33] = {1}, resume[QR_RESUME_LEN] = {0};
    struct qr_hello peer;
    (void)state;

    for (int i = 0; i < 3; i++) {
        struct duel *d = duel_new();
        duel_until_evidence(d, &peer);
        qr_hello_binder(&d->w.own, &peer, &d->w.binding, binder);
        raw_frame(&d->w, QR_FRAME_EVIDENCE, (qr_view){ev, raw_evidence(binder, ev)});
        raw_pump(&d->w, &d->s);
        assert_int_equal(d->s.dead, QR_OK);
        if (i == 0) { /* the server's own MAC comes back */
            assert_int_equal(raw_take(&d->w, QR_FRAME_CONFIRM, body, sizeof body), 33);
        } else if (i == 1) {
            memset(body + 1, 0, 32);
        }
        if (i < 2) {
            raw_frame(&d->w, QR_FRAME_CONFIRM, (qr_view){body, 33});
            raw_pump(&d->w, &d->s);
            side_refused(&d->s, QR_ERR_ATTESTATION, "we did not see the same handshake", 1);
        } else { /* no confirmation at all, straight to messages */
            raw_frame(&d->w, QR_FRAME_RESUME, (qr_view){resume, sizeof resume});
            raw_pump(&d->w, &d->s);
            side_refused(&d->s, QR_ERR_STATE, "while waiting for confirmation", 1);
        }
        duel_free(d);
    }
}

static void
bad_hello(void **state)
{
    static const struct {
        size_t at;
        uint8_t to;
        qr_err want;
        const char *text;
    } cases[] = {
        {0, 2, QR_ERR_VERSION, "speaks protocol version 2, we speak 1"},
        {2, 0, QR_ERR_MALFORMED, "HELLO of 293 bytes"},    /* index 0 */
        {1, 1, QR_ERR_MALFORMED, "HELLO of 293 bytes"},    /* index 257 */
        {2, 2, QR_ERR_IDENTITY, "claims our own index 2"}, /* before any key is looked at */
        {2, 9, QR_ERR_IDENTITY, "claims index 9, which our roster does not have"},
        {3, 'X', QR_ERR_MALFORMED, "HELLO of 293 bytes"},
        {4, 0xff, QR_ERR_IDENTITY, "its signature is not by"}, /* cluster, unsigned change */
        {228, 0xff, QR_ERR_IDENTITY, "its signature is not by"},
        {292, 0xff, QR_ERR_IDENTITY, "its signature is not by"},
    };
    uint8_t hello[QR_HELLO_LEN + 1] = {0};
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct duel *d = duel_new();
        struct qr_id_signer signer = test_signer(&d->w.identity);
        assert_int_equal(qr_hello_make(&d->w.own, &d->w.binding, &signer, hello), QR_OK);
        hello[cases[i].at] = cases[i].to;
        raw_frame(&d->w, QR_FRAME_HELLO, (qr_view){hello, QR_HELLO_LEN});
        raw_pump(&d->w, &d->s);
        side_refused(&d->s, cases[i].want, cases[i].text, 0);
        uint8_t code = 0xff; /* the attacker learns a coarse word */
        assert_int_equal(raw_take(&d->w, QR_FRAME_CLOSE, &code, 1), 1);
        assert_true(code >= QR_CLOSE_PROTOCOL && code <= QR_CLOSE_CONFIG);
        duel_free(d);
    }
    for (size_t n = 1; n <= QR_HELLO_LEN + 1; n += n == 1 ? QR_HELLO_LEN - 2 : 2) {
        struct duel *d = duel_new();
        hello[0] = QR_PROTOCOL_VERSION;
        raw_frame(&d->w, QR_FRAME_HELLO, (qr_view){hello, n});
        raw_pump(&d->w, &d->s);
        side_refused(&d->s, n == QR_HELLO_LEN ? QR_ERR_MALFORMED : QR_ERR_LENGTH, "HELLO of", 0);
        duel_free(d);
    }
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
        cmocka_unit_test(by_hand),
        cmocka_unit_test(evidence_of_another_connection),
        cmocka_unit_test(reflection),
        cmocka_unit_test(swapped_roles),
        cmocka_unit_test(swapped_certificates),
        cmocka_unit_test(client_certificate_replaced),
        cmocka_unit_test(another_node_of_the_same_measurement),
        cmocka_unit_test(diversion),
        cmocka_unit_test(relay_of_evidence),
        cmocka_unit_test(evidence_asked_for_twice),
        cmocka_unit_test(relay),
        cmocka_unit_test(bad_confirmation),
        cmocka_unit_test(bad_hello),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
