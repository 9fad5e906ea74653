#include "enclave-shim/tpm/tpm_blob.h"

#include "enclave-shim/tpm/tpm_seal.h"

#include <string.h>

#define MAGIC "QRTW"
#define VERSION 1u

qr_err
qr_tpm_blob_read(qr_view v, struct qr_tpm_blob *ret)
{
    struct qr_buf b = qr_buf_read(v);
    struct qr_tpm_blob o = {0};

    if (v.len > QR_TPM_WRAPPED_MAX) {
        return QR_ERR_TOO_LARGE;
    }
    qr_view magic = qr_buf_take(&b, 4);
    if (b.err != QR_OK || memcmp(magic.p, MAGIC, 4) != 0) {
        return QR_ERR_MALFORMED;
    }
    uint8_t version = qr_buf_get8(&b);
    if (b.err == QR_OK && version != VERSION) {
        return QR_ERR_VERSION;
    }
    qr_buf_get(&b, o.storage, sizeof o.storage);
    qr_buf_get(&b, o.key, sizeof o.key);
    o.scale.minimum = qr_buf_get64(&b);
    o.scale.start = qr_buf_get64(&b);
    qr_buf_get(&b, o.unique, sizeof o.unique);
    o.private_area = qr_buf_take(&b, qr_buf_get16(&b));
    o.head = qr_view_of(v.p, b.pos);
    o.secret = qr_buf_take(&b, qr_buf_get16(&b));
    QR_TRY(qr_buf_end(&b));
    if (o.scale.minimum < 1 || o.scale.minimum > QR_TPM_RELEASE_MAX ||
        o.scale.start > UINT64_MAX / 2 || o.private_area.len == 0 ||
        o.private_area.len > QR_TPM_PRIVATE_MAX || o.secret.len == 0) {
        return QR_ERR_MALFORMED;
    }
    *ret = o;
    return QR_OK;
}

void
qr_tpm_blob_write_head(const struct qr_tpm_blob *b, struct qr_buf *out)
{
    qr_buf_put(out, MAGIC, 4);
    qr_buf_put8(out, VERSION);
    qr_buf_put(out, b->storage, sizeof b->storage);
    qr_buf_put(out, b->key, sizeof b->key);
    qr_buf_put64(out, b->scale.minimum);
    qr_buf_put64(out, b->scale.start);
    qr_buf_put(out, b->unique, sizeof b->unique);
    qr_buf_put16(out, (uint16_t)b->private_area.len);
    qr_buf_put(out, b->private_area.p, b->private_area.len);
}
