/* The named seeds of the targets nsm and kms, for seeds.c. */
#ifndef TEST_FUZZ_KIT_NSM_SEEDS_H
#define TEST_FUZZ_KIT_NSM_SEEDS_H

#include "test/fuzz/kit_tpm_seeds.h"

void fuzz_seeds_nsm(qr_seed_fn fn);

#endif
