#include "test/common/evgen_nitro.h"

#include <stdlib.h>
#include <string.h>

#define HOUR_MS (EVGEN_DAY_MS / 24)

/* ---- CBOR ---- */

void
evcbor_head_wide(struct evgen_buf *b, enum evcbor_major m, uint64_t u, unsigned bytes)
{
    unsigned info = bytes == 1 ? 24 : bytes == 2 ? 25 : bytes == 4 ? 26 : 27;
    evgen_put_be(b, (uint64_t)m << 5 | info, 1);
    evgen_put_be(b, u, bytes);
}

void
evcbor_head(struct evgen_buf *b, enum evcbor_major m, uint64_t u)
{
    if (u < 24) {
        evgen_put_be(b, (uint64_t)m << 5 | u, 1);
    } else {
        evcbor_head_wide(b, m, u, u <= 0xff ? 1 : u <= 0xffff ? 2 : u <= 0xffffffff ? 4 : 8);
    }
}

void
evcbor_bytes(struct evgen_buf *b, qr_view v)
{
    evcbor_head(b, EVCBOR_BYTES, v.len);
    evgen_put_view(b, v);
}

void
evcbor_text(struct evgen_buf *b, const char *s)
{
    evcbor_head(b, EVCBOR_TEXT, strlen(s));
    evgen_put_str(b, s);
}

/* ---- certificates ---- */

static const char *const subjects[EVNITRO_CERTS] = {
    "C=US,O=Amazon,OU=AWS,CN=aws.nitro-enclaves",
    "C=US,O=Amazon,OU=AWS,CN=0123456789abcdef.eu-test-1.aws.nitro-enclaves",
    "CN=fedcba9876543210.zonal.eu-test-1.aws.nitro-enclaves,OU=AWS,O=Amazon,C=US,ST=WA,L=Seattle",
    "C=US,ST=Washington,L=Seattle,O=Amazon,OU=AWS,CN=i-0123456789abcdef0.eu-test-1.aws.nitro-"
    "enclaves",
    "C=US,ST=Washington,L=Seattle,O=Amazon,OU=AWS,CN=i-0123456789abcdef0-enc0123456789abcdef."
    "eu-test-1.aws",
};

static void
describe_chain(struct evnitro *d)
{
    static const int64_t from[EVNITRO_CERTS] = {-2000 * EVGEN_DAY_MS, -10 * EVGEN_DAY_MS,
                                                -3 * EVGEN_DAY_MS, -12 * HOUR_MS, -HOUR_MS};
    static const int64_t to[EVNITRO_CERTS] = {8000 * EVGEN_DAY_MS, 10 * EVGEN_DAY_MS,
                                              3 * EVGEN_DAY_MS, 12 * HOUR_MS, 2 * HOUR_MS};
    for (unsigned i = 0; i < EVNITRO_CERTS; i++) {
        unsigned up = i > 0 ? i - 1 : 0;
        struct evgen_cert_spec *s = &d->spec[i];
        *s = evgen_cert_spec_of(subjects[i], evgen_key(EVGEN_P384, i), subjects[up],
                                evgen_key(EVGEN_P384, up), i < EVNITRO_LEAF);
        s->from_ms = EVGEN_NOW_MS + from[i];
        s->to_ms = EVGEN_NOW_MS + to[i];
        s->pathlen = i == EVNITRO_ROOT || i == EVNITRO_LEAF ? -1 : (int)(EVNITRO_INSTANCE - i);
        s->serial = 0x1000 + i;
    }
}

void
evnitro_set_key(struct evnitro *d, enum evnitro_level level, EVP_PKEY *key, enum evgen_sig sig)
{
    d->spec[level].key = key;
    if (level == EVNITRO_ROOT) {
        d->spec[level].signer = key;
        d->spec[level].sig = sig;
    }
    if (level < EVNITRO_LEAF) {
        d->spec[level + 1].signer = key;
        d->spec[level + 1].sig = sig;
    }
}

