#include "daemon/facade/sigv4.h"

#include "protocol/base/enc.h"
#include "protocol/base/hash.h"
#include "protocol/base/secret.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define ALGORITHM "AWS4-HMAC-SHA256"
#define CANONICAL_MAX (32u * 1024u)

/* ---- form ---- */

static int
is_digits(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9') {
            return 0;
        }
    }
    return 1;
}

static int
number(const uint8_t *p, size_t n)
{
    int v = 0;
    for (size_t i = 0; i < n; i++) {
        v = v * 10 + (p[i] - '0');
    }
    return v;
}

/* "20150830T123600Z" */
static int
read_time(const char *text, struct qr_sigv4 *s)
{
    const uint8_t *p = (const uint8_t *)text;

    if (strlen(text) != 16 || !is_digits(p, 8) || p[8] != 'T' || !is_digits(p + 9, 6) ||
        p[15] != 'Z') {
        return 0;
    }
    struct tm tm = {.tm_year = number(p, 4) - 1900,
                    .tm_mon = number(p + 4, 2) - 1,
                    .tm_mday = number(p + 6, 2),
                    .tm_hour = number(p + 9, 2),
                    .tm_min = number(p + 11, 2),
                    .tm_sec = number(p + 13, 2)};
    const struct tm given = tm;
    time_t t = timegm(&tm);
    /* Not the 31st of February: the date comes back as it went in. */
    if (t < 0 || tm.tm_mon != given.tm_mon || tm.tm_mday != given.tm_mday ||
        tm.tm_hour != given.tm_hour || tm.tm_min != given.tm_min || tm.tm_sec != given.tm_sec) {
        return 0;
    }
    s->time = qr_view_str(text);
    s->time_ms = (uint64_t)t * 1000;
    return 1;
}

/* The text up to `end` (or the rest), 1..max characters of `set`; *p moves behind end. */
static int
take(const char **p, char end, const char *set, size_t max, qr_view *ret)
{
    size_t n = strspn(*p, set);
    if (n == 0 || n > max || (*p)[n] != end) {
        return 0;
    }
    *ret = qr_view_of(*p, n);
    *p += n + (end != '\0');
    return 1;
}

static int
skip(const char **p, const char *text)
{
    size_t n = strlen(text);
    if (strncmp(*p, text, n) != 0) {
        return 0;
    }
    *p += n;
    return 1;
}

/* One that may be there. */
static int
skip_blank(const char **p)
{
    *p += **p == ' ';
    return 1;
}

#define WORD_SET "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
#define NAME_SET "abcdefghijklmnopqrstuvwxyz0123456789-"
#define HEX_SET "0123456789abcdef"

/* "a;b;c": lower case, in order, none twice. */
static int
read_list(struct qr_sigv4 *s)
{
    const char *p = (const char *)s->signed_list.p;
    size_t left = s->signed_list.len;

    while (left > 0) {
        size_t n = 0;
        while (n < left && p[n] != ';') {
            n++;
        }
        if (n == 0 || s->n_signed == QR_SIGV4_SIGNED_MAX || (n < left && n + 1 == left)) {
            return 0;
        }
        qr_view name = qr_view_of(p, n);
        if (s->n_signed > 0) {
            qr_view last = s->signed_header[s->n_signed - 1];
            size_t m = last.len < n ? last.len : n;
            int c = memcmp(last.p, name.p, m);
            if (c > 0 || (c == 0 && last.len >= n)) {
                return 0;
            }
        }
        s->signed_header[s->n_signed++] = name;
        p += n + (n < left);
        left -= n + (n < left);
    }
    return 1;
}

static int
read_authorization(const char *p, struct qr_sigv4 *s)
{
    qr_view hex;
    return take(&p, '/', WORD_SET, QR_SIGV4_WORD_MAX, &s->access) &&
           take(&p, '/', "0123456789", 8, &s->date) && s->date.len == 8 &&
           take(&p, '/', WORD_SET, QR_SIGV4_WORD_MAX, &s->region) &&
           take(&p, '/', WORD_SET, QR_SIGV4_WORD_MAX, &s->service) && skip(&p, "aws4_request,") &&
           skip_blank(&p) && skip(&p, "SignedHeaders=") &&
           take(&p, ',', NAME_SET ";", 1024, &s->signed_list) && skip_blank(&p) &&
           skip(&p, "Signature=") && take(&p, '\0', HEX_SET, 64, &hex) &&
           qr_hex_decode((const char *)hex.p, hex.len, s->signature, 32) == QR_OK && read_list(s);
}

