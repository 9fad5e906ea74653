/*
 * PROVES: the arena that protobuf-c decodes a host's question into. Any request gets a block inside the
 *         arena behind all earlier ones, 16-byte granular, or NULL; sizes near 2^64 do not wrap round.
 * BOUND:  none: from any state, any request.
 * CBMC:   --unwind 2
 * BITE:   proto/boundary.c s/need < n || need/need/
 * BITE:   proto/boundary.c s/need > b->cap - b->used/need > b->cap/
 */
#include "proto/boundary.c"

#include "test/proof/cbmc/proof.h"

void
proof(void)
{
    static uint8_t mem[256];
    struct bump b = {.p = mem, .cap = any_size(sizeof mem)};
    size_t n = nondet_size();

    b.used = any_size(b.cap);
    size_t before = b.used;
    uint8_t *p = bump_alloc(&b, n);
    if (p) {
        PROVE(p == mem + before && n <= b.cap - before, "inside, behind the last one");
        PROVE(b.used <= b.cap && b.used >= before + n, "and taken");
    } else {
        PROVE(b.used == before, "a refusal takes nothing");
    }
}
