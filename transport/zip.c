#include "transport/zip.h"

#include "protocol/base/mem.h"

#include <zstd.h>

/* Below this, zstd's own header eats the gain. */
#define WORTH_IT 128u

struct qr_zip {
    ZSTD_CCtx *c;
    ZSTD_DCtx *d;
    int level;
};

struct qr_zip *
qr_zip_new(int level)
{
    struct qr_zip *z = qr_alloc(sizeof *z);
    if (!z) {
        return NULL;
    }
    z->level = level;
    z->c = ZSTD_createCCtx();
    z->d = ZSTD_createDCtx();
    return z->c && z->d ? z : qr_zip_free(z);
}

struct qr_zip *
qr_zip_free(struct qr_zip *z)
{
    if (z) {
        (void)ZSTD_freeCCtx(z->c);
        (void)ZSTD_freeDCtx(z->d);
    }
    return qr_free(z);
}

int
qr_zip_helps(enum qr_msg type)
{
    switch (type) {
    case QR_MSG_SIGN_REQUEST: /* JSON and stamps */
    case QR_MSG_ADMIN:        /* JSON documents */
    case QR_MSG_KEY_SYNC:     /* repeats a roster's worth of fields */
        return 1;
    default: /* random, or too short */
        return 0;
    }
}

size_t
qr_zip_pack(struct qr_zip *z, qr_view in, uint8_t *out)
{
    if (z->level == 0 || in.len < WORTH_IT) {
        return 0;
    }
    /* One byte less than the input: no room means no gain. */
    size_t n = ZSTD_compressCCtx(z->c, out, in.len - 1, in.p, in.len, z->level);
    return ZSTD_isError(n) ? 0 : n;
}

qr_err
qr_zip_size(qr_view in, size_t max, size_t *ret_len)
{
    unsigned long long n = ZSTD_getFrameContentSize(in.p, in.len);

    if (n == ZSTD_CONTENTSIZE_ERROR || n == ZSTD_CONTENTSIZE_UNKNOWN || n == 0) {
        return QR_ERR_MALFORMED; /* a skippable frame has size 0 */
    }
    if (n > max) {
        return QR_ERR_TOO_LARGE;
    }
    if (ZSTD_findFrameCompressedSize(in.p, in.len) != in.len) {
        return QR_ERR_MALFORMED; /* cut short, or something behind it */
    }
    *ret_len = (size_t)n;
    return QR_OK;
}

qr_err
qr_zip_unpack(struct qr_zip *z, qr_view in, uint8_t *out, size_t len)
{
    return ZSTD_decompressDCtx(z->d, out, len, in.p, in.len) == len ? QR_OK : QR_ERR_MALFORMED;
}
