#include "enclave-shim/gcp/aia.h"

#include <openssl/x509v3.h>

#define HEAD "http://privateca-content-"
#define MIDDLE ".storage.googleapis.com/"
#define TAIL "/ca.crt"
#define HEX "0123456789abcdef"

/* `n` characters of `set` at *p; NULL: others. */
static const char *
word(const char *p, const char *end, const char *set, size_t n, char *out)
{
    if ((size_t)(end - p) < n) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        if (!strchr(set, p[i]) || p[i] == '\0') {
            return NULL;
        }
        out[i] = p[i];
    }
    out[n] = '\0';
    return p + n;
}

static const char *
literal(const char *p, const char *end, const char *text)
{
    size_t n = strlen(text);
    return p && (size_t)(end - p) >= n && memcmp(p, text, n) == 0 ? p + n : NULL;
}

static int
parse(const char *p, size_t len, struct qr_gcp_aia *ret)
{
    const char *end = p + len;
    struct qr_gcp_aia a = {0};

    p = literal(p, end, HEAD);
    p = p ? word(p, end, HEX "-", QR_GCP_AIA_BUCKET, a.bucket) : NULL;
    p = literal(p, end, MIDDLE);
    p = p ? word(p, end, HEX, QR_GCP_AIA_OBJECT, a.object) : NULL;
    p = literal(p, end, TAIL);
    if (!p || p != end) { /* an empty address is NULL at both ends */
        return 0;
    }
    *ret = a;
    return 1;
}

qr_err
qr_gcp_aia_read(qr_view cert, struct qr_gcp_aia *ret)
{
    const uint8_t *p = cert.p;
    X509 *x = cert.p && cert.len <= 8192 ? d2i_X509(NULL, &p, (long)cert.len) : NULL;
    AUTHORITY_INFO_ACCESS *aia = x ? X509_get_ext_d2i(x, NID_info_access, NULL, NULL) : NULL;
    int found = 0;

    for (int i = 0; i < sk_ACCESS_DESCRIPTION_num(aia) && !found; i++) {
        const ACCESS_DESCRIPTION *d = sk_ACCESS_DESCRIPTION_value(aia, i);
        if (OBJ_obj2nid(d->method) == NID_ad_ca_issuers && d->location->type == GEN_URI) {
            const ASN1_IA5STRING *uri = d->location->d.uniformResourceIdentifier;
            found = parse((const char *)ASN1_STRING_get0_data(uri), (size_t)ASN1_STRING_length(uri),
                          ret);
        }
    }
    AUTHORITY_INFO_ACCESS_free(aia);
    X509_free(x);
    return found ? QR_OK : QR_ERR_NOT_FOUND;
}
