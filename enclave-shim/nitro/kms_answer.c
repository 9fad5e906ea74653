#include "enclave-shim/nitro/kms_answer.h"

#include "proto/json_strict.h"
#include "protocol/base/enc.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

#define VALUES 32u

_Static_assert(QR_KMS_SCRATCH >= QR_KMS_BLOB_MAX, "scratch holds either");

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

/* ---- refusals -------------------------------------------------------------------------------- */

static const struct refusal {
    const char *name;
    qr_err err;
    int again;
    const char *words;
} refusals[] = {
    {"AccessDeniedException", QR_ERR_PLATFORM, 0,
     "the key's policy does not allow it: the instance role must be named there, and the "
     "conditions "
     "kms:RecipientAttestation:PCR0, PCR8 or ImageSha384 must hold for this image"},
    {"IncorrectKeyException", QR_ERR_SEAL, 0, "what was kept was wrapped by another KMS key"},
    {"InvalidCiphertextException", QR_ERR_SEAL, 0,
     "what was kept is not KMS's, or belongs to another party's name"},
    {"DisabledException", QR_ERR_PLATFORM, 0, "the key is disabled; enable it"},
    {"KMSInvalidStateException", QR_ERR_PLATFORM, 0,
     "the key cannot be used in its state (pending deletion?); cancel the deletion"},
    {"NotFoundException", QR_ERR_PLATFORM, 0, "there is no such key in this account and region"},
    {"InvalidKeyUsageException", QR_ERR_PLATFORM, 0,
     "the key is not a symmetric key for encryption"},
    {"InvalidGrantTokenException", QR_ERR_PLATFORM, 0, "a grant is not valid"},
    {"KeyUnavailableException", QR_ERR_PLATFORM, 1, "the key is not available at the moment"},
    {"DependencyTimeoutException", QR_ERR_PLATFORM, 1, "KMS waited too long for a part of itself"},
    {"KMSInternalException", QR_ERR_PLATFORM, 1, "KMS failed inside"},
    {"InternalFailure", QR_ERR_PLATFORM, 1, "KMS failed inside"},
    {"ServiceUnavailableException", QR_ERR_PLATFORM, 1, "KMS is not available"},
    {"ThrottlingException", QR_ERR_PLATFORM, 1, "KMS asks for fewer calls"},
    {"LimitExceededException", QR_ERR_PLATFORM, 1, "a quota of the account is used up"},
    {"RequestExpired", QR_ERR_PLATFORM, 1, "the request's time is too old for KMS"},
    {"ExpiredTokenException", QR_ERR_PLATFORM, 1, "the host's credentials have expired"},
    {"UnrecognizedClientException", QR_ERR_PLATFORM, 0,
     "the host's credentials are not known to AWS"},
    {"InvalidSignatureException", QR_ERR_PLATFORM, 0,
     "the signature does not match: the host's secret access key belongs to another key id, or the "
     "time differs by more than five minutes"},
    {"IncompleteSignatureException", QR_ERR_PLATFORM, 0, "the signature is not complete"},
    {"MissingAuthenticationTokenException", QR_ERR_PLATFORM, 0, "there are no credentials"},
    {"ValidationException", QR_ERR_PLATFORM, 0,
     "an argument is not as KMS wants it (also: an attestation document that it does not believe)"},
    {"DryRunOperationException", QR_ERR_PLATFORM, 0, "it was only a rehearsal"},
};

static qr_view
text_of(const struct qr_json *doc, const char *name)
{
    const json_t *v = json_object_get(doc->root, name);
    if (!json_is_string(v)) {
        return qr_view_of(NULL, 0);
    }
    return qr_view_of(json_string_value(v), json_string_length(v));
}

/* "com.amazonaws.kms#NAME:URL" and its shorter forms: the name alone. */
static qr_view
refusal_name(const struct qr_json *doc)
{
    qr_view t = text_of(doc, "__type");
    const uint8_t *p = t.len > 0 ? memchr(t.p, '#', t.len) : NULL;
    if (p) {
        t = qr_view_of(p + 1, t.len - (size_t)(p + 1 - t.p));
    }
    p = t.len > 0 ? memchr(t.p, ':', t.len) : NULL;
    if (p) {
        t.len = (size_t)(p - t.p);
    }
    return t;
}

static qr_err
refused(struct qr_kms *k, const char *call, int status, const struct qr_json *doc, int *ret_again)
{
    char q[QR_QUOTE_MAX];
    qr_view name = refusal_name(doc);

    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        if (name.p && qr_view_eq(name, qr_view_str(refusals[i].name))) {
            *ret_again = refusals[i].again;
            return say(k, refusals[i].err, "KMS %s: %s: %s", call, refusals[i].name,
                       refusals[i].words);
        }
    }
    *ret_again = status >= 500 || status == 429;
    return say(k, QR_ERR_PLATFORM, "KMS %s: status %d, \"%s\"", call, status,
               name.p ? qr_quote(q, name) : "no type of error");
}

