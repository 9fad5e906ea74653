/*
 * Leaks put here on purpose. Each must be reported, or the test would find nothing anywhere.
 *
 * Run under poison: a branch, an index, a comparison that stops early, a secret given to a function
 * that varies in time, a branch on what went through the rows' vectors. Found in the object code (instructions.py), because a memory checker sees no
 * difference: a division by a secret and a shift by a secret amount.
 */
#include "test/ctime/ctime.h"
#include "test/ctime/poison.h"

#include <stdio.h>
#include <string.h>

#include "protocol/group.h"
#include "protocol/rows.h"

static volatile unsigned sink;
static volatile uint8_t table[256];

/* External, so that each stands in the object under its name. */
void plant_branch(void);
void plant_index(void);
void plant_compare(void);
void plant_variable_time(void);
void plant_lane(void);
unsigned plant_division(unsigned a, unsigned secret);
unsigned plant_shift(unsigned a, unsigned secret);

void
plant_branch(void)
{
    uint8_t s;
    draw(&s, 1);
    if (s & 1)
        puts("odd");
}

void
plant_index(void)
{
    uint8_t s;
    draw(&s, 1);
    sink = table[s];
}

void
plant_compare(void)
{
    uint8_t a[32], b[32] = {0};
    draw(a, sizeof a);
    if (memcmp(a, b, sizeof a) == 0)
        puts("zero");
}

void
plant_variable_time(void)
{
    qr_fq k;
    qr_pt P;
    must(qr_group_init(secret_rng()) == QR_OK, "start");
    must(qr_pt_mul_base(&P, &qr_fq_one) == QR_OK, "G");
    draw_scalar(&k);
    must(qr_pt_mul_var(&P, &P, &k) == QR_OK, "k*P");
}

/* The poison must not be lost on its way through the rows' vectors. */
void
plant_lane(void)
{
    static uint8_t x[8 * QR_ROW_LEN], out[8 * QR_ROW_LEN];
    qr_fq a;

    draw(x, sizeof x);
    draw(&a, 16);
    a.d[2] = a.d[3] = 0;
    qr_rows_best()->diff(out, x, x, &a, 8);
    if (out[31] & 1)
        puts("odd");
}

unsigned
plant_division(unsigned a, unsigned secret)
{
    return a / (secret | 1);
}

unsigned
plant_shift(unsigned a, unsigned secret)
{
    return a << (secret & 31);
}

int
plant(const char *name)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } all[] = {
        {"branch", plant_branch},   {"index", plant_index},
        {"compare", plant_compare}, {"variable-time", plant_variable_time},
        {"lane", plant_lane},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (strcmp(all[i].name, name) == 0) {
            all[i].run();
            return 1;
        }
    }
    return 0;
}
