#include "enclave-shim/nitro/creds.h"

#include "enclave-shim/verify/manifest.h"
#include "proto/json_strict.h"
#include "protocol/base/secret.h"

#include <jansson.h>
#include <stdio.h>

#define VALUES 32u
#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))

/* p NULL: absent, or no text. */
static qr_view
text_of(const json_t *root, const char *name)
{
    const json_t *v = json_object_get(root, name);
    if (!json_is_string(v)) {
        return qr_view_of(NULL, 0);
    }
    return qr_view_of(json_string_value(v), json_string_length(v));
}

static int
is_key_id(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static int
is_visible(uint8_t c)
{
    return c > 0x20 && c < 0x7f;
}

static int
copy(qr_view v, size_t min, size_t max, int (*allowed)(uint8_t), char *out)
{
    if (!v.p || v.len < min || v.len > max) {
        return 0;
    }
    for (size_t i = 0; i < v.len; i++) {
        if (!allowed(v.p[i])) {
            return 0;
        }
        out[i] = (char)v.p[i];
    }
    out[v.len] = 0;
    return 1;
}

static qr_err
read_members(const json_t *root, struct qr_creds *c, char *err_text, size_t err_cap)
{
    const json_t *code = json_object_get(root, "Code");
    const char *bad = NULL;
    qr_view when = text_of(root, "Expiration");

    if (!json_is_object(root)) {
        EXPLAIN("credentials: expected a JSON object");
        return QR_ERR_MALFORMED;
    }
    if (code && !qr_view_eq(text_of(root, "Code"), qr_view_str("Success"))) {
        EXPLAIN("credentials: Code is not Success; the host has none to give, see its instance "
                "role");
        return QR_ERR_MALFORMED;
    }
    c->expires_ms = INT64_MAX;
    if (!copy(text_of(root, "AccessKeyId"), 16, QR_CREDS_KEY_MAX, is_key_id, c->key_id)) {
        bad = "AccessKeyId";
    } else if (!copy(text_of(root, "SecretAccessKey"), 16, QR_CREDS_KEY_MAX, is_visible,
                     c->secret)) {
        bad = "SecretAccessKey";
    } else if (json_object_get(root, "Token") &&
               !copy(text_of(root, "Token"), 1, QR_CREDS_TOKEN_MAX, is_visible, c->token)) {
        bad = "Token";
    } else if (json_object_get(root, "Expiration") &&
               (!when.p || qr_time_parse(when, &c->expires_ms) != QR_OK)) {
        bad = "Expiration";
    }
    if (bad) {
        EXPLAIN("credentials: %s is absent or not of its form", bad);
        return QR_ERR_MALFORMED;
    }
    return QR_OK;
}

qr_err
qr_creds_parse(qr_view json, struct qr_creds *ret, char *err_text, size_t err_cap)
{
    struct qr_json doc = {0};
    struct qr_creds c = {.token = ""};
    char why[QR_ERR_TEXT_MAX] = "";

    if (json.len == 0 || json.len > QR_CREDS_TEXT_MAX) {
        EXPLAIN("credentials: expected 1 to %u bytes of JSON, found %zu", QR_CREDS_TEXT_MAX,
                json.len);
        return json.len == 0 ? QR_ERR_MALFORMED : QR_ERR_TOO_LARGE;
    }
    qr_err e = qr_json_parse_foreign(&doc, json, VALUES, why, sizeof why);
    if (e != QR_OK) {
        EXPLAIN("credentials: %s", why);
        return e;
    }
    e = read_members(doc.root, &c, err_text, err_cap);
    if (e == QR_OK) {
        *ret = c;
    }
    qr_wipe(&c, sizeof c);
    qr_json_clear(&doc);
    return e;
}
