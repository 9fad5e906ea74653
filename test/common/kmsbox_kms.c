/*
 * What KMS decides: who signed the request, whether the document is an enclave's that the key's policy
 * names, and what goes back. Written without the product's signer and CMS reader.
 */
#include "test/common/kmsbox_int.h"

#include "enclave-shim/verify/nitro_doc.h"
#include "enclave-shim/verify/verify.h"
#include "protocol/base/enc.h"
#include "test/common/evgen_ca.h"
#include "test/common/fakensm.h"

#include <jansson.h>
#include <openssl/core_names.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#define MUST(x) ((x) ? (void)0 : must_fail(#x, __LINE__))

static void
must_fail(const char *what, int line)
{
    (void)fprintf(stderr, "kmsbox_kms: line %d: %s\n", line, what);
    abort();
}

static int
refuse(struct kmsbox *b, struct qr_buf *out, const char *type, const char *why)
{
    char text[512];
    (void)snprintf(b->refused, sizeof b->refused, "%s: %s", type, why);
    int n = snprintf(text, sizeof text, "{\"__type\":\"%s\",\"message\":\"%s\"}", type, why);
    qr_buf_put(out, text, (size_t)n);
    return 400;
}

/* ---- the request's signature ------------------------------------------------------------------ */

/* The value of a header, into out; 0 if there is none or not exactly one. */
static int
header(const char *head, const char *name, char *out, size_t cap)
{
    char want[80];
    int found = 0;
    (void)snprintf(want, sizeof want, "\r\n%s: ", name);
    for (const char *p = strcasestr(head, want); p; p = strcasestr(p + 1, want)) {
        const char *v = p + strlen(want), *end = strstr(v, "\r\n");
        if (!end || (size_t)(end - v) >= cap || found++) {
            return 0;
        }
        memcpy(out, v, (size_t)(end - v));
        out[end - v] = 0;
    }
    return found == 1;
}

static void
hex_of(const uint8_t *p, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
    out[2 * n] = 0;
}

static void
mac(const void *key, size_t key_len, const char *text, uint8_t out[32])
{
    unsigned n = 32;
    MUST(HMAC(EVP_sha256(), key, (int)key_len, (const uint8_t *)text, strlen(text), out, &n));
}

/* Everything is taken from the request as it came; what is signed must cover what matters. */
static const char *
check_signature(const char *head, qr_view body, int64_t now_ms)
{
    static const char *const must[] = {"content-type", "host", "x-amz-date", "x-amz-security-token",
                                       "x-amz-target"};
    static char canonical[16384];
    char auth[1024], value[4200], date[32], names[256], given[128], scope[128], text[512], hex[65];
    uint8_t h[32], k[32];
    char *c = canonical;

    if (!header(head, "authorization", auth, sizeof auth) ||
        !header(head, "x-amz-date", date, sizeof date) || strlen(date) != 16) {
        return "no authorization or date";
    }
    const char *cred = strstr(auth, "Credential="), *sh = strstr(auth, ", SignedHeaders="),
               *sig = strstr(auth, ", Signature=");
    if (strncmp(auth, "AWS4-HMAC-SHA256 Credential=", 28) != 0 || !cred || !sh || !sig) {
        return "no authorization of version 4";
    }
    (void)snprintf(given, sizeof given, "%.*s", (int)(sh - cred - 11), cred + 11);
    (void)snprintf(names, sizeof names, "%.*s", (int)(sig - sh - 16), sh + 16);
    (void)snprintf(scope, sizeof scope, "%.8s/eu-test-1/kms/aws4_request", date);
    (void)snprintf(text, sizeof text, "%s/%s", KMSBOX_KEY_ID, scope);
    if (strcmp(given, text) != 0) {
        return "another key id or scope";
    }
    c += snprintf(c, 64, "POST\n/\n\n");
    size_t k_must = 0;
    for (char *n = names, *semi; n; n = semi ? semi + 1 : NULL) {
        semi = strchr(n, ';');
        if (semi) {
            *semi = 0;
        }
        if (!header(head, n, value, sizeof value)) {
            return "a signed header that is not there once";
        }
        if (k_must < 5 && strcmp(n, must[k_must]) == 0) {
            k_must++;
        }
        c += snprintf(c, 4400, "%s:%s\n", n, value);
    }
    if (k_must != 5) {
        return "a header that is not signed";
    }
    (void)snprintf(names, sizeof names, "%.*s", (int)(sig - sh - 16), sh + 16);
    crypto_hash_sha256(h, body.p, body.len);
    hex_of(h, 32, hex);
    (void)snprintf(c, 512, "\n%s\n%s", names, hex);
    crypto_hash_sha256(h, (const uint8_t *)canonical, strlen(canonical));
    hex_of(h, 32, hex);
    (void)snprintf(text, sizeof text, "AWS4-HMAC-SHA256\n%s\n%s\n%s", date, scope, hex);

    char day[9] = "";
    memcpy(day, date, 8);
    mac("AWS4" KMSBOX_SECRET, strlen("AWS4" KMSBOX_SECRET), day, k);
    mac(k, 32, "eu-test-1", k);
    mac(k, 32, "kms", k);
    mac(k, 32, "aws4_request", k);
    mac(k, 32, text, h);
    hex_of(h, 32, hex);
    if (strcmp(hex, sig + 12) != 0) {
        return "the signature does not match";
    }
    struct tm tm = {0};
    if (!strptime(date, "%Y%m%dT%H%M%SZ", &tm)) {
        return "a date that is none";
    }
    int64_t off = (int64_t)timegm(&tm) * 1000 - now_ms;
    return off > 300000 || off < -300000 ? "the request's time" : NULL;
}

