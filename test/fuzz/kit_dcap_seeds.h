/* The named seeds of the targets dcap, dcap_quote and dcap_collateral, for seeds.c. */
#ifndef TEST_FUZZ_KIT_DCAP_SEEDS_H
#define TEST_FUZZ_KIT_DCAP_SEEDS_H

#include "test/fuzz/kit_seeds.h"

void fuzz_seeds_dcap(fuzz_seed write_seed);

#endif
