/*
 * Each of the two layers (the COSE array, the payload's map) is walked twice: once whole, which bounds
 * depth, items and lengths, and once for its fields. A document that is too deep or too large is
 * therefore called that, whatever else is wrong with it.
 */
#include "enclave-shim/verify/nitro_doc.h"

#include "enclave-shim/verify/cbor.h"
#include "proto/json_strict.h"

#define COSE_SIGN1_TAG 18u
/* The last millisecond of the year 9999: what RFC 3339 can print. */
#define TIME_MAX UINT64_C(253402300799999)

/* {1: -35}: ES384. Any other spelling of it is refused, so that a header has one form. */
static const uint8_t protected_es384[4] = {0xa1, 0x01, 0x38, 0x22};

static qr_err
cbor_fail(struct qr_verdict *v, qr_err e, const char *what)
{
    switch (e) {
    case QR_ERR_TOO_LARGE:
        return qr_fail(v, QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT,
                       "%s: expected CBOR of bounded depth, count and lengths, found more", what);
    case QR_ERR_TRAILING:
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_TRAILING_DATA,
                       "%s: expected its end, found more bytes", what);
    default:
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                       "%s: expected well-formed CBOR, found something else", what);
    }
}

static qr_err
malformed(struct qr_verdict *v, const char *what, const char *expected)
{
    return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED, "%s: expected %s, found something else",
                   what, expected);
}

/* One whole item and nothing behind it. */
static qr_err
scan(qr_view bytes, struct qr_verdict *v, const char *what)
{
    struct qr_cbor c;
    qr_cbor_init(&c, bytes);
    qr_err e = qr_cbor_skip(&c);
    if (e == QR_OK) {
        e = qr_cbor_end(&c);
    }
    return e == QR_OK ? QR_OK : cbor_fail(v, e, what);
}

/* The next item, of the type that must stand here. `expected` names that type. */
static qr_err
want(struct qr_cbor *c, enum qr_cbor_type type, struct qr_verdict *v, const char *what,
     const char *expected, struct qr_cbor_item *ret)
{
    qr_err e = qr_cbor_next(c, ret);
    if (e != QR_OK) {
        return cbor_fail(v, e, what);
    }
    return ret->type == type ? QR_OK : malformed(v, what, expected);
}

static qr_err
enter(struct qr_cbor *c, const struct qr_cbor_item *head, struct qr_verdict *v, const char *what,
      struct qr_cbor_open *ret)
{
    qr_err e = qr_cbor_enter(c, head, ret);
    return e == QR_OK ? QR_OK : cbor_fail(v, e, what);
}

static qr_err
bounded(struct qr_verdict *v, const char *what, qr_view x, size_t min, size_t max)
{
    if (x.len < min || x.len > max) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                       "%s: expected %zu to %zu bytes, found %zu", what, min, max, x.len);
    }
    return QR_OK;
}

/* ---- fields of the payload ------------------------------------------------------------------- */

static qr_err
read_module_id(struct qr_cbor *c, struct qr_verdict *v, struct qr_nitro_doc *d)
{
    struct qr_cbor_item it;
    QR_TRY(want(c, QR_CBOR_TEXT, v, "module_id", "text", &it));
    d->module_id = it.v;
    return bounded(v, "module_id", it.v, 1, 256);
}

static qr_err
read_digest(struct qr_cbor *c, struct qr_verdict *v, struct qr_nitro_doc *d)
{
    struct qr_cbor_item it;
    char q[QR_QUOTE_MAX];
    (void)d;
    QR_TRY(want(c, QR_CBOR_TEXT, v, "digest", "text", &it));
    if (!qr_view_eq(it.v, qr_view_str("SHA384"))) {
        return qr_fail(v, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED,
                       "digest: expected \"SHA384\", found \"%s\"", qr_quote(q, it.v));
    }
    return QR_OK;
}

