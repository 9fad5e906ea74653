#include "daemon/gw_raw.h"

#include "daemon/eth_signed.h"
#include "daemon/jsonw.h"
#include "daemon/keccak.h"
#include "proto/json_strict.h"
#include "protocol/base/enc.h"

#include <jansson.h>
#include <stdio.h>

/* Four members, four parameters, the payloads. */
#define VALUES_MAX (16u + QR_ITEMS_MAX)

static const char *
type_of(enum qr_gw_route r)
{
    switch (r) {
    case QR_GW_RAW_PAYLOAD:
        return "ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2";
    case QR_GW_RAW_PAYLOADS:
        return "ACTIVITY_TYPE_SIGN_RAW_PAYLOADS";
    case QR_GW_RAW_TRANSACTION:
        return "ACTIVITY_TYPE_SIGN_TRANSACTION_V2";
    default:
        return NULL;
    }
}

int
qr_gw_raw_is(enum qr_gw_route r)
{
    return type_of(r) != NULL;
}

static qr_err
read_transaction(const json_t *parameters, struct qr_gw_raw *raw, char *why, size_t cap)
{
    const json_t *v = json_object_get(parameters, "unsignedTransaction");
    const char *hex = json_string_value(v);
    size_t n = json_string_length(v);

    if (hex && n >= 2 && memcmp(hex, "0x", 2) == 0) {
        hex += 2;
        n -= 2;
    }
    if (!hex || n == 0) {
        (void)snprintf(why, cap, "parameters.unsignedTransaction is missing");
        return QR_ERR_MALFORMED;
    }
    uint8_t *tx = qr_alloc(n / 2 + 1);
    if (!tx) {
        (void)snprintf(why, cap, "out of memory");
        return QR_ERR_NO_MEMORY;
    }
    if (qr_hex_decode(hex, n, tx, n / 2) != QR_OK) {
        qr_free(tx);
        (void)snprintf(why, cap, "parameters.unsignedTransaction must be lower-case hex");
        return QR_ERR_MALFORMED;
    }
    raw->tx = tx;
    raw->tx_len = n / 2;
    return QR_OK;
}

static qr_err
read_members(const json_t *root, enum qr_gw_route r, struct qr_gw_raw *raw, char *why, size_t cap)
{
    const json_t *type = json_object_get(root, "type");
    const json_t *org = json_object_get(root, "organizationId");
    const char *want = type_of(r);
    qr_view name = {(const uint8_t *)json_string_value(org), json_string_length(org)};

    if (!json_is_string(type) || strcmp(json_string_value(type), want) != 0) {
        (void)snprintf(why, cap, "type must be \"%s\" on this path", want);
        return QR_ERR_MALFORMED;
    }
    if (!name.p || name.len == 0 || name.len > QR_NAME_MAX) {
        (void)snprintf(why, cap, "organizationId: the cluster's id in hex, or 16 digits of it");
        return QR_ERR_MALFORMED;
    }
    if (r == QR_GW_RAW_TRANSACTION) {
        QR_TRY(read_transaction(json_object_get(root, "parameters"), raw, why, cap));
    }
    memcpy(raw->organization, name.p, name.len);
    raw->organization[name.len] = '\0';
    return QR_OK;
}

qr_err
qr_gw_raw_read(qr_view body, enum qr_gw_route r, struct qr_gw_raw *ret, char *why, size_t cap)
{
    struct qr_gw_raw raw = {.tx = NULL};
    struct qr_json doc;

    QR_TRY(qr_json_parse(&doc, body, VALUES_MAX, why, cap));
    qr_err e = read_members(doc.root, r, &raw, why, cap);
    qr_json_clear(&doc);
    if (e == QR_OK) {
        *ret = raw;
    }
    return e;
}

void
qr_gw_raw_clear(struct qr_gw_raw *raw)
{
    raw->tx = qr_free(raw->tx);
}

static void
put_rsv(struct qr_jsonw *w, const struct qr_answer_sig *g)
{
    char v[16];
    qr_jsonw_raw(w, "{\"r\":");
    qr_jsonw_hex(w, g->rs, 32);
    qr_jsonw_raw(w, ",\"s\":");
    qr_jsonw_hex(w, g->rs + 32, 32);
    (void)snprintf(v, sizeof v, ",\"v\":\"%02x\"}", g->recid);
    qr_jsonw_raw(w, v);
}

