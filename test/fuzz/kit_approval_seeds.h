/* The named seeds of the targets approval and words, for seeds.c. */
#ifndef TEST_FUZZ_KIT_APPROVAL_SEEDS_H
#define TEST_FUZZ_KIT_APPROVAL_SEEDS_H

#include "test/fuzz/kit_tpm_seeds.h"

void fuzz_seeds_approval(qr_seed_fn seed);

#endif
