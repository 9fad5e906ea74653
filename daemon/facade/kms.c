#include "daemon/facade/kms.h"

#include "daemon/client/ecsig.h"
#include "daemon/facade/sigv4.h"
#include "daemon/jsonw.h"
#include "daemon/log.h"
#include "proto/json_strict.h"
#include "protocol/base/enc.h"
#include "protocol/base/rng.h"
#include "protocol/derive.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TYPE "application/x-amz-json-1.1"
#define TARGET "TrentService."
#define KEY_SPEC "ECC_SECG_P256K1"
#define ALGORITHM "ECDSA_SHA_256"
#define VALUES_MAX 32u
#define KEY_ID_MAX 2048u
#define PAGE_MAX 1000u

/* One request. */
struct call {
    struct qr_kms *k;
    const struct qr_facade_request *r;
    const struct qr_facade_access *who;
    struct qr_jsonw w; /* the answer */
    const char *error; /* its type; NULL: none */
    unsigned status;
    char why[640];
    char request[65]; /* the request hash, for the log */
    const char *key_id;
};

static void fail(struct call *c, unsigned status, const char *type, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void
fail(struct call *c, unsigned status, const char *type, const char *format, ...)
{
    va_list ap;
    c->status = status;
    c->error = type;
    va_start(ap, format);
    vsnprintf(c->why, sizeof c->why, format, ap);
    va_end(ap);
}

/* ---- keys ---- */

static void
put_arn(struct call *c, const char *kind, const char *name)
{
    char text[QR_FACADE_TEXT_MAX * 2];
    snprintf(text, sizeof text, "arn:aws:kms:%s:%s:%s%s", c->k->conf->region, c->k->conf->account,
             kind, name);
    qr_jsonw_str(&c->w, qr_view_str(text));
}

/* Strips "arn:aws:kms:REGION:ACCOUNT:" of ours; 0: it is somebody else's. */
static int
strip_arn(const struct qr_facade_conf *conf, qr_view *v)
{
    char ours[QR_FACADE_TEXT_MAX];
    int n = snprintf(ours, sizeof ours, "arn:aws:kms:%s:%s:", conf->region, conf->account);

    if (v->len < 4 || memcmp(v->p, "arn:", 4) != 0) {
        return 1;
    }
    if (n <= 0 || v->len < (size_t)n || memcmp(v->p, ours, (size_t)n) != 0) {
        return 0;
    }
    *v = qr_view_of(v->p + n, v->len - (size_t)n);
    return 1;
}

static int
starts(qr_view v, const char *with)
{
    size_t n = strlen(with);
    return v.len >= n && memcmp(v.p, with, n) == 0;
}

static int
is_key(const struct qr_facade_key *k, qr_view name, int is_alias)
{
    if (!is_alias) {
        return qr_view_eq(name, qr_view_str(k->id));
    }
    for (size_t i = 0; i < k->n_aliases; i++) {
        if (qr_view_eq(name, qr_view_str(k->alias[i]))) {
            return 1;
        }
    }
    return 0;
}

/* ID, key ARN, alias/NAME, alias ARN. NULL: refused, and said. */
static const struct qr_facade_key *
find_key(struct call *c, qr_view given)
{
    const struct qr_facade_conf *conf = c->k->conf;
    qr_view name = given;
    char q[QR_QUOTE_MAX];
    int is_arn = starts(given, "arn:"), is_alias = 0;

    if (strip_arn(conf, &name)) {
        is_alias = starts(name, "alias/");
        if (is_alias || (is_arn && starts(name, "key/"))) {
            size_t n = is_alias ? 6 : 4;
            name = qr_view_of(name.p + n, name.len - n);
        } else if (is_arn) {
            name.len = 0;
        }
        for (size_t i = 0; i < conf->n_keys; i++) {
            if (is_key(&conf->key[i], name, is_alias)) {
                c->key_id = conf->key[i].id;
                if (c->who->may[i]) {
                    return &conf->key[i];
                }
                fail(c, 400, "AccessDeniedException", "access key %s may not use key %s",
                     c->who->id, conf->key[i].id);
                return NULL;
            }
        }
    }
    fail(c, 400, "NotFoundException", "Key '%s' does not exist", qr_quote(q, given));
    return NULL;
}

/* ---- what the quorum says ---- */

/* The client's failure in the words of this API. */
static void
fail_client(struct call *c, const struct qr_client_fail *f)
{
    const char *code = f->problem.code;

    switch (f->verdict) {
    case QR_CLIENT_REFUSED:
        if (strcmp(code, "policy_denied") == 0 || strcmp(code, "approval_needed") == 0 ||
            strcmp(code, "client_unknown") == 0) {
            fail(c, 400, "AccessDeniedException", "the quorum refused: %s", f->text);
        } else {
            fail(c, 400, "KMSInvalidStateException", "the quorum refused: %s", f->text);
        }
        return;
    case QR_CLIENT_TEMPORARY:
        if (f->problem.status == 429) {
            fail(c, 400, "ThrottlingException", "%s", f->text);
        } else if (f->problem.status == 504 || f->err == QR_ERR_TIMEOUT) {
            fail(c, 500, "DependencyTimeoutException", "%s", f->text);
        } else {
            fail(c, 500, "KeyUnavailableException", "%s", f->text);
        }
        return;
    case QR_CLIENT_BAD_REQUEST:
        if (strcmp(code, "key_unknown") == 0) {
            fail(c, 400, "NotFoundException", "%s", f->text);
            return;
        }
        break;
    case QR_CLIENT_UNTRUSTED:
    case QR_CLIENT_INTERNAL:
    case QR_CLIENT_DONE:
        break;
    }
    fail(c, 500, "KMSInternalException", "%s", f->text);
}

static int
public_key(struct call *c, const struct qr_facade_key *k, uint8_t ret[static 33])
{
    struct qr_client_fail *f = qr_alloc(sizeof *f);
    struct qr_key_pub *pub = qr_alloc(sizeof *pub);
    qr_err e = QR_ERR_NO_MEMORY;
    qr_pt pk;
    qr_fq tau;

    if (f && pub && qr_client_key(c->k->client, k->key, pub, f) != QR_CLIENT_DONE) {
        fail_client(c, f);
    } else if (f && pub) {
        e = qr_pt_parse(&pk, pub->pk);
        if (e == QR_OK) {
            e = qr_derive(&pk, pub->cc, k->path, k->depth, &pk, &tau, NULL);
        }
        if (e == QR_OK) {
            qr_pt_put(ret, &pk);
        }
    }
    if (e != QR_OK && !c->error) {
        fail(c, 500, "KMSInternalException", "%s", qr_err_text(e));
    }
    qr_free(pub);
    qr_free(f);
    return e == QR_OK;
}

/* ---- operations ---- */

/* What the members of a request can be; each operation lists its own. */
struct asked {
    qr_view key_id, message, message_type, algorithm, marker;
    int has_key_id, has_type, has_tokens, has_dry_run, dry_run, has_limit, has_marker;
    uint64_t limit;
    struct qr_json_at tokens;
};

static void
put_b64(struct qr_jsonw *w, const uint8_t *p, size_t n)
{
    char text[256];
    if (qr_b64_len(n) < sizeof text) {
        qr_b64_encode(qr_view_of(p, n), text);
        qr_jsonw_str(w, qr_view_str(text));
    } else {
        w->err = QR_ERR_INTERNAL;
    }
}

static void
op_get_public_key(struct call *c, const struct asked *q)
{
    uint8_t pk[33], spki[QR_ECSIG_SPKI_LEN];
    const struct qr_facade_key *k = find_key(c, q->key_id);

    if (!k || !public_key(c, k, pk)) {
        return;
    }
    if (qr_ecsig_spki(pk, spki) != QR_OK) {
        fail(c, 500, "KMSInternalException", "the public key cannot be encoded");
        return;
    }
    qr_jsonw_raw(&c->w, "{\"KeyId\":");
    put_arn(c, "key/", k->id);
    qr_jsonw_raw(&c->w, ",\"PublicKey\":");
    put_b64(&c->w, spki, sizeof spki);
    qr_jsonw_raw(&c->w,
                 ",\"KeySpec\":\"" KEY_SPEC "\",\"CustomerMasterKeySpec\":\"" KEY_SPEC
                 "\",\"KeyUsage\":\"SIGN_VERIFY\",\"SigningAlgorithms\":[\"" ALGORITHM "\"]}");
}

static void
op_describe_key(struct call *c, const struct asked *q)
{
    const struct qr_facade_key *k = find_key(c, q->key_id);

    if (!k) {
        return;
    }
    qr_jsonw_raw(&c->w, "{\"KeyMetadata\":{\"AWSAccountId\":");
    qr_jsonw_str(&c->w, qr_view_str(c->k->conf->account));
    qr_jsonw_raw(&c->w, ",\"KeyId\":");
    qr_jsonw_str(&c->w, qr_view_str(k->id));
    qr_jsonw_raw(&c->w, ",\"Arn\":");
    put_arn(c, "key/", k->id);
    qr_jsonw_raw(&c->w, ",\"Description\":");
    qr_jsonw_str(&c->w, qr_view_str(k->description));
    qr_jsonw_raw(&c->w, ",\"Enabled\":true,\"KeyState\":\"Enabled\",\"KeyUsage\":\"SIGN_VERIFY\","
                        "\"Origin\":\"EXTERNAL_KEY_STORE\",\"KeyManager\":\"CUSTOMER\","
                        "\"KeySpec\":\"" KEY_SPEC "\",\"CustomerMasterKeySpec\":\"" KEY_SPEC
                        "\",\"SigningAlgorithms\":[\"" ALGORITHM "\"],\"MultiRegion\":false}}");
}

/* Pages begin at a decimal number that we gave out. */
static int
page(struct call *c, const struct asked *q, size_t *ret_from, size_t *ret_limit)
{
    size_t from = 0;

    for (size_t i = 0; q->has_marker && i < q->marker.len; i++) {
        if (q->marker.p[i] < '0' || q->marker.p[i] > '9' || q->marker.len > 4) {
            fail(c, 400, "InvalidMarkerException", "this marker is none that was given out");
            return 0;
        }
        from = from * 10 + (size_t)(q->marker.p[i] - '0');
    }
    if (q->has_limit && (q->limit == 0 || q->limit > PAGE_MAX)) {
        fail(c, 400, "ValidationException", "Limit is 1 to %u", PAGE_MAX);
        return 0;
    }
    *ret_from = from;
    *ret_limit = q->has_limit ? (size_t)q->limit : 100;
    return 1;
}

static void
end_page(struct call *c, size_t at, int more)
{
    if (more) {
        char text[64];
        snprintf(text, sizeof text, "],\"Truncated\":true,\"NextMarker\":\"%zu\"}", at);
        qr_jsonw_raw(&c->w, text);
    } else {
        qr_jsonw_raw(&c->w, "],\"Truncated\":false}");
    }
}

static void
op_list_keys(struct call *c, const struct asked *q)
{
    const struct qr_facade_conf *conf = c->k->conf;
    size_t i, limit, n = 0;

    if (!page(c, q, &i, &limit)) {
        return;
    }
    qr_jsonw_raw(&c->w, "{\"Keys\":[");
    for (; i < conf->n_keys && n < limit; i++) {
        if (c->who->may[i]) {
            qr_jsonw_raw(&c->w, n++ ? ",{\"KeyId\":" : "{\"KeyId\":");
            qr_jsonw_str(&c->w, qr_view_str(conf->key[i].id));
            qr_jsonw_raw(&c->w, ",\"KeyArn\":");
            put_arn(c, "key/", conf->key[i].id);
            qr_jsonw_raw(&c->w, "}");
        }
    }
    end_page(c, i, i < conf->n_keys);
}

static void
put_alias(struct call *c, const struct qr_facade_key *k, const char *alias, int first)
{
    char name[QR_NAME_MAX + 8];
    snprintf(name, sizeof name, "alias/%s", alias);
    qr_jsonw_raw(&c->w, first ? "{\"AliasName\":" : ",{\"AliasName\":");
    qr_jsonw_str(&c->w, qr_view_str(name));
    qr_jsonw_raw(&c->w, ",\"AliasArn\":");
    put_arn(c, "", name);
    qr_jsonw_raw(&c->w, ",\"TargetKeyId\":");
    qr_jsonw_str(&c->w, qr_view_str(k->id));
    qr_jsonw_raw(&c->w, "}");
}

/* A page is of keys; each has few aliases. */
static void
op_list_aliases(struct call *c, const struct asked *q)
{
    const struct qr_facade_conf *conf = c->k->conf;
    const struct qr_facade_key *only = q->has_key_id ? find_key(c, q->key_id) : NULL;
    size_t i, limit, n = 0;

    if (c->error || !page(c, q, &i, &limit)) {
        return;
    }
    qr_jsonw_raw(&c->w, "{\"Aliases\":[");
    for (; i < conf->n_keys && n + QR_FACADE_ALIASES_MAX <= limit; i++) {
        const struct qr_facade_key *k = &conf->key[i];
        for (size_t a = 0; c->who->may[i] && (!only || only == k) && a < k->n_aliases; a++) {
            put_alias(c, k, k->alias[a], n++ == 0);
        }
    }
    end_page(c, i, i < conf->n_keys);
}

/* The signature in DER, or an error. */
static size_t
sign(struct call *c, const struct qr_facade_key *k, const struct qr_want_item *item,
     uint8_t der[static QR_ECSIG_DER_MAX])
{
    struct qr_client_job *j = qr_alloc(sizeof *j);
    struct qr_client_fail *f = qr_alloc(sizeof *f);
    const struct qr_want want = {
        .key = k->key, .path = k->path, .depth = k->depth, .item = item, .n = 1};
    char why[256];
    size_t n = 0;

    if (!j || !f) {
        fail(c, 500, "KMSInternalException", "out of memory");
    } else if (qr_client_prepare(c->k->client, &want, j, why, sizeof why) != QR_OK) {
        fail(c, 500, "KMSInternalException", "%s", why);
    } else {
        qr_hex_encode(qr_view_of(j->request.hash, 32), c->request);
        if (qr_client_sign(c->k->client, j, f) != QR_CLIENT_DONE) {
            fail_client(c, f);
        } else {
            n = qr_ecsig_der(j->out.rs[0], der);
        }
    }
    if (j) {
        qr_client_job_clear(j);
    }
    qr_free(j);
    qr_free(f);
    return n;
}

static void
op_sign(struct call *c, const struct asked *q)
{
    uint8_t message[QR_KMS_MESSAGE_MAX], der[QR_ECSIG_DER_MAX];
    size_t len = 0;
    int is_digest = q->has_type && qr_view_eq(q->message_type, qr_view_str("DIGEST"));
    const struct qr_facade_key *k = find_key(c, q->key_id);

    if (!k) {
        return;
    }
    if (q->has_type && !is_digest && !qr_view_eq(q->message_type, qr_view_str("RAW"))) {
        fail(c, 400, "ValidationException", "MessageType is RAW or DIGEST");
        return;
    }
    if (!qr_view_eq(q->algorithm, qr_view_str(ALGORITHM))) {
        fail(c, 400, "InvalidKeyUsageException", "this key's SigningAlgorithm is " ALGORITHM);
        return;
    }
    if (qr_b64_decode((const char *)q->message.p, q->message.len, message, sizeof message, &len) !=
            QR_OK ||
        len == 0 || (is_digest && len != 32)) {
        fail(c, 400, "ValidationException",
             "Message is base64 of 1 to %u bytes, or of 32 where MessageType is DIGEST",
             QR_KMS_MESSAGE_MAX);
        return;
    }
    if (q->dry_run) {
        fail(c, 400, "DryRunOperationException",
             "The request would have been asked of the quorum, whose policy decides");
        return;
    }
    const struct qr_want_item item = {.kind = is_digest ? QR_KIND_DIGEST : QR_KIND_SHA256,
                                      .bytes = qr_view_of(message, len)};
    size_t n = sign(c, k, &item, der);
    if (n) {
        qr_jsonw_raw(&c->w, "{\"KeyId\":");
        put_arn(c, "key/", k->id);
        qr_jsonw_raw(&c->w, ",\"Signature\":");
        put_b64(&c->w, der, n);
        qr_jsonw_raw(&c->w, ",\"SigningAlgorithm\":\"" ALGORITHM "\"}");
    }
}

enum member { KEY_ID = 1, KEY_ID_OPTIONAL = 2, TOKENS = 4, MESSAGE = 8, PAGE = 16 };

static const struct operation {
    const char *name;
    void (*run)(struct call *c, const struct asked *q);
    unsigned members;
} operations[] = {
    {"Sign", op_sign, KEY_ID | TOKENS | MESSAGE},
    {"GetPublicKey", op_get_public_key, KEY_ID | TOKENS},
    {"DescribeKey", op_describe_key, KEY_ID | TOKENS},
    {"ListKeys", op_list_keys, PAGE},
    {"ListAliases", op_list_aliases, KEY_ID_OPTIONAL | PAGE},
};

/* The members of an operation, and no others. */
static qr_err
read_asked(struct qr_json *j, unsigned members, struct asked *q)
{
    struct qr_json_at root = qr_json_root(j);
    struct qr_json_field f[10];
    size_t n = 0;

    if (members & (KEY_ID | KEY_ID_OPTIONAL)) {
        f[n++] = (struct qr_json_field){"KeyId",    QR_JSON_TEXT,
                                        1,          KEY_ID_MAX,
                                        &q->key_id, members & KEY_ID ? NULL : &q->has_key_id};
    }
    if (members & TOKENS) {
        f[n++] =
            (struct qr_json_field){"GrantTokens", QR_JSON_ARRAY, 0, 0, &q->tokens, &q->has_tokens};
    }
    if (members & MESSAGE) {
        f[n++] = (struct qr_json_field){"Message",   QR_JSON_TEXT, 1, 2 * QR_KMS_MESSAGE_MAX,
                                        &q->message, NULL};
        f[n++] = (struct qr_json_field){"MessageType",    QR_JSON_TEXT, 1, 32,
                                        &q->message_type, &q->has_type};
        f[n++] =
            (struct qr_json_field){"SigningAlgorithm", QR_JSON_TEXT, 1, 64, &q->algorithm, NULL};
        f[n++] = (struct qr_json_field){"DryRun", QR_JSON_BOOL, 0, 0, &q->dry_run, &q->has_dry_run};
    }
    if (members & PAGE) {
        f[n++] =
            (struct qr_json_field){"Limit", QR_JSON_U64, 0, INT32_MAX, &q->limit, &q->has_limit};
        f[n++] = (struct qr_json_field){"Marker", QR_JSON_TEXT, 1, 320, &q->marker, &q->has_marker};
    }
    f[n] = (struct qr_json_field){.type = QR_JSON_END};
    return qr_json_fields(&root, f);
}

static void
run(struct call *c)
{
    const char *target = qr_facade_header(c->r, "x-amz-target");
    const char *type = qr_facade_header(c->r, "content-type");
    const struct operation *op = NULL;
    struct asked q = {0};
    struct qr_json j = {0};
    char why[QR_ERR_TEXT_MAX] = "";

    for (size_t i = 0; target && i < sizeof operations / sizeof operations[0]; i++) {
        if (strncmp(target, TARGET, sizeof TARGET - 1) == 0 &&
            strcmp(target + sizeof TARGET - 1, operations[i].name) == 0) {
            op = &operations[i];
        }
    }
    if (!op) {
        fail(c, 400, "UnknownOperationException",
             "only Sign, GetPublicKey, DescribeKey, ListKeys "
             "and ListAliases are known here");
        return;
    }
    if (!type || strcmp(type, TYPE) != 0) {
        fail(c, 400, "SerializationException", "Content-Type must be " TYPE);
        return;
    }
    qr_err e = qr_json_parse(&j, c->r->body, VALUES_MAX, why, sizeof why);
    if (e == QR_OK) {
        e = read_asked(&j, op->members, &q);
        if (e != QR_OK) {
            fail(c, 400, "ValidationException", "%s", why);
        } else {
            op->run(c, &q);
        }
        qr_json_clear(&j);
    } else {
        fail(c, 400, "SerializationException", "%s", why);
    }
}

/* ---- who asks ---- */

static const struct qr_facade_access *
find_access(const struct qr_facade_conf *conf, qr_view id)
{
    for (size_t i = 0; i < conf->n_access; i++) {
        if (qr_view_eq(id, qr_view_str(conf->access[i].id))) {
            return &conf->access[i];
        }
    }
    return NULL;
}

static int
authenticate(struct call *c)
{
    static const char *const types[] = {
        [QR_SIGV4_MISSING] = "MissingAuthenticationTokenException",
        [QR_SIGV4_INCOMPLETE] = "IncompleteSignatureException",
        [QR_SIGV4_TOKEN] = "UnrecognizedClientException",
        [QR_SIGV4_INVALID] = "InvalidSignatureException",
    };
    const struct qr_facade_conf *conf = c->k->conf;
    struct qr_sigv4 s;
    char why[256];

    enum qr_sigv4_result v = qr_sigv4_parse(c->r, &s, why, sizeof why);
    if (v == QR_SIGV4_OK) {
        c->who = find_access(conf, s.access);
        if (!c->who) {
            fail(c, 400, "UnrecognizedClientException", "no such access key is configured here");
            return 0;
        }
        v = qr_sigv4_check(&s, c->r, c->who->secret, conf->region, "kms", c->k->now_ms(), why,
                           sizeof why);
    }
    if (v != QR_SIGV4_OK) {
        fail(c, 400, types[v], "%s", why);
        return 0;
    }
    return 1;
}

/* A random UUID, as clients show it. */
static void
put_request_id(struct qr_facade_answer *a)
{
    struct qr_rng rng = qr_rng_system();
    uint8_t b[16];
    char h[33];

    qr_rng_fill(&rng, b, sizeof b);
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    qr_hex_encode(qr_view_of(b, sizeof b), h);
    snprintf(a->text, sizeof a->text, "%.8s-%.4s-%.4s-%.4s-%.12s", h, h + 8, h + 12, h + 16,
             h + 20);
    a->extra[a->n_extra++] = (struct qr_facade_header){"x-amzn-RequestId", a->text};
}

static void
log_call(const struct call *c, const struct qr_facade_answer *a)
{
    const char *target = qr_facade_header(c->r, "x-amz-target");
    char q[QR_QUOTE_MAX];

    qr_log(c->error ? QR_LOG_WARN : QR_LOG_INFO, "kms", c->error ? "refused" : "answered",
           c->error ? c->why : "a request was answered",
           QR_LOG_STR("operation", target ? qr_quote(q, qr_view_str(target)) : NULL),
           QR_LOG_STR("access_key", c->who ? c->who->id : NULL), QR_LOG_STR("key_id", c->key_id),
           QR_LOG_STR("request", c->request[0] ? c->request : NULL), QR_LOG_STR("id", a->text),
           QR_LOG_STR("error", c->error), QR_LOG_END);
}

void
qr_kms_handle(void *ctx, const struct qr_facade_request *r, struct qr_facade_answer *a)
{
    struct call c = {.k = ctx, .r = r, .w = qr_jsonw_to(&a->body)};

    a->type = TYPE;
    put_request_id(a);
    if (strcmp(r->method, "POST") != 0 || strcmp(r->target, "/") != 0) {
        fail(&c, strcmp(r->target, "/") == 0 ? 405 : 404, "UnknownOperationException",
             "everything here is POST /");
    } else if (authenticate(&c)) {
        run(&c);
    }
    if (!c.error && c.w.err != QR_OK) {
        fail(&c, 500, "KMSInternalException", "%s", qr_err_text(c.w.err));
    }
    if (c.error) {
        qr_dbuf_free(&a->body);
        c.w = qr_jsonw_to(&a->body);
        qr_jsonw_raw(&c.w, "{\"__type\":");
        qr_jsonw_str(&c.w, qr_view_str(c.error));
        qr_jsonw_raw(&c.w, ",\"message\":");
        qr_jsonw_str(&c.w, qr_view_str(c.why));
        qr_jsonw_raw(&c.w, "}");
    }
    a->status = c.error ? c.status : 200;
    log_call(&c, a);
}
