/*
 * Named seeds of the targets cbor, der, cert and quorate: the forms that their readers know, and genuine
 * evidence of every platform that is small enough. `seed` as in kit_seeds.h.
 */
#ifndef TEST_FUZZ_KIT_VERIFY_SEEDS_H
#define TEST_FUZZ_KIT_VERIFY_SEEDS_H

#include "test/fuzz/kit_seeds.h"

void fuzz_seeds_verify(fuzz_seed seed);

#endif