static int
is_signed(const struct qr_sigv4 *s, const char *name)
{
    for (size_t i = 0; i < s->n_signed; i++) {
        if (qr_view_eq(s->signed_header[i], qr_view_str(name))) {
            return 1;
        }
    }
    return 0;
}

enum qr_sigv4_result
qr_sigv4_parse(const struct qr_facade_request *r, struct qr_sigv4 *ret, char *why, size_t cap)
{
    static const char *const covered[] = {"host", "x-amz-date", "x-amz-target", "content-type"};
    const char *auth = qr_facade_header(r, "authorization");
    const char *date = qr_facade_header(r, "x-amz-date");
    struct qr_sigv4 s = {0};

    if (!auth || !skip(&auth, ALGORITHM " ")) {
        snprintf(why, cap, "the request has no single Authorization header of " ALGORITHM);
        return QR_SIGV4_MISSING;
    }
    if (!skip(&auth, "Credential=") || !read_authorization(auth, &s)) {
        snprintf(why, cap,
                 "Authorization must be Credential=ID/DATE/REGION/SERVICE/aws4_request, "
                 "SignedHeaders=a;b in order, Signature=64 hex digits");
        return QR_SIGV4_INCOMPLETE;
    }
    if (!date || !read_time(date, &s) || memcmp(s.time.p, s.date.p, 8) != 0) {
        snprintf(why, cap,
                 "X-Amz-Date must be there once, like 20150830T123600Z, and on the "
                 "credential's day");
        return QR_SIGV4_INCOMPLETE;
    }
    if (qr_facade_headers(r, "x-amz-security-token") != 0) {
        snprintf(why, cap, "session tokens are not known here; use the access key alone");
        return QR_SIGV4_TOKEN;
    }
    for (size_t i = 0; i < sizeof covered / sizeof covered[0]; i++) {
        if ((i < 2 || qr_facade_headers(r, covered[i]) > 0) && !is_signed(&s, covered[i])) {
            snprintf(why, cap, "SignedHeaders must have %s", covered[i]);
            return QR_SIGV4_INCOMPLETE;
        }
    }
    *ret = s;
    return QR_SIGV4_OK;
}

/* ---- the signature ---- */

/* Without blanks around, and one for several. */
static qr_err
put_value(struct qr_dbuf *d, const char *v)
{
    size_t n = strlen(v), from = strspn(v, " \t");

    while (n > from && (v[n - 1] == ' ' || v[n - 1] == '\t')) {
        n--;
    }
    for (size_t i = from; i < n; i++) {
        int blank = v[i] == ' ' || v[i] == '\t';
        if (!(blank && (v[i - 1] == ' ' || v[i - 1] == '\t'))) {
            QR_TRY(qr_dbuf_append(d, blank ? " " : v + i, 1));
        }
    }
    return QR_OK;
}

/* A header that was signed: it must be there, once. */
static qr_err
put_header(struct qr_dbuf *d, const struct qr_facade_request *r, qr_view name)
{
    char text[QR_SIGV4_WORD_MAX + 1];

    if (name.len >= sizeof text) {
        return QR_ERR_TOO_LARGE;
    }
    memcpy(text, name.p, name.len);
    text[name.len] = '\0';
    const char *value = qr_facade_header(r, text);
    if (!value) {
        return QR_ERR_NOT_FOUND;
    }
    QR_TRY(qr_dbuf_append(d, name.p, name.len));
    QR_TRY(qr_dbuf_append(d, ":", 1));
    QR_TRY(put_value(d, value));
    return qr_dbuf_append(d, "\n", 1);
}

static qr_err
put_canonical(struct qr_dbuf *d, const struct qr_sigv4 *s, const struct qr_facade_request *r,
              const char body_hash[static 65])
{
    QR_TRY(qr_dbuf_append(d, r->method, strlen(r->method)));
    QR_TRY(qr_dbuf_append(d, "\n/\n\n", 4)); /* the target "/", no query */
    for (size_t i = 0; i < s->n_signed; i++) {
        QR_TRY(put_header(d, r, s->signed_header[i]));
    }
    QR_TRY(qr_dbuf_append(d, "\n", 1));
    QR_TRY(qr_dbuf_append(d, s->signed_list.p, s->signed_list.len));
    QR_TRY(qr_dbuf_append(d, "\n", 1));
    return qr_dbuf_append(d, body_hash, 64);
}

