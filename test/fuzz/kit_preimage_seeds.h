/* The named seeds of the targets 712, btc, psbt and request, for seeds.c. */
#ifndef TEST_FUZZ_KIT_PREIMAGE_SEEDS_H
#define TEST_FUZZ_KIT_PREIMAGE_SEEDS_H

#include "test/fuzz/kit_tpm_seeds.h"

void fuzz_seeds_preimage(qr_seed_fn seed);

#endif
