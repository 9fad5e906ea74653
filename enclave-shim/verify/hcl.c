#include "enclave-shim/verify/hcl.h"

#include "enclave-shim/verify/le.h"
#include "proto/json_strict.h"
#include "protocol/base/enc.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

#define REPORT_AT 32u
#define SNP_LEN 1184u
#define DATA_AT 1216u   /* of the runtime data's own head, 20 bytes */
#define KEYS_MAX 8u     /* of a key set */
#define MEMBERS_MAX 24u /* of vm-configuration */
#define VALUES_MAX 256u

#define HASH_SHA256 1u

/* Layout of a TDREPORT: REPORTMACSTRUCT, TEE_TCB_INFO, reserved, TDINFO. */
#define TDREPORT_TYPE 0x81u
#define TDREPORT_DATA_AT 128u
#define TDREPORT_ATTRIBUTES_AT 512u
#define TDREPORT_MRTD_AT 528u

static int
all_zero(qr_view v)
{
    uint8_t any = 0;
    for (size_t i = 0; i < v.len; i++) {
        any |= v.p[i];
    }
    return any == 0;
}

static void
claim_head(const struct qr_hcl *h, qr_view nv, struct qr_claimset *c)
{
    static const char *const hash[] = {"", "sha256", "sha384", "sha512"};

    qr_claim_text(c, "hcl.signature", qr_view_str("HCLA"));
    qr_claim_uint(c, "hcl.version", h->version);
    qr_claim_uint(c, "hcl.report_size", h->report_size);
    qr_claim_uint(c, "hcl.request_type", h->request_type);
    qr_claim_uint(c, "hcl.status", h->status);
    qr_claim_hex(c, "hcl.reserved", qr_view_of(nv.p + 20, 12));
    qr_claim_uint(c, "hcl.data_size", h->data_size);
    qr_claim_uint(c, "hcl.data_version", h->data_version);
    if (h->report_type == QR_HCL_SNP || h->report_type == QR_HCL_TDX) {
        qr_claim_text(c, "hcl.report_type",
                      qr_view_str(h->report_type == QR_HCL_SNP ? "SNP" : "TDX"));
    }
    qr_claim_uint(c, "hcl.report_type_raw", h->report_type);
    if (h->hash_type >= 1 && h->hash_type <= 3) {
        qr_claim_text(c, "hcl.hash_type", qr_view_str(hash[h->hash_type]));
    }
    qr_claim_uint(c, "hcl.var_size", h->var_size);
}

static qr_err
check_head(const struct qr_hcl *h, qr_view nv, enum qr_hcl_report_type want, struct qr_verdict *v)
{
    if (h->version != 1 && h->version != 2) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_UNSUPPORTED,
                       "HCL report: expected version 1 or 2, found %u", h->version);
    }
    if (h->request_type != 2 || h->status != 0 || !all_zero(qr_view_of(nv.p + 20, 12))) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                       "HCL report: expected request type 2, status 0 and zeros, found %u and %u",
                       h->request_type, h->status);
    }
    if (h->data_version != 1) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_UNSUPPORTED,
                       "HCL report: expected runtime data of version 1, found %u", h->data_version);
    }
    if (h->report_type != (uint32_t)want) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                       "HCL report: expected report type %u (%s), found %u", (unsigned)want,
                       want == QR_HCL_SNP ? "SNP" : "TDX", h->report_type);
    }
    if (h->hash_type != HASH_SHA256) {
        return qr_fail(v, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED,
                       "HCL report: expected hash type 1 (SHA-256), found %u", h->hash_type);
    }
    if (h->var_size == 0 || h->var_size > nv.len - QR_HCL_HEAD) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                       "HCL report: expected 1 to %zu bytes of runtime data, found %u",
                       nv.len - QR_HCL_HEAD, h->var_size);
    }
    return QR_OK;
}

