/*
 * What the stateful fuzz targets share: a script reader, a child a run, a folder for files.
 *
 * What: fuzz_in reads an input as a script, zeros after its end. fuzz_child runs one input in a forked
 *       child, so that a state that was expensive to prepare (pairs, keys, a linked quorum) is there
 *       again for the next one, bit for bit; the child's coverage counters are given back to the
 *       fuzzer. fuzz_mute drops what programs say on stderr, checking its form.
 * Why: a target that builds a quorum for every input runs twice a second, and one that keeps its state
 *      between inputs finds failures that cannot be repeated.
 * Rules: locked memory is kept across fork here (the product wipes it in children): the targets link
 *        with --wrap=madvise. A child that ends badly ends the fuzzer with its input.
 */
#ifndef TEST_FUZZ_KIT_H
#define TEST_FUZZ_KIT_H

#include "test/fuzz/fuzz.h"

struct fuzz_in {
    const uint8_t *p;
    size_t len;
};

static inline struct fuzz_in
fuzz_in_of(const uint8_t *data, size_t size)
{
    return (struct fuzz_in){data, size};
}

static inline uint8_t
fuzz_u8(struct fuzz_in *in)
{
    if (in->len == 0) {
        return 0;
    }
    in->len--;
    return *in->p++;
}

static inline uint16_t
fuzz_u16(struct fuzz_in *in)
{
    uint16_t hi = fuzz_u8(in);
    return (uint16_t)((hi << 8) | fuzz_u8(in));
}

static inline uint32_t
fuzz_u32(struct fuzz_in *in)
{
    uint32_t hi = fuzz_u16(in);
    return (hi << 16) | fuzz_u16(in);
}

/* The next n bytes, fewer at the end. */
static inline qr_view
fuzz_take(struct fuzz_in *in, size_t n)
{
    n = n < in->len ? n : in->len;
    qr_view v = qr_view_of(in->p, n);
    in->p += n;
    in->len -= n;
    return v;
}

/* A length byte and that many bytes; 0xff: all that is left. */
static inline qr_view
fuzz_bytes(struct fuzz_in *in)
{
    uint8_t n = fuzz_u8(in);
    return fuzz_take(in, n == 0xff ? SIZE_MAX : n);
}

/* Changes one byte of p at a place that the script gives. */
void fuzz_flip(struct fuzz_in *in, uint8_t *p, size_t len);

/*
 * Runs one input in a child. What is prepared for it, once, stands between fuzz_prepare(1) and
 * fuzz_prepare(0): it stays for good, and the leak checker cannot see that locked memory points to it.
 */
void fuzz_prepare(int begins);
void fuzz_child(void (*run)(const uint8_t *data, size_t size), const uint8_t *data, size_t size);

/* A folder of mode 0700 that goes when the fuzzer ends. */
const char *fuzz_dir(void);
/* Writes a whole file of mode 0600 in it; returns its path (static, one a slot 0..3). */
const char *fuzz_file(const char *name, unsigned slot, qr_view bytes);

/* Log lines are checked (one line, JSON, printable) and dropped. */
void fuzz_mute(void);

/* A peer's or a host's memory may not grow past this. Aborts if more than n bytes are on the heap. */
void fuzz_heap_below(size_t n);

#endif
