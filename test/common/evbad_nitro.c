#include "test/common/evbad_nitro.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define ROWS_MAX 1024u
#define NAME_MAX_LEN 96u

struct evbad_world evbad;
const uint8_t evbad_binder[32] = {0xb1, 0xb2, 3, 4, 5, 6, 7, 8, 0xff};

static size_t count, hits[QR_CHECK_COUNT];
static char names[ROWS_MAX][NAME_MAX_LEN];

static void
note(const char *name, enum qr_check check)
{
    for (size_t i = 0; i < count; i++) {
        assert_string_not_equal(names[i], name);
    }
    assert_true(count < ROWS_MAX && strlen(name) < NAME_MAX_LEN);
    memcpy(names[count++], name, strlen(name) + 1);
    hits[check]++;
}

static void
refuse(const struct evbad *b)
{
    static struct evjudge j;
    struct evnitro *d = &evbad.d;

    evnitro_init(d);
    evbad.now_ms = EVGEN_NOW_MS;
    evbad.max_age_ms = 0;
    evbad.bind = evbad.pin_genuine = 0;
    if (evbad.genuine_root.len == 0) {
        evnitro_certs(d);
        evbad.genuine_root = d->cert[EVNITRO_ROOT];
    }
    d->nonce = qr_view_of(evbad_binder, sizeof evbad_binder);
    for (unsigned s = SPEC; s <= DOC; s++) {
        if (s == CERTS) {
            evnitro_certs(d);
        } else if (s == MEMBERS) {
            evnitro_payload(d);
        } else if (s == DOC) {
            evnitro_sign(d);
        }
        if (b->stage == s) {
            b->change(b->arg);
        }
    }
    evjudge_init(&j, QR_EV_NITRO);
    j.o.now_ms = evbad.now_ms;
    j.o.max_age_ms = evbad.max_age_ms;
    if (evbad.bind) {
        j.o.binder = qr_view_of(evbad_binder, sizeof evbad_binder);
    }
    evgen_pin(&j.roots, QR_ROOT_AWS_NITRO,
              evbad.pin_genuine ? &evbad.genuine_root : &d->cert[EVNITRO_ROOT]);
    evjudge_add(&j, QR_PART_NITRO_DOCUMENT, evnitro_doc(d));
    evjudge_run(&j);
    evjudge_refused(&j, b->name, b->check, b->reason);
    note(b->name, b->check);
}

void
evbad_refuse(const struct evbad *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        refuse(&rows[i]);
    }
}

void
evbad_refuse_each(const char *what, unsigned from, unsigned to, struct evbad like)
{
    char name[NAME_MAX_LEN];
    for (unsigned i = from; i < to; i++) {
        (void)snprintf(name, sizeof name, "%s %u", what, i);
        like.name = name;
        like.arg = i;
        refuse(&like);
    }
}

void
evbad_sign_payload(void)
{
    static uint8_t mem[EVNITRO_DOC_MAX];
    struct evgen_buf tbs = evgen_buf_over(mem, sizeof mem);
    evnitro_sig_structure(&evbad.d, "Signature1", &tbs);
    evbad.d.sig_len = evgen_sign_raw(evbad.d.key, QR_SHA384, evgen_buf_view(&tbs), evbad.d.sig);
    evnitro_wrap(&evbad.d);
}

size_t
evbad_count(void)
{
    return count;
}

size_t
evbad_hits(enum qr_check check)
{
    return hits[check];
}