qr_err
qr_hcl_parse(qr_view nv, enum qr_hcl_report_type want, struct qr_verdict *v, struct qr_hcl *ret)
{
    struct qr_hcl h = {0};

    if (nv.len <= QR_HCL_HEAD || memcmp(nv.p, "HCLA", 4) != 0) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                       "HCL report: expected \"HCLA\" and more than %u bytes, found %zu bytes",
                       QR_HCL_HEAD, nv.len);
    }
    h.version = qr_le32(nv.p + 4);
    h.report_size = qr_le32(nv.p + 8);
    h.request_type = qr_le32(nv.p + 12);
    h.status = qr_le32(nv.p + 16);
    h.data_size = qr_le32(nv.p + DATA_AT);
    h.data_version = qr_le32(nv.p + DATA_AT + 4);
    h.report_type = qr_le32(nv.p + DATA_AT + 8);
    h.hash_type = qr_le32(nv.p + DATA_AT + 12);
    h.var_size = qr_le32(nv.p + DATA_AT + 16);
    claim_head(&h, nv, &v->claims);
    QR_TRY(check_head(&h, nv, want, v));
    h.runtime = qr_view_of(nv.p + QR_HCL_HEAD, h.var_size);
    h.padding = qr_view_of(nv.p + QR_HCL_HEAD + h.var_size, nv.len - QR_HCL_HEAD - h.var_size);
    if (want == QR_HCL_SNP) {
        h.snp = qr_view_of(nv.p + REPORT_AT, SNP_LEN);
    } else {
        h.tdreport = qr_view_of(nv.p + REPORT_AT, QR_TDREPORT_LEN);
        qr_view rest = qr_view_of(nv.p + REPORT_AT + QR_TDREPORT_LEN, SNP_LEN - QR_TDREPORT_LEN);
        if (h.tdreport.p[0] != TDREPORT_TYPE || !all_zero(rest)) {
            return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                           "HCL report: expected a TDREPORT of type 0x81 and zeros behind it, "
                           "found type 0x%02x",
                           h.tdreport.p[0]);
        }
    }
    *ret = h;
    return QR_OK;
}

qr_view
qr_tdreport_data(const struct qr_hcl *h)
{
    return qr_view_of(h->tdreport.p + TDREPORT_DATA_AT, 64);
}

qr_view
qr_tdreport_attributes(const struct qr_hcl *h)
{
    return qr_view_of(h->tdreport.p + TDREPORT_ATTRIBUTES_AT, 8);
}

qr_view
qr_tdreport_mrtd(const struct qr_hcl *h)
{
    return qr_view_of(h->tdreport.p + TDREPORT_MRTD_AT, 48);
}

qr_err
qr_hcl_bound(const struct qr_hcl *h, qr_view report_data, struct qr_verdict *v)
{
    uint8_t want[64] = {0};

    if (!qr_hash_of(QR_SHA256, &h->runtime, 1, want)) {
        return QR_ERR_NO_MEMORY;
    }
    if (!qr_view_eq(report_data, qr_view_of(want, sizeof want))) {
        return qr_fail(v, QR_CHECK_RUNTIME_DATA, QR_REASON_KEY_BINDING,
                       "HCL report: expected report_data to be the SHA-256 of its %u bytes of "
                       "runtime data and zeros, found another value",
                       h->var_size);
    }
    /* Only now, so that a wrong size is first of all a wrong hash. */
    if (h->data_size != h->var_size + 20 || h->report_size != h->var_size + QR_HCL_HEAD) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                       "HCL report: sizes %u, %u and %u do not belong together", h->report_size,
                       h->data_size, h->var_size);
    }
    if (!all_zero(h->padding)) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                       "HCL report: expected zeros behind its runtime data");
    }
    return QR_OK;
}

/* ---- runtime data ---- */

/* Notes what is wrong; the first one stays. */
static void __attribute__((format(printf, 3, 4)))
wrong(struct qr_runtime *t, enum qr_reason why, const char *format, ...)
{
    va_list ap;
    if (t->reason != QR_REASON_NONE) {
        return;
    }
    t->reason = why;
    va_start(ap, format);
    (void)vsnprintf(t->text, sizeof t->text, format, ap);
    va_end(ap);
}

static qr_view
text_of(const json_t *object, const char *name)
{
    const json_t *s = json_object_get(object, name);
    return json_is_string(s) ? qr_view_of(json_string_value(s), json_string_length(s))
                             : (qr_view){NULL, 0};
}

static int
text_is(const json_t *object, const char *name, const char *want)
{
    qr_view v = text_of(object, name);
    return v.p && qr_view_eq(v, qr_view_str(want));
}

