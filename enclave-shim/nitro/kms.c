/*
 * One call is: credentials from the host, a signed POST, an answer in JSON, a key in CMS. Tries are
 * whole calls, so that credentials that ran out are fetched again.
 */
#include "enclave-shim/nitro/kms_answer.h"

#include "enclave-shim/nitro/creds.h"
#include "enclave-shim/nitro/https.h"
#include "enclave-shim/nitro/sigv4.h"
#include "proto/json_strict.h"
#include "protocol/base/enc.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#define TRIES 5u
#define TRIES_MAX 10u
#define TIMEOUT_MS 10000u
#define TIMEOUT_MAX_MS 60000u
#define PAUSE_MAX_MS 10000u
#define ANSWER_MAX (QR_KMS_HEAD_MAX + 2u * QR_KMS_BODY_MAX) /* chunks have heads of their own */
#define DOCUMENT_MAX 20480u
#define BODY_MAX 49152u /* document and blob in base64, and what is around them */
#define REQUEST_MAX (BODY_MAX + 12288u)
#define CONTENT_TYPE "application/x-amz-json-1.1"

static qr_err say(struct qr_kms *k, qr_err e, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static qr_err
say(struct qr_kms *k, qr_err e, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(k->why, sizeof k->why, format, ap);
    va_end(ap);
    return e;
}

/* ---- configuration --------------------------------------------------------------------------- */

static int
all_of(qr_view v, const char *also)
{
    for (size_t i = 0; i < v.len; i++) {
        uint8_t c = v.p[i];
        int ok =
            (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c != 0 && strchr(also, c) != NULL);
        if (!ok) {
            return 0;
        }
    }
    return v.len > 0;
}

/* arn:PARTITION:kms:REGION:ACCOUNT:key/ID; six fields, each strictly. */
static int
split_arn(const char *arn, qr_view field[static 6])
{
    const char *p = arn;
    for (size_t i = 0; i < 5; i++) {
        const char *colon = strchr(p, ':');
        if (!colon) {
            return 0;
        }
        field[i] = qr_view_of(p, (size_t)(colon - p));
        p = colon + 1;
    }
    field[5] = qr_view_str(p);
    return 1;
}

static const char *
domain_of(qr_view partition)
{
    static const struct {
        const char *partition, *domain;
    } table[] = {
        {"aws", "amazonaws.com"}, {"aws-us-gov", "amazonaws.com"}, {"aws-cn", "amazonaws.com.cn"}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (qr_view_eq(partition, qr_view_str(table[i].partition))) {
            return table[i].domain;
        }
    }
    return NULL;
}

static qr_err
read_arn(struct qr_kms *k)
{
    qr_view f[6];
    const char *arn = k->cfg->key, *domain;

    if (!arn || strlen(arn) > QR_KMS_ARN_MAX || !split_arn(arn, f) ||
        !qr_view_eq(f[0], qr_view_str("arn")) || !(domain = domain_of(f[1])) ||
        !qr_view_eq(f[2], qr_view_str("kms")) || !all_of(f[3], "-") ||
        f[3].len >= sizeof k->region || f[4].len != 12 || f[5].len < 5 ||
        memcmp(f[5].p, "key/", 4) != 0 || !all_of(qr_view_of(f[5].p + 4, f[5].len - 4), "-")) {
        return say(k, QR_ERR_CONFIG,
                   "KMS key: expected a key's ARN (arn:aws:kms:REGION:ACCOUNT:key/ID, no alias)");
    }
    for (size_t i = 0; i < f[4].len; i++) {
        if (f[4].p[i] < '0' || f[4].p[i] > '9') {
            return say(k, QR_ERR_CONFIG, "KMS key: the account in its ARN is no number");
        }
    }
    memcpy(k->region, f[3].p, f[3].len);
    (void)snprintf(k->host, sizeof k->host, "kms.%s.%s", k->region, domain);
    return QR_OK;
}

qr_err
qr_kms_open(const struct qr_nitro_kms *cfg, struct qr_kms *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->cfg = cfg;
    QR_TRY(read_arn(ret));
    if (!qr_route_ok(cfg->route) || !qr_route_ok(cfg->credentials)) {
        return say(ret, QR_ERR_CONFIG,
                   "KMS %s: expected 127.0.0.1:PORT or unix:PATH, where the host forwards it",
                   qr_route_ok(cfg->route) ? "credentials" : "route");
    }
    if (!cfg->name || strlen(cfg->name) > QR_KMS_NAME_MAX ||
        !all_of(qr_view_str(cfg->name), "ABCDEFGHIJKLMNOPQRSTUVWXYZ._-")) {
        return say(ret, QR_ERR_CONFIG,
                   "KMS name: expected 1 to %u of [A-Za-z0-9._-], this party's name",
                   QR_KMS_NAME_MAX);
    }
    if (cfg->tries > TRIES_MAX || cfg->timeout_ms > TIMEOUT_MAX_MS) {
        return say(ret, QR_ERR_CONFIG, "KMS: at most %u tries of at most %u ms", TRIES_MAX,
                   TIMEOUT_MAX_MS);
    }
    return QR_OK;
}

/* ---- the request ----------------------------------------------------------------------------- */

static void
put_str(struct qr_buf *b, const char *s)
{
    qr_buf_put(b, s, strlen(s));
}

static void
put_b64(struct qr_buf *b, qr_view v)
{
    size_t n = qr_b64_len(v.len);
    if (b->err != QR_OK || b->cap - b->len <= n) { /* the encoder adds a NUL */
        b->err = b->err != QR_OK ? b->err : QR_ERR_NO_SPACE;
        return;
    }
    qr_b64_encode(v, (char *)b->p + b->len);
    b->len += n;
}

/* What stands in the JSON was checked character by character, or is base64: nothing to escape. */
static void
put_body(const struct qr_kms *k, const struct qr_kms_recipient *r, const qr_view *blob,
         struct qr_buf *b)
{
    put_str(b, "{\"KeyId\":\"");
    put_str(b, k->cfg->key);
    if (blob) {
        put_str(b, "\",\"CiphertextBlob\":\"");
        put_b64(b, *blob);
    } else {
        put_str(b, "\",\"KeySpec\":\"AES_256");
    }
    put_str(b, "\",\"EncryptionContext\":{\"quorate\":\"party-root-1\",\"party\":\"");
    put_str(b, k->cfg->name);
    put_str(b, "\"},\"Recipient\":{\"KeyEncryptionAlgorithm\":\"RSAES_OAEP_SHA_256\","
               "\"AttestationDocument\":\"");
    put_b64(b, r->document);
    put_str(b, "\"}}");
}

static void
put_header(struct qr_buf *b, const char *name, qr_view value)
{
    put_str(b, name);
    put_str(b, ": ");
    qr_buf_put(b, value.p, value.len);
    put_str(b, "\r\n");
}

/* The whole request. The signed headers are those that AWS's own clients sign. */
static qr_err
put_request(const struct qr_kms *k, const char *target, const struct qr_creds *creds,
            int64_t now_ms, qr_view body, struct qr_buf *b)
{
    char length[16], authorization_mem[512];
    struct qr_buf authorization = qr_buf_over(authorization_mem, sizeof authorization_mem);
    struct qr_sigv4 s = {.method = "POST",
                         .path = "/",
                         .query = "",
                         .region = k->region,
                         .service = "kms",
                         .key_id = creds->key_id,
                         .secret = qr_view_str(creds->secret),
                         .body = body};

    qr_sigv4_time(now_ms, s.time);
    s.header[s.n].name = "content-type";
    s.header[s.n++].value = qr_view_str(CONTENT_TYPE);
    s.header[s.n].name = "host";
    s.header[s.n++].value = qr_view_str(k->host);
    s.header[s.n].name = "x-amz-date";
    s.header[s.n++].value = qr_view_str(s.time);
    if (creds->token[0]) {
        s.header[s.n].name = "x-amz-security-token";
        s.header[s.n++].value = qr_view_str(creds->token);
    }
    s.header[s.n].name = "x-amz-target";
    s.header[s.n++].value = qr_view_str(target);
    QR_TRY(qr_sigv4_authorization(&s, &authorization));

    (void)snprintf(length, sizeof length, "%zu", body.len);
    put_str(b, "POST / HTTP/1.1\r\n");
    for (size_t i = 0; i < s.n; i++) {
        put_header(b, s.header[i].name, s.header[i].value);
    }
    put_header(b, "content-length", qr_view_str(length));
    put_header(b, "connection", qr_view_str("close"));
    put_header(b, "authorization", qr_buf_view(&authorization));
    put_str(b, "\r\n");
    qr_buf_put(b, body.p, body.len);
    return b->err;
}

/* ---- calls ----------------------------------------------------------------------------------- */

struct call {
    const char *name, *target;
    const struct qr_kms_recipient *r;
    const qr_view *blob_in; /* NULL: none */
    struct qr_sec32 *ret_key;
    struct qr_dbuf *blob_out; /* NULL: none */
    struct room *room;
};

/* On the heap, for one call. */
struct room {
    uint8_t body[BODY_MAX], request[REQUEST_MAX], answer[ANSWER_MAX], scratch[QR_KMS_SCRATCH];
    uint8_t creds_text[QR_CREDS_TEXT_MAX];
    struct qr_creds creds;
};

static uint32_t
timeout_of(const struct qr_kms *k)
{
    return k->cfg->timeout_ms ? k->cfg->timeout_ms : TIMEOUT_MS;
}

static qr_err
fetch_creds(struct qr_kms *k, const struct call *c, int *ret_again)
{
    struct room *m = c->room;
    char why[QR_ERR_TEXT_MAX] = "";
    size_t n = 0;

    qr_err e = qr_route_read(k->cfg->credentials, timeout_of(k), m->creds_text,
                             sizeof m->creds_text, &n, why, sizeof why);
    *ret_again = e == QR_ERR_PLATFORM;
    if (e == QR_OK) {
        e = qr_creds_parse(qr_view_of(m->creds_text, n), &m->creds, why, sizeof why);
    }
    if (e == QR_OK && m->creds.expires_ms <= c->r->now_ms) {
        *ret_again = 1;
        e = QR_ERR_PLATFORM;
        (void)snprintf(why, sizeof why,
                       "they have expired; the host must give those of its instance role anew");
    }
    return e == QR_OK
               ? QR_OK
               : say(k, QR_ERR_PLATFORM, "credentials from %s: %s", k->cfg->credentials, why);
}

static qr_err
try_once(struct qr_kms *k, const struct call *c, int *ret_again)
{
    struct room *m = c->room;
    struct qr_buf body = qr_buf_over(m->body, sizeof m->body),
                  request = qr_buf_over(m->request, sizeof m->request);
    const struct qr_https h = {.route = k->cfg->route,
                               .host = k->host,
                               .roots = k->cfg->roots ? k->cfg->roots : qr_kms_roots_builtin(),
                               .now_ms = c->r->now_ms,
                               .timeout_ms = timeout_of(k)};
    struct qr_http_answer a;
    char why[QR_KMS_WHY_MAX - 64] = "";

    *ret_again = 0;
    QR_TRY(fetch_creds(k, c, ret_again));
    *ret_again = 0;
    put_body(k, c->r, c->blob_in, &body);
    qr_err e = body.err;
    if (e == QR_OK) {
        e = put_request(k, c->target, &m->creds, c->r->now_ms, qr_buf_view(&body), &request);
    }
    if (e != QR_OK) {
        return say(k, QR_ERR_PLATFORM, "KMS %s: the request cannot be made: %s", c->name,
                   qr_err_text(e));
    }
    e = qr_https_post(&h, qr_buf_view(&request), m->answer, sizeof m->answer, &a, ret_again, why,
                      sizeof why);
    if (e != QR_OK) {
        return say(k, QR_ERR_PLATFORM, "KMS %s: %s", c->name, why);
    }
    return qr_kms_answer(k, c->name, c->r, &a, m->scratch, c->ret_key, c->blob_out, ret_again);
}

/* Between tries: a fiftieth of a try's time, doubled each time, at most PAUSE_MAX_MS. */
static void
pause_before(const struct qr_kms *k, unsigned try)
{
    uint64_t ms = (uint64_t)timeout_of(k) / 50 << (try - 1);
    ms = ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS;
    const struct timespec t = {.tv_sec = (time_t)(ms / 1000),
                               .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&t, NULL);
}

static qr_err
run(struct qr_kms *k, struct call *c)
{
    unsigned tries = k->cfg->tries ? k->cfg->tries : TRIES, done = 0;
    int again = 1;
    qr_err e = QR_OK;

    if (c->r->document.len > DOCUMENT_MAX ||
        (c->blob_in && (c->blob_in->len == 0 || c->blob_in->len > QR_KMS_BLOB_MAX))) {
        return say(k, QR_ERR_SEAL, "KMS %s: a document or a blob above its bound", c->name);
    }
    c->room = qr_alloc(sizeof *c->room);
    if (!c->room) {
        return say(k, QR_ERR_NO_MEMORY, "KMS %s: out of memory", c->name);
    }
    do {
        if (done > 0) {
            pause_before(k, done);
        }
        e = try_once(k, c, &again);
        done++;
    } while (e != QR_OK && again && done < tries);
    qr_wipe(c->room, sizeof *c->room);
    c->room = qr_free(c->room);
    if (e != QR_OK && done > 1) {
        size_t n = strlen(k->why);
        (void)snprintf(k->why + n, sizeof k->why - n, " (tried %u times)", done);
    }
    return e;
}

qr_err
qr_kms_generate(struct qr_kms *k, const struct qr_kms_recipient *r, struct qr_sec32 *ret_key,
                struct qr_dbuf *blob)
{
    struct call c = {.name = "GenerateDataKey",
                     .target = "TrentService.GenerateDataKey",
                     .r = r,
                     .ret_key = ret_key,
                     .blob_out = blob};
    return run(k, &c);
}

qr_err
qr_kms_decrypt(struct qr_kms *k, const struct qr_kms_recipient *r, qr_view blob,
               struct qr_sec32 *ret_key)
{
    struct call c = {.name = "Decrypt",
                     .target = "TrentService.Decrypt",
                     .r = r,
                     .blob_in = &blob,
                     .ret_key = ret_key};
    return run(k, &c);
}
