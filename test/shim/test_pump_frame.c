/*
 * The pump's frames: what one half may say, and in which order. A hostile half is refused at the first
 * frame that does not fit, and whatever it says, credits and windows stay within their bounds.
 */
#include "enclave-shim/pump/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/common/testrng.h"

#include <stdio.h>

static void
test_headers(void **state)
{
    static const struct qr_pump_frame good[] = {
        {QR_PUMP_HELLO, 1, QR_PUMP_INSIDE, 0},
        {QR_PUMP_HELLO, 1, QR_PUMP_OUTSIDE, 0},
        {QR_PUMP_OPEN, QR_PUMP_ROUTES - 1, QR_PUMP_STREAMS - 1, 0},
        {QR_PUMP_DATA, 0, 3, 1},
        {QR_PUMP_DATA, 0, 3, QR_PUMP_DATA_MAX},
        {QR_PUMP_CREDIT, 0, 0, QR_PUMP_WINDOW},
        {QR_PUMP_FIN, 0, 1, 0},
        {QR_PUMP_END, QR_PUMP_REFUSED, 1, 0},
        {QR_PUMP_PING, 0, 0, 0},
        {QR_PUMP_PONG, 0, 0, 0},
    };
    uint8_t h[QR_PUMP_HEADER], again[QR_PUMP_HEADER];
    struct qr_pump_frame f;
    const char *why = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        qr_pump_frame_write(&good[i], h);
        assert_int_equal(qr_pump_frame_read(h, &f, &why), QR_OK);
        qr_pump_frame_write(&f, again);
        assert_memory_equal(h, again, sizeof h);
        assert_int_equal(f.type, good[i].type);
        assert_int_equal(f.value, good[i].value);
        assert_string_not_equal(qr_pump_type_name(f.type), "unknown");
    }
    assert_string_equal(qr_pump_type_name((enum qr_pump_type)99), "unknown");
}

static void
test_headers_refused(void **state)
{
    static const struct {
        uint8_t h[QR_PUMP_HEADER];
        const char *why;
    } bad[] = {
        {{0}, "no known type"},
        {{9}, "no known type"},
        {{255, 255, 255, 255, 255, 255, 255, 255}, "no known type"},
        {{1, 1, 0, 1, 'Q', 'R', 'P', 'X'}, "not a pump's"},
        {{1, 2, 0, 1, 'Q', 'R', 'P', 'M'}, "another version"},
        {{1, 1, 0, 3, 'Q', 'R', 'P', 'M'}, "neither side"},
        {{2, QR_PUMP_ROUTES, 0, 1}, "route or reason"},
        {{2, 0, 0, QR_PUMP_STREAMS}, "stream number"},
        {{2, 0, 0, 1, 0, 0, 0, 1}, "length or credit"},
        {{3, 0, 0, 1, 0, 0, 0, 0}, "length or credit"},
        {{3, 0, 0, 1, 0, 0, 0x3f, 0xf9}, "length or credit"},
        {{3, 0, 0, 1, 0xff, 0xff, 0xff, 0xff}, "length or credit"},
        {{3, 1, 0, 1, 0, 0, 0, 1}, "route or reason"},
        {{4, 0, 0, 1, 0, 0, 0, 0}, "length or credit"},
        {{4, 0, 0, 1, 0, 4, 0, 1}, "length or credit"},
        {{5, 0, 0, 1, 0, 0, 0, 1}, "length or credit"},
        {{6, 3, 0, 1, 0, 0, 0, 0}, "route or reason"},
        {{7, 0, 0, 1, 0, 0, 0, 0}, "stream number"},
        {{8, 1, 0, 0, 0, 0, 0, 0}, "route or reason"},
    };
    struct qr_pump_frame f = {QR_PUMP_PONG, 7, 7, 7};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *why = "";
        if (qr_pump_frame_read(bad[i].h, &f, &why) != QR_ERR_MALFORMED ||
            !strstr(why, bad[i].why)) {
            fail_msg("header %zu: \"%s\", expected \"%s\"", i, why, bad[i].why);
        }
        assert_int_equal(f.value, 7); /* untouched */
    }
}

/* "H" HELLO of the other half; "o3" OPEN 3; "d3" DATA; "w3" DATA of a window; ... capitals: our own. */
static qr_err
play(struct qr_mux *m, const char *script, const char **why)
{
    for (const char *s = script; *s; s++) {
        struct qr_pump_frame f = {.type = QR_PUMP_HELLO, .stream = QR_PUMP_OUTSIDE};
        int ours = 0, times = 1;
        char c = *s;
        if (c == ' ') {
            continue;
        }
        if (c != 'H' && c != 'I' && c != 'p') {
            f.stream = (uint16_t)(*++s - '0');
        }
        switch (c) {
        case 'I':
            f.stream = QR_PUMP_INSIDE;
            break;
        case 'p':
            f = (struct qr_pump_frame){.type = QR_PUMP_PING};
            break;
        case 'O':
            assert_int_equal(qr_mux_open(m), f.stream);
            f.type = QR_PUMP_OPEN;
            ours = 1;
            break;
        case 'o':
            f.type = QR_PUMP_OPEN;
            break;
        case 'd':
        case 'D':
        case 'w':
            f.type = QR_PUMP_DATA;
            f.value = c == 'w' ? QR_PUMP_WINDOW / 32 : 1;
            times = c == 'w' ? 32 : 1;
            ours = c == 'D';
            break;
        case 'c':
        case 'C':
            f.type = QR_PUMP_CREDIT;
            f.value = 1;
            ours = c == 'C';
            break;
        case 'f':
        case 'F':
            f.type = QR_PUMP_FIN;
            ours = c == 'F';
            break;
        case 'e':
        case 'E':
        case 'r':
        case 'R':
            f.type = QR_PUMP_END;
            f.arg = c == 'e' || c == 'E' ? QR_PUMP_DONE : QR_PUMP_RESET;
            ours = c == 'E' || c == 'R';
            break;
        default:
            break;
        }
        for (int i = 0; i < times; i++) {
            if (ours) {
                qr_mux_sent(m, &f);
            } else {
                qr_err e = qr_mux_recv(m, &f, why);
                if (e != QR_OK) {
                    assert_int_equal(s[1], 0); /* only at the end of a script */
                    return e;
                }
            }
        }
    }
    return QR_OK;
}

