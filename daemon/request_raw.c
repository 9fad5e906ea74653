/*
 * The raw-payload form of a request: three activities of one published wire format.
 *
 *   ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2   parameters {signWith, payload, encoding, hashFunction}
 *   ACTIVITY_TYPE_SIGN_RAW_PAYLOADS     parameters {signWith, payloads, encoding, hashFunction}
 *   ACTIVITY_TYPE_SIGN_TRANSACTION_V2   parameters {signWith, unsignedTransaction, type}
 *
 * What a payload is follows from encoding and hashFunction (the table below). The client that hashes
 * itself (NO_OP) asks for a digest, which a policy allows only where a rule names that kind. There is no
 * derivation path in this form.
 */
#include "daemon/request_int.h"

#include "protocol/base/check.h"
#include "protocol/base/enc.h"
#include "protocol/base/hash.h"

/* Not in this form; clients of the published API expect a request to be short-lived. */
#define LIFE_MS 60000u
#define CLUSTER_DIGITS_MIN 16u

enum activity { ONE_PAYLOAD, PAYLOADS, TRANSACTION };

static const char *const activities[] = {
    [ONE_PAYLOAD] = "ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2",
    [PAYLOADS] = "ACTIVITY_TYPE_SIGN_RAW_PAYLOADS",
    [TRANSACTION] = "ACTIVITY_TYPE_SIGN_TRANSACTION_V2",
};

static const struct {
    const char *encoding, *hash;
    enum qr_kind kind;
} meanings[] = {
    {"PAYLOAD_ENCODING_HEXADECIMAL", "HASH_FUNCTION_NO_OP", QR_KIND_DIGEST},
    {"PAYLOAD_ENCODING_HEXADECIMAL", "HASH_FUNCTION_KECCAK256", QR_KIND_KECCAK256},
    {"PAYLOAD_ENCODING_HEXADECIMAL", "HASH_FUNCTION_SHA256", QR_KIND_SHA256},
    {"PAYLOAD_ENCODING_TEXT_UTF8", "HASH_FUNCTION_KECCAK256", QR_KIND_KECCAK256},
    {"PAYLOAD_ENCODING_TEXT_UTF8", "HASH_FUNCTION_SHA256", QR_KIND_SHA256},
    /* The hash is part of EIP-712; published clients send either of these beside it. */
    {"PAYLOAD_ENCODING_EIP712", "HASH_FUNCTION_NO_OP", QR_KIND_EIP712},
    {"PAYLOAD_ENCODING_EIP712", "HASH_FUNCTION_KECCAK256", QR_KIND_EIP712},
};

/* ---- what all three have ---- */

/* Decimal milliseconds without a leading zero. */
static qr_err
read_time(const struct qr_json_at *root, qr_view text, struct qr_request *q)
{
    uint64_t v = 0;
    int ok = text.len >= 1 && text.len <= 15 && text.p[0] != '0';

    for (size_t i = 0; ok && i < text.len; i++) {
        ok = text.p[i] >= '0' && text.p[i] <= '9';
        v = v * 10 + (uint64_t)(text.p[i] - '0');
    }
    if (!ok) {
        return qr_json_fail(
            root, QR_ERR_MALFORMED,
            "timestampMs must be milliseconds since 1970 in 1 to 15 decimal digits");
    }
    q->window.issued_ms = v;
    q->window.expires_ms = v + LIFE_MS;
    return QR_OK;
}

static qr_err
read_cluster(const struct qr_json_at *root, qr_view text, struct qr_request *q)
{
    size_t n = text.len / 2;

    memset(q->cluster, 0, sizeof q->cluster);
    if (text.len < CLUSTER_DIGITS_MIN ||
        qr_hex_decode((const char *)text.p, text.len, q->cluster, n) != QR_OK) {
        return qr_json_fail(
            root, QR_ERR_MALFORMED,
            "organizationId must be the first %u to 64 lower-case hex digits of the "
            "cluster, an even number of them",
            CLUSTER_DIGITS_MIN);
    }
    q->cluster_len = n;
    return QR_OK;
}