/* Certificates whose description nobody changed are made once. */
void
evnitro_certs(struct evnitro *d)
{
    static struct evnitro *genuine;

    if (!genuine) {
        genuine = calloc(1, sizeof *genuine);
        if (!genuine) {
            abort();
        }
        describe_chain(genuine);
        for (size_t i = 0; i < EVNITRO_CERTS; i++) {
            evgen_cert(&genuine->spec[i], &genuine->cert[i]);
        }
    }
    for (size_t i = 0; i < EVNITRO_CERTS; i++) {
        if (memcmp(&d->spec[i], &genuine->spec[i], sizeof d->spec[i]) == 0) {
            d->cert[i] = genuine->cert[i];
        } else {
            evgen_cert(&d->spec[i], &d->cert[i]);
        }
    }
    d->n_bundle = EVNITRO_LEAF;
    for (size_t i = 0; i < EVNITRO_LEAF; i++) {
        d->bundle[i] = evgen_view(&d->cert[i]);
    }
    d->leaf = evgen_view(&d->cert[EVNITRO_LEAF]);
}

/* ---- payload ---- */

void
evnitro_init(struct evnitro *d)
{
    static const uint8_t es384[] = {0x44, 0xa1, 0x01, 0x38, 0x22};

    memset(d, 0, sizeof *d);
    describe_chain(d);
    d->module_id = "i-0123456789abcdef0-enc0123456789abcdef";
    d->digest = "SHA384";
    d->timestamp_ms = (uint64_t)EVGEN_NOW_MS - 30000;
    d->pcr_mask = 0xffff;
    for (unsigned i = 0; i < EVNITRO_PCRS; i++) {
        if (i <= 4 || i == 8) {
            memset(d->pcr[i], (int)(0xa0 + i), sizeof d->pcr[i]);
        }
    }
    d->key = evgen_key(EVGEN_P384, EVNITRO_LEAF);
    d->tag = -1;
    d->head = qr_view_str("\x84");
    d->protected_item = qr_view_of(es384, sizeof es384);
    d->unprotected_item = qr_view_str("\xa0");
    d->arena = evgen_buf_over(d->arena_mem, sizeof d->arena_mem);
    d->payload = evgen_buf_over(d->payload_mem, sizeof d->payload_mem);
    d->doc = evgen_buf_over(d->doc_mem, sizeof d->doc_mem);
}

size_t
evnitro_item_begin(const struct evnitro *d)
{
    return d->arena.len;
}

qr_view
evnitro_item_end(const struct evnitro *d, size_t begin)
{
    return qr_view_of(d->arena.p + begin, d->arena.len - begin);
}

qr_view
evnitro_text(struct evnitro *d, const char *s)
{
    size_t at = evnitro_item_begin(d);
    evcbor_text(&d->arena, s);
    return evnitro_item_end(d, at);
}

qr_view
evnitro_bytes(struct evnitro *d, qr_view v)
{
    size_t at = evnitro_item_begin(d);
    evcbor_bytes(&d->arena, v);
    return evnitro_item_end(d, at);
}

void
evnitro_add(struct evnitro *d, qr_view key, qr_view value)
{
    if (d->n_members == EVNITRO_MEMBERS) {
        abort();
    }
    d->member[d->n_members++] = (struct evnitro_member){key, value};
}

struct evnitro_member *
evnitro_find(struct evnitro *d, const char *name)
{
    uint8_t text[80];
    struct evgen_buf b = evgen_buf_over(text, sizeof text);
    evcbor_text(&b, name);
    for (size_t i = 0; i < d->n_members; i++) {
        if (qr_view_eq(d->member[i].key, evgen_buf_view(&b))) {
            return &d->member[i];
        }
    }
    return NULL;
}

void
evnitro_remove(struct evnitro *d, const char *name)
{
    struct evnitro_member *m = evnitro_find(d, name);
    if (!m) {
        abort();
    }
    d->n_members--;
    memmove(m, m + 1, (size_t)(d->member + d->n_members - m) * sizeof *m);
}

/* Opens a map or array of n; a byte 0xff closes it when it is indefinite. */
static void
open_list(const struct evnitro *d, struct evgen_buf *b, enum evcbor_major m, uint64_t n)
{
    if (d->indefinite) {
        evgen_put_be(b, (uint64_t)m << 5 | 31, 1);
    } else {
        evcbor_head(b, m, n);
    }
}

static void
close_list(const struct evnitro *d, struct evgen_buf *b)
{
    if (d->indefinite) {
        evgen_put_be(b, 0xff, 1);
    }
}