static qr_err
put_transaction(struct qr_jsonw *w, const struct qr_gw_raw *raw, const struct qr_answer_sig *g,
                char *why, size_t cap)
{
    struct qr_dbuf tx;
    uint8_t digest[32];

    qr_keccak256(qr_view_of(raw->tx, raw->tx_len), digest);
    if (memcmp(digest, g->digest, sizeof digest) != 0) {
        (void)snprintf(why, cap, "the party signed another transaction");
        return QR_ERR_INTERNAL;
    }
    qr_dbuf_init(&tx, raw->tx_len + QR_ETH_SIGNED_MORE);
    qr_err e = qr_eth_tx_signed(&tx, qr_view_of(raw->tx, raw->tx_len), g->rs, g->recid, why, cap);
    if (e == QR_OK) {
        qr_jsonw_raw(w, "\"signTransactionResult\":{\"signedTransaction\":");
        qr_jsonw_hex(w, tx.p, tx.len);
        qr_jsonw_raw(w, "}");
    }
    qr_dbuf_free(&tx);
    return e == QR_ERR_PREIMAGE ? QR_ERR_INTERNAL : e;
}

qr_err
qr_gw_raw_render(struct qr_dbuf *out, enum qr_gw_route r, const struct qr_gw_raw *raw,
                 const struct qr_answer_signed *s, char *why, size_t cap)
{
    struct qr_jsonw w = qr_jsonw_to(out);

    if (r != QR_GW_RAW_PAYLOADS && s->n_sigs != 1) {
        (void)snprintf(why, cap, "the party gave %zu signatures for one payload", s->n_sigs);
        return QR_ERR_INTERNAL;
    }
    qr_jsonw_raw(&w, "{\"activity\":{\"id\":");
    qr_jsonw_hex(&w, s->request, sizeof s->request);
    qr_jsonw_raw(&w, ",\"organizationId\":");
    qr_jsonw_str(&w, qr_view_str(raw->organization));
    qr_jsonw_raw(&w, ",\"status\":\"ACTIVITY_STATUS_COMPLETED\",\"type\":\"");
    qr_jsonw_raw(&w, type_of(r));
    qr_jsonw_raw(&w, "\",\"result\":{");
    if (r == QR_GW_RAW_TRANSACTION) {
        QR_TRY(put_transaction(&w, raw, &s->sigs[0], why, cap));
    } else if (r == QR_GW_RAW_PAYLOAD) {
        qr_jsonw_raw(&w, "\"signRawPayloadResult\":");
        put_rsv(&w, &s->sigs[0]);
    } else {
        qr_jsonw_raw(&w, "\"signRawPayloadsResult\":{\"signatures\":[");
        for (size_t i = 0; i < s->n_sigs; i++) {
            qr_jsonw_raw(&w, i ? "," : "");
            put_rsv(&w, &s->sigs[i]);
        }
        qr_jsonw_raw(&w, "]}");
    }
    qr_jsonw_raw(&w, "}");
    if (s->insecure_sim) {
        qr_jsonw_raw(&w, ",\"insecure_sim\":true");
    }
    qr_jsonw_raw(&w, "}}\n");
    return w.err;
}

/* The status numbers of gRPC that clients of this form look at. */
static unsigned
grpc_code(unsigned status)
{
    switch (status) {
    case 401:
        return 16; /* UNAUTHENTICATED */
    case 403:
        return 7; /* PERMISSION_DENIED */
    case 404:
        return 5; /* NOT_FOUND */
    case 405:
        return 12; /* UNIMPLEMENTED */
    case 409:
        return 6; /* ALREADY_EXISTS */
    case 429:
        return 8; /* RESOURCE_EXHAUSTED */
    case 500:
        return 13; /* INTERNAL */
    case 503:
        return 14; /* UNAVAILABLE */
    case 504:
        return 4; /* DEADLINE_EXCEEDED */
    default:
        return 3; /* INVALID_ARGUMENT */
    }
}

qr_err
qr_gw_raw_problem(struct qr_dbuf *out, const struct qr_gw_problem *p)
{
    struct qr_jsonw w = qr_jsonw_to(out);
    char message[QR_ANSWER_DETAIL_MAX + 64];
    qr_view detail = p->detail;
    int cut = detail.len > QR_ANSWER_DETAIL_MAX ? (int)QR_ANSWER_DETAIL_MAX : (int)detail.len;

    (void)snprintf(message, sizeof message, "%s: %.*s", p->code, cut,
                   detail.len ? (const char *)detail.p : "");
    qr_jsonw_raw(&w, "{\"code\":");
    qr_jsonw_u64(&w, grpc_code(p->status));
    qr_jsonw_raw(&w, ",\"message\":");
    qr_jsonw_str(&w, qr_view_str(message));
    qr_jsonw_raw(&w, ",\"details\":[");
    if (w.err == QR_OK) {
        w.err = qr_gw_render_problem(out, p);
    }
    qr_jsonw_raw(&w, "]}\n");
    return w.err;
}
