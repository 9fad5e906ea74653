/*
 * PROVES: the memory on the stack that protobuf-c unpacks an envelope into. Any requests get blocks that
 *         lie inside it, are aligned and do not overlap, or NULL.
 * BOUND:  none: from any state the allocator can be in, any request (so any number of them).
 * CBMC:   --unwind 2
 * BITE:   proto/wire.c s/n > sizeof s->mem - at/n > sizeof s->mem - s->used/
 */
#include "proto/wire.c"
#include "protocol/base/buf.c"

#include "test/proof/cbmc/proof.h"

void
proof(void)
{
    struct scratch s;
    size_t n = nondet_size();

    s.used = any_size(sizeof s.mem);
    size_t before = s.used;
    uint8_t *p = scratch_alloc(&s, n);
    if (p) {
        PROVE(p >= s.mem + before && (size_t)(p - s.mem) % 16 == 0, "behind the last one, aligned");
        PROVE(n <= sizeof s.mem - (size_t)(p - s.mem), "inside");
        PROVE(s.used == (size_t)(p - s.mem) + n, "and taken");
    } else {
        PROVE(s.used == before, "a refusal takes nothing");
    }
}
