/*
 * Partially signed Bitcoin transactions, version 0, for the command line: what is asked to be signed comes
 * out, signatures go back in.
 *
 * What: a strict reader of the binary form and of its base64. Out of it: the unsigned transaction, the
 *       amount and script of every output it spends, and the inputs that a given key signs. Parties
 *       never see the PSBT: they get the transaction and the outputs, and judge those.
 * What is checked here, so that a wrong file is found before anybody is asked: the previous transaction
 *       of an input has the id that the input names; both forms of an output agree; SIGHASH_ALL alone;
 *       not finalised; and at the end that a signature is the key's over that input's digest.
 * What is kept: every record that we do not read is written back as it came.
 * Refused by name: version 2 (BIP370). Taproot inputs of others are let be; no key is asked for one.
 * Source: BIP174.
 */
#ifndef QR_PSBT_H
#define QR_PSBT_H

#include "daemon/preimage_btc.h"
#include "protocol/base/mem.h"

#define QR_PSBT_MAX (4u * 1024u * 1024u) /* binary; previous transactions are the most of it */

struct qr_psbt; /* opaque */

/*
 * Reads a file: binary, or base64 in which white space is skipped. err_text gets a sentence that names the
 * input. Errors: TOO_LARGE, MALFORMED (form), PREIMAGE (what it means), NO_MEMORY.
 */
qr_err QR_MUST qr_psbt_read(qr_view file, struct qr_psbt **ret, char *err_text, size_t err_cap);
struct qr_psbt *qr_psbt_free(struct qr_psbt *p);

/* 1: the file was base64. */
int qr_psbt_was_text(const struct qr_psbt *p);
/* The unsigned transaction; lives as long as p, as do the views below. */
qr_view qr_psbt_tx(const struct qr_psbt *p);
size_t qr_psbt_n_inputs(const struct qr_psbt *p);
/* What input 0, 1, ... spends: as many as there are inputs. */
const struct qr_btc_prevout *qr_psbt_prevouts(const struct qr_psbt *p);

/* One input to be signed. */
struct qr_psbt_ask {
    uint16_t input;
    uint8_t bip143; /* else legacy: kind "btc_legacy" */
};
/*
 * The inputs that the compressed key pk signs and has not signed: P2PK, P2PKH, P2WPKH (wrapped in P2SH
 * too) of this key, and scripts (P2SH, P2WSH) that name it. ret has room for QR_BTC_INPUTS_MAX.
 * Returns how many.
 */
size_t qr_psbt_asks(const struct qr_psbt *p, const uint8_t pk[static 33],
                    struct qr_psbt_ask ret[static QR_BTC_INPUTS_MAX]);

/*
 * Adds the partial signature of pk for one of its inputs: rs is r || s (s low). It is verified first.
 * PREIMAGE (this input is not pk's, or was signed by it before), BAD_SIGNATURE, POINT, NO_MEMORY.
 */
qr_err QR_MUST qr_psbt_add(struct qr_psbt *p, size_t input, const uint8_t pk[static 33],
                           const uint8_t rs[static 64]);
/* Appends the PSBT with its signatures: binary, or base64 (text != 0) without a line end. */
qr_err QR_MUST qr_psbt_write(const struct qr_psbt *p, int text, struct qr_dbuf *out);

#endif
