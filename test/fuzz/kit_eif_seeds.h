/* The named seeds of the target eif, for seeds.c. */
#ifndef TEST_FUZZ_KIT_EIF_SEEDS_H
#define TEST_FUZZ_KIT_EIF_SEEDS_H

#include "test/fuzz/kit_tpm_seeds.h"

void fuzz_seeds_eif(qr_seed_fn seed);

#endif
