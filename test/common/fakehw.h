/*
 * fakehw: processors of throwaway vendors behind the fake kernel of faketsm.h.
 *
 * What: SNP reports (a Genoa chip, VCEK and its chain in the certificate table) and TD quotes over
 *       whatever user field the kernel is given, properly signed; Intel's lists for the latter, as the
 *       gateway would bring them. All of it verifies at EVGEN_NOW_MS under fakehw_roots.
 * One thread; keys and certificates are made once a process.
 */
#ifndef TEST_FAKEHW_H
#define TEST_FAKEHW_H

#include "enclave-shim/tee.h"
#include "test/common/faketsm.h"

/* Puts an SNP or a TDX processor into the kernel. */
void fakehw_snp(struct faketsm *k);
void fakehw_tdx(struct faketsm *k);
/* Pins both vendors' roots; others stay as they are. */
void fakehw_roots(struct qr_roots *r);
/* Hands over what a gateway fetches for the needs "intel-pcs" or "amd-kds". */
qr_err fakehw_intel(struct qr_tee *t);
qr_err fakehw_amd(struct qr_tee *t);
qr_err fakehw_thim(struct qr_tee *t);

/* A report or quote over data by itself. Return the length. */
size_t fakehw_snp_report(const uint8_t data[64], uint8_t *out);
size_t fakehw_td_quote(const uint8_t data[64], uint8_t *out);
/* What Azure's metadata service says of this chip, as JSON. Returns the length. */
size_t fakehw_thim_json(char *out, size_t cap);
/* What AMD's service gives: the certificate in DER, ASK and ARK in PEM. Return the length. */
size_t fakehw_kds_vek(uint8_t *out, size_t cap);
size_t fakehw_kds_chain(uint8_t *out, size_t cap);
/* Whose paravisor runs there: the report's ID_KEY_DIGEST. */
void fakehw_id_key(uint8_t out[48]);
/* Attributes and MRTD of the TD. */
void fakehw_td(uint8_t attributes[8], uint8_t mrtd[48]);

#endif