/* A base64url member of a key; 0 when it is none. */
static size_t
decode(const json_t *key, const char *name, uint8_t *out, size_t cap)
{
    size_t n = 0;
    qr_view t = text_of(key, name);
    return t.p && qr_b64url_decode((const char *)t.p, t.len, out, cap, &n) == QR_OK ? n : 0;
}

static EVP_PKEY *
rsa_of(const json_t *key)
{
    uint8_t n[512], e[8];
    size_t n_len = decode(key, "n", n, sizeof n), e_len = decode(key, "e", e, sizeof e);

    if (n_len < 256 || n[0] < 0x80 || e_len != 3 || memcmp(e, "\x01\x00\x01", 3) != 0) {
        return NULL;
    }
    return qr_key_rsa(qr_view_of(n, n_len), qr_view_of(e, e_len));
}

static EVP_PKEY *
ec_of(const json_t *key)
{
    uint8_t xy[64];
    if (!text_is(key, "crv", "P-256") || decode(key, "x", xy, 32) != 32 ||
        decode(key, "y", xy + 32, 32) != 32) {
        return NULL;
    }
    return qr_key_ec(qr_view_of(xy, sizeof xy));
}

/* key_ops is exactly ["sign"]. */
static int
signs_only(const json_t *key)
{
    const json_t *ops = json_object_get(key, "key_ops");
    const json_t *first = json_array_get(ops, 0);
    return json_array_size(ops) == 1 && json_is_string(first) &&
           strcmp(json_string_value(first), "sign") == 0 && json_string_length(first) == 4;
}

/* The attestation key; whatever is wrong with it is a wrong binding, once its text was hashed. */
static void
take_ak(const json_t *key, enum qr_runtime_form form, struct qr_runtime *t)
{
    int ec = form == QR_RUNTIME_JWKS && text_is(key, "kty", "EC");

    if (!ec && !text_is(key, "kty", "RSA")) {
        wrong(t, QR_REASON_KEY_BINDING, "expected HCLAkPub to be an RSA key");
        return;
    }
    if (!signs_only(key) && (form == QR_RUNTIME_HCL || json_object_get(key, "key_ops"))) {
        wrong(t, QR_REASON_KEY_BINDING, "expected key_ops [\"sign\"] of HCLAkPub, found others");
        return;
    }
    t->ak = ec ? ec_of(key) : rsa_of(key);
    if (!t->ak) {
        wrong(t, QR_REASON_MALFORMED, "expected the numbers of a key at HCLAkPub");
    }
}

static void
claim_key(struct qr_claimset *c, const json_t *key, size_t i)
{
    static const char *const name[] = {"kid", "kty"};
    for (size_t k = 0; k < 2; k++) {
        qr_view v = text_of(key, name[k]);
        if (v.p) {
            qr_claim_text_copy(c, qr_claim_path(c, "hcl.keys[%zu].%s", i, name[k]), v);
        }
    }
    const json_t *ops = json_object_get(key, "key_ops");
    for (size_t k = 0; k < json_array_size(ops) && k < KEYS_MAX; k++) {
        const json_t *op = json_array_get(ops, k);
        if (json_is_string(op)) {
            qr_claim_text_copy(c, qr_claim_path(c, "hcl.keys[%zu].key_ops[%zu]", i, k),
                               qr_view_of(json_string_value(op), json_string_length(op)));
        }
    }
}

static void
read_keys(const json_t *root, enum qr_runtime_form form, struct qr_claimset *c,
          struct qr_runtime *t)
{
    const json_t *keys = json_object_get(root, "keys"), *ak = NULL;
    size_t n = json_array_size(keys); /* 0 when it is no array */

