/*
 * The frozen transcripts: the protocol machines against an independent model of SPEC.md.
 *
 * What: every file of test/vectors/transcripts holds the inputs of one scenario (seeds, identities,
 *       nonces, requests) and all that follows from them: each message as length and SHA-256, each
 *       identifier, key, share and signature. The machines are run from the same inputs and every
 *       line must come out the same.
 * Why: test/model/ was written from SPEC.md alone. Agreement of two programs that share nothing is
 *      what says that the code is the specification, and frozen files say that it stays so.
 * The comparison is tested too: a changed digit in any line of a file, and a run from inputs that
 * differ in one value, must both be reported, at the right line.
 */
#include "protocol/base/aes.h"
#include "protocol/base/hash.h"
#include "protocol/group.h"
#include "test/common/replay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const FILES[] = {"v1-2of3", "v1-3of5", "v1-2of2", NULL};

/* *state points to a list of names that ends with NULL. */
static void
test_machines_equal_the_model(void **state)
{
    const char *const *file = *(const char *const **)*state;
    size_t lines = 0;
    for (; *file != NULL; file++) {
        struct transcript *s = transcript_load(*file);
        struct replay *r = replay_play(s, REPLAY_AS_FROZEN);
        size_t bad = transcript_compare(replay_lines(r), s, NULL, 1);
        if (bad != 0)
            fail_msg("%s: %zu of %zu lines differ", *file, bad, s->n_out);
        assert_true(s->n_out > 50);
        lines += s->n_out;
        printf("transcripts: %s 1\n", *file);
        replay_free(r);
        transcript_free(s);
    }
    printf("transcripts: %zu lines compared\n", lines);
}

/* Another digit of the same kind, so that the value stays well formed. */
static void
change_digit(char *c)
{
    *c = *c == '1' ? '0' : '1';
}

static void
test_a_changed_digit_in_the_file_is_reported(void **state)
{
    (void)state;
    struct transcript *s = transcript_load(FILES[0]);
    struct replay *r = replay_play(s, REPLAY_AS_FROZEN);
    assert_int_equal(transcript_compare(replay_lines(r), s, NULL, 1), 0);
    for (size_t i = 0; i < s->n_out; i++) {
        const char *first = NULL;
        char *last = s->out[i].value + strlen(s->out[i].value) - 1, kept = *last;
        change_digit(last);
        assert_int_equal(transcript_compare(replay_lines(r), s, &first, 0), 1);
        assert_string_equal(first, s->out[i].name);
        *last = kept;
    }
    s->n_out--;
    assert_int_equal(transcript_compare(replay_lines(r), s, NULL, 0), 1);
    s->n_out++;
    replay_lines(r)->n--;
    assert_int_equal(transcript_compare(replay_lines(r), s, NULL, 0), 1);
    replay_free(r);
    transcript_free(s);
}

/* A run from inputs with one changed value is honest and succeeds; it must not pass for the file. */
static void
test_a_run_from_other_inputs_is_reported(void **state)
{
    (void)state;
    static const struct {
        const char *input, *first; /* the changed input, and the first line that must differ */
    } cases[] = {
        {"seed.2", "msg.1.PAIR1.2.1"},
        {"nonce.3", "pair.1.3.sid"},
        {"cluster", "dkg.sid"},
        {"flags", "msg.4.DKG4.1.2"},
        {"B", "batch.sid"},
        {"batch.ctr", "batch.sid"},
        {"sign.0.body", "sign.0.rq"},
        {"sign.1.path", "sign.1.pk"},
        {"sign.0.digest", "sign.0.ctx"},
        {"sign.1.idx", "sign.1.ctx"},
    };
    const char *quick = getenv("QR_TEST_QUICK");
    size_t step = quick != NULL && quick[0] == '1' ? 4 : 1; /* a run takes a fifth of a second */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i += step) {
        struct transcript *s = transcript_load(FILES[0]);
        char *value = transcript_input(s, "%s", cases[i].input);
        if (strcmp(cases[i].input, "B") == 0)
            *value = '8';
        else
            change_digit(value);
        print_message("changed: %s\n", cases[i].input);
        const char *first = "none";
        struct replay *r = replay_play(s, REPLAY_AS_FROZEN);
        assert_true(transcript_compare(replay_lines(r), s, &first, 0) > 0);
        assert_string_equal(first, cases[i].first);
        replay_free(r);
        transcript_free(s);
    }
}

static void
test_another_order_of_draws_is_reported(void **state)
{
    (void)state;
    struct transcript *s = transcript_load(FILES[0]);
    const char *first = "none";
    struct replay *r = replay_play(s, REPLAY_PEERS_DESCENDING);
    assert_true(transcript_compare(replay_lines(r), s, &first, 0) > 0);
    assert_string_equal(first, "msg.1.PAIR1.1.2");
    replay_free(r);
    transcript_free(s);
}

static int
setup(void **state)
{
    (void)state;
    struct qr_rng rng = qr_rng_system();
    assert_int_equal(qr_hash_init(), QR_OK);
    assert_int_equal(qr_aes_init(), QR_OK);
    assert_int_equal(qr_group_init(&rng), QR_OK);
    return 0;
}

/* With names as arguments: compares these files and does nothing else. */
int
main(int argc, char **argv)
{
    const char *const *files = FILES;
    if (argc > 1)
        files = (const char *const *)(argv + 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_machines_equal_the_model, &files),
        cmocka_unit_test(test_a_changed_digit_in_the_file_is_reported),
        cmocka_unit_test(test_a_run_from_other_inputs_is_reported),
        cmocka_unit_test(test_another_order_of_draws_is_reported),
    };
    const struct CMUnitTest one[] = {tests[0]};
    return argc > 1 ? cmocka_run_group_tests(one, setup, NULL)
                    : cmocka_run_group_tests(tests, setup, NULL);
}
