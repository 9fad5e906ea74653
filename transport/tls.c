#include "transport/tls.h"

#include "protocol/base/check.h"
#include "protocol/base/hash.h"
#include "protocol/base/limits.h"
#include "protocol/base/mem.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>

/* A certificate of ours has about 300 bytes. */
#define CERT_LIST_MAX 2048
/* Output that may pile up: what stops writers, and the piece that took it there, evidence at most. */
#define OUT_MAX (QR_TLS_OUT_HIGH + QR_EVIDENCE_MAX + 64u * 1024u)
#define SECURE_HEAP 16384u /* OpenSSL's locked heap: private keys of Ed25519 are kept there */

static const uint8_t alpn_list[] = "\x09" QR_TLS_ALPN;
#define ALPN_LIST_LEN (sizeof alpn_list - 1)

struct qr_tls_id {
    SSL_CTX *client, *server;
    BIO_METHOD *bio;
    uint8_t spki[32];
};

struct qr_tls {
    SSL *ssl;
    enum qr_role role;
    qr_view in; /* fed, not yet read */
    uint8_t *out;
    size_t out_at, out_len, out_cap; /* out[out_at .. out_len) waits for the link */
    uint8_t spki_own[32], spki_peer[32];
    char why[160];
};

/* The BIO between OpenSSL and our two buffers. */

static int
bio_read(BIO *b, char *out, size_t n, size_t *ret_n)
{
    struct qr_tls *t = BIO_get_data(b);
    size_t k = n < t->in.len ? n : t->in.len;

    BIO_clear_retry_flags(b);
    if (k == 0) {
        BIO_set_retry_read(b);
        *ret_n = 0;
        return 0;
    }
    memcpy(out, t->in.p, k);
    t->in.p += k;
    t->in.len -= k;
    *ret_n = k;
    return 1;
}

static int
out_room(struct qr_tls *t, size_t n)
{
    if (n <= t->out_cap - t->out_len) {
        return 1;
    }
    size_t live = t->out_len - t->out_at;
    if (t->out_at > 0) { /* what was taken makes room first */
        memmove(t->out, t->out + t->out_at, live);
        t->out_at = 0;
        t->out_len = live;
        if (n <= t->out_cap - live) {
            return 1;
        }
    }
    if (n > OUT_MAX - live) {
        return 0;
    }
    size_t cap = t->out_cap < 4096 ? 4096 : t->out_cap;
    while (cap < live + n) {
        cap *= 2;
    }
    cap = cap > OUT_MAX ? OUT_MAX : cap;
    uint8_t *p = qr_realloc(t->out, cap);
    if (!p) {
        return 0;
    }
    t->out = p;
    t->out_cap = cap;
    return 1;
}

static int
bio_write(BIO *b, const char *in, size_t n, size_t *ret_n)
{
    struct qr_tls *t = BIO_get_data(b);

    BIO_clear_retry_flags(b);
    if (!out_room(t, n)) {
        *ret_n = 0;
        return 0;
    }
    memcpy(t->out + t->out_len, in, n);
    t->out_len += n;
    *ret_n = n;
    return 1;
}

static long
bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
    (void)b;
    (void)num;
    (void)ptr;
    return cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *
bio_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "quorate");
    if (m && (!BIO_meth_set_read_ex(m, bio_read) || !BIO_meth_set_write_ex(m, bio_write) ||
              !BIO_meth_set_ctrl(m, bio_ctrl))) {
        BIO_meth_free(m);
        m = NULL;
    }
    return m;
}

/* Identity. */

static qr_err
spki_hash(X509 *cert, uint8_t out[static 32])
{
    uint8_t der[512], *p = der;
    X509_PUBKEY *key = X509_get_X509_PUBKEY(cert);
    int n = i2d_X509_PUBKEY(key, NULL);

    if (n <= 0 || (size_t)n > sizeof der || i2d_X509_PUBKEY(key, &p) != n) {
        return QR_ERR_TLS;
    }
    qr_sha256(qr_view_of(der, (size_t)n), out);
    return QR_OK;
}

/*
 * Replaces chain building: no chain can say anything about a key that is as old as its process.
 * The type is held to ours so that an odd key cannot make OpenSSL do odd things.
 */
static int
accept_certificate(X509_STORE_CTX *ctx, void *arg)
{
    (void)arg;
    X509 *leaf = X509_STORE_CTX_get0_cert(ctx);
    EVP_PKEY *key = leaf ? X509_get0_pubkey(leaf) : NULL;
    int ok = key && EVP_PKEY_get_id(key) == EVP_PKEY_ED25519;

    X509_STORE_CTX_set_error(ctx, ok ? X509_V_OK : X509_V_ERR_EE_KEY_TOO_SMALL);
    return ok;
}

static int
select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
            unsigned in_len, void *arg)
{
    (void)ssl;
    (void)arg;
    if (in_len != ALPN_LIST_LEN || memcmp(in, alpn_list, ALPN_LIST_LEN) != 0) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = in + 1;
    *out_len = in[0];
    return SSL_TLSEXT_ERR_OK;
}

