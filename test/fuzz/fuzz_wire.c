/* Envelopes: what decodes encodes to the same bytes, and its payload lies inside them. */
#include "proto/wire.h"
#include "test/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qr_envelope e;

    if (qr_wire_decode(qr_view_of(data, size), &e) != QR_OK) {
        return 0;
    }
    FUZZ_MUST(qr_wire_type_known((uint32_t)e.type));
    FUZZ_MUST(e.payload.len <= size);
    uint8_t *mem = malloc(size + QR_WIRE_HEADER_MAX);
    FUZZ_MUST(mem);
    struct qr_buf out = qr_buf_over(mem, size + QR_WIRE_HEADER_MAX);
    FUZZ_MUST(qr_wire_encode(&e, &out) == QR_OK);
    FUZZ_MUST(out.len == size && memcmp(mem, data, size) == 0);
    free(mem);
    return 0;
}
