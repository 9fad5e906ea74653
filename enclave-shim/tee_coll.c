#include "enclave-shim/tee_coll.h"

#define PARTS(...) ((const enum qr_part[]){__VA_ARGS__, QR_PART_NONE})

const struct qr_tee_source qr_tee_amd_kds = {
    "amd-kds", PARTS(QR_PART_SNP_VEK, QR_PART_SNP_ASK, QR_PART_SNP_ARK, QR_PART_SNP_CRL)};
const struct qr_tee_source qr_tee_azure_thim = {
    "azure-thim", PARTS(QR_PART_SNP_VEK, QR_PART_SNP_ASK, QR_PART_SNP_ARK)};
const struct qr_tee_source qr_tee_intel_pcs = {
    "intel-pcs",
    PARTS(QR_PART_TCB_INFO, QR_PART_TCB_INFO_SIG, QR_PART_QE_IDENTITY, QR_PART_QE_IDENTITY_SIG,
          QR_PART_TCB_CHAIN, QR_PART_PCK_CRL, QR_PART_ROOT_CRL)};
const struct qr_tee_source qr_tee_azure_tdquote = {"azure-tdquote", PARTS(QR_PART_QUOTE)};
const struct qr_tee_source qr_tee_google_ca = {"google-ca", PARTS(QR_PART_AK_INTERMEDIATE)};
const struct qr_tee_source qr_tee_google_root = {"google-root", PARTS(QR_PART_AK_ROOT)};

static int
allowed(const struct qr_tee_source *s, const struct qr_tee_piece *piece, size_t i)
{
    const enum qr_part *p = s->parts;
    while (*p != QR_PART_NONE && *p != piece[i].part) {
        p++;
    }
    for (size_t k = 0; k < i; k++) {
        if (piece[k].part == piece[i].part) {
            return 0;
        }
    }
    return *p != QR_PART_NONE && piece[i].body.len > 0 &&
           piece[i].body.len <= qr_part_max(piece[i].part);
}

static void
drop(struct qr_tee_coll *c, const char *source)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (strcmp(c->item[i].source, source) == 0) {
            qr_free(c->item[i].p);
        } else {
            c->item[n++] = c->item[i];
        }
    }
    c->n = n;
}

qr_err
qr_tee_coll_take(struct qr_tee_coll *c, const struct qr_tee_source *source,
                 const struct qr_tee_piece *piece, size_t n)
{
    uint8_t *copy[QR_TEE_COLL_MAX] = {0};
    qr_err e = n > 0 && n <= QR_TEE_COLL_MAX ? QR_OK : QR_ERR_PLATFORM;

    for (size_t i = 0; i < n && e == QR_OK; i++) {
        if (!allowed(source, piece, i)) {
            e = QR_ERR_PLATFORM;
        } else if (!(copy[i] = qr_alloc(piece[i].body.len))) {
            e = QR_ERR_NO_MEMORY;
        } else {
            memcpy(copy[i], piece[i].body.p, piece[i].body.len);
        }
    }
    size_t left = 0;
    for (size_t i = 0; i < c->n; i++) {
        left += strcmp(c->item[i].source, source->name) != 0;
    }
    if (e == QR_OK && left + n > QR_TEE_COLL_MAX) {
        e = QR_ERR_TOO_LARGE;
    }
    if (e != QR_OK) {
        for (size_t i = 0; i < n && i < QR_TEE_COLL_MAX; i++) {
            qr_free(copy[i]);
        }
        return e;
    }
    drop(c, source->name);
    for (size_t i = 0; i < n; i++) {
        c->item[c->n].source = source->name;
        c->item[c->n].part = piece[i].part;
        c->item[c->n].slot = 0;
        c->item[c->n].p = copy[i];
        c->item[c->n++].len = piece[i].body.len;
    }
    return QR_OK;
}

qr_err
qr_tee_coll_put(struct qr_tee_coll *c, const char *source, enum qr_part part, uint8_t slot,
                qr_view v)
{
    if (c->n == QR_TEE_COLL_MAX || v.len == 0 || v.len > qr_part_max(part)) {
        return QR_ERR_TOO_LARGE;
    }
    uint8_t *p = qr_alloc(v.len);
    if (!p) {
        return QR_ERR_NO_MEMORY;
    }
    memcpy(p, v.p, v.len);
    c->item[c->n].source = source;
    c->item[c->n].part = part;
    c->item[c->n].slot = slot;
    c->item[c->n].p = p;
    c->item[c->n++].len = v.len;
    return QR_OK;
}

qr_err
qr_tee_coll_add(const struct qr_tee_coll *c, struct qr_evidence *e)
{
    for (size_t i = 0; i < c->n; i++) {
        if (!qr_evidence_get_slot(e, c->item[i].part, c->item[i].slot).p) {
            QR_TRY(qr_evidence_add(e, c->item[i].part, c->item[i].slot,
                                   qr_view_of(c->item[i].p, c->item[i].len)));
        }
    }
    return QR_OK;
}

qr_view
qr_tee_coll_get(const struct qr_tee_coll *c, enum qr_part part)
{
    for (size_t i = 0; i < c->n; i++) {
        if (c->item[i].part == part) {
            return qr_view_of(c->item[i].p, c->item[i].len);
        }
    }
    return qr_view_of(NULL, 0);
}

void
qr_tee_coll_free(struct qr_tee_coll *c)
{
    for (size_t i = 0; i < c->n; i++) {
        qr_free(c->item[i].p);
    }
    *c = (struct qr_tee_coll){0};
}
