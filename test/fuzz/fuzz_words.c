/*
 * Words. The first byte chooses: 0: a request's body; 1: a document of typed data that no parser has
 * looked at before. What comes out is lines of printable ASCII, each with a label, and ends with the
 * request's hash.
 */
#include "daemon/words.h"
#include "protocol/base/hash.h"
#include "test/fuzz/fuzz.h"

#define WORDS_MAX (1024u * 1024u)

static struct qr_request parsed, made;

static void
look(const struct qr_request *q, int may_be_refused)
{
    struct qr_dbuf d;
    size_t colon = 0;

    qr_dbuf_init(&d, WORDS_MAX);
    qr_err e = qr_words(q, NULL, &d);
    FUZZ_MUST(e == QR_OK || (may_be_refused && e == QR_ERR_TOO_LARGE));
    for (size_t i = 0; i < d.len; i++) {
        FUZZ_MUST(d.p[i] == '\n' || (d.p[i] >= 0x20 && d.p[i] < 0x7f));
        colon += d.p[i] == ':';
        if (d.p[i] == '\n') {
            FUZZ_MUST(colon > 0 || e != QR_OK);
            colon = 0;
        }
    }
    FUZZ_MUST(e != QR_OK || (d.len > 75 && memmem(d.p + d.len - 75, 75, "\nrequest: ", 10)));
    qr_dbuf_free(&d);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[256] = "";
    unsigned what = fuzz_choice(&data, &size, 2);

    FUZZ_MUST(qr_hash_init() == QR_OK);
    if (what == 0) {
        if (qr_request_parse(qr_view_of(data, size), &parsed, why, sizeof why) == QR_OK) {
            look(&parsed, 0);
        }
        fuzz_text(why, sizeof why);
    } else if (size <= QR_PREIMAGE_MAX) {
        made.n_items = 1;
        made.items[0].kind = QR_KIND_EIP712;
        made.items[0].preimage = qr_view_of(data, size);
        look(&made, 1);
    }
    return 0;
}
