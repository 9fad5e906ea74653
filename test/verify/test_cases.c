/*
 * The published cases: real machines' evidence, and what is known of it.
 *
 * Every case must give its verdict, reason, TCB status, advisories and claims; every change that a
 * case lists must be refused, for the reason it names. All of it goes the way of
 * `quorate verify --case DIR --json`: a folder is read, verified, and its report compared.
 *
 * Without the folder of cases there is nothing to do here, and it says so; what the cases
 * show is also tested on generated evidence, in this folder's other tests.
 */
#include "daemon/ctl_case.h"
#include "daemon/ctl_report.h"
#include "enclave-shim/verify/verify.h"
#include "protocol/base/enc.h"
#include "test/common/cases.h"
#include "test/common/tmpdir.h"

#include <ctype.h>
#include <dirent.h>
#include <fnmatch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static struct cases *cases;
static const struct qr_ctl ctl = {.json = 1};

/* ---- words ---- */

/* 1: `word` is right for the sentence. Fails the test when the map has no line for it. */
static int
reason_fits(const char *sentence, const char *word)
{
    char line[256], lower[256];
    FILE *f = fopen("test/verify/reasons.map", "r");

    assert_non_null(f);
    snprintf(lower, sizeof lower, "%s", sentence);
    for (char *p = lower; *p; p++) {
        *p = (char)tolower((unsigned char)*p);
    }
    while (fgets(line, sizeof line, f)) {
        char *bar = strchr(line, '|'), words[130];
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#' || !bar) {
            continue;
        }
        *bar++ = '\0';
        bar += strspn(bar, " ");
        if (fnmatch(bar, lower, 0) != 0) {
            continue;
        }
        fclose(f);
        snprintf(words, sizeof words, " %.120s ", line);
        char want[64];
        snprintf(want, sizeof want, " %s ", word);
        return strstr(words, want) != NULL;
    }
    fclose(f);
    print_error("test/verify/reasons.map has no line for \"%s\"\n", sentence);
    return 0;
}

/* ---- running ---- */

struct run {
    struct qr_ctl_case k;
    struct qr_verdict v;
    json_t *report;
};

/* Reads, verifies and reports; at < -1: as the case says. */
static struct run *
run_dir(const char *dir, int64_t at)
{
    struct run *r = calloc(1, sizeof *r);
    struct qr_dbuf out;
    json_error_t err;

    assert_non_null(r);
    qr_verdict_init(&r->v);
    assert_int_equal(qr_ctl_case_load(&ctl, dir, &r->k, &r->v), QR_EXIT_OK);
    assert_true(r->k.has_at);
    if (r->v.reason == QR_REASON_NONE) {
        struct qr_verify_opts o = {.now_ms = at >= -1 ? at : r->k.at_ms};
        qr_err e = qr_verify(&r->k.e, &o, &r->v, NULL);
        assert_true(e == QR_OK || e == QR_ERR_ATTESTATION);
        assert_int_equal(e == QR_OK, r->v.reason == QR_REASON_NONE);
    }
    qr_dbuf_init(&out, QR_REPORT_MAX);
    assert_int_equal(qr_ctl_report_json(r->k.platform, &r->v, &out), QR_OK);
    r->report =
        json_loadb((const char *)out.p, out.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &err);
    assert_non_null(r->report);
    qr_dbuf_free(&out);
    return r;
}

static void
run_free(struct run *r)
{
    json_decref(r->report);
    qr_ctl_case_free(&r->k);
    free(r);
}

static const char *
member(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s ? s : "";
}

/* ---- claims ---- */

/* Claims of case.json that are no claims of the evidence. Patterns of "platform/sample:path". */
static const struct {
    const char *pattern, *why;
} no_claims[] = {
    {"intel-sgx/*:source_test_time", "when the source's own test judges it"},
    {"azure-tdx-vtpm/*:binding", "results of checks, which stand under \"checks\""},
};

static int
is_excepted(const char *name, const char *path)
{
    char full[512];

    snprintf(full, sizeof full, "%s:%s", name, path);
    for (size_t i = 0; i < sizeof no_claims / sizeof no_claims[0]; i++) {
        if (fnmatch(no_claims[i].pattern, full, 0) == 0) {
            return 1;
        }
    }
    return 0;
}

