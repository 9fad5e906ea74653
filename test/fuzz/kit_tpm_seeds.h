/*
 * The named seeds of the targets tpm, tpm_device, hcl, azure and eventlog, for seeds.c: what they share with the
 * targets is test/common/evgen_tpm.h.
 */
#ifndef TEST_FUZZ_KIT_TPM_SEEDS_H
#define TEST_FUZZ_KIT_TPM_SEEDS_H

#include "test/fuzz/fuzz.h"

/* Writes one seed; choice < 0: the target takes none. */
typedef void (*qr_seed_fn)(const char *target, const char *name, int choice, qr_view v);

void fuzz_seeds_tpm(qr_seed_fn fn);

/* The release key of the target tpm_device, the same in every run. */
struct tpmrel;
void fuzz_tpm_release(struct tpmrel *r);

#endif
