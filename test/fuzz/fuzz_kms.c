/*
 * What a host and a service behind it may send to the KMS client: credentials, an HTTP answer, KMS's
 * JSON, the CMS in it, and what the host kept for the back end. The first byte chooses.
 *
 * Beyond "no crash": a refusal is a printable sentence and changes nothing of the caller's; of an HTTP
 * answer no prefix is an answer, and its body lies among the bytes that came; what the service makes is
 * opened, and gives the key that was put in.
 */
#include "enclave-shim/nitro/creds.h"
#include "enclave-shim/nitro/kms_answer.h"
#include "enclave-shim/nitro/nitro.h"
#include "protocol/base/enc.h"
#include "test/common/evgen_ca.h"
#include "test/common/kmsbox.h"
#include "test/fuzz/kit.h"

enum { CREDS, HTTP, CMS, CMS_CHANGED, ANSWER, ANSWER_OF_CMS, KEPT, MODES };

static const uint8_t secret[32] = {0x42, 1, 2, 3};
static uint8_t made[2048];
static size_t made_len;

static void
start(void)
{
    if (made_len == 0) {
        made_len = kmsbox_cms(evgen_key(EVGEN_RSA2048, 0), qr_view_of(secret, sizeof secret), 1,
                              made, sizeof made);
    }
}

static void
creds(qr_view in)
{
    struct qr_creds c, was;
    char why[256] = "";

    memset(&c, 0x5a, sizeof c);
    was = c;
    if (qr_creds_parse(in, &c, why, sizeof why) == QR_OK) {
        fuzz_text(c.key_id, sizeof c.key_id);
        fuzz_text(c.secret, sizeof c.secret);
        fuzz_text(c.token, sizeof c.token);
        FUZZ_MUST(strlen(c.key_id) >= 16 && strlen(c.secret) >= 16 && !strchr(c.token, ' '));
    } else {
        FUZZ_MUST(why[0] != 0 && memcmp(&c, &was, sizeof c) == 0);
        fuzz_text(why, sizeof why);
    }
}

static qr_err
http_once(const uint8_t *data, size_t n, struct qr_http_answer *a, uint8_t *room)
{
    const char *why = NULL;
    memcpy(room, data, n);
    qr_err e = qr_http_parse(room, n, 512, 1024, a, &why);
    FUZZ_MUST(e == QR_OK || (why != NULL && memcmp(room, data, n) == 0));
    return e;
}

static void
http(const uint8_t *data, size_t size)
{
    uint8_t room[4096];
    struct qr_http_answer a, b;
    size_t n = size < sizeof room ? size : sizeof room;

    if (http_once(data, n, &a, room) != QR_OK) {
        return;
    }
    FUZZ_MUST(a.status >= 200 && a.status <= 599 && a.body.len <= 1024);
    FUZZ_MUST(a.body.p >= room && a.body.p + a.body.len <= room + n);
    for (size_t len = 0; len < n; len++) {
        FUZZ_MUST(http_once(data, len, &b, room) == QR_ERR_TRUNCATED);
    }
}

/* 1: it opened. */
static int
cms(qr_view der)
{
    struct qr_cms c;
    struct qr_sec32 k;
    const char *what = NULL;

    qr_err e = qr_cms_parse(der, &c, &what);
    FUZZ_MUST(e == QR_OK || what != NULL);
    if (e != QR_OK) {
        return 0;
    }
    FUZZ_MUST(c.wrapped.p >= der.p && c.wrapped.p + c.wrapped.len <= der.p + der.len);
    e = qr_cms_decrypt(&c, evgen_key(EVGEN_RSA2048, 0), &k);
    FUZZ_MUST(e == QR_OK || e == QR_ERR_SEAL);
    return e == QR_OK;
}

static void
changed(struct fuzz_in in)
{
    uint8_t der[sizeof made];
    int any = 0;

    memcpy(der, made, made_len);
    while (in.len > 0) {
        uint16_t at = fuzz_u16(&in);
        qr_view x = fuzz_take(&in, 1u + fuzz_u8(&in) % 8u);
        for (size_t i = 0; i < x.len; i++) {
            der[(at + i) % made_len] ^= x.p[i];
            any |= x.p[i];
        }
    }
    FUZZ_MUST(cms(qr_view_of(der, made_len)) || any);
}

