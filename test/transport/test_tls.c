/*
 * TLS settings, against clients made with OpenSSL directly: what must not be negotiated is not.
 */
#include "transport/tls.h"

#include "protocol/base/hash.h"
#include "protocol/base/limits.h"
#include "protocol/base/mem.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* A client of our own making over memory BIOs. */
struct client {
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *in, *out;
};

static void
use_key(SSL_CTX *ctx, EVP_PKEY *key, const EVP_MD *md)
{
    X509 *c = X509_new();
    assert_non_null(c);
    (void)X509_set_version(c, X509_VERSION_3);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(c), 1);
    (void)X509_gmtime_adj(X509_getm_notBefore(c), 0);
    (void)X509_gmtime_adj(X509_getm_notAfter(c), 3600);
    (void)X509_NAME_add_entry_by_txt(X509_get_subject_name(c), "CN", MBSTRING_ASC,
                                     (const unsigned char *)"x", -1, -1, 0);
    (void)X509_set_issuer_name(c, X509_get_subject_name(c));
    (void)X509_set_pubkey(c, key);
    assert_true(X509_sign(c, key, md) > 0);
    assert_int_equal(SSL_CTX_use_certificate(ctx, c), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
    X509_free(c);
    EVP_PKEY_free(key);
}

static const unsigned char our_alpn[] = "\x09quorate/1";

static void
client_init(struct client *c)
{
    c->ctx = SSL_CTX_new(TLS_client_method());
    assert_non_null(c->ctx);
    SSL_CTX_set_verify(c->ctx, SSL_VERIFY_NONE, NULL);
    assert_int_equal(SSL_CTX_set_alpn_protos(c->ctx, our_alpn, sizeof our_alpn - 1), 0);
    c->ssl = NULL;
}

static void
client_open(struct client *c)
{
    SSL_free(c->ssl);
    c->ssl = SSL_new(c->ctx);
    c->in = BIO_new(BIO_s_mem());
    c->out = BIO_new(BIO_s_mem());
    SSL_set_bio(c->ssl, c->in, c->out);
    SSL_set_connect_state(c->ssl);
}

static void
client_free(struct client *c)
{
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
}

/* Handshakes; the server's verdict. */
static qr_err
meet(struct client *c, struct qr_tls *server, int *ret_done)
{
    *ret_done = 0;
    for (int i = 0; i < 10; i++) {
        uint8_t buf[32768];
        (void)SSL_do_handshake(c->ssl);
        int n = BIO_read(c->out, buf, sizeof buf);
        if (n > 0) {
            qr_tls_feed(server, qr_view_of(buf, (size_t)n));
        }
        if (!*ret_done) {
            qr_err e = qr_tls_handshake(server, ret_done);
            if (e != QR_OK) {
                return e;
            }
        }
        qr_view out = qr_tls_out(server);
        (void)BIO_write(c->in, out.p, (int)out.len);
        qr_tls_out_done(server, out.len);
    }
    return QR_OK;
}

static struct qr_tls_id *id;

static void
expect(struct client *c, qr_err want, const char *why)
{
    struct qr_tls *server;
    int done;

    assert_int_equal(qr_tls_new(id, QR_ROLE_SERVER, &server), QR_OK);
    client_open(c);
    qr_err e = meet(c, server, &done);
    if (e != want || done != (want == QR_OK)) {
        fail_msg("%s, done %d: %s", qr_err_name(e), done, qr_tls_why(server));
    }
    if (want != QR_OK && why && !strstr(qr_tls_why(server), why)) {
        fail_msg("\"%s\" does not say \"%s\"", qr_tls_why(server), why);
    }
    qr_tls_free(server);
}

static EVP_PKEY *
ed25519(void)
{
    return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
}

static void
good_client(void **state)
{
    struct client c;
    (void)state;

    client_init(&c);
    use_key(c.ctx, ed25519(), NULL);
    expect(&c, QR_OK, NULL);
    assert_string_equal(SSL_get_version(c.ssl), "TLSv1.3");
    assert_string_equal(SSL_get_cipher_name(c.ssl), "TLS_AES_128_GCM_SHA256");
    client_free(&c);
}

static void
attack_11_old_versions(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_1_VERSION, TLS1_VERSION};
    (void)state;

    for (size_t i = 0; i < 3; i++) {
        struct client c;
        client_init(&c);
        use_key(c.ctx, ed25519(), NULL);
        SSL_CTX_set_security_level(c.ctx, 0);
        (void)SSL_CTX_set_min_proto_version(c.ctx, versions[i]);
        (void)SSL_CTX_set_max_proto_version(c.ctx, versions[i]);
        expect(&c, QR_ERR_TLS, "unsupported protocol");
        client_free(&c);
    }
}

static void
other_certificates(void **state)
{
    struct client c;
    (void)state;

    client_init(&c); /* none */
    expect(&c, QR_ERR_TLS, "peer did not return a certificate");
    client_free(&c);

    client_init(&c); /* keys that are not ours: the client finds no common signature algorithm */
    use_key(c.ctx, EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), EVP_sha256());
    expect(&c, QR_ERR_TLS, NULL);
    client_free(&c);

    client_init(&c);
    use_key(c.ctx, EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048), EVP_sha256());
    expect(&c, QR_ERR_TLS, NULL);
    client_free(&c);
}

