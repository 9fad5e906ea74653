/* What a channel reads: frame heads, the items of a DATA body, HELLO, and zstd from a stranger. */
#include "test/fuzz/fuzz.h"
#include "transport/frame.h"
#include "transport/hello.h"
#include "transport/zip.h"

static void
frames(const uint8_t *data, size_t size)
{
    while (size >= QR_FRAME_HEAD_LEN) {
        enum qr_frame kind;
        int zstd;
        size_t len;
        if (qr_frame_head_get(data, &kind, &zstd, &len) != QR_OK) {
            return;
        }
        FUZZ_MUST(len < QR_FRAME_MAX);
        data += QR_FRAME_HEAD_LEN;
        size -= QR_FRAME_HEAD_LEN;
        if (len > size) {
            return;
        }
        if (kind == QR_FRAME_DATA && len >= QR_DATA_HEAD_LEN) {
            struct qr_buf items =
                qr_buf_read(qr_view_of(data + QR_DATA_HEAD_LEN, len - QR_DATA_HEAD_LEN));
            qr_view v;
            size_t before = 0;
            while (items.pos < items.len && qr_frame_item(&items, &zstd, &v) == QR_OK) {
                FUZZ_MUST(items.pos > before && items.pos <= items.len);
                FUZZ_MUST(v.p >= data && v.p + v.len <= data + len);
                before = items.pos;
            }
        }
        data += len;
        size -= len;
    }
}

static void
unpack(const uint8_t *data, size_t size)
{
    static struct qr_zip *z;
    size_t len = 0;

    if (!z) {
        z = qr_zip_new(1);
        FUZZ_MUST(z);
    }
    if (qr_zip_size(qr_view_of(data, size), QR_FRAME_MAX, &len) != QR_OK) {
        return;
    }
    FUZZ_MUST(len >= 1 && len <= QR_FRAME_MAX);
    uint8_t *out = malloc(len);
    FUZZ_MUST(out);
    if (qr_zip_unpack(z, qr_view_of(data, size), out, len) != QR_OK) {
        memset(out, 0, len);
    }
    free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qr_hello h;

    switch (fuzz_choice(&data, &size, 3)) {
    case 0:
        frames(data, size);
        break;
    case 1:
        unpack(data, size);
        break;
    default:
        if (qr_hello_parse(qr_view_of(data, size), &h) == QR_OK) {
            FUZZ_MUST(size == QR_HELLO_LEN);
            FUZZ_MUST(h.index >= 1 && h.index <= QR_MAX_PARTIES);
        }
    }
    return 0;
}