/* ---- the document ---------------------------------------------------------------------------- */

static const char *
check_document(struct kmsbox *b, qr_view doc, EVP_PKEY **ret_key)
{
    static struct qr_verdict v;
    struct qr_evidence e = {.kind = QR_EV_NITRO};
    const struct qr_verify_opts o = {.roots = b->roots ? b->roots : fakensm_roots(),
                                     .now_ms = kmsbox_now(b)};
    struct qr_nitro_doc d;
    char hex[97];

    if (qr_evidence_add(&e, QR_PART_NITRO_DOCUMENT, 0, doc) != QR_OK ||
        qr_verify(&e, &o, &v, NULL) != QR_OK) {
        return "the attestation document is not believed";
    }
    qr_verdict_init(&v);
    if (qr_nitro_parse(doc, &v, &d) != QR_OK || d.public_key.state != QR_NITRO_SET) {
        return "the attestation document has no public key";
    }
    hex_of(d.pcr[0].p, 48, hex);
    if (b->pcr0[0] && strcmp(hex, b->pcr0) != 0) {
        return "AccessDenied: PCR0";
    }
    if (b->pcr8[0]) {
        if (!d.pcr[8].p) {
            return "AccessDenied: PCR8";
        }
        hex_of(d.pcr[8].p, 48, hex);
        if (strcmp(hex, b->pcr8) != 0) {
            return "AccessDenied: PCR8";
        }
    }
    const unsigned char *p = d.public_key.v.p;
    *ret_key = d2i_PUBKEY(NULL, &p, (long)d.public_key.v.len);
    if (!*ret_key || p != d.public_key.v.p + d.public_key.v.len ||
        !EVP_PKEY_is_a(*ret_key, "RSA") || EVP_PKEY_get_bits(*ret_key) != 2048) {
        EVP_PKEY_free(*ret_key);
        *ret_key = NULL;
        return "the public key is not RSA-2048";
    }
    return NULL;
}

/* ---- CMS ------------------------------------------------------------------------------------- */

static void
put_oaep(struct evgen_buf *b)
{
    static const uint8_t oaep[] = {0x30, 0x3c, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01,
                                   0x01, 0x07, 0x30, 0x2f, 0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60,
                                   0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0xa1,
                                   0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,
                                   0x01, 0x01, 0x08, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                   0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00};
    evgen_put(b, oaep, sizeof oaep);
}

static size_t
wrap(EVP_PKEY *key, qr_view content_key, uint8_t *out, size_t cap)
{
    size_t n = cap;
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
    MUST(c && EVP_PKEY_encrypt_init(c) > 0 &&
         EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_OAEP_PADDING) > 0 &&
         EVP_PKEY_CTX_set_rsa_oaep_md(c, EVP_sha256()) > 0 &&
         EVP_PKEY_CTX_set_rsa_mgf1_md(c, EVP_sha256()) > 0 &&
         EVP_PKEY_encrypt(c, out, &n, content_key.p, content_key.len) > 0);
    EVP_PKEY_CTX_free(c);
    return n;
}

