/*
 * Typed data: a document that is taken has the same digest when another writer orders its members and
 * writes its white space; a refusal says why.
 */
#include "daemon/preimage_712.h"
#include "protocol/base/hash.h"
#include "test/fuzz/fuzz.h"

#include <jansson.h>

/* Objects sorted or as they are; but the types stand in arrays, whose order counts. */
static void
same_when_written_anew(qr_view doc, const struct qr_712 *t, const uint8_t digest[static 32])
{
    struct qr_712 again;
    uint8_t d[32];
    json_error_t e;

    json_t *j = json_loadb((const char *)doc.p, doc.len, 0, &e);
    FUZZ_MUST(j);
    char *text = json_dumps(j, JSON_SORT_KEYS | JSON_COMPACT);
    FUZZ_MUST(text);
    if (strlen(text) <= QR_PREIMAGE_MAX) {
        FUZZ_MUST(qr_712_parse(qr_view_str(text), &again, d, NULL, 0) == QR_OK);
        FUZZ_MUST(memcmp(d, digest, 32) == 0 && memcmp(&again, t, sizeof again) == 0);
    }
    free(text);
    json_decref(j);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qr_712 t;
    uint8_t digest[32];
    char why[256] = "";

    FUZZ_MUST(qr_hash_init() == QR_OK);
    memset(&t, 0, sizeof t);
    if (qr_712_parse(qr_view_of(data, size), &t, digest, why, sizeof why) == QR_OK) {
        FUZZ_MUST(t.primary_type[0] && strlen(t.primary_type) <= QR_NAME_MAX);
        fuzz_text(t.primary_type, sizeof t.primary_type);
        fuzz_text(t.domain_name, sizeof t.domain_name);
        same_when_written_anew(qr_view_of(data, size), &t, digest);
    } else {
        FUZZ_MUST(strncmp(why, "typed data: ", 12) == 0 && why[12]);
    }
    fuzz_text(why, sizeof why);
    return 0;
}
