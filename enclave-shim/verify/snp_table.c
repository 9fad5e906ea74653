/*
 * The table of certificates that a host puts next to a report: entries of {GUID, offset, length}, ended
 * by one with the zero GUID, then the bytes they point to. The GUIDs stand in the order of their text.
 */
#include "enclave-shim/verify/le.h"
#include "enclave-shim/verify/snp.h"

#define ENTRY_LEN 24u
#define GUID_LEN 16u

/* Where the certificate of this GUID belongs; NULL: a kind that is of no use here. */
static qr_view *
slot_of(struct qr_snp_table *t, const uint8_t *guid)
{
    static const uint8_t vcek[GUID_LEN] = {0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64,
                                           0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd};
    static const uint8_t vlek[GUID_LEN] = {0xa8, 0x07, 0x4b, 0xc2, 0xa2, 0x5a, 0x48, 0x3e,
                                           0xaa, 0xe6, 0x39, 0xc0, 0x45, 0xa0, 0xb8, 0xa1};
    static const uint8_t ask[GUID_LEN] = {0x4a, 0xb7, 0xb3, 0x79, 0xbb, 0xac, 0x4f, 0xe4,
                                          0xa0, 0x2f, 0x05, 0xae, 0xf3, 0x27, 0xc7, 0x82};
    static const uint8_t ark[GUID_LEN] = {0xc0, 0xb4, 0x06, 0xa4, 0xa8, 0x03, 0x49, 0x52,
                                          0x97, 0x43, 0x3f, 0xb6, 0x01, 0x4c, 0xd0, 0xae};
    static const uint8_t crl[GUID_LEN] = {0x92, 0xf8, 0x1b, 0xc3, 0x58, 0x11, 0x4d, 0x3d,
                                          0x97, 0xff, 0xd1, 0x9f, 0x88, 0xdc, 0x67, 0xea};
    const struct {
        const uint8_t *guid;
        qr_view *slot;
    } known[] = {
        {vcek, &t->vcek}, {vlek, &t->vlek}, {ask, &t->ask}, {ark, &t->ark}, {crl, &t->crl},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (memcmp(guid, known[i].guid, GUID_LEN) == 0) {
            return known[i].slot;
        }
    }
    return NULL;
}

/* The number of entries before the terminator. */
static qr_err
count_entries(qr_view bytes, size_t *ret)
{
    static const uint8_t zero[GUID_LEN];
    for (size_t n = 0; (n + 1) * ENTRY_LEN <= bytes.len; n++) {
        if (memcmp(bytes.p + n * ENTRY_LEN, zero, GUID_LEN) == 0) {
            *ret = n;
            return QR_OK;
        }
        if (n == QR_SNP_TABLE_ENTRIES) {
            return QR_ERR_TOO_LARGE;
        }
    }
    return QR_ERR_MALFORMED;
}

static int
overlap(qr_view a, qr_view b)
{
    return a.p < b.p + b.len && b.p < a.p + a.len;
}

qr_err
qr_snp_table_parse(qr_view bytes, struct qr_snp_table *ret)
{
    struct qr_snp_table t = {{0}};
    qr_view data[QR_SNP_TABLE_ENTRIES];
    size_t n = 0;
    if (bytes.len > QR_SNP_TABLE_MAX) {
        return QR_ERR_TOO_LARGE;
    }
    QR_TRY(count_entries(bytes, &n));
    size_t header = (n + 1) * ENTRY_LEN;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *entry = bytes.p + i * ENTRY_LEN;
        size_t offset = qr_le32(entry + GUID_LEN), len = qr_le32(entry + GUID_LEN + 4);
        if (len == 0 || offset < header || offset > bytes.len || len > bytes.len - offset) {
            return QR_ERR_MALFORMED;
        }
        data[i] = qr_view_of(bytes.p + offset, len);
        for (size_t k = 0; k < i; k++) {
            if (overlap(data[i], data[k])) {
                return QR_ERR_MALFORMED;
            }
        }
        qr_view *slot = slot_of(&t, entry);
        if (slot && slot->p) {
            return QR_ERR_MALFORMED;
        }
        if (slot) {
            *slot = data[i];
        }
    }
    *ret = t;
    return QR_OK;
}

static qr_err
add_if(struct qr_evidence *e, enum qr_part part, qr_view v)
{
    return v.p ? qr_evidence_add(e, part, 0, v) : QR_OK;
}

qr_err
qr_snp_table_fill(const struct qr_snp_table *t, enum qr_snp_signing_key kind, struct qr_evidence *e)
{
    QR_TRY(add_if(e, QR_PART_SNP_VEK, kind == QR_SNP_VLEK ? t->vlek : t->vcek));
    QR_TRY(add_if(e, QR_PART_SNP_ASK, t->ask));
    QR_TRY(add_if(e, QR_PART_SNP_ARK, t->ark));
    return add_if(e, QR_PART_SNP_CRL, t->crl);
}