static size_t
encrypt(const uint8_t key[32], const uint8_t iv[16], qr_view plain, uint8_t *out)
{
    int n = 0, last = 0;
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    MUST(c && EVP_EncryptInit_ex(c, EVP_aes_256_cbc(), NULL, key, iv) == 1 &&
         EVP_EncryptUpdate(c, out, &n, plain.p, (int)plain.len) == 1 &&
         EVP_EncryptFinal_ex(c, out + n, &last) == 1);
    EVP_CIPHER_CTX_free(c);
    return (size_t)(n + last);
}

static void
open_tag(struct evgen_buf *b, uint8_t tag)
{
    evgen_put_be(b, tag, 1);
    evgen_put_be(b, 0x80, 1);
}

/* ContentInfo around the two parts that are always DER: as KMS writes it, or in definite lengths. */
static void
put_envelope(struct evgen_buf *b, int definite, qr_view recipients, qr_view info)
{
    static const char enveloped[] = "1.2.840.113549.1.7.3";
    uint8_t inner_mem[2048], mid_mem[2048], out_mem[2048];

    if (!definite) {
        open_tag(b, 0x30);
        evgen_der_put_oid(b, enveloped);
        open_tag(b, 0xa0);
        open_tag(b, 0x30);
        evgen_der_put_uint(b, 2);
        evgen_put_view(b, recipients);
        evgen_put_view(b, info);
        evgen_fill(b, 0, 6);
        return;
    }
    struct evgen_buf inner = evgen_buf_over(inner_mem, sizeof inner_mem),
                     mid = evgen_buf_over(mid_mem, sizeof mid_mem),
                     outer = evgen_buf_over(out_mem, sizeof out_mem);
    evgen_der_put_uint(&inner, 2);
    evgen_put_view(&inner, recipients);
    evgen_put_view(&inner, info);
    evgen_der_put(&mid, 0x30, evgen_buf_view(&inner));
    evgen_der_put_oid(&outer, enveloped);
    evgen_der_put(&outer, 0xa0, evgen_buf_view(&mid));
    evgen_der_put(b, 0x30, evgen_buf_view(&outer));
}

size_t
kmsbox_cms(EVP_PKEY *key, qr_view plain, unsigned pieces, uint8_t *out, size_t cap)
{
    uint8_t k[32], iv[16], id[32], wrapped[512], content[128], ri[1024], set[1024], rec[1024],
        info_mem[512], alg[64], info_out[512];
    struct evgen_buf r = evgen_buf_over(ri, sizeof ri), s = evgen_buf_over(set, sizeof set),
                     recipients = evgen_buf_over(rec, sizeof rec),
                     info = evgen_buf_over(info_mem, sizeof info_mem),
                     a = evgen_buf_over(alg, sizeof alg), b = evgen_buf_over(out, cap),
                     whole = evgen_buf_over(info_out, sizeof info_out);

    MUST(RAND_bytes(k, sizeof k) == 1 && RAND_bytes(iv, sizeof iv) == 1 &&
         RAND_bytes(id, sizeof id) == 1 && plain.len <= 64);
    size_t wn = wrap(key, qr_view_of(k, sizeof k), wrapped, sizeof wrapped);
    size_t cn = encrypt(k, iv, plain, content);

    evgen_der_put_uint(&r, 2);
    evgen_der_put(&r, 0x80, qr_view_of(id, sizeof id));
    put_oaep(&r);
    evgen_der_put(&r, 0x04, qr_view_of(wrapped, wn));
    evgen_der_put(&s, 0x30, evgen_buf_view(&r));
    evgen_der_put(&recipients, 0x31, evgen_buf_view(&s));

    evgen_der_put_oid(&info, "1.2.840.113549.1.7.1");
    evgen_der_put_oid(&a, "2.16.840.1.101.3.4.1.42");
    evgen_der_put(&a, 0x04, qr_view_of(iv, sizeof iv));
    evgen_der_put(&info, 0x30, evgen_buf_view(&a));
    if (pieces == 0) {
        evgen_der_put(&info, 0x80, qr_view_of(content, cn));
        evgen_der_put(&whole, 0x30, evgen_buf_view(&info));
    } else {
        open_tag(&whole, 0x30);
        evgen_put_view(&whole, evgen_buf_view(&info));
        open_tag(&whole, 0xa0);
        for (unsigned i = 0; i < pieces; i++) {
            size_t from = cn * i / pieces, to = cn * (i + 1) / pieces;
            evgen_der_put(&whole, 0x04, qr_view_of(content + from, to - from));
        }
        evgen_fill(&whole, 0, 4);
    }
    put_envelope(&b, pieces == 0, evgen_buf_view(&recipients), evgen_buf_view(&whole));
    return b.len;
}

