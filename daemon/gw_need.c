/* Needs are read by a table for each source; URLs are printed from what the table let pass. */
#include "daemon/gw_need.h"

#include "proto/json_strict.h"
#include "protocol/base/enc.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

#define NEED_VALUES 512u
#define TDREPORT_LEN 1024u
#define TDREPORT_TEXT 1366u

static qr_err __attribute__((format(printf, 5, 6)))
add(const struct qr_json_at *at, struct qr_need *need, enum qr_doc_kind kind, int optional,
    const char *format, ...)
{
    struct qr_need_doc *d = &need->doc[need->n++];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(d->url, sizeof d->url, format, ap);
    va_end(ap);
    d->kind = kind;
    d->optional = optional;
    return n > 0 && (size_t)n < sizeof d->url
               ? QR_OK
               : qr_json_fail(at, QR_ERR_TOO_LARGE, "its address is longer than %u", QR_URL_MAX);
}

/* ---- AMD ----------------------------------------------------------------------------------- */

static qr_err
read_amd(const struct qr_json_at *at, const struct qr_need_bases *b, struct qr_need *ret)
{
    static const char *const products[] = {"Milan", "Genoa", "Turin"};
    qr_view source, product, chip;
    struct qr_json_at spl;
    uint64_t bl = 0, tee = 0, snp = 0, ucode = 0, fmc = 0;
    int has_fmc = 0, turin, known = 0;
    uint8_t id[64];

    QR_TRY(qr_json_fields(at, (const struct qr_json_field[]){
                                  {"source", QR_JSON_NAME, 1, 16, &source, NULL},
                                  {"product", QR_JSON_NAME, 1, 16, &product, NULL},
                                  {"chip", QR_JSON_NAME, 16, 128, &chip, NULL},
                                  {"spl", QR_JSON_OBJECT, 0, 0, &spl, NULL},
                                  {.type = QR_JSON_END},
                              }));
    QR_TRY(qr_json_fields(&spl, (const struct qr_json_field[]){
                                    {"bl", QR_JSON_U64, 0, 255, &bl, NULL},
                                    {"tee", QR_JSON_U64, 0, 255, &tee, NULL},
                                    {"snp", QR_JSON_U64, 0, 255, &snp, NULL},
                                    {"ucode", QR_JSON_U64, 0, 255, &ucode, NULL},
                                    {"fmc", QR_JSON_U64, 0, 255, &fmc, &has_fmc},
                                    {.type = QR_JSON_END},
                                }));
    for (size_t i = 0; i < sizeof products / sizeof products[0]; i++) {
        known |= qr_view_eq(product, qr_view_str(products[i]));
    }
    turin = qr_view_eq(product, qr_view_str("Turin"));
    if (!known || has_fmc != turin || chip.len != (turin ? 16u : 128u) ||
        qr_hex_decode((const char *)chip.p, chip.len, id, chip.len / 2) != QR_OK) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "product must be Milan or Genoa with a chip of 128 hex digits, or "
                            "Turin with one of 16 and spl.fmc");
    }
    char fmc_part[24] = "";
    if (turin) {
        (void)snprintf(fmc_part, sizeof fmc_part, "fmcSPL=%02u&", (unsigned)fmc);
    }
    ret->source = "amd-kds";
    const char *p = (const char *)product.p;
    QR_TRY(add(at, ret, QR_DOC_VEK, 0,
               "%s/vcek/v1/%s/%s?%sblSPL=%02u&teeSPL=%02u&snpSPL=%02u&ucodeSPL=%02u", b->amd_kds, p,
               (const char *)chip.p, fmc_part, (unsigned)bl, (unsigned)tee, (unsigned)snp,
               (unsigned)ucode));
    QR_TRY(add(at, ret, QR_DOC_AMD_CHAIN, 0, "%s/vcek/v1/%s/cert_chain", b->amd_kds, p));
    return add(at, ret, QR_DOC_AMD_CRL, 1, "%s/vcek/v1/%s/crl", b->amd_kds, p);
}

/* ---- Intel --------------------------------------------------------------------------------- */