static qr_err
read_key(const struct qr_json_at *parameters, qr_view text, struct qr_request *q)
{
    const char *s = (const char *)text.p;

    memset(q->key, 0, sizeof q->key);
    q->by_address = qr_eth_address_read(text, q->address) == QR_OK;
    if (q->by_address) {
        return QR_OK;
    }
    if (text.len == 66 && qr_hex_decode(s, 66, q->key, 33) == QR_OK &&
        (q->key[0] == 2 || q->key[0] == 3)) {
        return QR_OK;
    }
    return qr_json_fail(parameters, QR_ERR_MALFORMED,
                        "signWith must be a compressed public key (66 hex digits) or an Ethereum "
                        "address (0x and 40 hex digits, with a right checksum if of both cases)");
}

/* ---- payloads ---- */

/* Hex with or without 0x. */
static qr_err
read_bytes(struct qr_req_reader *r, const struct qr_json_at *at, const char *name, qr_view text,
           qr_view *ret)
{
    if (text.len >= 2 && text.p[0] == '0' && text.p[1] == 'x') {
        text = qr_view_of(text.p + 2, text.len - 2);
    }
    if (text.len > 2 * QR_PREIMAGE_MAX) {
        return qr_json_fail(at, QR_ERR_TOO_LARGE, "%s has %zu bytes, at most %u are allowed", name,
                            text.len / 2, QR_PREIMAGE_MAX);
    }
    return qr_req_hex(r, at, name, text, ret);
}

static qr_err
add_payload(struct qr_req_reader *r, const struct qr_json_at *at, int is_hex, enum qr_kind kind,
            qr_view text)
{
    struct qr_request_item *item = &r->q->items[r->q->n_items];

    item->kind = kind;
    item->preimage = qr_view_of(NULL, 0);
    if (is_hex) {
        QR_TRY(read_bytes(r, at, "payload", text, &item->preimage));
    } else if (text.len > QR_PREIMAGE_MAX) {
        return qr_json_fail(at, QR_ERR_TOO_LARGE, "payload has %zu bytes, at most %u are allowed",
                            text.len, QR_PREIMAGE_MAX);
    } else {
        item->preimage = qr_req_keep(r, text);
    }
    if (kind == QR_KIND_DIGEST) {
        if (item->preimage.len != 32) {
            return qr_json_fail(at, QR_ERR_MALFORMED,
                                "payload has %zu bytes; HASH_FUNCTION_NO_OP signs a digest of 32",
                                item->preimage.len);
        }
        memcpy(item->digest, item->preimage.p, 32);
        item->preimage = qr_view_of(NULL, 0);
    } else {
        QR_TRY(qr_req_derive(item, at));
    }
    r->q->kinds |= QR_KIND_BIT(kind);
    r->q->n_items++;
    return QR_OK;
}

static qr_err
read_meaning(const struct qr_json_at *at, qr_view encoding, qr_view hash, enum qr_kind *ret,
             int *ret_hex)
{
    char a[QR_QUOTE_MAX], b[QR_QUOTE_MAX];

    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++) {
        if (qr_view_eq(encoding, qr_view_str(meanings[i].encoding)) &&
            qr_view_eq(hash, qr_view_str(meanings[i].hash))) {
            *ret = meanings[i].kind;
            *ret_hex = strcmp(meanings[i].encoding, "PAYLOAD_ENCODING_HEXADECIMAL") == 0;
            return QR_OK;
        }
    }
    return qr_json_fail(at, QR_ERR_MALFORMED,
                        "encoding \"%s\" with hashFunction \"%s\" is not supported",
                        qr_quote(a, encoding), qr_quote(b, hash));
}

