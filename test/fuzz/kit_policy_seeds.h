/* The named seeds of the targets policy and budget, for seeds.c. */
#ifndef TEST_FUZZ_KIT_POLICY_SEEDS_H
#define TEST_FUZZ_KIT_POLICY_SEEDS_H

#include "test/fuzz/kit_tpm_seeds.h"

void fuzz_seeds_policy(qr_seed_fn fn);

#endif