static qr_err
read_intel(const struct qr_json_at *at, const struct qr_need_bases *b, struct qr_need *ret)
{
    qr_view source, tee, ca;
    uint8_t fmspc[6] = {0};
    char hex[13];

    QR_TRY(qr_json_fields(at, (const struct qr_json_field[]){
                                  {"source", QR_JSON_NAME, 1, 16, &source, NULL},
                                  {"tee", QR_JSON_NAME, 3, 3, &tee, NULL},
                                  {"ca", QR_JSON_NAME, 8, 9, &ca, NULL},
                                  {"fmspc", QR_JSON_HEX, 0, sizeof fmspc, fmspc, NULL},
                                  {.type = QR_JSON_END},
                              }));
    if (!qr_view_eq(tee, qr_view_str("tdx")) && !qr_view_eq(tee, qr_view_str("sgx"))) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "tee must be tdx or sgx");
    }
    if (!qr_view_eq(ca, qr_view_str("platform")) && !qr_view_eq(ca, qr_view_str("processor"))) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "ca must be platform or processor");
    }
    qr_hex_encode(qr_view_of(fmspc, sizeof fmspc), hex);
    ret->source = "intel-pcs";
    const char *t = (const char *)tee.p, *pcs = b->intel_pcs;
    QR_TRY(add(at, ret, QR_DOC_TCB_INFO, 0, "%s/%s/certification/v4/tcb?fmspc=%s", pcs, t, hex));
    QR_TRY(add(at, ret, QR_DOC_QE_IDENTITY, 0, "%s/%s/certification/v4/qe/identity", pcs, t));
    QR_TRY(add(at, ret, QR_DOC_PCK_CRL, 0, "%s/sgx/certification/v4/pckcrl?ca=%s&encoding=der", pcs,
               (const char *)ca.p));
    return add(at, ret, QR_DOC_ROOT_CRL, 0, "%s/IntelSGXRootCA.der", b->intel_crl);
}

/* ---- Azure and key sets -------------------------------------------------------------------- */

static qr_err
read_thim(const struct qr_json_at *at, const struct qr_need_bases *b, struct qr_need *ret)
{
    qr_view source;
    QR_TRY(qr_json_fields(at, (const struct qr_json_field[]){
                                  {"source", QR_JSON_NAME, 1, 16, &source, NULL},
                                  {.type = QR_JSON_END},
                              }));
    ret->source = "azure-thim";
    QR_TRY(add(at, ret, QR_DOC_THIM, 0, "%s/metadata/THIM/amd/certification", b->azure_thim));
    ret->doc[0].metadata = 1;
    return QR_OK;
}

/* The metadata service makes a quote of the TDREPORT: the only thing that is asked for with a body. */
static qr_err
read_tdquote(const struct qr_json_at *at, const struct qr_need_bases *b, struct qr_need *ret)
{
    qr_view source, report;
    uint8_t raw[TDREPORT_LEN];
    size_t n = 0;

    QR_TRY(qr_json_fields(at, (const struct qr_json_field[]){
                                  {"source", QR_JSON_NAME, 1, 16, &source, NULL},
                                  {"report", QR_JSON_NAME, 1, TDREPORT_TEXT, &report, NULL},
                                  {.type = QR_JSON_END},
                              }));
    if (qr_b64url_decode((const char *)report.p, report.len, raw, sizeof raw, &n) != QR_OK ||
        n != sizeof raw) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "report must be %u bytes in base64url",
                            TDREPORT_LEN);
    }
    ret->source = "azure-tdquote";
    QR_TRY(add(at, ret, QR_DOC_TDQUOTE, 0, "%s/acc/tdquote", b->azure_thim));
    ret->doc[0].metadata = 1;
    int len = snprintf(ret->doc[0].post, sizeof ret->doc[0].post, "{\"report\":\"%.*s\"}",
                       (int)report.len, (const char *)report.p);
    return len > 0 && (size_t)len < sizeof ret->doc[0].post
               ? QR_OK
               : qr_json_fail(at, QR_ERR_TOO_LARGE, "report is too long");
}

/* ---- Google -------------------------------------------------------------------------------- */

static qr_err
read_google(const struct qr_json_at *at, const struct qr_need_bases *b, struct qr_need *ret)
{
    static const char hex[] = "0123456789abcdef-";
    qr_view source, bucket, object;

    QR_TRY(qr_json_fields(at, (const struct qr_json_field[]){
                                  {"source", QR_JSON_NAME, 1, 16, &source, NULL},
                                  {"bucket", QR_JSON_NAME, 36, 36, &bucket, NULL},
                                  {"object", QR_JSON_NAME, 20, 20, &object, NULL},
                                  {.type = QR_JSON_END},
                              }));
    const char *k = (const char *)bucket.p, *o = (const char *)object.p;
    if (strspn(k, hex) != bucket.len || strspn(o, hex) != object.len) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "bucket and object must be hex digits and dashes");
    }
    int root = qr_view_eq(source, qr_view_str("google-root"));
    enum qr_doc_kind kind = root ? QR_DOC_GOOGLE_ROOT : QR_DOC_GOOGLE_CA;
    ret->source = root ? "google-root" : "google-ca";
    return b->google_ca[0]
               ? add(at, ret, kind, 0, "%s/%s/%s/ca.crt", b->google_ca, k, o)
               : add(at, ret, kind, 0,
                     "http://privateca-content-%s.storage.googleapis.com/%s/ca.crt", k, o);
}