/* ---- keys and blobs -------------------------------------------------------------------------- */

#define BLOB_MAX 512u

/* Bound to the key's ARN and to the context, as KMS binds them. */
static size_t
ad_of(const char *arn, const json_t *context, char *out, size_t cap)
{
    char *c = json_dumps(context, JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY);
    MUST(c);
    int n = snprintf(out, cap, "%s|%s", arn, c);
    free(c);
    return (size_t)n;
}

static void
master(uint8_t out[32])
{
    crypto_hash_sha256(out, (const uint8_t *)"kmsbox master key: public", 25);
}

static size_t
seal_blob(const char *arn, const json_t *context, const uint8_t key[32], uint8_t *out)
{
    char ad[512];
    uint8_t m[32];
    unsigned long long n;
    master(m);
    memcpy(out, "KMSB", 4);
    randombytes_buf(out + 4, 24);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(out + 28, &n, key, 32, (const uint8_t *)ad,
                                                     ad_of(arn, context, ad, sizeof ad), NULL,
                                                     out + 4, m);
    return 28 + (size_t)n;
}

static int
open_blob(const char *arn, const json_t *context, qr_view blob, uint8_t key[32])
{
    char ad[512];
    uint8_t m[32];
    master(m);
    return blob.len == 28 + 48 && memcmp(blob.p, "KMSB", 4) == 0 &&
           crypto_aead_xchacha20poly1305_ietf_decrypt(
               key, NULL, NULL, blob.p + 28, 48, (const uint8_t *)ad,
               ad_of(arn, context, ad, sizeof ad), blob.p + 4, m) == 0;
}

/* ---- the calls ------------------------------------------------------------------------------- */

static void
put_b64(struct qr_buf *out, const char *name, qr_view v)
{
    static char text[16384];
    MUST(qr_b64_len(v.len) < sizeof text);
    qr_b64_encode(v, text);
    qr_buf_put(out, "\"", 1);
    qr_buf_put(out, name, strlen(name));
    qr_buf_put(out, "\":\"", 3);
    qr_buf_put(out, text, strlen(text));
    qr_buf_put(out, "\",", 2);
}

static void
put_result(enum kmsbox_fault f, EVP_PKEY *key, const uint8_t data_key[32], qr_view blob,
           struct qr_buf *out)
{
    uint8_t cms[2048], other[32];
    char id[256];
    EVP_PKEY *to = f == KMSBOX_OTHER_RECIPIENT ? evgen_key(EVGEN_RSA2048, 1) : key;
    qr_view plain = qr_view_of(data_key, f == KMSBOX_CMS_SHORT_KEY ? 16 : 32);

    memset(other, 0x5a, sizeof other);
    if (f == KMSBOX_OTHER_DATA_KEY) {
        plain = qr_view_of(other, sizeof other);
    }
    size_t n = kmsbox_cms(to, plain, 1, cms, sizeof cms);
    if (f == KMSBOX_CMS_GARBAGE) {
        memset(cms, 0x30, n);
    }
    n = f == KMSBOX_CMS_CUT ? n - 20 : n;
    qr_buf_put(out, "{", 1);
    if (blob.len > 0 && f != KMSBOX_NO_BLOB) {
        put_b64(out, "CiphertextBlob", blob);
    }
    if (f != KMSBOX_NO_CMS) {
        put_b64(out, "CiphertextForRecipient", qr_view_of(cms, n));
    }
    if (f == KMSBOX_PLAINTEXT) {
        put_b64(out, "Plaintext", plain);
    }
    int len =
        snprintf(id, sizeof id, "\"%s\":\"%s\",\"EncryptionAlgorithm\":\"SYMMETRIC_DEFAULT\"}",
                 f == KMSBOX_NO_KEY_ID ? "Nothing" : "KeyId",
                 f == KMSBOX_OTHER_KEY_ID ? KMSBOX_OTHER_KEY : KMSBOX_KEY);
    qr_buf_put(out, id, (size_t)len);
}