/* ---- the answer ------------------------------------------------------------------------------ */

static qr_err
decode(struct qr_kms *k, const struct qr_json *doc, const char *name, uint8_t *out, size_t cap,
       size_t *ret_len)
{
    qr_view v = text_of(doc, name);
    if (!v.p || v.len == 0 || qr_b64_decode((const char *)v.p, v.len, out, cap, ret_len) != QR_OK ||
        *ret_len == 0) {
        return say(k, QR_ERR_PLATFORM, "KMS: the answer's %s is absent, too long or not base64",
                   name);
    }
    return QR_OK;
}

/* Which key answered, and that nothing came in clear. */
static qr_err
check_answer(struct qr_kms *k, const struct qr_json *doc)
{
    char q[QR_QUOTE_MAX];
    const json_t *plain = json_object_get(doc->root, "Plaintext");
    qr_view key = text_of(doc, "KeyId");

    if (!key.p || !qr_view_eq(key, qr_view_str(k->cfg->key))) {
        return say(k, QR_ERR_SEAL, "KMS: expected an answer of %s, found one of \"%s\"",
                   k->cfg->key, key.p ? qr_quote(q, key) : "no key");
    }
    if (plain && !json_is_null(plain) &&
        !(json_is_string(plain) && json_string_length(plain) == 0)) {
        return say(k, QR_ERR_PLATFORM,
                   "KMS: the data key came in clear, the recipient was not looked at; nothing was "
                   "taken from it");
    }
    return QR_OK;
}

static qr_err
open_key(struct qr_kms *k, const struct qr_kms_recipient *r, qr_view der, struct qr_sec32 *ret)
{
    struct qr_cms cms;
    const char *what = "";
    qr_err e = qr_cms_parse(der, &cms, &what);

    if (e != QR_OK) {
        return say(k, QR_ERR_PLATFORM,
                   "KMS: CiphertextForRecipient of %zu bytes: expected %s, found something else "
                   "(%s)",
                   der.len, what, qr_err_text(e));
    }
    e = qr_cms_decrypt(&cms, r->key, ret);
    return e == QR_OK ? QR_OK
                      : say(k, e,
                            "KMS: CiphertextForRecipient does not open with this enclave's key: it "
                            "was made for another one");
}

static qr_err
read_result(struct qr_kms *k, const struct qr_kms_recipient *r, const struct qr_json *doc,
            uint8_t *scratch, struct qr_sec32 *ret_key, struct qr_dbuf *blob)
{
    struct qr_sec32 key QR_WIPE(qr_sec32) = {{0}};
    size_t n;

    QR_TRY(check_answer(k, doc));
    QR_TRY(decode(k, doc, "CiphertextForRecipient", scratch, QR_CMS_MAX, &n));
    QR_TRY(open_key(k, r, qr_view_of(scratch, n), &key));
    if (blob) {
        QR_TRY(decode(k, doc, "CiphertextBlob", scratch, QR_KMS_BLOB_MAX, &n));
        if (qr_dbuf_append(blob, scratch, n) != QR_OK) {
            return say(k, QR_ERR_NO_MEMORY, "KMS: no room for a blob of %zu bytes", n);
        }
    }
    *ret_key = key;
    return QR_OK;
}

qr_err
qr_kms_answer(struct qr_kms *k, const char *call, const struct qr_kms_recipient *r,
              const struct qr_http_answer *a, uint8_t scratch[static QR_KMS_SCRATCH],
              struct qr_sec32 *ret_key, struct qr_dbuf *blob, int *ret_again)
{
    struct qr_json doc = {0};
    char why[QR_ERR_TEXT_MAX] = "";

    if (a->status >= 300 && a->status < 400) {
        return say(k, QR_ERR_PLATFORM, "KMS %s: status %d: no redirect is followed", call,
                   a->status);
    }
    qr_err e = qr_json_parse_foreign(&doc, a->body, VALUES, why, sizeof why);
    if (e == QR_OK && !json_is_object(doc.root)) {
        (void)snprintf(why, sizeof why, "expected an object");
        e = QR_ERR_MALFORMED;
    }
    if (e != QR_OK) {
        *ret_again = a->status >= 500 || a->status == 429;
        e = say(k, QR_ERR_PLATFORM, "KMS %s: status %d, no JSON: %s", call, a->status, why);
    } else if (a->status != 200) {
        e = refused(k, call, a->status, &doc, ret_again);
    } else {
        e = read_result(k, r, &doc, scratch, ret_key, blob);
    }
    qr_json_clear(&doc);
    return e;
}