/* We are the inside half: we open even numbers. */
static void
test_order(void **state)
{
    static const struct {
        const char *script, *why; /* why NULL: allowed */
    } cases[] = {
        {"H", NULL},
        {"HH", "second HELLO"},
        {"I", "same side"},
        {"o1", "before HELLO"},
        {"p", "before HELLO"},
        {"Hp", NULL},
        {"Ho1 d1 c1", "more credit"},
        {"Ho1 D1 c1", NULL},
        {"Ho1 w1", NULL},
        {"Ho1 w1 d1", "had credit for"},
        {"Ho1 w1 C1 d1", NULL},
        {"Ho2", "this side's to open"},
        {"Ho1 o1", "OPEN of a stream that is open"},
        {"Hd1", "not open"},
        {"Hf1", "not open"},
        {"He1", "not open"},
        {"Hc1", "not open"},
        {"Ho1 f1 d1", "behind a stream's FIN"},
        {"Ho1 f1 f1", "second FIN"},
        {"Ho1 e1", "before both sides' FIN"},
        {"Ho1 f1 e1", "before both sides' FIN"},
        {"Ho1 f1 F1 e1", NULL},
        {"Ho1 f1 F1 e1 E1 o1", NULL}, /* the number again */
        {"Ho1 f1 F1 E1 e1 o1", NULL},
        {"Ho1 f1 F1 e1 o1", "OPEN of a stream that is open"}, /* ours is missing */
        {"Ho1 r1 d1", "behind a stream's END"},
        {"Ho1 r1 R1 d1", "not open"},
        {"Ho1 R1 d1 c1", "more credit"},
        {"Ho1 R1 d1 f1 r1 o1", NULL}, /* what was on its way is let pass */
        {"HO0 d0 f0 F0 E0 e0 O0", NULL},
        {"HO0 O2 r0 d2", NULL},
        {"HO0 o0", "this side's to open"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct qr_mux m;
        const char *why = "";
        qr_mux_init(&m, QR_PUMP_INSIDE);
        qr_err e = play(&m, cases[i].script, &why);
        if ((e == QR_OK) != (cases[i].why == NULL) || (e != QR_OK && !strstr(why, cases[i].why))) {
            fail_msg("%s: %s \"%s\"", cases[i].script, qr_err_name(e), why);
        }
    }
}

static void
test_numbers_run_out(void **state)
{
    struct qr_mux m;

    (void)state;
    qr_mux_init(&m, QR_PUMP_OUTSIDE);
    for (unsigned i = 1; i < QR_PUMP_STREAMS; i += 2) {
        assert_int_equal(qr_mux_open(&m), i);
    }
    assert_int_equal(qr_mux_open(&m), -1);
}

/* Whatever comes, the bounds hold. */
static void
test_random(void **state)
{
    struct qr_testrng rng;
    struct qr_mux m;
    const char *why;
    unsigned accepted = 0;

    (void)state;
    qr_testrng_seed(&rng, "pump frames");
    qr_mux_init(&m, QR_PUMP_INSIDE);
    for (int i = 0; i < 200000; i++) {
        uint8_t h[QR_PUMP_HEADER];
        struct qr_pump_frame f;
        qr_testrng_fill(&rng, h, sizeof h);
        h[0] = (uint8_t)(h[0] % 9);
        h[1] &= 3;
        h[2] = 0;
        h[3] &= 3;
        h[4] = 0;
        h[5] &= 1;
        if (h[0] == QR_PUMP_OPEN || h[0] == QR_PUMP_FIN || h[0] == QR_PUMP_END) {
            h[5] = h[6] = h[7] = 0;
        }
        if (qr_pump_frame_read(h, &f, &why) != QR_OK) {
            continue;
        }
        m.hello |= i == 0;
        accepted += qr_mux_recv(&m, &f, &why) == QR_OK;
        for (unsigned k = 0; k < QR_PUMP_STREAMS; k++) {
            assert_true(m.lane[k].may_recv <= QR_PUMP_WINDOW);
            assert_true(m.lane[k].may_send <= QR_PUMP_WINDOW);
        }
        struct qr_lane *l = &m.lane[f.stream];
        if (l->used && l->in_end && !l->out_end) {
            f = (struct qr_pump_frame){
                .type = QR_PUMP_END, .arg = QR_PUMP_RESET, .stream = f.stream};
            qr_mux_sent(&m, &f);
            assert_int_equal(l->used, 0);
        }
    }
    assert_true(accepted > 1000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers), cmocka_unit_test(test_headers_refused),
        cmocka_unit_test(test_order),   cmocka_unit_test(test_numbers_run_out),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