static qr_view
pcrs_item(struct evnitro *d)
{
    size_t at = evnitro_item_begin(d);
    unsigned n = 0;
    for (unsigned i = 0; i < EVNITRO_PCRS; i++) {
        n += d->pcr_mask >> i & 1;
    }
    open_list(d, &d->arena, EVCBOR_MAP, n);
    for (unsigned i = 0; i < EVNITRO_PCRS; i++) {
        if (d->pcr_mask >> i & 1) {
            evcbor_head(&d->arena, EVCBOR_UINT, i);
            evcbor_bytes(&d->arena, qr_view_of(d->pcr[i], sizeof d->pcr[i]));
        }
    }
    close_list(d, &d->arena);
    return evnitro_item_end(d, at);
}

static qr_view
bundle_item(struct evnitro *d)
{
    size_t at = evnitro_item_begin(d);
    open_list(d, &d->arena, EVCBOR_ARRAY, d->n_bundle);
    for (size_t i = 0; i < d->n_bundle; i++) {
        evcbor_bytes(&d->arena, d->bundle[i]);
    }
    close_list(d, &d->arena);
    return evnitro_item_end(d, at);
}

static void
add_optional(struct evnitro *d, const char *name, qr_view v)
{
    evnitro_add(d, evnitro_text(d, name), v.p ? evnitro_bytes(d, v) : qr_view_str("\xf6"));
}

void
evnitro_payload(struct evnitro *d)
{
    d->n_members = 0;
    evnitro_add(d, evnitro_text(d, "module_id"), evnitro_text(d, d->module_id));
    evnitro_add(d, evnitro_text(d, "digest"), evnitro_text(d, d->digest));
    size_t at = evnitro_item_begin(d);
    evcbor_head(&d->arena, EVCBOR_UINT, d->timestamp_ms);
    qr_view timestamp = evnitro_item_end(d, at);
    evnitro_add(d, evnitro_text(d, "timestamp"), timestamp);
    evnitro_add(d, evnitro_text(d, "pcrs"), pcrs_item(d));
    evnitro_add(d, evnitro_text(d, "certificate"), evnitro_bytes(d, d->leaf));
    evnitro_add(d, evnitro_text(d, "cabundle"), bundle_item(d));
    add_optional(d, "public_key", d->public_key);
    add_optional(d, "user_data", d->user_data);
    add_optional(d, "nonce", d->nonce);
}

/* ---- COSE ---- */

void
evnitro_sig_structure(const struct evnitro *d, const char *context, struct evgen_buf *out)
{
    evcbor_head(out, EVCBOR_ARRAY, 4);
    evcbor_text(out, context);
    evgen_put_view(out, d->protected_item);
    evcbor_bytes(out, (qr_view){0});
    evcbor_bytes(out, evgen_buf_view(&d->payload));
}

void
evnitro_wrap(struct evnitro *d)
{
    d->doc.len = 0;
    if (d->tag >= 0) {
        evcbor_head(&d->doc, EVCBOR_TAG, (uint64_t)d->tag);
    }
    evgen_put_view(&d->doc, d->head);
    evgen_put_view(&d->doc, d->protected_item);
    evgen_put_view(&d->doc, d->unprotected_item);
    evcbor_bytes(&d->doc, evgen_buf_view(&d->payload));
    evcbor_bytes(&d->doc, qr_view_of(d->sig, d->sig_len));
    evgen_put_view(&d->doc, d->doc_tail);
}

void
evnitro_sign(struct evnitro *d)
{
    static uint8_t mem[EVNITRO_DOC_MAX];
    struct evgen_buf tbs = evgen_buf_over(mem, sizeof mem);

    d->payload.len = 0;
    open_list(d, &d->payload, EVCBOR_MAP, d->n_members + (uint64_t)d->count_lie);
    for (size_t i = 0; i < d->n_members; i++) {
        evgen_put_view(&d->payload, d->member[i].key);
        evgen_put_view(&d->payload, d->member[i].value);
    }
    close_list(d, &d->payload);
    evgen_put_view(&d->payload, d->payload_tail);
    evnitro_sig_structure(d, "Signature1", &tbs);
    d->sig_len = evgen_sign_raw(d->key, QR_SHA384, evgen_buf_view(&tbs), d->sig);
    evnitro_wrap(d);
}

void
evnitro_build(struct evnitro *d)
{
    evnitro_certs(d);
    evnitro_payload(d);
    evnitro_sign(d);
}
