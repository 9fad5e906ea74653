#include "test/common/transcript.h"

#include "protocol/base/hash.h"
#include "protocol/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#define FOLDER "test/vectors/transcripts/"

struct transcript *
transcript_load(const char *name)
{
    struct transcript *t = qr_alloc(sizeof *t);
    assert_non_null(t);
    char path[128];
    snprintf(path, sizeof path, FOLDER "%s.txt", name);
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        fail_msg("cannot open %s; run the tests from the top of the source tree", path);
    size_t len = fread(t->text, 1, sizeof t->text - 1, f);
    fclose(f);
    assert_true(len < sizeof t->text - 1);
    t->text[len] = 0;
    t->n_in = t->n_out = 0;
    for (char *p = t->text, *end; *p != 0; p = end + 1) {
        end = strchr(p, '\n');
        assert_non_null(end);
        *end = 0;
        if (*p == '#')
            continue;
        char *space = strchr(p, ' ');
        assert_non_null(space);
        *space = 0;
        int input = strncmp(p, "in.", 3) == 0;
        struct transcript_line *l = input ? &t->in[t->n_in++] : &t->out[t->n_out++];
        assert_true(t->n_in < TRANSCRIPT_LINES && t->n_out < TRANSCRIPT_LINES);
        assert_true(strlen(p) < sizeof l->name);
        memcpy(l->name, p, strlen(p) + 1);
        l->value = space + 1;
    }
    return t;
}

void
transcript_free(struct transcript *t)
{
    qr_free(t);
}

char *
transcript_input(struct transcript *t, const char *fmt, ...)
{
    char name[40] = "in.";
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name + 3, sizeof name - 3, fmt, ap);
    va_end(ap);
    for (size_t i = 0; i < t->n_in; i++)
        if (strcmp(t->in[i].name, name) == 0)
            return t->in[i].value;
    fail_msg("the transcript has no line %s", name);
    return NULL;
}

uint64_t
transcript_number(const char *value)
{
    char *end;
    uint64_t v = strtoull(value, &end, 10);
    assert_true(*value != 0 && *end == 0);
    return v;
}

size_t
transcript_bytes(const char *value, uint8_t *out, size_t cap)
{
    size_t len = 0;
    if (strcmp(value, "-") == 0)
        return 0;
    assert_int_equal(sodium_hex2bin(out, cap, value, strlen(value), NULL, &len, NULL), 0);
    assert_int_equal(2 * len, strlen(value));
    return len;
}

void
transcript_bytes32(const char *value, uint8_t out[static 32])
{
    assert_int_equal(transcript_bytes(value, out, 32), 32);
}

struct transcript_put *
transcript_add(struct transcript_run *r, const char *fmt, ...)
{
    assert_true(r->n < TRANSCRIPT_LINES);
    struct transcript_put *l = &r->line[r->n++];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(l->name, sizeof l->name, fmt, ap);
    va_end(ap);
    l->value[0] = 0;
    return l;
}

void
transcript_put_hex(struct transcript_put *l, const void *p, size_t len)
{
    assert_true(2 * len < sizeof l->value);
    sodium_bin2hex(l->value, sizeof l->value, p, len);
}

void
transcript_put_number(struct transcript_put *l, uint64_t v)
{
    snprintf(l->value, sizeof l->value, "%llu", (unsigned long long)v);
}

void
transcript_put_digest(struct transcript_put *l, const char *what, const void *p, size_t len)
{
    uint8_t h[32];
    qr_sha256(qr_view_of(p, len), h);
    char hex[65];
    sodium_bin2hex(hex, sizeof hex, h, 32);
    snprintf(l->value, sizeof l->value, "%s %s", what, hex);
}

size_t
transcript_compare(const struct transcript_run *r, const struct transcript *t, const char **first,
                   int loud)
{
    size_t bad = 0, n = r->n > t->n_out ? r->n : t->n_out;
    for (size_t i = 0; i < n; i++) {
        const char *name = i < t->n_out ? t->out[i].name : r->line[i].name;
        const char *want = i < t->n_out ? t->out[i].value : "no line";
        const char *got = i < r->n ? r->line[i].value : "no line";
        if (i < r->n && strcmp(r->line[i].name, name) == 0 && strcmp(got, want) == 0)
            continue;
        if (bad == 0 && first != NULL)
            *first = name;
        if (bad++ < 5 && loud)
            print_error("%s: the transcript has\n    %s\nthe machines gave %s\n    %s\n", name,
                        want, i < r->n ? r->line[i].name : "nothing", got);
    }
    return bad;
}
