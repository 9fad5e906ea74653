/*
 * attack_demo: plays attacks against the code it is linked with (test/common/attacks.h).
 *
 *     attack_demo NAME...    the attacks of these names; `all` for all
 *     attack_demo --list     the names, one a line
 *
 * Exit 0: every attack failed, 1: at least one succeeded, 2: one could not be played, or usage. One
 * line an attack says what came of it.
 */
#include "test/common/attacks.h"

#include "daemon/log.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
no_lines(void *ctx, const char *line, size_t len)
{
    (void)ctx, (void)line, (void)len;
}

static int
play(const struct attack *a, int worst)
{
    static const char *const came[] = {"failed", "succeeded", "could not be played"};
    char said[256] = "";
    enum attack_result r = a->run(said, sizeof said);

    (void)printf("%s: %s: %s\n", a->name, came[r], said);
    (void)fflush(stdout);
    return (int)r > worst ? (int)r : worst;
}

int
main(int argc, char **argv)
{
    int worst = 0;

    if (argc < 2 || sodium_init() < 0) {
        (void)fprintf(stderr, "usage: attack_demo --list | all | NAME...\n");
        return 2;
    }
    if (strcmp(argv[1], "--list") == 0) {
        for (size_t k = 0; k < attacks_n; k++)
            (void)printf("%s\n", attacks[k].name);
        return 0;
    }
    qr_log_init(QR_LOG_ERROR, QR_LOG_HUMAN);
    if (getenv("QR_TEST_LOG") == NULL)
        qr_log_sink(no_lines, NULL);
    for (int i = 1; i < argc; i++) {
        size_t hits = 0;
        for (size_t k = 0; k < attacks_n; k++)
            if (strcmp(argv[i], "all") == 0 || strcmp(argv[i], attacks[k].name) == 0) {
                worst = play(&attacks[k], worst);
                hits++;
            }
        if (hits == 0) {
            (void)fprintf(stderr, "attack_demo: there is no attack %s\n", argv[i]);
            return 2;
        }
    }
    return worst;
}