static void
show_difference(const char *name, const char *path, const json_t *want, const json_t *got)
{
    char *w = json_dumps(want, JSON_ENCODE_ANY | JSON_COMPACT);
    char *g = got ? json_dumps(got, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;

    print_error("%s: claim %s: expected %.100s, found %.100s\n", name, path, w ? w : "?",
                g ? g : "none");
    free(w);
    free(g);
}

/* How many members of `want` are not the same in `got`; says which. Arrays must be equal. */
static unsigned
compare(const char *name, const char *path, json_t *want, json_t *got)
{
    char sub[256];
    const char *key;
    json_t *v;
    unsigned bad = 0;

    if (is_excepted(name, path)) {
        return 0;
    }
    if (!json_is_object(want) || !json_is_object(got)) {
        bad = !got || !json_equal(want, got);
        if (bad) {
            show_difference(name, path, want, got);
        }
        return bad;
    }
    json_object_foreach (want, key, v) {
        snprintf(sub, sizeof sub, "%s%s%s", path, *path ? "." : "", key);
        bad += compare(name, sub, v, json_object_get(got, key));
    }
    return bad;
}

/* ---- the cases ---- */

static unsigned
check_case(const struct a_case *one)
{
    const json_t *expected = json_object_get(one->json, "expected");
    struct run *r = run_dir(one->dir, -2);
    const char *verdict = member(expected, "verdict");
    json_t *status = json_object_get(expected, "tcb_status");
    json_t *advisories = json_object_get(expected, "advisories");
    unsigned bad = 0;

    if (strcmp(member(r->report, "verdict"), verdict) != 0) {
        print_error("%s: expected %s, found %s: %s: %s\n", one->name, verdict,
                    member(r->report, "verdict"), member(r->report, "reason"), r->v.sentence);
        bad++;
    } else if (strcmp(verdict, "invalid") == 0 &&
               !reason_fits(member(expected, "reason"), member(r->report, "reason"))) {
        print_error("%s: expected \"%s\", found %s: %s\n", one->name, member(expected, "reason"),
                    member(r->report, "reason"), r->v.sentence);
        bad++;
    }
    if (strcmp(member(r->report, "platform"), member(one->json, "platform")) != 0) {
        print_error("%s: the report is of another platform\n", one->name);
        bad++;
    }
    if (status) {
        bad += compare(one->name, "(tcb_status)", status, json_object_get(r->report, "tcb_status"));
    }
    if (advisories) {
        bad += compare(one->name, "(advisories)", advisories,
                       json_object_get(r->report, "advisories"));
    }
    bad += compare(one->name, "", json_object_get(one->json, "claims"),
                   json_object_get(r->report, "claims"));
    run_free(r);
    return bad;
}

static void
test_every_case(void **state)
{
    (void)state;
    unsigned bad = 0, n = 0;

    if (cases->n == 0) {
        printf("no real case under %s\n", cases_root());
        skip();
    }
    for (size_t i = 0; i < cases->n; i++) {
        bad += check_case(&cases->v[i]);
        n++;
    }
    printf("real cases: %u\n", n);
    assert_int_equal(bad, 0);
}

/* ---- mutations ---- */

static uint8_t file_bytes[262144];

static void
copy_file(const char *from, const char *to)
{
    tmpdir_write(to, file_bytes, tmpdir_read(from, file_bytes, sizeof file_bytes));
}

static void
copy_case(const char *dir, const struct tmpdir *to)
{
    char from[800];
    DIR *d = opendir(dir);

    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (e->d_name[0] != '.') {
            snprintf(from, sizeof from, "%s/%s", dir, e->d_name);
            copy_file(from, tmpdir_file(to, e->d_name));
        }
    }
    closedir(d);
}

static size_t
bytes_of(const json_t *m, uint8_t *out, size_t cap)
{
    const char *hex = member(m, "value");
    size_t n = strlen(hex) / 2;

    assert_true(n > 0 && n <= cap);
    assert_int_equal(qr_hex_decode(hex, strlen(hex), out, n), QR_OK);
    return n;
}

