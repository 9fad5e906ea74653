#include "daemon/keyjson.h"

#include "daemon/jsonw.h"
#include "proto/json_strict.h"

qr_err
qr_keyjson_put(struct qr_dbuf *out, const struct qr_key_pub *k)
{
    struct qr_jsonw w = qr_jsonw_to(out);
    const struct {
        const char *name;
        const uint8_t *p;
        size_t n;
    } fields[] = {
        {"{\"v\":1,\"key\":", k->pk, sizeof k->pk},
        {",\"key_id\":", k->key_id, sizeof k->key_id},
        {",\"chain_code\":", k->cc, sizeof k->cc},
        {",\"dkg_sid\":", k->dkg_sid, sizeof k->dkg_sid},
        {",\"cluster\":", k->cluster, sizeof k->cluster},
        {",\"admin_hash\":", k->admin_hash, sizeof k->admin_hash},
        {",\"roster_hash\":", k->roster_hash, sizeof k->roster_hash},
    };

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        qr_jsonw_raw(&w, fields[i].name);
        qr_jsonw_hex(&w, fields[i].p, fields[i].n);
    }
    qr_jsonw_raw(&w, ",\"epoch\":");
    qr_jsonw_u64(&w, k->epoch);
    qr_jsonw_raw(&w, ",\"t\":");
    qr_jsonw_u64(&w, k->t);
    qr_jsonw_raw(&w, ",\"n\":");
    qr_jsonw_u64(&w, k->n);
    if (k->flags & QR_KEY_INSECURE_SIM) {
        qr_jsonw_raw(&w, ",\"insecure_sim\":true");
    }
    qr_jsonw_raw(&w, ",\"parties\":[");
    for (size_t i = 0; i < k->n; i++) {
        qr_jsonw_raw(&w, i ? ",{\"party\":" : "{\"party\":");
        qr_jsonw_u64(&w, i + 1);
        qr_jsonw_raw(&w, ",\"id\":");
        qr_jsonw_hex(&w, k->id[i], sizeof k->id[i]);
        qr_jsonw_raw(&w, ",\"share\":");
        qr_jsonw_hex(&w, k->P[i], sizeof k->P[i]);
        qr_jsonw_raw(&w, ",\"confirmation\":");
        qr_jsonw_hex(&w, k->confirm[i], sizeof k->confirm[i]);
        qr_jsonw_raw(&w, "}");
    }
    qr_jsonw_raw(&w, "]}");
    return w.err;
}

static qr_err
party_read(const struct qr_json_at *parties, size_t i, struct qr_key_pub *k)
{
    struct qr_json_at at = qr_json_elem(parties, i);
    uint64_t index = 0;
    const struct qr_json_field fields[] = {
        {.name = "party", .type = QR_JSON_U64, .min = 1, .max = QR_MAX_PARTIES, .ret = &index},
        {.name = "id", .type = QR_JSON_HEX, .max = sizeof k->id[i], .ret = k->id[i]},
        {.name = "share", .type = QR_JSON_HEX, .max = sizeof k->P[i], .ret = k->P[i]},
        {.name = "confirmation",
         .type = QR_JSON_HEX,
         .max = sizeof k->confirm[i],
         .ret = k->confirm[i]},
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_fields(&at, fields));
    return index == i + 1 ? QR_OK : QR_ERR_SET;
}

static qr_err
key_read(struct qr_json *j, struct qr_key_pub *k)
{
    struct qr_json_at root = qr_json_root(j), parties;
    uint64_t v = 0, epoch = 0, t = 0, n = 0;
    int sim = 0, has_sim = 0;
    const struct qr_json_field fields[] = {
        {.name = "v", .type = QR_JSON_U64, .min = 1, .max = 1, .ret = &v},
        {.name = "key", .type = QR_JSON_HEX, .max = sizeof k->pk, .ret = k->pk},
        {.name = "key_id", .type = QR_JSON_HEX, .max = sizeof k->key_id, .ret = k->key_id},
        {.name = "chain_code", .type = QR_JSON_HEX, .max = sizeof k->cc, .ret = k->cc},
        {.name = "dkg_sid", .type = QR_JSON_HEX, .max = sizeof k->dkg_sid, .ret = k->dkg_sid},
        {.name = "cluster", .type = QR_JSON_HEX, .max = sizeof k->cluster, .ret = k->cluster},
        {.name = "admin_hash",
         .type = QR_JSON_HEX,
         .max = sizeof k->admin_hash,
         .ret = k->admin_hash},
        {.name = "roster_hash",
         .type = QR_JSON_HEX,
         .max = sizeof k->roster_hash,
         .ret = k->roster_hash},
        {.name = "epoch", .type = QR_JSON_U64, .max = UINT32_MAX, .ret = &epoch},
        {.name = "t", .type = QR_JSON_U64, .max = UINT16_MAX, .ret = &t},
        {.name = "n", .type = QR_JSON_U64, .max = UINT16_MAX, .ret = &n},
        {.name = "insecure_sim", .type = QR_JSON_BOOL, .ret = &sim, .ret_present = &has_sim},
        {.name = "parties", .type = QR_JSON_ARRAY, .max = QR_MAX_PARTIES, .ret = &parties},
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_fields(&root, fields));
    if (n > QR_MAX_PARTIES || t < QR_MIN_THRESHOLD || t > n || qr_json_count(&parties) != n) {
        return QR_ERR_SET;
    }
    if (has_sim && !sim) {
        return QR_ERR_MALFORMED; /* one text per key */
    }
    k->epoch = (uint32_t)epoch;
    k->t = (uint16_t)t;
    k->n = (uint16_t)n;
    k->flags = sim ? QR_KEY_INSECURE_SIM : 0;
    for (size_t i = 0; i < n; i++) {
        QR_TRY(party_read(&parties, i, k));
    }
    return QR_OK;
}

qr_err
qr_keyjson_parse(qr_view text, struct qr_key_pub *ret)
{
    struct qr_json j = {0};
    struct qr_key_pub k;

    if (text.len > 4 * QR_KEYJSON_MAX) {
        return QR_ERR_TOO_LARGE;
    }
    memset(&k, 0, sizeof k);
    QR_TRY(qr_json_parse(&j, text, 32 + 8 * QR_MAX_PARTIES, NULL, 0));
    qr_err e = key_read(&j, &k);
    qr_json_clear(&j);
    if (e == QR_OK) {
        *ret = k;
    }
    return e;
}