static qr_err
read_timestamp(struct qr_cbor *c, struct qr_verdict *v, struct qr_nitro_doc *d)
{
    struct qr_cbor_item it;
    QR_TRY(want(c, QR_CBOR_UINT, v, "timestamp", "milliseconds", &it));
    d->timestamp_ms = it.u;
    return it.u > 0 && it.u <= TIME_MAX
               ? QR_OK
               : malformed(v, "timestamp", "milliseconds between 1970 and 9999");
}

static qr_err
read_pcrs(struct qr_cbor *c, struct qr_verdict *v, struct qr_nitro_doc *d)
{
    struct qr_cbor_item it;
    struct qr_cbor_open o;

    QR_TRY(want(c, QR_CBOR_MAP, v, "pcrs", "a map", &it));
    QR_TRY(enter(c, &it, v, "pcrs", &o));
    while (qr_cbor_more(c, &o)) {
        QR_TRY(want(c, QR_CBOR_UINT, v, "pcrs", "an index", &it));
        if (it.u >= QR_NITRO_PCRS || d->pcr[it.u].p) {
            return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                           "pcrs: expected each index of 0 to 31 once at most, found %llu%s",
                           (unsigned long long)it.u, it.u < QR_NITRO_PCRS ? " again" : "");
        }
        size_t i = (size_t)it.u;
        QR_TRY(want(c, QR_CBOR_BYTES, v, "pcrs", "a byte string", &it));
        if (it.v.len != QR_NITRO_PCR_LEN) {
            return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                           "pcrs[%zu]: expected 48 bytes, found %zu", i, it.v.len);
        }
        d->pcr[i] = it.v;
    }
    if (c->err != QR_OK) {
        return cbor_fail(v, c->err, "pcrs");
    }
    /* Always measured; whether the enclave is in debug mode is read off these three. */
    if (!d->pcr[0].p || !d->pcr[1].p || !d->pcr[2].p) {
        return malformed(v, "pcrs", "at least 0, 1 and 2");
    }
    return QR_OK;
}

static qr_err
read_certificate(struct qr_cbor *c, struct qr_verdict *v, struct qr_nitro_doc *d)
{
    struct qr_cbor_item it;
    QR_TRY(want(c, QR_CBOR_BYTES, v, "certificate", "a byte string", &it));
    d->certificate = it.v;
    return bounded(v, "certificate", it.v, 1, QR_NITRO_CERT_MAX);
}

static qr_err
read_cabundle(struct qr_cbor *c, struct qr_verdict *v, struct qr_nitro_doc *d)
{
    struct qr_cbor_item it;
    struct qr_cbor_open o;

    QR_TRY(want(c, QR_CBOR_ARRAY, v, "cabundle", "an array", &it));
    QR_TRY(enter(c, &it, v, "cabundle", &o));
    while (qr_cbor_more(c, &o)) {
        if (d->n_ca == QR_NITRO_CAS) {
            return qr_fail(v, QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT,
                           "cabundle: expected at most %u certificates, found more", QR_NITRO_CAS);
        }
        QR_TRY(want(c, QR_CBOR_BYTES, v, "cabundle", "byte strings", &it));
        QR_TRY(bounded(v, "cabundle", it.v, 1, QR_NITRO_CERT_MAX));
        d->ca[d->n_ca++] = it.v;
    }
    if (c->err != QR_OK) {
        return cbor_fail(v, c->err, "cabundle");
    }
    return d->n_ca > 0 ? QR_OK : malformed(v, "cabundle", "at least the root");
}

static qr_err
read_optional(struct qr_cbor *c, struct qr_verdict *v, const char *what, size_t min, size_t max,
              struct qr_nitro_optional *ret)
{
    struct qr_cbor_item it;
    qr_err e = qr_cbor_next(c, &it);
    if (e != QR_OK) {
        return cbor_fail(v, e, what);
    }
    if (it.type == QR_CBOR_NULL) {
        ret->state = QR_NITRO_NULL;
        return QR_OK;
    }
    if (it.type != QR_CBOR_BYTES) {
        return malformed(v, what, "a byte string or null");
    }
    ret->state = QR_NITRO_SET;
    ret->v = it.v;
    return bounded(v, what, it.v, min, max);
}

