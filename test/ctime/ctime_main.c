/*
 * The constant-time test: every driver, or the one named, under the tool that watches.
 *
 * usage: ctime [--unwatched] [rows|primitives|libraries|multiplication|quorum|keeping|platform|daemon]...
 *        ctime plant NAME
 * --unwatched: without a tool, for the list of functions that a run executes.
 */
#include "test/ctime/ctime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/aes.h"
#include "protocol/base/hash.h"
#include "protocol/group.h"
#include "test/ctime/poison.h"

void
must(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "ctime: %s: not as it should be\n", what);
        exit(2);
    }
}

/* A fixed stream; everything that is drawn from it is secret. */
static uint64_t state = 1;

static void
fill(void *ctx, uint8_t *out, size_t n)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        out[i] = (uint8_t)(state >> 56);
    }
    poison_secret(out, n);
}

static const struct qr_rng rng = {NULL, fill};

const struct qr_rng *
secret_rng(void)
{
    return &rng;
}

void
draw(void *p, size_t n)
{
    fill(NULL, p, n);
}

void
draw_scalar(qr_fq *ret)
{
    uint8_t wide[64];
    draw(wide, sizeof wide);
    qr_fq_reduce64(ret, wide);
}

static const struct {
    const char *name;
    void (*run)(void);
} drivers[] = {
    {"rows", drive_rows},           {"primitives", drive_primitives},
    {"libraries", drive_libraries}, {"multiplication", drive_multiplication},
    {"keeping", drive_keeping},     {"quorum", drive_quorum},
    {"platform", drive_platform},   {"daemon", drive_daemon},
};

static void
start_libraries(void)
{
    must(qr_hash_init() == QR_OK && qr_aes_init() == QR_OK && qr_group_init(&rng) == QR_OK,
         "start");
}

static int
wanted(int argc, char **argv, const char *name)
{
    int named = 0;
    for (int i = 1; i < argc; i++) {
        named |= argv[i][0] != '-';
        if (strcmp(argv[i], name) == 0)
            return 1;
    }
    return !named;
}

int
main(int argc, char **argv)
{
    int unwatched = argc > 1 && strcmp(argv[1], "--unwatched") == 0;

    must(unwatched || poison_watched(), "running under valgrind or MSan");
    if (argc == 3 && strcmp(argv[1], "plant") == 0)
        return plant(argv[2]) ? 0 : 2;
    for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++) {
        if (wanted(argc, argv, drivers[i].name)) {
            if (i > 0)
                start_libraries();
            drivers[i].run();
            printf("drove %s\n", drivers[i].name);
        }
    }
    poison_print_crossings();
    return 0;
}
