/* Hex and base64: what decodes has one text, and that text is the input. */
#include "protocol/base/enc.h"
#include "test/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned which = fuzz_choice(&data, &size, 3);
    const char *text = (const char *)data;
    uint8_t *out = malloc(size + 1);
    char *again = malloc(2 * size + 8);
    size_t len = 0;
    qr_err e;

    FUZZ_MUST(out && again);
    if (which == 0) {
        len = size / 2;
        e = qr_hex_decode(text, size, out, len);
    } else if (which == 1) {
        e = qr_b64url_decode(text, size, out, size, &len);
    } else {
        e = qr_b64_decode(text, size, out, size, &len);
    }
    if (e == QR_OK) {
        qr_view v = qr_view_of(out, len);
        if (which == 0) {
            qr_hex_encode(v, again);
        } else if (which == 1) {
            qr_b64url_encode(v, again);
        } else {
            qr_b64_encode(v, again);
        }
        FUZZ_MUST(strlen(again) == size && memcmp(again, text, size) == 0);
    }
    free(out);
    free(again);
    return 0;
}
