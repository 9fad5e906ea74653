/*
 * Bodies of the gateway's raw-payload routes, transactions that get their signature, and lists of
 * origins.
 *
 * The first byte chooses. Must hold: what is read can be answered, with JSON that has the
 * organization as it was sent; a signed transaction is the unsigned one with a tail; a list that is
 * taken has every origin that stands in it.
 */
#include "daemon/eth_signed.h"
#include "daemon/gw_cors.h"
#include "daemon/gw_raw.h"
#include "daemon/keccak.h"
#include "test/fuzz/kit.h"

#include <jansson.h>

#define TEXT_MAX 1024u

static struct qr_answer_sig sigs[QR_ITEMS_MAX];

static void
judge_answer(const struct qr_dbuf *d, const struct qr_gw_raw *raw)
{
    const char *org = NULL, *id = NULL, *status = NULL;
    json_t *j = json_loadb((const char *)d->p, d->len, JSON_REJECT_DUPLICATES, NULL),
           *result = NULL;

    FUZZ_MUST(j != NULL);
    FUZZ_MUST(json_unpack(j, "{s:{s:s,s:s,s:s,s:o}}", "activity", "id", &id, "organizationId", &org,
                          "status", &status, "result", &result) == 0);
    FUZZ_MUST(strcmp(org, raw->organization) == 0 && strlen(id) == 64);
    FUZZ_MUST(strcmp(status, "ACTIVITY_STATUS_COMPLETED") == 0 && json_object_size(result) == 1);
    json_decref(j);
}

static void
body(struct fuzz_in *in, enum qr_gw_route r, size_t n_sigs)
{
    struct qr_answer_signed s = {.n_sigs = n_sigs, .sigs = sigs, .n_signers = 1, .signers = {1}};
    struct qr_gw_raw raw;
    struct qr_dbuf d;
    char why[QR_ANSWER_DETAIL_MAX] = "";

    if (qr_gw_raw_read(qr_view_of(in->p, in->len), r, &raw, why, sizeof why) != QR_OK) {
        FUZZ_MUST(why[0] != '\0');
        return;
    }
    FUZZ_MUST((r == QR_GW_RAW_TRANSACTION) == (raw.tx != NULL));
    if (raw.tx) {
        qr_keccak256(qr_view_of(raw.tx, raw.tx_len), sigs[0].digest);
    }
    qr_dbuf_init(&d, 1u << 20);
    if (qr_gw_raw_render(&d, r, &raw, &s, why, sizeof why) == QR_OK) {
        judge_answer(&d, &raw);
    } else {
        FUZZ_MUST(why[0] != '\0');
    }
    qr_dbuf_free(&d);
    qr_gw_raw_clear(&raw);
}

static void
transaction(struct fuzz_in *in, uint8_t recid)
{
    uint8_t rs[64];
    char why[128] = "";
    struct qr_dbuf d;

    for (size_t i = 0; i < sizeof rs; i++) {
        rs[i] = fuzz_u8(in);
    }
    qr_dbuf_init(&d, 1u << 20);
    if (qr_eth_tx_signed(&d, qr_view_of(in->p, in->len), rs, recid, why, sizeof why) == QR_OK) {
        FUZZ_MUST(recid <= 1 && d.len > in->len && d.len <= in->len + QR_ETH_SIGNED_MORE);
        FUZZ_MUST(in->p[0] >= 0xc0 ? d.p[0] >= 0xc0 : d.p[0] == in->p[0]);
        /* it is not unsigned any more */
        size_t len = d.len;
        FUZZ_MUST(qr_eth_tx_signed(&d, qr_view_of(d.p, len), rs, 0, why, sizeof why) != QR_OK);
        FUZZ_MUST(d.len == len);
    } else {
        FUZZ_MUST(d.len == 0);
    }
    qr_dbuf_free(&d);
}

static void
origins(const struct fuzz_in *in)
{
    char text[TEXT_MAX], why[256];
    struct qr_gw_cors c;
    size_t n = in->len < sizeof text - 1 ? in->len : sizeof text - 1, at = 0;

    if (n) {
        memcpy(text, in->p, n);
    }
    text[n] = '\0';
    if (qr_gw_cors_parse(text, &c, why, sizeof why) != QR_OK) {
        return;
    }
    for (size_t i = 0; i < c.n; i++) {
        FUZZ_MUST(strncmp(text + at, c.origin[i], strlen(c.origin[i])) == 0);
        FUZZ_MUST(qr_gw_cors_find(&c, qr_view_str(c.origin[i])) != NULL);
        FUZZ_MUST(strpbrk(c.origin[i], "*/?#@\r\n ") == strchr(c.origin[i], ':') + 1);
        at += strlen(c.origin[i]) + 1;
    }
    FUZZ_MUST(c.n == 0 ? n == 0 || text[0] == '\0' : at == strlen(text) + 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_in in = fuzz_in_of(data, size);
    uint8_t op = fuzz_u8(&in);

    switch (op & 7) {
    case 0:
        body(&in, QR_GW_RAW_PAYLOAD, 1 + (op >> 3) % 2);
        break;
    case 1:
        body(&in, QR_GW_RAW_PAYLOADS, 1 + (op >> 3));
        break;
    case 2:
        body(&in, QR_GW_RAW_TRANSACTION, 1);
        break;
    case 3:
        transaction(&in, op >> 3 & 3);
        break;
    default:
        origins(&in);
    }
    fuzz_heap_below(4u << 20);
    return 0;
}
