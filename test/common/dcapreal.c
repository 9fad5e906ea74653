/* Real cases of Intel platforms and their mutations, see dcapkit.h. */
#include "enclave-shim/verify/manifest.h"
#include "test/common/cases.h"
#include "test/common/dcapkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#define FILES (QR_PART_JWKS + 1)
#define FILE_MAX (140u * 1024u)

struct real {
    struct evjudge j;
    struct {
        size_t len;
        uint8_t p[FILE_MAX];
    } file[FILES]; /* by part; len 0: there is none */
};

static const struct {
    const char *expect;
    enum qr_reason reason;
} words[] = {
    {"no common validity window: collateral expired before the PCK certificate / CRL became valid",
     QR_REASON_COLLATERAL_EXPIRED},
    {"no TCB level matches (platform TCB not supported / unrecognized)", QR_REASON_TCB},
    {"signature", QR_REASON_SIGNATURE},
    {"wrong QE vendor / signature", QR_REASON_SIGNATURE},
    {"TCB info signature", QR_REASON_SIGNATURE},
    {"unsupported key type", QR_REASON_UNSUPPORTED},
    {"collateral expired", QR_REASON_COLLATERAL_EXPIRED},
    {"collateral missing", QR_REASON_COLLATERAL_MISSING},
    {"malformed", QR_REASON_MALFORMED},
};

static enum qr_reason
reason_of(const char *name, const char *expect)
{
    for (size_t i = 0; expect && i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i].expect, expect) == 0) {
            return words[i].reason;
        }
    }
    fail_msg("%s: nobody knows the words \"%s\"", name, expect ? expect : "");
    return QR_REASON_NONE;
}

static const char *
text_of(const json_t *o, const char *name)
{
    return json_string_value(json_object_get(o, name));
}

static void
load(struct real *r, const struct a_case *c)
{
    for (unsigned p = 1; p < FILES; p++) {
        char path[768];
        (void)snprintf(path, sizeof path, "%s/%s", c->dir, qr_part_name((enum qr_part)p));
        FILE *f = fopen(path, "rb");
        r->file[p].len = f ? fread(r->file[p].p, 1, FILE_MAX, f) : 0;
        if (f) {
            (void)fclose(f);
        }
    }
}

static void
judge(struct real *r, enum qr_evidence_kind kind, int64_t now_ms)
{
    evjudge_init(&r->j, kind);
    r->j.o.roots = NULL; /* the product's own */
    r->j.o.now_ms = now_ms;
    for (unsigned p = 1; p < FILES; p++) {
        if (r->file[p].len > 0) {
            evjudge_add(&r->j, (enum qr_part)p, qr_view_of(r->file[p].p, r->file[p].len));
        }
    }
    evjudge_run(&r->j);
}

static void
assert_refused(const struct real *r, const char *name, const char *expect)
{
    if (r->j.err != QR_ERR_ATTESTATION || r->j.v.reason != reason_of(name, expect)) {
        fail_msg("%s: expected \"%s\", found %s: %s", name, expect, qr_reason_word(r->j.v.reason),
                 r->j.v.sentence);
    }
}

/* ---- claims ---- */

/* Every member of want is in found; found may have more. */
static void
assert_within(const char *name, const char *path, json_t *want, json_t *found)
{
    const char *key;
    json_t *value;

    if (!json_is_object(want)) {
        if (!found || !json_equal(want, found)) {
            char *a = json_dumps(want, JSON_ENCODE_ANY);
            char *b = found ? json_dumps(found, JSON_ENCODE_ANY) : NULL;
            fail_msg("%s: claim %s: expected %s, found %s", name, path, a, b ? b : "none");
        }
        return;
    }
    json_object_foreach (want, key, value) {
        char below[256];
        /* What the collectors noted beside the evidence is in no evidence. */
        if (strcmp(key, "source_test_time") != 0) {
            (void)snprintf(below, sizeof below, "%s.%s", path, key);
            assert_within(name, below, value, json_object_get(found, key));
        }
    }
}

static void
assert_status(const char *name, const json_t *expected, json_t *claims)
{
    const json_t *status = json_object_get(expected, "tcb_status");
    if (status) {
        json_t *tcb = json_object_get(claims, "tcb");
        assert_non_null(tcb);
        assert_true(json_equal(status, json_object_get(tcb, "final_status")));
        if (!json_equal(json_object_get(expected, "advisories"),
                        json_object_get(tcb, "advisories"))) {
            fail_msg("%s: other advisories", name);
        }
    }
}

/* ---- mutations ---- */

