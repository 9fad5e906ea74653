/*
 * PROVES: the numbers that name entries of the replay table. Any 64-bit number finds an entry only if
 *         that entry is in use and the number's generation is the present one, never an index outside;
 *         finishing and failing keep the sum of bytes exact and never let it wrap round; an answer is
 *         given only of what is done.
 * BOUND:  2 entries in any state whose byte counts add up; any number; answers of 0..4 bytes.
 * SCALE:  daemon/replay.c s/SLAB 1024u/SLAB 2u/
 * CBMC:   --unwind 5 --unsigned-overflow-check
 * BITE:   daemon/replay.c s/slot_number(r, i) != slot ||//
 * BITE:   daemon/replay.c s/if (answer.len > e->reserved)/if (answer.len > e->reserved + 1)/
 */
#include "daemon/replay.c"

#include "test/proof/cbmc/proof.h"

static struct entry slab[SLAB];
static struct entry *slabs[1] = {slab};

void *
qr_alloc(size_t n)
{
    return nondet_int() ? calloc(1, n) : NULL;
}

static size_t
sum(void)
{
    size_t n = 0;
    for (size_t i = 0; i < SLAB; i++) {
        n += slab[i].answer_len + slab[i].reserved;
    }
    return n;
}

void
proof(void)
{
    static struct qr_replay r;
    uint64_t slot = nondet_u64();
    uint8_t answer[4];
    size_t len = any_size(4);

    r.slab = slabs;
    r.n_slabs = any_size(1);
    for (size_t i = 0; i < SLAB; i++) {
        slab[i] = (struct entry){.generation = nondet_u32(), .state = nondet_u8() % 4};
        slab[i].reserved = slab[i].state == RUNNING ? nondet_u8() : 0;
        slab[i].answer_len = slab[i].state == DONE ? nondet_u8() : 0;
    }
    r.bytes = sum();
    const struct entry *e = entry_of(&r, slot);
    if (e) {
        PROVE(r.n_slabs == 1 && e >= slab && e < slab + SLAB, "inside");
        PROVE(e->state != FREE && e->generation == slot >> 32 && e == &slab[(uint32_t)slot],
              "this one");
    }
    enum state was = e ? (enum state)e->state : FREE;
    if (nondet_int()) {
        if (qr_replay_finish(&r, slot, qr_view_of(answer, len)) == QR_OK && e) {
            PROVE(was == RUNNING && e->state == DONE && e->answer_len == len, "done, from running");
        } else {
            PROVE(!e || e->state == was, "an error changes nothing");
        }
    } else {
        qr_replay_fail(&r, slot);
        PROVE(!e || e->state == (was == RUNNING ? FAILED : was), "only what runs can fail");
    }
    PROVE(r.bytes == sum(), "the bytes are counted");
    PROVE(qr_replay_answer(&r, slot).len == 0 || (e && e->state == DONE),
          "answers of what is done");
}
