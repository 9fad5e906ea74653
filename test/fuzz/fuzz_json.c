/* The strict JSON reader: what it takes, jansson writes back as something it takes again. */
#include "proto/json_strict.h"
#include "test/fuzz/fuzz.h"

#include <jansson.h>

static size_t
count_lines(const uint8_t *data, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        n += data[i] == '\n';
    }
    return n;
}

/* Lines of values rise with the document's order and stay within it. The way down is one member. */
static void
walk_lines(const struct qr_json_at *at, unsigned last)
{
    struct qr_json_at way[QR_JSON_DEPTH + 1];
    unsigned line = qr_json_line(at);
    size_t depth = 0;

    FUZZ_MUST(line >= 1 && line <= last);
    way[0] = *at;
    for (;;) {
        const struct qr_json_at *top = &way[depth];
        int is_array = json_is_array(top->v);
        size_t n = is_array ? qr_json_count(top) : json_is_object(top->v) ? qr_json_size(top) : 0;
        for (size_t i = 0; i < n && depth < QR_JSON_DEPTH; i++) {
            way[depth + 1] = is_array ? qr_json_elem(top, i) : qr_json_member(top, i);
            unsigned here = qr_json_line(&way[depth + 1]);
            FUZZ_MUST(here >= line && here <= last);
            line = here;
        }
        if (n == 0 || depth == QR_JSON_DEPTH) {
            return;
        }
        depth++; /* the last child */
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[160];
    struct qr_json j;

    memset(why, 0, sizeof why);
    if (qr_json_parse(&j, qr_view_of(data, size), 200, why, sizeof why) == QR_OK) {
        struct qr_json_at root = qr_json_root(&j), list;
        uint64_t n = 0;
        const struct qr_json_field f[] = {{"n", QR_JSON_U64, 0, INT64_MAX, &n, NULL},
                                          {"l", QR_JSON_ARRAY, 0, 10, &list, NULL},
                                          {.type = QR_JSON_END}};
        char *text = json_dumps(j.root, JSON_COMPACT);
        struct qr_json again;

        FUZZ_MUST(why[0] == 0 && text);
        walk_lines(&root, (unsigned)(1 + count_lines(data, size)));
        if (qr_json_fields(&root, f) == QR_OK) {
            for (size_t i = 0; i < qr_json_count(&list); i++) {
                struct qr_json_at at = qr_json_elem(&list, i);
                (void)qr_json_fail(&at, QR_ERR_MALFORMED, "here");
            }
            why[0] = 0;
        } else {
            FUZZ_MUST(why[0] != 0);
        }
        FUZZ_MUST(qr_json_parse(&again, qr_view_str(text), 200, NULL, 0) == QR_OK);
        FUZZ_MUST(json_equal(j.root, again.root));
        qr_json_clear(&again);
        free(text);
        qr_json_clear(&j);
    } else {
        FUZZ_MUST(why[0] != 0);
    }
    fuzz_text(why, sizeof why);
    return 0;
}
