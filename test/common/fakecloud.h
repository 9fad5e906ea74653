/*
 * fakecloud: a software TPM made into Azure's or Google's virtual one.
 *
 * What: Azure's HCL report (around an SNP report or a TDREPORT of fakehw's processors) and persistent
 *       attestation key; Google's template and a certificate of the key it makes, with the addresses
 *       of its CAs; the CA chain as a PEM file; a signed release statement for what the TPM holds.
 * Rules: for cmocka tests and test/vm: a failure ends the test (or the program). The TPM must be idle: one
 *       connection at a time.
 */
#ifndef TEST_FAKECLOUD_H
#define TEST_FAKECLOUD_H

#include "test/common/evgen_tpm.h"

/* tpm: "unix:PATH". */
void fakecloud_azure(const char *tpm, int tdx);
/* Adds the throwaway Google root to r; writes "ak_chain.pem" into dir unless dir is NULL. */
void fakecloud_google(const char *tpm, const char *dir, struct qr_roots *r);
/* "release.key" (SPKI) and "release.stmt" in dir: release number 1, for PCRs 4, 7, 9, 11, 12 as they are. */
void fakecloud_release(const char *tpm, const char *dir);
/* What fakecloud_google made: the intermediate and the root certificate. */
const struct evak *fakecloud_google_cas(void);
/* The TDREPORT's user field, which the TD's quote must have too. */
void fakecloud_td_data(uint8_t data[64]);

#endif
