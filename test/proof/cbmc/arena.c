/*
 * PROVES: arenas. From any state, any request gets 64-byte aligned memory inside the arena, behind all
 *         earlier blocks, or NULL; `used` never passes `cap`; from aligned memory a block takes exactly
 *         QR_ARENA_ROUND of its size, so that what the *_size functions add up is enough.
 * BOUND:  none on the request; arenas of 0..512 bytes, aligned or not.
 * CBMC:   --unwind 2
 * SCALE:  protocol/base/mem.c /^block_new/,/^}/s/posix_memalign(\&p, ALIGNMENT, sizeof(struct head) + n) != 0/1/
 * BITE:   protocol/base/mem.c s/skip > left || n > left - skip/n > left - skip/
 * BITE:   protocol/base/mem.c s/n > left - skip/n > left/
 */
#include "protocol/base/mem.c"

#include "test/proof/cbmc/proof.h"

void
proof(void)
{
    static _Alignas(64) uint8_t mem[640];
    size_t shift = any_size(63), n = nondet_size();
    struct qr_arena a = {.p = mem + shift, .cap = any_size(512)};

    a.used = any_size(a.cap);
    size_t before = a.used;
    uint8_t *p = qr_arena_get(&a, n);
    PROVE(a.used <= a.cap, "never past the end");
    if (p) {
        PROVE((uintptr_t)p % 64 == (uintptr_t)mem % 64, "aligned");
        PROVE(p >= a.p + before && n <= a.cap - (size_t)(p - a.p), "inside, behind the last one");
        PROVE(a.used >= (size_t)(p - a.p) + n, "and taken");
        PROVE(shift != 0 || before % 64 != 0 || a.used == a.cap ||
                  a.used == before + QR_ARENA_ROUND(n),
              "as much as was counted");
    } else {
        PROVE(a.used == before, "a refusal takes nothing");
    }
}
