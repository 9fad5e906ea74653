/*
 * What every fuzz target shares: the entry point's prototype and a check that stops the fuzzer.
 *
 * A target looks for more than crashes: what decodes must encode to the same bytes, an explanation
 * must be printable text that ends. Targets allocate per input and free it, so that leaks are found.
 */
#ifndef TEST_FUZZ_H
#define TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/view.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_MUST(cond)                                                                            \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                       \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* An explanation for an operator or a client: it ends, and it is printable ASCII. */
static inline void
fuzz_text(const char *text, size_t cap)
{
    size_t n = strnlen(text, cap);
    FUZZ_MUST(n < cap);
    for (size_t i = 0; i < n; i++) {
        FUZZ_MUST(text[i] >= 0x20 && text[i] < 0x7f);
    }
}

/* The first byte chooses; the rest is the input. */
static inline unsigned
fuzz_choice(const uint8_t **data, size_t *size, unsigned n)
{
    if (*size == 0) {
        return 0;
    }
    unsigned c = **data % n;
    (*data)++;
    (*size)--;
    return c;
}

#endif