static qr_err
read_public_key(struct qr_cbor *c, struct qr_verdict *v, struct qr_nitro_doc *d)
{
    return read_optional(c, v, "public_key", 1, 1024, &d->public_key);
}

static qr_err
read_user_data(struct qr_cbor *c, struct qr_verdict *v, struct qr_nitro_doc *d)
{
    return read_optional(c, v, "user_data", 0, 512, &d->user_data);
}

static qr_err
read_nonce(struct qr_cbor *c, struct qr_verdict *v, struct qr_nitro_doc *d)
{
    return read_optional(c, v, "nonce", 0, 512, &d->nonce);
}

static const struct field {
    const char *name;
    int mandatory;
    qr_err (*read)(struct qr_cbor *c, struct qr_verdict *v, struct qr_nitro_doc *d);
} fields[] = {
    {"module_id", 1, read_module_id},
    {"digest", 1, read_digest},
    {"timestamp", 1, read_timestamp},
    {"pcrs", 1, read_pcrs},
    {"certificate", 1, read_certificate},
    {"cabundle", 1, read_cabundle},
    {"public_key", 0, read_public_key},
    {"user_data", 0, read_user_data},
    {"nonce", 0, read_nonce},
};
#define N_FIELDS (sizeof fields / sizeof fields[0])

static int
has_key(const struct qr_nitro_doc *d, qr_view name)
{
    for (size_t i = 0; i < d->n_keys; i++) {
        if (qr_view_eq(d->key[i], name)) {
            return 1;
        }
    }
    return 0;
}

/* A member's name, which must be new: of two members with one name, two readers choose differently. */
static qr_err
read_key(struct qr_cbor *c, struct qr_verdict *v, struct qr_nitro_doc *d)
{
    struct qr_cbor_item it;
    char q[QR_QUOTE_MAX];

    QR_TRY(want(c, QR_CBOR_TEXT, v, "payload", "text as the name of each member", &it));
    if (has_key(d, it.v)) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_DUPLICATE_KEY,
                       "payload: expected each member once, found \"%s\" again", qr_quote(q, it.v));
    }
    if (d->n_keys == QR_NITRO_KEYS) {
        return qr_fail(v, QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT,
                       "payload: expected at most %u members, found more", QR_NITRO_KEYS);
    }
    d->key[d->n_keys++] = it.v;
    return QR_OK;
}

static qr_err
read_payload(struct qr_verdict *v, struct qr_nitro_doc *d)
{
    struct qr_cbor c;
    struct qr_cbor_item it;
    struct qr_cbor_open o;

    QR_TRY(scan(d->payload, v, "payload"));
    qr_cbor_init(&c, d->payload);
    QR_TRY(want(&c, QR_CBOR_MAP, v, "payload", "a map", &it));
    d->indefinite = it.indefinite;
    QR_TRY(enter(&c, &it, v, "payload", &o));
    while (qr_cbor_more(&c, &o)) {
        QR_TRY(read_key(&c, v, d));
        const struct field *f = fields;
        while (f < fields + N_FIELDS && !qr_view_eq(d->key[d->n_keys - 1], qr_view_str(f->name))) {
            f++;
        }
        if (f < fields + N_FIELDS) {
            QR_TRY(f->read(&c, v, d));
        } else {
            /* Signed by the module, so that a member of a later version may be passed over. */
            qr_err e = qr_cbor_skip(&c);
            if (e != QR_OK) {
                return cbor_fail(v, e, "payload");
            }
        }
    }
    if (c.err != QR_OK) {
        return cbor_fail(v, c.err, "payload");
    }
    for (size_t i = 0; i < N_FIELDS; i++) {
        if (fields[i].mandatory && !has_key(d, qr_view_str(fields[i].name))) {
            return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                           "payload: expected the member %s, found none", fields[i].name);
        }
    }
    return QR_OK;
}

/* ---- the COSE array -------------------------------------------------------------------------- */