static X509 *
self_signed(EVP_PKEY *key)
{
    X509 *c = X509_new();
    ASN1_TIME *from = ASN1_TIME_new(), *to = ASN1_TIME_new();
    X509_NAME *name = c ? X509_get_subject_name(c) : NULL;

    /* No name, no serial and no date says anything: the certificate is a carrier of a key. */
    int ok = c && from && to && X509_set_version(c, X509_VERSION_3) &&
             ASN1_INTEGER_set(X509_get_serialNumber(c), 1) &&
             ASN1_TIME_set_string_X509(from, "20000101000000Z") &&
             ASN1_TIME_set_string_X509(to, "99991231235959Z") && X509_set1_notBefore(c, from) &&
             X509_set1_notAfter(c, to) &&
             X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"quorate", -1,
                                        -1, 0) &&
             X509_set_issuer_name(c, name) && X509_set_pubkey(c, key) &&
             X509_sign(c, key, NULL) > 0;
    ASN1_TIME_free(from);
    ASN1_TIME_free(to);
    if (!ok) {
        X509_free(c);
        return NULL;
    }
    return c;
}

static SSL_CTX *
context_new(enum qr_role role, EVP_PKEY *key, X509 *cert)
{
    SSL_CTX *x = SSL_CTX_new(role == QR_ROLE_CLIENT ? TLS_client_method() : TLS_server_method());
    if (!x) {
        return NULL;
    }
    SSL_CTX_set_options(x, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_session_cache_mode(x, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(x, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(x, accept_certificate, NULL);
    SSL_CTX_set_max_cert_list(x, CERT_LIST_MAX);
    char groups[] = "X25519", sigalgs[] = "ed25519"; /* OpenSSL's macros cast const away */
    int ok = SSL_CTX_set_min_proto_version(x, TLS1_3_VERSION) &&
             SSL_CTX_set_max_proto_version(x, TLS1_3_VERSION) && SSL_CTX_set_num_tickets(x, 0) &&
             SSL_CTX_set_max_early_data(x, 0) && SSL_CTX_set_recv_max_early_data(x, 0) &&
             SSL_CTX_set_ciphersuites(x, "TLS_AES_128_GCM_SHA256") &&
             SSL_CTX_set1_groups_list(x, groups) && SSL_CTX_set1_sigalgs_list(x, sigalgs) &&
             SSL_CTX_use_certificate(x, cert) && SSL_CTX_use_PrivateKey(x, key);
    if (role == QR_ROLE_CLIENT) { /* this one call returns 0 for success */
        ok = ok && SSL_CTX_set_alpn_protos(x, alpn_list, (unsigned)ALPN_LIST_LEN) == 0;
    } else {
        SSL_CTX_set_alpn_select_cb(x, select_alpn, NULL);
    }
    if (!ok) {
        SSL_CTX_free(x);
        return NULL;
    }
    return x;
}

qr_err
qr_tls_id_new(struct qr_tls_id **ret)
{
    qr_err e = QR_ERR_CRYPTO_LIB;
    X509 *cert = NULL;
    EVP_PKEY *key = NULL;
    struct qr_tls_id *id = qr_alloc(sizeof *id);

    if (!id) {
        return QR_ERR_NO_MEMORY;
    }
    /* Without it (no memory may be locked) keys live on OpenSSL's ordinary heap. */
    if (!CRYPTO_secure_malloc_initialized()) {
        (void)CRYPTO_secure_malloc_init(SECURE_HEAP, 16);
    }
    key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    cert = key ? self_signed(key) : NULL;
    if (!cert || spki_hash(cert, id->spki) != QR_OK) {
        goto out;
    }
    id->bio = bio_method();
    id->client = context_new(QR_ROLE_CLIENT, key, cert);
    id->server = context_new(QR_ROLE_SERVER, key, cert);
    if (id->bio && id->client && id->server) {
        e = QR_OK;
    }
out:
    X509_free(cert);
    EVP_PKEY_free(key);
    ERR_clear_error();
    if (e != QR_OK) {
        qr_tls_id_free(id);
        return e;
    }
    *ret = id;
    return QR_OK;
}

struct qr_tls_id *
qr_tls_id_free(struct qr_tls_id *id)
{
    if (id) {
        SSL_CTX_free(id->client);
        SSL_CTX_free(id->server);
        BIO_meth_free(id->bio);
    }
    return qr_free(id);
}

/* One connection. */

qr_err
qr_tls_new(const struct qr_tls_id *id, enum qr_role role, struct qr_tls **ret)
{
    struct qr_tls *t = qr_alloc(sizeof *t);
    if (!t) {
        return QR_ERR_NO_MEMORY;
    }
    t->role = role;
    memcpy(t->spki_own, id->spki, 32);
    t->ssl = SSL_new(role == QR_ROLE_CLIENT ? id->client : id->server);
    BIO *b = t->ssl ? BIO_new(id->bio) : NULL;
    if (!b) {
        qr_tls_free(t);
        return QR_ERR_CRYPTO_LIB;
    }
    BIO_set_data(b, t);
    BIO_set_init(b, 1);
    SSL_set_bio(t->ssl, b, b);
    if (role == QR_ROLE_CLIENT) {
        SSL_set_connect_state(t->ssl);
    } else {
        SSL_set_accept_state(t->ssl);
    }
    *ret = t;
    return QR_OK;
}

struct qr_tls *
qr_tls_free(struct qr_tls *t)
{
    if (t) {
        SSL_free(t->ssl);
        qr_free(t->out);
    }
    return qr_free(t);
}

void
qr_tls_feed(struct qr_tls *t, qr_view in)
{
    QR_ASSERT(t->in.len == 0);
    t->in = in;
}

size_t
qr_tls_fed(const struct qr_tls *t)
{
    return t->in.len;
}

/* Maps a failed call; QR_OK means "feed me". */
static qr_err
failure(struct qr_tls *t, int rc)
{
    qr_err e = QR_ERR_TLS;
    int why = SSL_get_error(t->ssl, rc);

    if (why == SSL_ERROR_WANT_READ) {
        return QR_OK;
    }
    if (why == SSL_ERROR_ZERO_RETURN) {
        e = QR_ERR_LINK_CLOSED;
        (void)snprintf(t->why, sizeof t->why, "peer ended the TLS connection");
    } else {
        const char *text = ERR_reason_error_string(ERR_peek_error());
        (void)snprintf(t->why, sizeof t->why, "%s", text ? text : "OpenSSL gave no reason");
    }
    ERR_clear_error();
    return e;
}

/* What OpenSSL's settings promise, checked on the connection that came out of them. */
static qr_err
check_negotiated(struct qr_tls *t)
{
    const uint8_t *alpn = NULL;
    unsigned alpn_len = 0;
    X509 *cert = SSL_get0_peer_certificate(t->ssl);

    SSL_get0_alpn_selected(t->ssl, &alpn, &alpn_len);
    if (SSL_version(t->ssl) != TLS1_3_VERSION || SSL_session_reused(t->ssl) || !cert ||
        alpn_len != ALPN_LIST_LEN - 1 || memcmp(alpn, alpn_list + 1, alpn_len) != 0) {
        (void)snprintf(t->why, sizeof t->why,
                       "not a fresh TLS 1.3 session with a certificate and ALPN " QR_TLS_ALPN);
        return QR_ERR_TLS;
    }
    return spki_hash(cert, t->spki_peer);
}

qr_err
qr_tls_handshake(struct qr_tls *t, int *ret_done)
{
    ERR_clear_error();
    int rc = SSL_do_handshake(t->ssl);
    if (rc != 1) {
        qr_err e = failure(t, rc);
        if (e == QR_OK) {
            *ret_done = 0;
        }
        return e;
    }
    QR_TRY(check_negotiated(t));
    *ret_done = 1;
    return QR_OK;
}

qr_err
qr_tls_read(struct qr_tls *t, uint8_t *out, size_t cap, size_t *ret_n)
{
    size_t at = 0, n;

    ERR_clear_error();
    while (at < cap) {
        int rc = SSL_read_ex(t->ssl, out + at, cap - at, &n);
        if (rc != 1) {
            /* At once, also behind bytes that came: nobody would ask again, and the alert is out. */
            QR_TRY(failure(t, rc));
            break;
        }
        at += n;
    }
    *ret_n = at;
    return QR_OK;
}

qr_err
qr_tls_write(struct qr_tls *t, qr_view in)
{
    size_t n;

    if (in.len == 0) {
        return QR_OK;
    }
    ERR_clear_error();
    if (SSL_write_ex(t->ssl, in.p, in.len, &n) != 1 || n != in.len) {
        (void)failure(t, 0);
        return QR_ERR_TLS;
    }
    return QR_OK;
}

qr_view
qr_tls_out(const struct qr_tls *t)
{
    /* before the first output there is no buffer to point into */
    return t->out ? (qr_view){t->out + t->out_at, t->out_len - t->out_at} : (qr_view){NULL, 0};
}

void
qr_tls_out_done(struct qr_tls *t, size_t n)
{
    QR_ASSERT(n <= t->out_len - t->out_at);
    t->out_at += n;
    if (t->out_at == t->out_len) {
        t->out_at = t->out_len = 0;
    }
}

qr_err
qr_tls_export(struct qr_tls *t, const char *label, uint8_t out[static 32])
{
    uint8_t context[64];

    /* The exporter covers the server's certificate only, so both keys go into its context. */
    memcpy(context, qr_tls_spki(t, QR_ROLE_CLIENT), 32);
    memcpy(context + 32, qr_tls_spki(t, QR_ROLE_SERVER), 32);
    return SSL_export_keying_material(t->ssl, out, 32, label, strlen(label), context,
                                      sizeof context, 1) == 1
               ? QR_OK
               : QR_ERR_TLS;
}

const uint8_t *
qr_tls_spki(const struct qr_tls *t, enum qr_role whose)
{
    return whose == t->role ? t->spki_own : t->spki_peer;
}

const char *
qr_tls_why(const struct qr_tls *t)
{
    return t->why[0] ? t->why : "no reason known";
}