    if (n == 0 || n > KEYS_MAX) {
        wrong(t, QR_REASON_MALFORMED, "expected 1 to %u keys, found %zu", KEYS_MAX, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *key = json_array_get(keys, i);
        if (form == QR_RUNTIME_HCL) {
            claim_key(c, key, i);
        }
        if (!text_is(key, "kid", "HCLAkPub")) {
            continue;
        }
        if (ak) {
            wrong(t, QR_REASON_DUPLICATE_KEY, "two keys are called HCLAkPub");
            return;
        }
        ak = key;
    }
    if (!ak) {
        wrong(t, QR_REASON_KEY_BINDING, "no key is called HCLAkPub");
        return;
    }
    take_ak(ak, form, t);
}

/* A member name that may stand in a claim's path. */
static int
plain_name(const char *s)
{
    size_t n = strlen(s);
    return n > 0 && n <= 48 &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == n;
}

static void
claim_member(struct qr_claimset *c, const char *name, const json_t *value)
{
    const char *path = qr_claim_path(c, "hcl.vm_configuration.%s", name);
    if (json_is_string(value)) {
        qr_claim_text_copy(c, path,
                           qr_view_of(json_string_value(value), json_string_length(value)));
    } else if (json_is_boolean(value)) {
        qr_claim_bool(c, path, json_is_true(value));
    } else if (json_is_integer(value) && json_integer_value(value) >= 0) {
        qr_claim_uint(c, path, (uint64_t)json_integer_value(value));
    } else if (json_is_null(value)) {
        qr_claim_null(c, path);
    }
    /* Lists, objects and other numbers stay unclaimed: absent is what a policy refuses. */
}

static void
read_configuration(json_t *root, struct qr_claimset *c, struct qr_runtime *t)
{
    json_t *conf = json_object_get(root, "vm-configuration");
    const char *name = NULL;
    json_t *value = NULL;

    if (!conf) {
        return;
    }
    if (!json_is_object(conf) || json_object_size(conf) > MEMBERS_MAX) {
        wrong(t, QR_REASON_MALFORMED, "expected vm-configuration to be an object of at most %u",
              MEMBERS_MAX);
        return;
    }
    json_object_foreach (conf, name, value) {
        if (!plain_name(name)) {
            wrong(t, QR_REASON_MALFORMED, "a name in vm-configuration is none");
            return;
        }
        claim_member(c, name, value);
    }
}

static void
read_user_data(const json_t *root, struct qr_claimset *c, struct qr_runtime *t)
{
    const json_t *user = json_object_get(root, "user-data");
    qr_view v = text_of(root, "user-data");

    if (!user) {
        qr_claim_null(c, "hcl.user_data"); /* the generation of early 2023 has none */
        return;
    }
    if (v.len != 128 || strspn((const char *)v.p, "0123456789abcdefABCDEF") != v.len) {
        wrong(t, QR_REASON_MALFORMED, "expected 128 hex digits of user-data");
        return;
    }
    qr_claim_text_copy(c, "hcl.user_data", v);
}

qr_err
qr_runtime_parse(qr_view json, enum qr_runtime_form form, struct qr_verdict *v,
                 struct qr_runtime *ret)
{
    struct qr_json j = {0};
    struct qr_runtime t = {0};
    char text[QR_ERR_TEXT_MAX];
    uint8_t hash[32];

    if (form == QR_RUNTIME_HCL) {
        if (!qr_hash_of(QR_SHA256, &json, 1, hash)) {
            return QR_ERR_NO_MEMORY;
        }
        qr_claim_hex_copy(&v->claims, "hcl.var_data_sha256", qr_view_of(hash, sizeof hash));
    }
    qr_err e = qr_json_parse_foreign(&j, json, VALUES_MAX, text, sizeof text);
    if (e == QR_ERR_NO_MEMORY) {
        return e;
    }
    if (e != QR_OK || !json_is_object(j.root)) {
        wrong(&t,
              e == QR_ERR_DUPLICATE   ? QR_REASON_DUPLICATE_KEY
              : e == QR_ERR_TOO_LARGE ? QR_REASON_RESOURCE_LIMIT
                                      : QR_REASON_MALFORMED,
              "%.120s", e != QR_OK ? text : "expected an object");
    } else {
        read_keys(j.root, form, &v->claims, &t);
        if (form == QR_RUNTIME_HCL) {
            read_configuration(j.root, &v->claims, &t);
            read_user_data(j.root, &v->claims, &t);
        }
    }
    qr_json_clear(&j);
    if (t.reason != QR_REASON_NONE) {
        EVP_PKEY_free(t.ak);
        t.ak = NULL;
    }
    *ret = t;
    return QR_OK;
}

qr_err
qr_runtime_accept(const struct qr_runtime *t, struct qr_verdict *v)
{
    if (t->reason != QR_REASON_NONE) {
        return qr_fail(v, QR_CHECK_RUNTIME_DATA, t->reason, "runtime data: %s", t->text);
    }
    qr_pass(v, QR_CHECK_RUNTIME_DATA);
    return QR_OK;
}
