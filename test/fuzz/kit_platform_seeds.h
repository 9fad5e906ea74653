/* Seeds of fuzz_platform. */
#ifndef TEST_FUZZ_KIT_PLATFORM_SEEDS_H
#define TEST_FUZZ_KIT_PLATFORM_SEEDS_H

#include "test/fuzz/kit_tpm_seeds.h"

void fuzz_seeds_platform(qr_seed_fn fn);

#endif