static qr_err
hmac(const uint8_t *key, size_t key_len, qr_view msg, uint8_t out[static 32])
{
    unsigned n = 32;
    return HMAC(EVP_sha256(), key, (int)key_len, msg.p, msg.len, out, &n) && n == 32
               ? QR_OK
               : QR_ERR_CRYPTO_LIB;
}

static qr_err
sign(const struct qr_sigv4 *s, const char *secret, qr_view canonical, uint8_t ret[static 32])
{
    char text[4 + QR_SIGV4_SECRET_MAX + 1], to_sign[512], hex[65];
    uint8_t k[32], digest[32];
    qr_err e = QR_ERR_TOO_LARGE;

    int n = snprintf(text, sizeof text, "AWS4%s", secret);
    if (n > 0 && (size_t)n < sizeof text) {
        e = hmac((const uint8_t *)text, (size_t)n, s->date, k);
    }
    if (e == QR_OK) {
        e = hmac(k, 32, s->region, k);
    }
    if (e == QR_OK) {
        e = hmac(k, 32, s->service, k);
    }
    if (e == QR_OK) {
        e = hmac(k, 32, qr_view_str("aws4_request"), k);
    }
    qr_sha256(canonical, digest);
    qr_hex_encode(qr_view_of(digest, 32), hex);
    n = snprintf(to_sign, sizeof to_sign, ALGORITHM "\n%.16s\n%.8s/%.*s/%.*s/aws4_request\n%s",
                 (const char *)s->time.p, (const char *)s->date.p, (int)s->region.len,
                 (const char *)s->region.p, (int)s->service.len, (const char *)s->service.p, hex);
    if (e == QR_OK) {
        e = hmac(k, 32, qr_view_of(to_sign, (size_t)n), ret);
    }
    qr_wipe(text, sizeof text);
    qr_wipe(k, sizeof k);
    return e;
}

enum qr_sigv4_result
qr_sigv4_check(const struct qr_sigv4 *s, const struct qr_facade_request *r, const char *secret,
               const char *region, const char *service, uint64_t now_ms, char *why, size_t cap)
{
    uint8_t digest[32], want[32];
    char hash[65];
    struct qr_dbuf d;
    const char *said = qr_facade_header(r, "x-amz-content-sha256");
    uint64_t apart = now_ms > s->time_ms ? now_ms - s->time_ms : s->time_ms - now_ms;

    if (!qr_view_eq(s->region, qr_view_str(region)) ||
        !qr_view_eq(s->service, qr_view_str(service))) {
        snprintf(why, cap, "the credential should be scoped to region %s and service %s", region,
                 service);
        return QR_SIGV4_INVALID;
    }
    if (strcmp(r->target, "/") != 0) {
        snprintf(why, cap, "the request's target must be /");
        return QR_SIGV4_INVALID;
    }
    qr_sha256(r->body, digest);
    qr_hex_encode(qr_view_of(digest, 32), hash);
    if (qr_facade_headers(r, "x-amz-content-sha256") != 0 && (!said || strcmp(said, hash) != 0)) {
        snprintf(why, cap,
                 "x-amz-content-sha256 must be the body's SHA-256; unsigned and streamed "
                 "bodies are refused");
        return QR_SIGV4_INVALID;
    }
    qr_dbuf_init(&d, CANONICAL_MAX);
    qr_err e = put_canonical(&d, s, r, hash);
    if (e == QR_OK) {
        e = sign(s, secret, qr_view_of(d.p, d.len), want);
    }
    qr_dbuf_free(&d);
    int same = e == QR_OK && qr_sec_eq(want, s->signature, 32);
    qr_wipe(want, sizeof want);
    if (!same) {
        snprintf(why, cap,
                 e == QR_OK || e == QR_ERR_TOO_LARGE
                     ? "the signature does not fit the request and the access key's secret"
                     : "a signed header is missing, or stands twice");
        return QR_SIGV4_INVALID;
    }
    if (apart > QR_SIGV4_SKEW_MS) {
        snprintf(why, cap, "the request's time is %llu s away from this machine's; set the clock",
                 (unsigned long long)(apart / 1000));
        return QR_SIGV4_INVALID;
    }
    return QR_SIGV4_OK;
}
