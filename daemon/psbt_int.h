/*
 * What the reader (psbt.c) and the signer's half (psbt_sign.c) of a PSBT share.
 */
#ifndef QR_PSBT_INT_H
#define QR_PSBT_INT_H

#include "daemon/psbt.h"

/* A signature that was added: r || s in DER and the byte of SIGHASH_ALL. */
struct qr_psbt_sig {
    uint16_t input;
    uint8_t pk[33], len;
    uint8_t sig[73];
};

struct qr_psbt_in {
    size_t at, end; /* of its map in bytes; bytes[end] is the 0 that ends it */
    int final;
};

struct qr_psbt {
    uint8_t *bytes;
    size_t len;
    int text;
    struct qr_btc tx;
    struct qr_psbt_in *in;
    struct qr_btc_prevout *prev;
    struct qr_psbt_sig *sig; /* one for each input and more where several keys sign; grows */
    size_t n_sig, cap_sig;
};

enum {
    QR_PSBT_GLOBAL_TX = 0x00,
    QR_PSBT_GLOBAL_VERSION = 0xfb,
    QR_PSBT_PREV_TX = 0x00,
    QR_PSBT_PREV_OUT = 0x01,
    QR_PSBT_SIG = 0x02,
    QR_PSBT_SIGHASH = 0x03,
    QR_PSBT_REDEEM = 0x04,
    QR_PSBT_WITNESS = 0x05,
    QR_PSBT_FINAL_SIG = 0x07,
    QR_PSBT_FINAL_WITNESS = 0x08,
};

/* One record of a map. type: of a one-byte key type; others (longer) are 0x100. */
struct qr_psbt_record {
    unsigned type;
    qr_view key; /* with its type */
    qr_view value;
};
struct qr_btc_cur;
/* The next record, or *ret_end = 1 at the map's end. TRUNCATED, MALFORMED. */
qr_err QR_MUST qr_psbt_record(struct qr_btc_cur *c, struct qr_psbt_record *ret, int *ret_end);

#endif
