/*
 * Bitcoin preimages: an unsigned transaction, which input is signed, and what every input spends.
 *
 * What: a strict reader of a transaction without witnesses and with empty scriptSigs, and of the
 *       amount and script of every output that it spends. Digests: legacy (SIGHASH_ALL over the
 *       transaction with the spent script in its input) and BIP143 (P2WPKH, P2WSH with its script,
 *       and both wrapped in P2SH). SIGHASH_ALL alone; other flags, Taproot and later versions of
 *       witness programs are refused by name.
 * Why: a party signs what it understood: to whom how much goes, and what the fee is.
 * What the amounts are worth: with BIP143 the signature commits to the amount of the input it signs, so
 *       a lie about that one makes a signature that nobody accepts; the amounts of the other inputs, and
 *       all of legacy inputs, are the client's word. That all inputs are signed within one request does
 *       not help: a client asks twice for the same transaction, each time with another input's amount
 *       told too low, and puts the good half of each answer together. So a fee counts only where there is
 *       one input, signed by BIP143 (`fee_bound`). The scripts are bound in every
 *       case: a wrapped or hashed one must hash to what the spent output says.
 * Source: Bitcoin Core's documentation of serialisation; BIP143, BIP141; BIP16.
 */
#ifndef QR_PREIMAGE_BTC_H
#define QR_PREIMAGE_BTC_H

#include "protocol/base/err.h"
#include "protocol/base/limits.h"
#include "protocol/base/view.h"

#define QR_SAT_MAX UINT64_C(2100000000000000)
#define QR_BTC_SCRIPT_MAX 10000u

/* One output that an input spends: its amount, its script (scriptPubKey), and the script that is
 * executed where that is another one (P2SH: redeem script; P2WSH: witness script); else empty. */
struct qr_btc_prevout {
    uint64_t sat;
    qr_view script, redeem, witness;
};

struct qr_btc {
    qr_view tx; /* the unsigned transaction */
    uint16_t input, n_in, n_out;
    uint64_t spent_sat, out_sat; /* of all inputs, of all outputs; spent >= out */
    uint64_t own_sat;            /* of the input that is signed */
    qr_view own_script;          /* its scriptPubKey */
    size_t outputs_at;           /* where the outputs begin in tx */
    uint16_t first; /* the item of the request that brought this transaction, by request.c */
    uint8_t bip143;
    uint8_t fee_bound; /* set by request.c: the only input, by BIP143 */
};

/*
 * Reads the transaction, checks `input` and n prevouts (as many as inputs) and derives the digest. pk:
 * the compressed key that signs, after derivation, is not known here: whether the script is its own
 * does not matter for the digest. bip143: which of the two digests. why as for qr_eth_tx_parse.
 * QR_ERR_PREIMAGE, QR_ERR_NO_MEMORY. The views in *ret point into the caller's bytes.
 */
qr_err QR_MUST qr_btc_parse(qr_view tx, int bip143, uint32_t input,
                            const struct qr_btc_prevout *prev, size_t n, struct qr_btc *ret,
                            uint8_t digest[static 32], char *why, size_t why_cap);
/* Reads the transaction alone: the fields about inputs' outputs stay zero. QR_ERR_PREIMAGE. */
qr_err QR_MUST qr_btc_outline(qr_view tx, struct qr_btc *ret, char *why, size_t why_cap);
#define QR_BTC_OUTPOINT 36u
/* Id (32 bytes, as hashed) and index (4, little-endian) of what input i < n_in spends. */
qr_view qr_btc_outpoint(const struct qr_btc *t, size_t i);
/* Output i < n_out of a transaction that qr_btc_parse took. O(i). */
void qr_btc_output(const struct qr_btc *t, size_t i, uint64_t *ret_sat, qr_view *ret_script);

#endif
