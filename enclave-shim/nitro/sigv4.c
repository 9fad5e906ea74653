#include "enclave-shim/nitro/sigv4.h"

#include "enclave-shim/verify/manifest.h"
#include "protocol/base/enc.h"
#include "protocol/base/hash.h"
#include "protocol/base/secret.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#define CANONICAL_MAX 8192u
#define DATE_LEN 8u
#define ALGORITHM "AWS4-HMAC-SHA256"
#define END "aws4_request"

void
qr_sigv4_time(int64_t ms, char out[static QR_SIGV4_TIME_LEN + 1])
{
    char t[21]; /* "2015-08-30T12:36:00Z" */
    size_t n = 0;

    qr_time_print(ms, t);
    for (size_t i = 0; t[i]; i++) {
        if (t[i] != '-' && t[i] != ':') {
            out[n++] = t[i];
        }
    }
    out[n] = 0;
}

static void
put_str(struct qr_buf *b, const char *s)
{
    qr_buf_put(b, s, strlen(s));
}

static void
put_hash(struct qr_buf *b, qr_view v)
{
    uint8_t h[32];
    char hex[65];
    qr_sha256(v, h);
    qr_hex_encode(qr_view_of(h, sizeof h), hex);
    qr_buf_put(b, hex, 64);
}

static int
hmac(qr_view key, qr_view msg, uint8_t out[static 32])
{
    unsigned n = 0;
    return HMAC(EVP_sha256(), key.p, (int)key.len, msg.p, msg.len, out, &n) != NULL && n == 32;
}

static void
put_names(const struct qr_sigv4 *s, struct qr_buf *b)
{
    for (size_t i = 0; i < s->n; i++) {
        put_str(b, i > 0 ? ";" : "");
        put_str(b, s->header[i].name);
    }
}

static void
put_scope(const struct qr_sigv4 *s, struct qr_buf *b)
{
    qr_buf_put(b, s->time, DATE_LEN);
    put_str(b, "/");
    put_str(b, s->region);
    put_str(b, "/");
    put_str(b, s->service);
    put_str(b, "/" END);
}

static void
put_canonical(const struct qr_sigv4 *s, struct qr_buf *b)
{
    put_str(b, s->method);
    put_str(b, "\n");
    put_str(b, s->path);
    put_str(b, "\n");
    put_str(b, s->query);
    put_str(b, "\n");
    for (size_t i = 0; i < s->n; i++) {
        put_str(b, s->header[i].name);
        put_str(b, ":");
        qr_buf_put(b, s->header[i].value.p, s->header[i].value.len);
        put_str(b, "\n");
    }
    put_str(b, "\n");
    put_names(s, b);
    put_str(b, "\n");
    put_hash(b, s->body);
}

/* HMAC over date, region, service and a fixed word, each keyed by the one before. */
static int
signing_key(const struct qr_sigv4 *s, struct qr_sec32 *ret)
{
    uint8_t first[4 + 256];
    struct qr_buf b = qr_buf_over(first, sizeof first);

    put_str(&b, "AWS4");
    qr_buf_put(&b, s->secret.p, s->secret.len);
    int ok = b.err == QR_OK && hmac(qr_buf_view(&b), qr_view_of(s->time, DATE_LEN), ret->b) &&
             hmac(qr_view_of(ret->b, 32), qr_view_str(s->region), ret->b) &&
             hmac(qr_view_of(ret->b, 32), qr_view_str(s->service), ret->b) &&
             hmac(qr_view_of(ret->b, 32), qr_view_str(END), ret->b);
    qr_wipe(first, sizeof first);
    return ok;
}

qr_err
qr_sigv4_authorization(const struct qr_sigv4 *s, struct qr_buf *out)
{
    uint8_t canonical[CANONICAL_MAX], text[512], mac[32];
    char hex[65];
    struct qr_sec32 key QR_WIPE(qr_sec32);
    struct qr_buf c = qr_buf_over(canonical, sizeof canonical), t = qr_buf_over(text, sizeof text);

    put_canonical(s, &c);
    put_str(&t, ALGORITHM "\n");
    put_str(&t, s->time);
    put_str(&t, "\n");
    put_scope(s, &t);
    put_str(&t, "\n");
    put_hash(&t, qr_buf_view(&c));
    if (c.err != QR_OK || t.err != QR_OK) {
        return QR_ERR_NO_SPACE;
    }
    if (!signing_key(s, &key) || !hmac(qr_view_of(key.b, 32), qr_buf_view(&t), mac)) {
        return QR_ERR_CRYPTO_LIB;
    }
    qr_hex_encode(qr_view_of(mac, sizeof mac), hex);
    put_str(out, ALGORITHM " Credential=");
    put_str(out, s->key_id);
    put_str(out, "/");
    put_scope(s, out);
    put_str(out, ", SignedHeaders=");
    put_names(s, out);
    put_str(out, ", Signature=");
    qr_buf_put(out, hex, 64);
    return out->err;
}