static size_t
hex_bytes(const char *hex, uint8_t *out, size_t cap)
{
    size_t n = strlen(hex) / 2;
    assert_true(n <= cap);
    for (size_t i = 0; i < n; i++) {
        char two[3] = {hex[2 * i], hex[2 * i + 1], 0};
        out[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    return n;
}

static unsigned
part_of(const char *file)
{
    for (unsigned p = 1; file && p < FILES; p++) {
        if (strcmp(file, qr_part_name((enum qr_part)p)) == 0) {
            return p;
        }
    }
    fail_msg("no part is called %s", file ? file : "");
    return 0;
}

static void
pretty(struct real *r, unsigned p)
{
    json_t *j = json_loadb((char *)r->file[p].p, r->file[p].len, 0, NULL);
    char *text = json_dumps(j, JSON_INDENT(2));
    assert_non_null(text);
    r->file[p].len = strlen(text);
    memcpy(r->file[p].p, text, r->file[p].len);
    free(text);
    json_decref(j);
}

/* Returns the time at which the result is to be judged. */
static int64_t
mutate(struct real *r, const json_t *m, int64_t now_ms)
{
    const char *op = text_of(m, "op");
    uint8_t bytes[64];

    assert_non_null(op);
    if (strcmp(op, "time") == 0) {
        assert_string_equal(text_of(m, "value"), "after tcb_info.nextUpdate");
        char *at = memmem(r->file[QR_PART_TCB_INFO].p, r->file[QR_PART_TCB_INFO].len,
                          "\"nextUpdate\":\"", 14);
        assert_non_null(at);
        int64_t next = 0;
        assert_int_equal(qr_time_parse(qr_view_of(at + 14, 20), &next), QR_OK);
        return next + 1000;
    }
    unsigned p = part_of(text_of(m, "file"));
    if (strcmp(op, "drop") == 0) {
        r->file[p].len = 0;
    } else if (strcmp(op, "replace") == 0) {
        pretty(r, p);
    } else {
        size_t n = hex_bytes(text_of(m, "value"), bytes, sizeof bytes);
        json_int_t offset = json_integer_value(json_object_get(m, "offset"));
        size_t at = offset < 0 ? r->file[p].len - (size_t)-offset : (size_t)offset;
        assert_true(at <= r->file[p].len && n <= r->file[p].len - at);
        for (size_t i = 0; i < n; i++) {
            r->file[p].p[at + i] =
                strcmp(op, "xor") == 0 ? r->file[p].p[at + i] ^ bytes[i] : bytes[i];
        }
    }
    return now_ms;
}

static void
judge_case(struct real *r, enum qr_evidence_kind kind, const struct a_case *c, size_t *mutations)
{
    const json_t *expected = json_object_get(c->json, "expected");
    const json_t *all = json_object_get(c->json, "mutations");
    const char *at = text_of(c->json, "evaluation_time");
    int64_t now = -1;

    assert_non_null(at);
    assert_int_equal(qr_time_parse(qr_view_str(at), &now), QR_OK);
    load(r, c);
    judge(r, kind, now);
    if (strcmp(text_of(expected, "verdict"), "valid") == 0) {
        evjudge_valid(&r->j, c->name);
    } else {
        assert_refused(r, c->name, text_of(expected, "reason"));
    }
    json_t *claims = evjudge_claims(&r->j);
    assert_within(c->name, "", json_object_get(c->json, "claims"), claims);
    assert_status(c->name, expected, claims);
    json_decref(claims);
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *m = json_array_get(all, i);
        load(r, c);
        int64_t when = mutate(r, m, now);
        judge(r, kind, when);
        assert_refused(r, c->name, text_of(m, "expect"));
        ++*mutations;
    }
}

size_t
dcapkit_real(enum qr_evidence_kind kind, size_t *ret_mutations)
{
    static struct real r;
    struct cases *all = cases_open();
    const char *platform = qr_evidence_kind_name(kind);
    size_t n = 0;

    *ret_mutations = 0;
    for (size_t i = 0; i < all->n; i++) {
        const struct a_case *c = &all->v[i];
        size_t len = strlen(platform);
        if (strncmp(c->name, platform, len) == 0 && c->name[len] == '/') {
            judge_case(&r, kind, c, ret_mutations);
            n++;
        }
    }
    cases_free(all);
    return n;
}

int
dcapkit_real_one(const char *name, enum qr_evidence_kind kind,
                 const struct qr_tcb_exception *exception, int64_t now_ms, struct evjudge **ret)
{
    static struct real r;
    struct cases *all = cases_open();
    int found = 0;

    for (size_t i = 0; i < all->n && !found; i++) {
        const struct a_case *c = &all->v[i];
        if (strcmp(c->name, name) == 0) {
            const char *at = text_of(c->json, "evaluation_time");
            int64_t now = now_ms;
            assert_non_null(at);
            if (now < 0) {
                assert_int_equal(qr_time_parse(qr_view_str(at), &now), QR_OK);
            }
            load(&r, c);
            judge(&r, kind, now);
            if (exception) {
                r.j.o.exception = exception;
                r.j.o.n_exceptions = 1;
                evjudge_run(&r.j);
            }
            *ret = &r.j;
            found = 1;
        }
    }
    cases_free(all);
    return found;
}