static void
other_alpn(void **state)
{
    struct client c;
    (void)state;

    client_init(&c);
    use_key(c.ctx, ed25519(), NULL);
    assert_int_equal(SSL_CTX_set_alpn_protos(c.ctx, (const unsigned char *)"\x02h2", 3), 0);
    expect(&c, QR_ERR_TLS, "no application protocol");
    /* Ours among others is not ours alone. */
    assert_int_equal(
        SSL_CTX_set_alpn_protos(c.ctx, (const unsigned char *)"\x09quorate/1\x02h2", 13), 0);
    expect(&c, QR_ERR_TLS, "no application protocol");
    client_free(&c);

    client_init(&c); /* none at all */
    use_key(c.ctx, ed25519(), NULL);
    assert_int_equal(SSL_CTX_set_alpn_protos(c.ctx, NULL, 0), 0);
    expect(&c, QR_ERR_TLS, "ALPN");
    client_free(&c);
}

static void
other_ciphers(void **state)
{
    struct client c;
    (void)state;

    client_init(&c);
    use_key(c.ctx, ed25519(), NULL);
    (void)SSL_CTX_set_ciphersuites(c.ctx, "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384");
    expect(&c, QR_ERR_TLS, "no shared cipher");
    client_free(&c);

    client_init(&c);
    use_key(c.ctx, ed25519(), NULL);
    char groups[] = "P-256:P-384"; /* the macro casts const away */
    assert_int_equal(SSL_CTX_set1_groups_list(c.ctx, groups), 1);
    expect(&c, QR_ERR_TLS, NULL);
    client_free(&c);
}

static SSL_SESSION *given;

static int
on_session(SSL *ssl, SSL_SESSION *s)
{
    (void)ssl;
    given = s;
    return 1;
}

