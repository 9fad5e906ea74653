/* Measurements of enclave images; see eif_pcr.h. */
#include "enclave-shim/eif/eif_pcr.h"
#include "enclave-shim/eif/eif_sig.h"
#include "enclave-shim/verify/sig.h"

static const uint8_t zeros[QR_EIF_PCR];

static qr_err
extend_zero(qr_view v, uint8_t ret[static QR_EIF_PCR])
{
    const qr_view piece[2] = {qr_view_of(zeros, sizeof zeros), v};

    return qr_hash_of(QR_SHA384, piece, 2, ret) ? QR_OK : QR_ERR_CRYPTO_LIB;
}

static qr_err
pcr_of(const qr_view *piece, size_t n, uint8_t ret[static QR_EIF_PCR])
{
    uint8_t hash[QR_EIF_PCR];

    if (!qr_hash_of(QR_SHA384, piece, n, hash)) {
        return QR_ERR_CRYPTO_LIB;
    }
    return extend_zero(qr_view_of(hash, sizeof hash), ret);
}

/* What PCR0 is over, in order; PCR1 is over the first three. */
static size_t
pieces(const struct qr_eif *e, qr_view piece[static QR_EIF_SECTIONS])
{
    size_t n = 0;

    piece[n++] = e->kernel;
    piece[n++] = e->cmdline;
    for (size_t i = 0; i < e->n_ramdisk; i++) {
        piece[n++] = e->ramdisk[i];
    }
    return n;
}

qr_err
qr_eif_pcr0(const struct qr_eif *e, uint8_t ret[static QR_EIF_PCR])
{
    qr_view piece[QR_EIF_SECTIONS];
    size_t n = pieces(e, piece);

    return pcr_of(piece, n, ret);
}

qr_err
qr_eif_pcr_text(qr_view text, uint8_t ret[static QR_EIF_PCR])
{
    return extend_zero(text, ret);
}

qr_err
qr_eif_pcr8(qr_view der, uint8_t ret[static QR_EIF_PCR])
{
    return pcr_of(&der, 1, ret);
}

qr_err
qr_eif_measure(const struct qr_eif *e, struct qr_eif_pcrs *ret)
{
    struct qr_eif_pcrs p = {0};
    qr_view piece[QR_EIF_SECTIONS];
    size_t n = pieces(e, piece);

    QR_TRY(pcr_of(piece, n, p.pcr0));
    QR_TRY(pcr_of(piece, 3, p.pcr1));
    QR_TRY(pcr_of(piece + 3, n - 3, p.pcr2));
    if (e->signature.len > 0) {
        struct qr_eif_sig s;
        QR_TRY(qr_eif_sig_read(e->signature, &s, NULL, 0));
        QR_TRY(qr_eif_pcr8(qr_view_of(s.cert_der, s.cert_der_len), p.pcr8));
        p.has_pcr8 = 1;
    }
    *ret = p;
    return QR_OK;
}
