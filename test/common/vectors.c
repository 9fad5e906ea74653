#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/common/vectors.h"

#include "protocol/base/enc.h"

#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_FOLDER "../shared/vectors"

/* NULL: nobody says that the vectors are there. */
static const char *
promised_folder(void)
{
    const char *s = getenv("QUORATE_VECTORS");
    return s && *s ? s : NULL;
}

void
vec_open(struct vec *v, const char *file)
{
    const char *promised = promised_folder();
    const char *folder = promised ? promised : DEFAULT_FOLDER;
    char path[4096];
    json_error_t error;

    memset(v, 0, sizeof *v);
    v->file = file;
    (void)snprintf(path, sizeof path, "%s/wycheproof/%s", folder, file);
    FILE *f = fopen(path, "rb");
    if (!f) {
        if (promised) {
            fail_msg("QUORATE_VECTORS is set, but %s cannot be read", path);
        }
        print_message("WARNING: no vectors: %s cannot be read\n", path);
        return;
    }
    v->root = json_loadf(f, JSON_REJECT_DUPLICATES, &error);
    (void)fclose(f);
    if (!v->root || !json_is_array(json_object_get(v->root, "testGroups"))) {
        fail_msg("%s:%d: %s", path, error.line, error.text);
    }
}

static void
scratch_free(struct vec *v)
{
    while (v->n_scratch > 0) {
        free(v->scratch[--v->n_scratch]);
    }
}

int
vec_next(struct vec *v)
{
    json_t *groups = json_object_get(v->root, "testGroups");

    scratch_free(v);
    while (v->next_group < json_array_size(groups)) {
        v->group = json_array_get(groups, v->next_group);
        json_t *tests = json_object_get(v->group, "tests");
        if (v->next_test < json_array_size(tests)) {
            v->test = json_array_get(tests, v->next_test++);
            return 1;
        }
        v->next_group++;
        v->next_test = 0;
    }
    return 0;
}

void
vec_close(struct vec *v)
{
    scratch_free(v);
    printf("vectors: wycheproof/%s %zu\n", v->file, v->count);
    json_decref(v->root);
    if (v->count == 0) {
        if (promised_folder()) {
            fail_msg("%s: no vector was checked though QUORATE_VECTORS is set", v->file);
        }
        printf("WARNING: %s: no vector was checked; set QUORATE_VECTORS\n", v->file);
    }
}

void
vec_require(struct vec *v, int ok, const char *what)
{
    if (!ok) {
        fail_msg("%s, test %d (%s): %s", v->file,
                 (int)json_integer_value(json_object_get(v->test, "tcId")),
                 json_string_value(json_object_get(v->test, "comment")), what);
    }
}

void
vec_expect(struct vec *v, int accepted)
{
    const char *result = vec_result(v);
    if (strcmp(result, "valid") == 0) {
        vec_require(v, accepted, "valid, but we refuse it");
    } else if (strcmp(result, "invalid") == 0) {
        vec_require(v, !accepted, "invalid, but we take it");
    } else {
        vec_require(v, strcmp(result, "acceptable") == 0, "a verdict we do not know");
    }
    v->count++;
}

const char *
vec_str(struct vec *v, json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    vec_require(v, s != NULL, key);
    return s;
}

qr_view
vec_hex(struct vec *v, json_t *object, const char *key)
{
    const char *s = vec_str(v, object, key);
    size_t n = strlen(s) / 2;
    uint8_t *p = malloc(n + 1);

    vec_require(v, p != NULL && v->n_scratch < sizeof v->scratch / sizeof v->scratch[0], key);
    v->scratch[v->n_scratch++] = p;
    vec_require(v, qr_hex_decode(s, strlen(s), p, n) == QR_OK, key);
    return (qr_view){p, n};
}

int
vec_has_flag(struct vec *v, const char *flag)
{
    json_t *flags = json_object_get(v->test, "flags");
    for (size_t i = 0; i < json_array_size(flags); i++) {
        if (strcmp(json_string_value(json_array_get(flags, i)), flag) == 0) {
            return 1;
        }
    }
    return 0;
}

const char *
vec_result(struct vec *v)
{
    return vec_str(v, v->test, "result");
}

size_t
hex_any(const char *hex, uint8_t *out, size_t cap)
{
    size_t n = 0, digits = 0;
    char pair[2] = {0, 0};

    for (const char *c = hex; *c; c++) {
        if (*c == ' ') {
            continue;
        }
        pair[digits++ % 2] = *c >= 'A' && *c <= 'F' ? (char)(*c - 'A' + 'a') : *c;
        if (digits % 2 == 0) {
            assert_true(n < cap);
            assert_int_equal(qr_hex_decode(pair, 2, out + n, 1), QR_OK);
            n++;
        }
    }
    assert_int_equal(digits % 2, 0);
    return n;
}

void
hex_bytes(const char *hex, uint8_t *out, size_t n)
{
    assert_int_equal(hex_any(hex, out, n), n);
}

void
expect_hex(const uint8_t *got, size_t n, const char *hex)
{
    uint8_t want[4096];
    hex_bytes(hex, want, n <= sizeof want ? n : 0);
    assert_memory_equal(got, want, n);
}

void
vectors_ran(const char *name, size_t count)
{
    printf("vectors: %s %zu\n", name, count);
}
