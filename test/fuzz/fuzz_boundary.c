/* Frames between party and host: one encoding each; a stream cut anywhere gives the same frames. */
#include "proto/boundary.h"
#include "test/fuzz/fuzz.h"

static void
ask(qr_view frame)
{
    struct qr_ask *a = NULL;
    if (qr_ask_decode(frame, &a) != QR_OK) {
        FUZZ_MUST(!a);
        return;
    }
    struct qr_dbuf again;
    qr_dbuf_init(&again, QR_ASK_FRAME_MAX + 4);
    FUZZ_MUST(qr_ask_put(&again, a) == QR_OK);
    FUZZ_MUST(again.len == frame.len + 4 && memcmp(again.p + 4, frame.p, frame.len) == 0);
    qr_dbuf_free(&again);
    qr_ask_free(a);
}

static void
answer(qr_view frame)
{
    struct qr_answer *a = NULL;
    if (qr_answer_decode(frame, &a) != QR_OK) {
        FUZZ_MUST(!a);
        return;
    }
    struct qr_dbuf again;
    qr_dbuf_init(&again, QR_ANSWER_FRAME_MAX + 4);
    FUZZ_MUST(qr_answer_put(&again, a) == QR_OK);
    FUZZ_MUST(again.len == frame.len + 4 && memcmp(again.p + 4, frame.p, frame.len) == 0);
    qr_dbuf_free(&again);
    qr_answer_free(a);
}

/* Feeds the stream in pieces whose sizes its own bytes give. */
static void
stream(const uint8_t *data, size_t size)
{
    struct qr_frames f;
    size_t at = 0;
    int open = 1;

    qr_frames_init(&f, QR_ASK_FRAME_MAX);
    while (open && at < size) {
        uint8_t *p = NULL;
        size_t n = 0, piece = 1u + data[at] % 61u;
        if (qr_frames_room(&f, &p, &n) != QR_OK) {
            break;
        }
        FUZZ_MUST(n >= 1);
        piece = piece < n ? piece : n;
        piece = piece < size - at ? piece : size - at;
        memcpy(p, data + at, piece);
        at += piece;
        qr_frames_added(&f, piece);
        for (;;) {
            qr_view frame = {0};
            if (qr_frames_next(&f, &frame) != QR_OK) {
                open = 0;
                break;
            }
            if (!frame.p) {
                break;
            }
            FUZZ_MUST(frame.len >= 1 && frame.len <= QR_ASK_FRAME_MAX);
            ask(frame);
        }
    }
    qr_frames_clear(&f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    switch (fuzz_choice(&data, &size, 3)) {
    case 0:
        ask(qr_view_of(data, size));
        break;
    case 1:
        answer(qr_view_of(data, size));
        break;
    default:
        stream(data, size);
    }
    return 0;
}
