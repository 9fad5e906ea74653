/*
 * Seeds of the facades' targets: signed requests, bodies, configurations, transactions.
 *
 * The signed requests are published examples ("AWS Signature Version 4 test suite"): their values are facts.
 */
#ifndef TEST_FUZZ_KIT_FACADE_SEEDS_H
#define TEST_FUZZ_KIT_FACADE_SEEDS_H

#include "protocol/base/view.h"

/* seed(target, name, first byte or -1, bytes). */
void fuzz_seeds_facade(void (*seed)(const char *target, const char *name, int choice, qr_view v));

#endif