/* xor, set, truncate, append. 0: the bytes were so already, which changes nothing. */
static int
change_bytes(const struct tmpdir *d, const json_t *m, const char *op)
{
    const char *path = tmpdir_file(d, member(m, "file"));
    size_t len = tmpdir_read(path, file_bytes, sizeof file_bytes);
    uint8_t v[512];
    int changed = strcmp(op, "set") != 0;

    if (strcmp(op, "truncate") == 0) {
        json_int_t to = json_integer_value(json_object_get(m, "length"));
        assert_true(to >= 0 && (size_t)to < len);
        len = (size_t)to;
    } else {
        size_t n = bytes_of(m, v, sizeof v);
        json_int_t at = json_integer_value(json_object_get(m, "offset"));
        at = at < 0 ? at + (json_int_t)len : at;
        at = strcmp(op, "append") == 0 ? (json_int_t)len : at;
        assert_true(at >= 0 && (size_t)at + n <= sizeof file_bytes);
        assert_true(strcmp(op, "append") == 0 || (size_t)at + n <= len);
        for (size_t i = 0; i < n; i++) {
            uint8_t *to = &file_bytes[(size_t)at + i];
            changed |= *to != v[i];
            *to = strcmp(op, "xor") == 0 ? (uint8_t)(*to ^ v[i]) : v[i];
        }
        len = strcmp(op, "append") == 0 ? len + n : len;
    }
    unlink(path);
    tmpdir_write(path, file_bytes, len);
    return changed;
}

/* The same JSON, printed otherwise. */
static void
print_again(const struct tmpdir *d, const char *file)
{
    const char *path = tmpdir_file(d, file);
    json_error_t err;
    json_t *j = json_load_file(path, 0, &err);
    char *text = json_dumps(j, JSON_INDENT(2));

    assert_non_null(text);
    unlink(path);
    tmpdir_write(path, (const uint8_t *)text, strlen(text));
    free(text);
    json_decref(j);
}

static unsigned
refused(const struct a_case *one, const json_t *m, const struct tmpdir *d, int64_t at)
{
    struct run *r = run_dir(d->path, at);
    const char *reason = member(r->report, "reason"), *expect = member(m, "expect");
    unsigned bad = 0;

    if (strcmp(member(r->report, "verdict"), "invalid") != 0 || !reason_fits(expect, reason)) {
        char *text = json_dumps(m, JSON_COMPACT);
        print_error("%s: %s: expected \"%s\", found %s: %s\n", one->name, text ? text : "?", expect,
                    reason[0] ? reason : "valid", r->v.sentence);
        free(text);
        bad = 1;
    }
    run_free(r);
    return bad;
}

/* The same file of every other case of the platform, as far as it differs. */
static unsigned
swap_with_all(const struct a_case *one, const json_t *m, const struct tmpdir *d, unsigned *ret_n)
{
    static uint8_t own[65536];
    const char *file = member(m, "file"), *slash = strchr(one->name, '/');
    size_t n = tmpdir_read(tmpdir_file(d, file), own, sizeof own);
    unsigned bad = 0;
    char from[800];

    for (size_t i = 0; i < cases->n; i++) {
        const struct a_case *other = &cases->v[i];
        snprintf(from, sizeof from, "%s/%s", other->dir, file);
        if (strncmp(other->name, one->name, (size_t)(slash - one->name) + 1) != 0 ||
            access(from, R_OK) != 0) {
            continue;
        }
        size_t len = tmpdir_read(from, file_bytes, sizeof file_bytes);
        if (len == n && memcmp(own, file_bytes, n) == 0) {
            continue;
        }
        /* A certificate of the same key is no other: vendors issue them again. */
        if (strstr(other->name, "other-vcek-issue") || strstr(one->name, "other-vcek-issue")) {
            continue;
        }
        unlink(tmpdir_file(d, file));
        tmpdir_write(tmpdir_file(d, file), file_bytes, len);
        bad += refused(one, m, d, -2);
        ++*ret_n;
    }
    return bad;
}

/* "after ..." and "before ..." are a second outside the case's own window. */
static int64_t
other_time(const struct a_case *one, const char *value)
{
    const json_t *window = json_object_get(one->json, "valid_window");
    int64_t at = 0;

    if (qr_ctl_time(value, &at)) {
        return at;
    }
    int after = strncmp(value, "after", 5) == 0;
    assert_true(after || strncmp(value, "before", 6) == 0);
    assert_true(qr_ctl_time(member(window, after ? "to" : "from_"), &at));
    return after ? at + 1000 : at - 1000;
}