static qr_err
read_payloads(struct qr_req_reader *r, const struct qr_json_at *at, int many)
{
    qr_view with, encoding, hash, payload;
    struct qr_json_at list;
    enum qr_kind kind = QR_KIND_DIGEST;
    int is_hex = 0;
    const struct qr_json_field fields[] = {
        {"signWith", QR_JSON_TEXT, 1, 66, &with, NULL},
        {"encoding", QR_JSON_NAME, 1, 64, &encoding, NULL},
        {"hashFunction", QR_JSON_NAME, 1, 64, &hash, NULL},
        {many ? "payloads" : "payload", many ? QR_JSON_ARRAY : QR_JSON_UTF8, many ? 1 : 0,
         many ? QR_ITEMS_MAX : QR_BODY_MAX, many ? (void *)&list : (void *)&payload, NULL},
        {.type = QR_JSON_END},
    };
    const struct qr_json_field element = {"", QR_JSON_UTF8, 0, QR_BODY_MAX, &payload, NULL};

    QR_TRY(qr_json_fields(at, fields));
    QR_TRY(read_key(at, with, r->q));
    QR_TRY(read_meaning(at, encoding, hash, &kind, &is_hex));
    if (!many) {
        return add_payload(r, at, is_hex, kind, payload);
    }
    for (size_t i = 0; i < qr_json_count(&list); i++) {
        const struct qr_json_at child = qr_json_elem(&list, i);
        QR_TRY(qr_json_value(&child, &element));
        QR_TRY(add_payload(r, &child, is_hex, kind, payload));
    }
    return QR_OK;
}

static qr_err
read_transaction(struct qr_req_reader *r, const struct qr_json_at *at)
{
    struct qr_request_item *item = &r->q->items[0];
    qr_view with, type, hex;
    char q[QR_QUOTE_MAX];
    const struct qr_json_field fields[] = {
        {"signWith", QR_JSON_TEXT, 1, 66, &with, NULL},
        {"type", QR_JSON_NAME, 1, 64, &type, NULL},
        {"unsignedTransaction", QR_JSON_TEXT, 0, QR_BODY_MAX, &hex, NULL},
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_fields(at, fields));
    QR_TRY(read_key(at, with, r->q));
    if (!qr_view_eq(type, qr_view_str("TRANSACTION_TYPE_ETHEREUM"))) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "type \"%s\" is not supported, only TRANSACTION_TYPE_ETHEREUM",
                            qr_quote(q, type));
    }
    item->kind = QR_KIND_ETH_TX;
    QR_TRY(read_bytes(r, at, "unsignedTransaction", hex, &item->preimage));
    QR_TRY(qr_req_derive(item, at));
    r->q->kinds = QR_KIND_BIT(QR_KIND_ETH_TX);
    r->q->n_items = 1;
    return QR_OK;
}

qr_err
qr_req_raw(struct qr_req_reader *r, const struct qr_json_at *root, qr_view body)
{
    struct qr_request *q = r->q;
    struct qr_json_at parameters;
    qr_view type, time, organization;
    char quoted[QR_QUOTE_MAX];
    uint8_t id[32];
    size_t which = 0;
    const struct qr_json_field fields[] = {
        {"type", QR_JSON_NAME, 1, QR_NAME_MAX, &type, NULL},
        {"timestampMs", QR_JSON_TEXT, 1, 20, &time, NULL},
        {"organizationId", QR_JSON_TEXT, 1, 64, &organization, NULL},
        {"parameters", QR_JSON_OBJECT, 0, 0, &parameters, NULL},
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_fields(root, fields));
    while (which < sizeof activities / sizeof activities[0] &&
           !qr_view_eq(type, qr_view_str(activities[which]))) {
        which++;
    }
    if (which == sizeof activities / sizeof activities[0]) {
        return qr_json_fail(root, QR_ERR_MALFORMED, "type \"%s\" is not supported",
                            qr_quote(quoted, type));
    }
    QR_TRY(read_time(root, time, q));
    QR_TRY(read_cluster(root, organization, q));
    q->form = QR_FORM_RAW;
    q->depth = 0;
    q->kinds = 0;
    q->n_items = 0;
    qr_sha256(body, id);
    qr_hex_encode(qr_view_of(id, sizeof id), q->id); /* QR_ID_MAX digits */
    const struct qr_json_at at = {
        .doc = root->doc, .v = parameters.v, .up = root, .name = "parameters"};
    return which == TRANSACTION ? read_transaction(r, &at)
                                : read_payloads(r, &at, which == PAYLOADS);
}
