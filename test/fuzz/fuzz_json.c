/* The strict JSON reader: what it takes, jansson writes back as something it takes again. */
#include "proto/json_strict.h"
#include "test/fuzz/fuzz.h"

#include <jansson.h>

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
