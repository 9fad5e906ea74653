/*
 * Named seeds of the targets nitro, jws, token, snp, peers, manifest and judge: made by the generators of throwaway evidence,
 * small enough to be kept. `seed` writes one; its choice is the input's first byte, or none when it is
 * < 0.
 */
#ifndef TEST_FUZZ_KIT_SEEDS_H
#define TEST_FUZZ_KIT_SEEDS_H

#include "protocol/base/view.h"

typedef void (*fuzz_seed)(const char *target, const char *name, int choice, qr_view v);

void fuzz_seeds_nitro(fuzz_seed seed);
void fuzz_seeds_tokens(fuzz_seed seed);
void fuzz_seeds_snp(fuzz_seed seed);
void fuzz_seeds_peers(fuzz_seed seed);

#endif