static int
ends_with(qr_view v, const char *end)
{
    size_t n = strlen(end);
    return v.len > n && memcmp(v.p + v.len - n, end, n) == 0;
}

static qr_err
read_jwks(const struct qr_json_at *at, const struct qr_need_bases *b, struct qr_need *ret)
{
    static const char google[] = "confidentialcomputing.googleapis.com";
    static const char google_path[] = "www.googleapis.com/service_accounts/v1/metadata/jwk/"
                                      "signer@confidentialspace-sign.iam.gserviceaccount.com";
    qr_view source, issuer;

    QR_TRY(qr_json_fields(at, (const struct qr_json_field[]){
                                  {"source", QR_JSON_NAME, 1, 16, &source, NULL},
                                  {"issuer", QR_JSON_TEXT, 10, 128, &issuer, NULL},
                                  {.type = QR_JSON_END},
                              }));
    ret->source = "jwks";
    qr_view host = qr_view_of(issuer.p + 8, issuer.len - 8);
    int plain = memcmp(issuer.p, "https://", 8) == 0 &&
                strspn((const char *)host.p, "abcdefghijklmnopqrstuvwxyz0123456789.-") == host.len;
    int is_google = plain && qr_view_eq(host, qr_view_str(google));
    if (!plain || (!is_google && !ends_with(host, ".attest.azure.net"))) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "issuer must be https://NAME.attest.azure.net or https://%s", google);
    }
    if (b->jwks[0]) {
        return add(at, ret, QR_DOC_JWKS, 0, "%s/%s/certs", b->jwks, (const char *)host.p);
    }
    return is_google ? add(at, ret, QR_DOC_JWKS, 0, "https://%s", google_path)
                     : add(at, ret, QR_DOC_JWKS, 0, "https://%s/certs", (const char *)host.p);
}

/* ---- all ----------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    qr_err (*read)(const struct qr_json_at *at, const struct qr_need_bases *b, struct qr_need *ret);
} sources[] = {
    {"amd-kds", read_amd},      {"intel-pcs", read_intel},
    {"azure-thim", read_thim},  {"azure-tdquote", read_tdquote},
    {"google-ca", read_google}, {"google-root", read_google},
    {"jwks", read_jwks},
};

/* Which source an element is of; its other members are not looked at yet. */
static qr_err
read_need(const struct qr_json_at *at, const struct qr_need_bases *b, struct qr_need *ret)
{
    const json_t *source = json_object_get(at->v, "source");
    if (!json_is_string(source)) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "must be an object with a \"source\"");
    }
    qr_view name = qr_view_of(json_string_value(source), json_string_length(source));
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        if (qr_view_eq(name, qr_view_str(sources[i].name))) {
            return sources[i].read(at, b, ret);
        }
    }
    char q[QR_QUOTE_MAX];
    return qr_json_fail(at, QR_ERR_MALFORMED, "unknown source \"%s\"", qr_quote(q, name));
}

static qr_err
read_all(struct qr_json *j, const struct qr_need_bases *b, struct qr_needs *ret)
{
    struct qr_json_at root = qr_json_root(j), list;

    QR_TRY(qr_json_head(&root, NULL));
    QR_TRY(qr_json_fields(&root, (const struct qr_json_field[]){
                                     {"v", QR_JSON_SKIP, 0, 0, NULL, NULL},
                                     {"needs", QR_JSON_ARRAY, 0, QR_NEEDS_MAX, &list, NULL},
                                     {.type = QR_JSON_END},
                                 }));
    for (size_t i = 0; i < qr_json_count(&list); i++) {
        struct qr_json_at at = qr_json_elem(&list, i);
        QR_TRY(read_need(&at, b, &ret->need[i]));
        ret->n++;
    }
    return QR_OK;
}

qr_err
qr_needs_read(qr_view json, const struct qr_need_bases *bases, struct qr_needs *ret, char *err_text,
              size_t err_cap)
{
    struct qr_json j;
    struct qr_needs n = {0};

    QR_TRY(qr_json_parse(&j, json, NEED_VALUES, err_text, err_cap));
    qr_err e = read_all(&j, bases, &n);
    qr_json_clear(&j);
    if (e == QR_OK) {
        *ret = n;
    }
    return e;
}