static qr_err
answer(unsigned status, qr_view body, int generate, int genuine)
{
    static uint8_t scratch[QR_KMS_SCRATCH];
    const struct qr_nitro_kms cfg = {.key = KMSBOX_KEY, .name = "party-1"};
    const struct qr_kms_recipient r = {.key = evgen_key(EVGEN_RSA2048, 0)};
    const struct qr_http_answer a = {.status = 200 + (int)(status % 400), .body = body};
    struct qr_kms k = {.cfg = &cfg};
    struct qr_sec32 key = {{7}};
    int right;
    struct qr_dbuf blob;
    int again = 0;

    qr_dbuf_init(&blob, QR_KMS_BLOB_MAX);
    qr_err e = qr_kms_answer(&k, generate ? "GenerateDataKey" : "Decrypt", &r, &a, scratch, &key,
                             generate ? &blob : NULL, &again);
    fuzz_text(k.why, sizeof k.why);
    if (e == QR_OK) {
        FUZZ_MUST(a.status == 200 && !generate == (blob.len == 0));
    } else {
        FUZZ_MUST((e == QR_ERR_PLATFORM || e == QR_ERR_SEAL) && k.why[0] != 0 && blob.len == 0);
        FUZZ_MUST(key.b[0] == 7 && key.b[1] == 0);
    }
    qr_dbuf_free(&blob);
    right = memcmp(key.b, secret, sizeof secret) == 0;
    FUZZ_MUST(e != QR_OK || right || !genuine);
    return e;
}

/* The members that KMS has, each from the input or genuine. */
static void
answer_of_cms(struct fuzz_in in)
{
    static char text[20000], b64[4096];
    uint8_t form = fuzz_u8(&in);
    qr_view der = form & 1 ? fuzz_take(&in, 1500) : qr_view_of(made, made_len);

    qr_b64_encode(der, b64);
    int n =
        snprintf(text, sizeof text, "{%s\"%s\":\"%s\",\"CiphertextBlob\":\"%s\",\"KeyId\":\"%s\"}",
                 form & 2   ? "\"Plaintext\":\"\","
                 : form & 4 ? "\"Plaintext\":\"QQ==\","
                            : "",
                 form & 8 ? "Other" : "CiphertextForRecipient", b64, form & 16 ? "" : "QUJD",
                 form & 32 ? KMSBOX_OTHER_KEY : KMSBOX_KEY);
    qr_err e = answer(0, qr_view_of(text, (size_t)n), form & 64, !(form & 1));
    FUZZ_MUST((form & ~66) != 0 || e == QR_OK);
}

/* Every byte belongs to one part, in order. */
static void
kept(qr_view in)
{
    struct qr_nitro_kept k;
    qr_err e = qr_nitro_kept_read(in, &k);
    FUZZ_MUST(e == QR_OK || e == QR_ERR_MALFORMED || e == QR_ERR_VERSION);
    if (e == QR_OK) {
        FUZZ_MUST(k.arn.p == in.p + 7 && k.blob.p == k.arn.p + k.arn.len + 2);
        FUZZ_MUST(k.local.p == k.blob.p + k.blob.len && k.local.p + k.local.len == in.p + in.len);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    start();
    unsigned mode = fuzz_choice(&data, &size, MODES);
    struct fuzz_in in = fuzz_in_of(data, size);
    switch (mode) {
    case CREDS:
        creds(qr_view_of(data, size));
        break;
    case HTTP:
        http(data, size);
        break;
    case CMS:
        (void)cms(qr_view_of(data, size));
        break;
    case CMS_CHANGED:
        changed(in);
        break;
    case ANSWER: {
        uint16_t status = fuzz_u16(&in);
        (void)answer(status, qr_view_of(in.p, in.len < 4096 ? in.len : 4096), status & 1, 0);
        break;
    }
    case KEPT:
        kept(qr_view_of(data, size));
        break;
    default:
        answer_of_cms(in);
        break;
    }
    return 0;
}
