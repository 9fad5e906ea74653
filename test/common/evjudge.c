#include "test/common/evjudge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/common/cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void
evjudge_init(struct evjudge *j, enum qr_evidence_kind kind)
{
    memset(j, 0, sizeof *j);
    j->e.kind = kind;
    j->o.roots = &j->roots;
    j->o.now_ms = EVGEN_NOW_MS;
}

void
evjudge_add(struct evjudge *j, enum qr_part part, qr_view bytes)
{
    assert_int_equal(qr_evidence_add(&j->e, part, 0, bytes), QR_OK);
}

void
evjudge_run(struct evjudge *j)
{
    j->err = qr_verify(&j->e, &j->o, &j->v, &j->out);
}

void
evjudge_valid(const struct evjudge *j, const char *name)
{
    if (j->err != QR_OK || j->v.reason != QR_REASON_NONE) {
        fail_msg("%s: not valid: %s (%s): %s", name, qr_reason_word(j->v.reason),
                 qr_check_name(j->v.failed), j->v.sentence);
    }
    for (unsigned c = 0; c < QR_CHECK_COUNT; c++) {
        if (j->v.check[c] == QR_CHECK_FAIL) {
            fail_msg("%s: valid, and check %s failed", name, qr_check_name((enum qr_check)c));
        }
    }
}

void
evjudge_refused(const struct evjudge *j, const char *name, enum qr_check check,
                enum qr_reason reason)
{
    if (j->err != QR_ERR_ATTESTATION || j->v.reason != reason || j->v.failed != check) {
        fail_msg("%s: expected %s at %s, found %s at %s (%s): %s", name, qr_reason_word(reason),
                 qr_check_name(check), qr_reason_word(j->v.reason), qr_check_name(j->v.failed),
                 qr_err_name(j->err), j->v.sentence);
    }
    for (unsigned c = 0; c < QR_CHECK_COUNT; c++) {
        if ((j->v.check[c] == QR_CHECK_FAIL) != (c == (unsigned)check)) {
            fail_msg("%s: check %s is marked wrongly", name, qr_check_name((enum qr_check)c));
        }
    }
    if (!strstr(j->v.sentence, "expected ") || !strstr(j->v.sentence, "found")) {
        fail_msg("%s: the sentence does not say what was expected: %s", name, j->v.sentence);
    }
    for (const char *p = j->v.sentence; *p; p++) {
        if (*p < 0x20 || *p > 0x7e) {
            fail_msg("%s: the sentence is not printable", name);
        }
    }
}

json_t *
evjudge_claims(const struct evjudge *j)
{
    static char text[256 * 1024];
    size_t n = 0;
    assert_int_equal(qr_claims_json(&j->v.claims, text, sizeof text, &n), QR_OK);
    json_t *all = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(all);
    return all;
}

const json_t *
evjudge_at(const json_t *claims, const char *path)
{
    char name[128];
    while (claims && *path) {
        size_t n = strcspn(path, ".");
        assert_true(n < sizeof name);
        memcpy(name, path, n);
        name[n] = 0;
        claims = json_object_get(claims, name);
        path += n + (path[n] == '.');
    }
    return claims;
}

/* ---- real cases ------------------------------------------------------------------------------ */

static int64_t
time_of(const json_t *text)
{
    struct tm tm = {0};
    if (!text || !json_is_string(text)) {
        return -1;
    }
    const char *end = strptime(json_string_value(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
    assert_true(end && *end == 0);
    return (int64_t)timegm(&tm) * 1000;
}

/* The file's bytes, to be freed; NULL when there is none. */
static uint8_t *
read_part(const char *dir, const char *name, size_t *ret_len)
{
    char path[768];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "rb");
    if (!f) {
        return NULL;
    }
    size_t cap = QR_EVIDENCE_TOTAL_MAX;
    uint8_t *p = malloc(cap);
    assert_non_null(p);
    *ret_len = fread(p, 1, cap, f);
    (void)fclose(f);
    return p;
}

static void
compare_claims(const struct evjudge *j, const struct a_case *c, int exactly)
{
    json_t *found = evjudge_claims(j), *value = NULL;
    json_t *wanted = json_object_get(c->json, "claims");
    const char *name = NULL;

    json_object_foreach (wanted, name, value) {
        json_t *mine = json_object_get(found, name);
        if (!mine || !json_equal(mine, value)) {
            char *a = json_dumps(value, JSON_ENCODE_ANY);
            char *b = mine ? json_dumps(mine, JSON_ENCODE_ANY) : NULL;
            fail_msg("%s: claim %s: expected %s, found %s", c->name, name, a, b ? b : "none");
        }
    }
    if (exactly) {
        json_object_foreach (found, name, value) {
            if (!json_object_get(wanted, name)) {
                fail_msg("%s: claim %s is not expected", c->name, name);
            }
        }
    }
    json_decref(found);
}

static void
judge_case(enum qr_evidence_kind kind, const struct a_case *c, const struct evjudge_reason *reasons,
           size_t n, int exactly)
{
    static struct evjudge j;
    uint8_t *mem[QR_PART_JWKS + 1] = {0};
    const char *sample = strchr(c->name, '/') + 1;
    json_t *expected = json_object_get(c->json, "expected");
    const char *verdict = json_string_value(json_object_get(expected, "verdict"));

    evjudge_init(&j, kind);
    j.o.roots = NULL; /* the product's own */
    j.o.now_ms = time_of(json_object_get(c->json, "evaluation_time"));
    for (unsigned p = 1; p <= QR_PART_JWKS; p++) {
        size_t len = 0;
        mem[p] = read_part(c->dir, qr_part_name((enum qr_part)p), &len);
        if (mem[p]) {
            evjudge_add(&j, (enum qr_part)p, qr_view_of(mem[p], len));
        }
    }
    evjudge_run(&j);
    assert_non_null(verdict);
    if (strcmp(verdict, "valid") == 0) {
        evjudge_valid(&j, c->name);
        compare_claims(&j, c, exactly);
    } else {
        assert_int_equal(j.err, QR_ERR_ATTESTATION);
        assert_int_not_equal(j.v.reason, QR_REASON_NONE);
        for (size_t i = 0; i < n; i++) {
            if (strcmp(reasons[i].sample, sample) == 0 && j.v.reason != reasons[i].reason) {
                fail_msg("%s: expected %s, found %s: %s", c->name,
                         qr_reason_word(reasons[i].reason), qr_reason_word(j.v.reason),
                         j.v.sentence);
            }
        }
    }
    for (unsigned p = 1; p <= QR_PART_JWKS; p++) {
        free(mem[p]);
    }
}

size_t
evjudge_real(enum qr_evidence_kind kind, const struct evjudge_reason *reasons, size_t n,
             int exactly)
{
    struct cases *all = cases_open();
    const char *platform = qr_evidence_kind_name(kind);
    size_t count = 0;

    for (size_t i = 0; i < all->n; i++) {
        const struct a_case *c = &all->v[i];
        if (strncmp(c->name, platform, strlen(platform)) == 0 && c->name[strlen(platform)] == '/') {
            judge_case(kind, c, reasons, n, exactly);
            count++;
        }
    }
    cases_free(all);
    return count;
}
