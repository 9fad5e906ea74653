/*
 * The CBOR reader: skipping an item and walking it end at the same place; strings lie within the input;
 * an item cut short is refused.
 */
#include "enclave-shim/verify/cbor.h"
#include "test/fuzz/fuzz.h"

/* Walks one item the way a caller does, with its own stack. */
static qr_err
walk(struct qr_cbor *c, qr_view in)
{
    struct {
        struct qr_cbor_open open;
        unsigned per, due;
    } s[QR_CBOR_DEPTH + 1];
    size_t n = 0;

    for (;;) {
        struct qr_cbor_item it;
        if (qr_cbor_next(c, &it) != QR_OK) {
            return c->err;
        }
        FUZZ_MUST(c->pos <= in.len && c->items <= QR_CBOR_ITEMS);
        FUZZ_MUST(it.type != QR_CBOR_BREAK && (it.minimal == 0 || it.minimal == 1));
        if (it.type == QR_CBOR_BYTES || it.type == QR_CBOR_TEXT) {
            FUZZ_MUST(it.v.len == it.u && it.v.p > in.p && it.v.p + it.v.len == in.p + c->pos);
        }
        if (it.type == QR_CBOR_TAG) {
            continue;
        }
        if (it.type == QR_CBOR_ARRAY || it.type == QR_CBOR_MAP) {
            FUZZ_MUST(it.u <= in.len - c->pos);
            if (qr_cbor_enter(c, &it, &s[n].open) != QR_OK) {
                return c->err;
            }
            s[n].per = it.type == QR_CBOR_MAP ? 2 : 1;
            s[n++].due = 0;
            FUZZ_MUST(c->depth == n);
        }
        while (n > 0 && s[n - 1].due == 0) {
            if (qr_cbor_more(c, &s[n - 1].open)) {
                s[n - 1].due = s[n - 1].per;
            } else {
                n--;
            }
        }
        if (c->err != QR_OK || n == 0) {
            return c->err;
        }
        s[n - 1].due--;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qr_cbor a, b;
    qr_view in = qr_view_of(data, size);

    qr_cbor_init(&a, in);
    qr_cbor_init(&b, in);
    qr_err walked = walk(&a, in), skipped = qr_cbor_skip(&b);
    FUZZ_MUST(walked == skipped && a.pos == b.pos && a.items == b.items && a.err == b.err);
    if (walked != QR_OK) {
        FUZZ_MUST(walked == QR_ERR_MALFORMED || walked == QR_ERR_TOO_LARGE);
        FUZZ_MUST(qr_cbor_end(&a) == walked);
        return 0;
    }
    FUZZ_MUST(a.depth == 0 && qr_cbor_end(&a) == (a.pos == size ? QR_OK : QR_ERR_TRAILING));
    qr_cbor_init(&b, qr_view_of(data, a.pos - 1));
    FUZZ_MUST(qr_cbor_skip(&b) == QR_ERR_MALFORMED);
    return 0;
}