static unsigned
check_mutation(const struct a_case *one, const json_t *m, unsigned *ret_n)
{
    const char *op = member(m, "op"), *file = member(m, "file");
    int64_t at = -2;
    struct tmpdir d;
    unsigned bad = 0, n = 1;

    tmpdir_new(&d);
    copy_case(one->dir, &d);
    if (strcmp(op, "xor") == 0 || strcmp(op, "set") == 0 || strcmp(op, "truncate") == 0 ||
        strcmp(op, "append") == 0) {
        if (!change_bytes(&d, m, op)) {
            printf("%s: \"%s\" is so already\n", one->name, member(m, "note"));
            tmpdir_remove(&d);
            return 0;
        }
    } else if (strcmp(op, "drop") == 0) {
        assert_int_equal(unlink(tmpdir_file(&d, file)), 0);
    } else if (strcmp(op, "time") == 0) {
        at = other_time(one, member(m, "value"));
    } else if (strcmp(op, "replace") == 0 && strstr(member(m, "with_"), "re-serialised")) {
        print_again(&d, file);
    } else if (strcmp(op, "swap-cert") == 0) {
        n = 0;
        bad = swap_with_all(one, m, &d, &n);
        assert_true(n > 0);
    } else {
        print_error("%s: the change \"%s\" is not known here\n", one->name, op);
        bad++;
    }
    if (strcmp(op, "swap-cert") != 0 && bad == 0) {
        bad = refused(one, m, &d, at);
    }
    tmpdir_remove(&d);
    *ret_n += n;
    return bad;
}

static void
test_every_mutation(void **state)
{
    (void)state;
    unsigned bad = 0, n = 0, listed = 0;

    if (cases->n == 0) {
        skip();
    }
    for (size_t i = 0; i < cases->n; i++) {
        const json_t *list = json_object_get(cases->v[i].json, "mutations"), *m;
        size_t k;
        json_array_foreach (list, k, m) {
            bad += check_mutation(&cases->v[i], m, &n);
            listed++;
        }
    }
    printf("real mutations: %u, %u documents\n", listed, n);
    assert_int_equal(bad, 0);
}

/* The window that a case says it is valid in: both ends valid, a second further not. */
static void
test_every_window(void **state)
{
    (void)state;
    unsigned bad = 0;

    if (cases->n == 0) {
        skip();
    }
    for (size_t i = 0; i < cases->n; i++) {
        const struct a_case *one = &cases->v[i];
        const json_t *window = json_object_get(one->json, "valid_window");
        int64_t from, to;
        if (strcmp(member(json_object_get(one->json, "expected"), "verdict"), "valid") != 0 ||
            !qr_ctl_time(member(window, "from_"), &from) ||
            !qr_ctl_time(member(window, "to"), &to)) {
            continue;
        }
        /* Evidence that carries its own time has an age besides; tokens allow for slow clocks. */
        const int own_time = strncmp(one->name, "aws-nitro/", 10) == 0;
        /* The window is the processor's; the certificate of the TPM's key has its own. */
        const int ak = json_object_get(json_object_get(one->json, "claims"), "ak_cert") != NULL;
        const int token = strncmp(one->name, "azure-maa/", 10) == 0 ||
                          strncmp(one->name, "gcp-confidential-space/", 23) == 0;
        const struct {
            int64_t at;
            int valid, look;
        } t[] = {
            {from, 1, !token && !ak},
            {to, 1, !own_time && !token && !ak},
            {from - 1000 - (own_time ? 60 * 1000 : 0), 0, !token && !own_time},
            {to + 1000, 0, !token},
            {to + 3600 * 1000, 0, 1},
            {from - 3600 * 1000, 0, 1},
        };
        for (size_t k = 0; k < sizeof t / sizeof t[0]; k++) {
            if (!t[k].look) {
                continue;
            }
            struct run *r = run_dir(one->dir, t[k].at);
            if ((r->v.reason == QR_REASON_NONE) != t[k].valid) {
                print_error("%s at %lld (number %zu): expected %s, found %s: %s\n", one->name,
                            (long long)t[k].at, k, t[k].valid ? "valid" : "invalid",
                            qr_reason_word(r->v.reason), r->v.sentence);
                bad++;
            }
            run_free(r);
        }
    }
    assert_int_equal(bad, 0);
}

static int
setup(void **state)
{
    (void)state;
    cases = cases_open();
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    cases_free(cases);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_case),
        cmocka_unit_test(test_every_mutation),
        cmocka_unit_test(test_every_window),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
