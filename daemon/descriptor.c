#include "daemon/descriptor.h"

#include "protocol/base/enc.h"
#include "protocol/base/hash.h"

#include <sodium.h>
#include <stdio.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))

#define TEXT_MAX 1024u
#define CONTAINER_MAX 4096u
#define DESCRIPTOR_VALUES 16u

static void
digest_of(qr_view text, uint8_t ret[static 32])
{
    qr_th(QR_TAG_DESCRIPTOR, QR_FIELDS(text), ret);
}

/* May stand between quotes in JSON as it is, and in a roster. */
static int
is_name(const char *s)
{
    size_t n = strlen(s);
    if (n == 0 || n >= QR_NAME_MAX) {
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '_' || c == '-')) {
            return 0;
        }
    }
    return 1;
}

/* A path may hold what JSON would escape; such a party says its address another way. */
static int
is_plain(const char *s)
{
    for (; *s; s++) {
        if ((uint8_t)*s < 0x20 || (uint8_t)*s >= 0x7f || *s == '"' || *s == '\\') {
            return 0;
        }
    }
    return 1;
}

qr_err
qr_descriptor_build(const struct qr_descriptor *d, const struct qr_id_signer *signer,
                    struct qr_dbuf *out)
{
    const struct qr_roster_party *p = &d->party;
    char id[65], m[65], text[TEXT_MAX], quoted[2 * TEXT_MAX], sig_hex[129], *q = quoted;
    uint8_t digest[32], sig[64];
    enum qr_platform known;

    if (qr_address_check(qr_view_str(p->address)) != QR_OK || !is_plain(p->address) ||
        !is_name(p->cloud) || !is_name(p->operator_name) ||
        qr_platform_parse(qr_view_str(qr_platform_name(p->platform)), &known) != QR_OK) {
        return QR_ERR_USAGE;
    }
    qr_hex_encode(qr_view_of(p->identity, 32), id);
    qr_hex_encode(qr_view_of(d->measurement, 32), m);
    int n = snprintf(text, sizeof text,
                     "{\"v\":1,\"type\":\"quorate/descriptor\",\"identity\":\"%s\","
                     "\"address\":\"%s\",\"cloud\":\"%s\",\"operator\":\"%s\",\"tee\":\"%s\","
                     "\"measurement\":\"%s\"}",
                     id, p->address, p->cloud, p->operator_name, qr_platform_name(p->platform), m);
    if (n < 0 || (size_t)n >= sizeof text) {
        return QR_ERR_TOO_LARGE;
    }
    digest_of(qr_view_of(text, (size_t)n), digest);
    if (signer->sign(signer->ctx, digest, sig) != 0) {
        return QR_ERR_CRYPTO_LIB;
    }
    /* The text holds no control characters: only quotes need a backslash. */
    for (int i = 0; i < n; i++) {
        if (text[i] == '"') {
            *q++ = '\\';
        }
        *q++ = text[i];
    }
    qr_hex_encode(qr_view_of(sig, sizeof sig), sig_hex);
    QR_TRY(qr_dbuf_reserve(out, (size_t)(q - quoted) + 256));
    QR_TRY(qr_dbuf_append(out, "{\"descriptor\":\"", 15));
    QR_TRY(qr_dbuf_append(out, quoted, (size_t)(q - quoted)));
    QR_TRY(qr_dbuf_append(out, "\",\"signature\":\"", 15));
    QR_TRY(qr_dbuf_append(out, sig_hex, 128));
    return qr_dbuf_append(out, "\"}", 2);
}

static qr_err
read_text(qr_view text, struct qr_descriptor *d, char *err_text, size_t err_cap)
{
    struct qr_json j;
    const struct qr_json_field more[] = {
        {"v", QR_JSON_SKIP, 0, 0, NULL, NULL},
        {"type", QR_JSON_SKIP, 0, 0, NULL, NULL},
        {"measurement", QR_JSON_HEX, 0, 32, d->measurement, NULL},
        {.type = QR_JSON_END},
    };
    QR_TRY(qr_json_parse(&j, text, DESCRIPTOR_VALUES, err_text, err_cap));
    struct qr_json_at root = qr_json_root(&j);
    qr_err e = qr_json_head(&root, "quorate/descriptor");
    if (e == QR_OK) {
        e = qr_roster_read_party(&root, &d->party, more);
    }
    qr_json_clear(&j);
    return e;
}

qr_err
qr_descriptor_parse(qr_view container, struct qr_descriptor *ret, char *err_text, size_t err_cap)
{
    struct qr_json j;
    struct qr_descriptor d = {0};
    qr_view text;
    uint8_t sig[64], digest[32];
    const struct qr_json_field fields[] = {
        {"descriptor", QR_JSON_TEXT, 1, TEXT_MAX, &text, NULL},
        {"signature", QR_JSON_HEX, 0, 64, sig, NULL},
        {.type = QR_JSON_END},
    };

    if (container.len > CONTAINER_MAX) {
        EXPLAIN("descriptor has %zu bytes, at most %u are allowed", container.len, CONTAINER_MAX);
        return QR_ERR_TOO_LARGE;
    }
    QR_TRY(qr_json_parse(&j, container, DESCRIPTOR_VALUES, err_text, err_cap));
    struct qr_json_at root = qr_json_root(&j);
    qr_err e = qr_json_fields(&root, fields);
    if (e == QR_OK) {
        e = read_text(text, &d, err_text, err_cap);
    }
    if (e == QR_OK) {
        digest_of(text, digest);
        if (crypto_sign_verify_detached(sig, digest, sizeof digest, d.party.identity) != 0) {
            EXPLAIN("signature is not by the identity in the descriptor");
            e = QR_ERR_IDENTITY;
        }
    }
    qr_json_clear(&j);
    if (e == QR_OK) {
        *ret = d;
    }
    return e;
}
