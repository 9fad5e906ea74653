/*
 * Mutants of a message: what a seed makes of an honest message, knowing its fields.
 *
 * What: bits and bytes of a field, whole fields, other values of its kind, several fields at once, the
 *       same field of another session's message, splices of the two, lengths, types, senders; and the
 *       list of fields that ended up changed, from which it follows what may come of the mutant.
 * Why: an oracle for random changes: test/common/fields.h says it for one field, this for all.
 */
#ifndef QR_TEST_MUTANT_H
#define QR_TEST_MUTANT_H

#include "test/common/fields.h"
#include "test/common/testrng.h"

#define MUTANT_MAX QR_PRESIGN2_LEN(4)

struct mutant {
    enum qr_msg type;
    uint16_t from;
    uint8_t p[MUTANT_MAX + 64];
    size_t len;
    int other_length, other_place; /* other_place: other type or sender */
    const struct field *touched[4];
    size_t touched_at[4], n_touched;
    int all_touched; /* a whole message of another session */
};

struct mutator {
    struct field fields[FIELDS_MAX];
    size_t n_fields;
    struct qr_testrng rng;
};

void mutator_seed(struct mutator *g, const struct field_shape *shape, const char *seed);
/* other: the same message, of the same length, of another session. */
void mutant_make(struct mutator *g, struct mutant *m, enum qr_msg type, uint16_t from,
                 const uint8_t *honest, const uint8_t *other, size_t len);
/* Nothing of it was changed. */
int mutant_untouched(const struct mutant *m);
/* May a machine that took it as a message of its place, at its end, say so? */
int mutant_may_end(const struct mutator *g, const struct mutant *m, qr_err e);

#endif