static qr_err
read_protected(struct qr_cbor *c, struct qr_verdict *v, struct qr_nitro_doc *d)
{
    struct qr_cbor_item it;
    QR_TRY(want(c, QR_CBOR_BYTES, v, "protected header", "a byte string", &it));
    d->protected_bytes = it.v;
    if (!qr_view_eq(it.v, qr_view_of(protected_es384, sizeof protected_es384))) {
        return qr_fail(v, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED,
                       "protected header: expected a1013822 (ES384), found %zu other bytes",
                       it.v.len);
    }
    return it.minimal ? QR_OK : malformed(v, "protected header", "the shortest length");
}

/* Not signed: nothing in it is looked at. */
static qr_err
read_unprotected(struct qr_cbor *c, struct qr_verdict *v, struct qr_nitro_doc *d)
{
    struct qr_cbor_item it;
    struct qr_cbor_open o;

    QR_TRY(want(c, QR_CBOR_MAP, v, "unprotected header", "a map", &it));
    QR_TRY(enter(c, &it, v, "unprotected header", &o));
    d->unprotected_empty = 1;
    while (qr_cbor_more(c, &o)) {
        d->unprotected_empty = 0;
        for (int i = 0; i < 2; i++) {
            qr_err e = qr_cbor_skip(c);
            if (e != QR_OK) {
                return cbor_fail(v, e, "unprotected header");
            }
        }
    }
    return c->err == QR_OK ? QR_OK : cbor_fail(v, c->err, "unprotected header");
}

static qr_err
read_cose(struct qr_cbor *c, qr_view bytes, struct qr_verdict *v, struct qr_nitro_doc *d)
{
    struct qr_cbor_item it;
    struct qr_cbor_open o;

    qr_err e = qr_cbor_next(c, &it);
    if (e == QR_OK && it.type == QR_CBOR_TAG && it.u == COSE_SIGN1_TAG && it.minimal) {
        d->tagged = 1;
        e = qr_cbor_next(c, &it);
    }
    if (e != QR_OK) {
        return cbor_fail(v, e, "document");
    }
    if (it.type != QR_CBOR_ARRAY || it.indefinite || it.u != 4 || !it.minimal) {
        return malformed(v, "document", "COSE_Sign1, an array of four");
    }
    QR_TRY(enter(c, &it, v, "document", &o));
    QR_TRY(read_protected(c, v, d));
    QR_TRY(read_unprotected(c, v, d));

    size_t start = c->pos;
    QR_TRY(want(c, QR_CBOR_BYTES, v, "payload", "a byte string", &it));
    d->payload = it.v;
    d->payload_item = qr_view_of(bytes.p + start, c->pos - start);
    if (it.v.len > QR_NITRO_PAYLOAD_MAX) {
        return qr_fail(v, QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT,
                       "payload: expected at most %u bytes, found %zu", QR_NITRO_PAYLOAD_MAX,
                       it.v.len);
    }
    /* The signed structure is made with the shortest length: a longer one is a second document. */
    if (!it.minimal) {
        return malformed(v, "payload", "the shortest length");
    }
    QR_TRY(want(c, QR_CBOR_BYTES, v, "signature", "a byte string", &it));
    d->signature = it.v;
    if (it.v.len != 96 || !it.minimal) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                       "signature: expected 96 bytes (r || s), found %zu%s", it.v.len,
                       it.minimal ? "" : " behind a longer length than needed");
    }
    return QR_OK;
}

qr_err
qr_nitro_parse(qr_view bytes, struct qr_verdict *v, struct qr_nitro_doc *ret)
{
    struct qr_nitro_doc d = {0};
    struct qr_cbor c;

    if (bytes.len > QR_NITRO_DOC_MAX) {
        return qr_fail(v, QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT,
                       "document: expected at most %u bytes, found %zu", QR_NITRO_DOC_MAX,
                       bytes.len);
    }
    QR_TRY(scan(bytes, v, "document"));
    qr_cbor_init(&c, bytes);
    QR_TRY(read_cose(&c, bytes, v, &d));
    QR_TRY(read_payload(v, &d));
    qr_pass(v, QR_CHECK_LIMITS);
    qr_pass(v, QR_CHECK_PARSE);
    *ret = d;
    return QR_OK;
}