static int
call(struct kmsbox *b, enum kmsbox_fault f, const char *target, const json_t *q, struct qr_buf *out)
{
    static uint8_t doc[20480];
    uint8_t key[32], blob[BLOB_MAX];
    size_t doc_len = 0, blob_len = 0;
    const json_t *r = json_object_get(q, "Recipient"),
                 *context = json_object_get(q, "EncryptionContext");
    const char *arn = json_string_value(json_object_get(q, "KeyId")),
               *d = json_string_value(json_object_get(r, "AttestationDocument")),
               *alg = json_string_value(json_object_get(r, "KeyEncryptionAlgorithm")),
               *in = json_string_value(json_object_get(q, "CiphertextBlob"));
    int generate = strcmp(target, "TrentService.GenerateDataKey") == 0;
    EVP_PKEY *rsa = NULL;

    if (!generate && strcmp(target, "TrentService.Decrypt") != 0) {
        return refuse(b, out, "UnknownOperationException", target);
    }
    if (!arn || !d || !alg || strcmp(alg, "RSAES_OAEP_SHA_256") != 0 || !json_is_object(context) ||
        qr_b64_decode(d, strlen(d), doc, sizeof doc, &doc_len) != QR_OK) {
        return refuse(b, out, "ValidationException", "arguments");
    }
    if (strcmp(arn, KMSBOX_KEY) != 0 && strcmp(arn, KMSBOX_OTHER_KEY) != 0) {
        return refuse(b, out, "NotFoundException", "no such key");
    }
    const char *why = check_document(b, qr_view_of(doc, doc_len), &rsa);
    if (why) {
        return refuse(
            b, out,
            strncmp(why, "Access", 6) == 0 ? "AccessDeniedException" : "ValidationException", why);
    }
    if (generate) {
        const char *spec = json_string_value(json_object_get(q, "KeySpec"));
        MUST(spec && strcmp(spec, "AES_256") == 0);
        randombytes_buf(key, sizeof key);
        blob_len = seal_blob(arn, context, key, blob);
        b->generated++;
    } else {
        size_t n = 0;
        if (!in || qr_b64_decode(in, strlen(in), blob, sizeof blob, &n) != QR_OK ||
            !open_blob(arn, context, qr_view_of(blob, n), key)) {
            EVP_PKEY_free(rsa);
            return refuse(b, out, "com.amazonaws.kms#InvalidCiphertextException", "");
        }
        b->decrypted++;
    }
    put_result(f, rsa, key, qr_view_of(blob, blob_len), out);
    EVP_PKEY_free(rsa);
    return 200;
}

int
kmsbox_answer(struct kmsbox *b, enum kmsbox_fault f, qr_view request, size_t head_len,
              struct qr_buf *out)
{
    static char head[32768];
    char target[128], host[128];
    json_error_t je;
    qr_view body = qr_view_of(request.p + head_len, request.len - head_len);

    MUST(head_len < sizeof head);
    memcpy(head, request.p, head_len);
    head[head_len] = 0;
    if (f == KMSBOX_ERROR) {
        (void)refuse(b, out, b->error, b->message ? b->message : "");
        return b->status;
    }
    if (strncmp(head, "POST / HTTP/1.1\r\n", 17) != 0 ||
        !header(head, "x-amz-target", target, sizeof target) ||
        !header(head, "host", host, sizeof host) || strcmp(host, KMSBOX_HOST) != 0) {
        return refuse(b, out, "ValidationException", "head");
    }
    const char *why = check_signature(head, body, kmsbox_now(b));
    if (why) {
        return refuse(b, out, "InvalidSignatureException", why);
    }
    json_t *q = json_loadb((const char *)body.p, body.len, JSON_REJECT_DUPLICATES, &je);
    if (!q) {
        return refuse(b, out, "ValidationException", "JSON");
    }
    int status = call(b, f, target, q, out);
    json_decref(q);
    return status;
}