/* No ticket comes, and the old session offered again leads to a full handshake, certificate and all. */
static void
no_resumption(void **state)
{
    struct client c;
    uint8_t buf[16];
    (void)state;

    client_init(&c);
    use_key(c.ctx, ed25519(), NULL);
    SSL_CTX_set_session_cache_mode(c.ctx, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(c.ctx, on_session);
    expect(&c, QR_OK, NULL);
    assert_true(SSL_read(c.ssl, buf, sizeof buf) <= 0); /* a ticket would be read here */
    assert_null(given);
    SSL_SESSION *s = SSL_get1_session(c.ssl);
    assert_non_null(s);
    assert_int_equal(SSL_SESSION_is_resumable(s), 0);
    assert_int_equal(SSL_SESSION_get_max_early_data(s), 0);

    struct qr_tls *server;
    int done;
    assert_int_equal(qr_tls_new(id, QR_ROLE_SERVER, &server), QR_OK);
    client_open(&c);
    (void)SSL_set_session(c.ssl, s);
    assert_int_equal(meet(&c, server, &done), QR_OK);
    assert_int_equal(done, 1);
    assert_int_equal(SSL_session_reused(c.ssl), 0);
    assert_non_null(SSL_get0_peer_certificate(c.ssl));
    qr_tls_free(server);
    SSL_SESSION_free(s);
    client_free(&c);
}

/* Two of our own; returns both after the handshake. */
static void
pair(struct qr_tls_id *id_c, struct qr_tls_id *id_s, struct qr_tls **c, struct qr_tls **s)
{
    int done_c = 0, done_s = 0;
    assert_int_equal(qr_tls_new(id_c, QR_ROLE_CLIENT, c), QR_OK);
    assert_int_equal(qr_tls_new(id_s, QR_ROLE_SERVER, s), QR_OK);
    for (int i = 0; i < 5 && !(done_c && done_s); i++) {
        if (!done_c) {
            assert_int_equal(qr_tls_handshake(*c, &done_c), QR_OK);
        }
        qr_tls_feed(*s, qr_tls_out(*c));
        if (!done_s) {
            assert_int_equal(qr_tls_handshake(*s, &done_s), QR_OK);
        }
        assert_int_equal(qr_tls_fed(*s), 0);
        qr_tls_out_done(*c, qr_tls_out(*c).len);
        qr_tls_feed(*c, qr_tls_out(*s));
        if (!done_c) {
            assert_int_equal(qr_tls_handshake(*c, &done_c), QR_OK);
        }
        qr_tls_out_done(*s, qr_tls_out(*s).len);
    }
    assert_true(done_c && done_s);
}

static void
exporter(void **state)
{
    struct qr_tls_id *other;
    struct qr_tls *c, *s;
    uint8_t k[6][32];
    (void)state;

    assert_int_equal(qr_tls_id_new(&other), QR_OK);
    pair(id, other, &c, &s);
    assert_int_equal(qr_tls_export(c, "one", k[0]), QR_OK);
    assert_int_equal(qr_tls_export(s, "one", k[1]), QR_OK);
    assert_int_equal(qr_tls_export(s, "two", k[2]), QR_OK);
    assert_memory_equal(k[0], k[1], 32);
    assert_memory_not_equal(k[1], k[2], 32);
    for (int role = 'C'; role <= 'S'; role += 'S' - 'C') {
        assert_memory_equal(qr_tls_spki(c, (enum qr_role)role), qr_tls_spki(s, (enum qr_role)role),
                            32);
    }
    assert_memory_not_equal(qr_tls_spki(c, QR_ROLE_CLIENT), qr_tls_spki(c, QR_ROLE_SERVER), 32);
    qr_tls_free(c);
    qr_tls_free(s);
    pair(id, other, &c, &s); /* another connection of the same two keys */
    assert_int_equal(qr_tls_export(c, "one", k[3]), QR_OK);
    assert_memory_not_equal(k[0], k[3], 32);
    qr_tls_free(c);
    qr_tls_free(s);
    qr_tls_id_free(other);
}

/* 1 MiB through, in one piece in and odd pieces out; the output buffer is bounded. */
static void
stream(void **state)
{
    struct qr_tls *c, *s;
    uint8_t *in = qr_alloc(64 * 1024), *out = qr_alloc(64 * 1024);
    size_t n, got = 0;
    (void)state;

    pair(id, id, &c, &s);
    for (size_t i = 0; i < 64 * 1024; i++) {
        in[i] = (uint8_t)(i * 7 + (i >> 8));
    }
    assert_int_equal(qr_tls_write(c, qr_view_of(in, 64 * 1024)), QR_OK);
    qr_view v = qr_tls_out(c);
    assert_int_equal(v.len, 64 * 1024 + 4 * 22); /* 22 bytes a full record */
    while (v.len > 0) {
        size_t k = v.len < 999 ? v.len : 999;
        qr_tls_feed(s, (qr_view){v.p, k});
        do {
            assert_int_equal(qr_tls_read(s, out + got, 64 * 1024 - got, &n), QR_OK);
            got += n;
        } while (n > 0);
        assert_int_equal(qr_tls_fed(s), 0);
        v.p += k;
        v.len -= k;
    }
    assert_int_equal(got, 64 * 1024);
    assert_memory_equal(in, out, 64 * 1024);
    qr_tls_out_done(c, qr_tls_out(c).len);
    qr_err e = QR_OK;
    for (int i = 0; i < 64 && e == QR_OK; i++) { /* nobody takes it away */
        e = qr_tls_write(c, qr_view_of(in, 64 * 1024));
    }
    assert_int_equal(e, QR_ERR_TLS);
    assert_true(qr_tls_out(c).len <= QR_TLS_OUT_HIGH + QR_EVIDENCE_MAX + 64 * 1024);
    qr_tls_free(c);
    qr_tls_free(s);
    qr_free(in);
    qr_free(out);
}

/* Every bit of a record counts. */
static void
attack_13_tampered_records(void **state)
{
    uint8_t copy[64], buf[64];
    (void)state;

    for (size_t bit = 0; bit < 8 * 27; bit += 5) {
        struct qr_tls *c, *s;
        size_t n = 0;
        pair(id, id, &c, &s);
        assert_int_equal(qr_tls_write(c, qr_view_str("hello")), QR_OK);
        qr_view v = qr_tls_out(c);
        assert_int_equal(v.len, 5 + 22);
        memcpy(copy, v.p, v.len);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        qr_tls_feed(s, qr_view_of(copy, v.len));
        qr_err e = qr_tls_read(s, buf, sizeof buf, &n);
        /* A longer length waits for more, which will not help; everything else fails at once. */
        assert_true(e == QR_ERR_TLS || (e == QR_OK && n == 0 && bit / 8 >= 3 && bit / 8 <= 4));
        qr_tls_free(c);
        qr_tls_free(s);
    }
}

static int
start(void **state)
{
    (void)state;
    return qr_hash_init() == QR_OK && qr_tls_id_new(&id) == QR_OK ? 0 : -1;
}

static int
end(void **state)
{
    (void)state;
    qr_tls_id_free(id);
    return 0;
}

/* UBSan of clang: an offset from a null pointer, though the offset is zero. */
static void
no_output_is_no_pointer(void **state)
{
    struct qr_tls *t = NULL;
    (void)state;
    assert_int_equal(qr_tls_new(id, QR_ROLE_SERVER, &t), QR_OK);
    assert_null(qr_tls_out(t).p);
    assert_int_equal(qr_tls_out(t).len, 0);
    qr_tls_free(t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_output_is_no_pointer),
        cmocka_unit_test(good_client),
        cmocka_unit_test(attack_11_old_versions),
        cmocka_unit_test(other_certificates),
        cmocka_unit_test(other_alpn),
        cmocka_unit_test(other_ciphers),
        cmocka_unit_test(no_resumption),
        cmocka_unit_test(exporter),
        cmocka_unit_test(stream),
        cmocka_unit_test(attack_13_tampered_records),
    };
    return cmocka_run_group_tests(tests, start, end);
}
