#include "daemon/client/want.h"

#include "daemon/addr.h"
#include "daemon/jsonw.h"
#include "protocol/base/enc.h"
#include "protocol/base/rng.h"

#include <string.h>

static int
is_btc(enum qr_kind k)
{
    return k == QR_KIND_BTC_LEGACY || k == QR_KIND_BTC_BIP143;
}

static void
put_hex(struct qr_jsonw *w, const char *name, qr_view v)
{
    qr_jsonw_raw(w, name);
    qr_jsonw_hex(w, v.p, v.len);
}

static void
put_prevouts(struct qr_jsonw *w, const struct qr_want_item *item)
{
    qr_jsonw_raw(w, ",\"prevouts\":[");
    for (size_t i = 0; i < item->n_prev; i++) {
        const struct qr_btc_prevout *p = &item->prev[i];
        qr_jsonw_raw(w, i ? ",{\"sat\":" : "{\"sat\":");
        qr_jsonw_u64(w, p->sat);
        put_hex(w, ",\"script\":", p->script);
        if (p->redeem.len) {
            put_hex(w, ",\"redeem\":", p->redeem);
        }
        if (p->witness.len) {
            put_hex(w, ",\"witness\":", p->witness);
        }
        qr_jsonw_raw(w, "}");
    }
    qr_jsonw_raw(w, "]");
}

static void
put_item(struct qr_jsonw *w, const struct qr_want_item *item)
{
    qr_jsonw_raw(w, "{\"kind\":");
    qr_jsonw_str(w, qr_view_str(qr_kind_name(item->kind)));
    if (item->kind == QR_KIND_DIGEST) {
        put_hex(w, ",\"digest\":", item->bytes);
    } else if (!is_btc(item->kind)) {
        put_hex(w, ",\"preimage\":", item->bytes);
    } else {
        if (!item->has_of) {
            put_hex(w, ",\"preimage\":", item->bytes);
        }
        qr_jsonw_raw(w, ",\"input\":");
        qr_jsonw_u64(w, item->input);
        if (item->has_of) {
            qr_jsonw_raw(w, ",\"of\":");
            qr_jsonw_u64(w, item->of);
        } else {
            put_prevouts(w, item);
        }
    }
    qr_jsonw_raw(w, "}");
}

qr_err
qr_want_write(const struct qr_want *want, struct qr_dbuf *out)
{
    struct qr_jsonw w = qr_jsonw_to(out);

    qr_jsonw_raw(&w, "{\"v\":1,\"cluster\":");
    qr_jsonw_hex(&w, want->cluster, 32);
    qr_jsonw_raw(&w, ",\"key\":");
    qr_jsonw_hex(&w, want->key, 33);
    qr_jsonw_raw(&w, ",\"id\":");
    qr_jsonw_str(&w, qr_view_str(want->id));
    qr_jsonw_raw(&w, ",\"issued_ms\":");
    qr_jsonw_u64(&w, want->issued_ms);
    qr_jsonw_raw(&w, ",\"expires_ms\":");
    qr_jsonw_u64(&w, want->expires_ms);
    qr_jsonw_raw(&w, ",\"path\":[");
    for (size_t i = 0; i < want->depth; i++) {
        qr_jsonw_raw(&w, i ? "," : "");
        qr_jsonw_u64(&w, want->path[i]);
    }
    qr_jsonw_raw(&w, "],\"items\":[");
    for (size_t i = 0; i < want->n; i++) {
        qr_jsonw_raw(&w, i ? "," : "");
        put_item(&w, &want->item[i]);
    }
    qr_jsonw_raw(&w, "]}");
    return w.err;
}

qr_err
qr_want_path(const char *text, uint32_t ret[static QR_PATH_MAX], size_t *ret_depth)
{
    uint32_t path[QR_PATH_MAX] = {0};
    size_t depth = 0;

    for (const char *p = text; *p; depth++) {
        unsigned long v = 0;
        size_t n = strcspn(p, "/");
        if (depth == QR_PATH_MAX || !qr_parse_decimal(p, n, 0x7fffffff, &v) ||
            (p[n] == '/' && p[n + 1] == '\0')) {
            return QR_ERR_MALFORMED;
        }
        path[depth] = (uint32_t)v;
        p += n + (p[n] == '/');
    }
    memcpy(ret, path, sizeof path);
    *ret_depth = depth;
    return QR_OK;
}

void
qr_want_id(char ret[static QR_ID_MAX + 1])
{
    struct qr_rng rng = qr_rng_system();
    uint8_t id[16];

    qr_rng_fill(&rng, id, sizeof id);
    qr_hex_encode(qr_view_of(id, sizeof id), ret);
}
