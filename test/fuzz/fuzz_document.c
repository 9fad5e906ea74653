/* Signed documents and the bodies of requests: refused with a sentence that can be shown, or read. */
#include "daemon/command.h"
#include "daemon/descriptor.h"
#include "daemon/keyjson.h"
#include "daemon/policy.h"
#include "daemon/request.h"
#include "daemon/roster.h"
#include "daemon/stamp.h"
#include "protocol/base/hash.h"
#include "test/fuzz/fuzz.h"

#define WHY 256u

static void
read_request(qr_view v, char why[static WHY])
{
    struct qr_request *r = malloc(sizeof *r);

    FUZZ_MUST(r);
    if (qr_request_parse(v, r, why, WHY) == QR_OK) {
        FUZZ_MUST(r->n_items >= 1 && r->n_items <= QR_ITEMS_MAX);
        FUZZ_MUST(r->depth <= QR_PATH_MAX && strlen(r->id) <= QR_ID_MAX);
        for (size_t i = 0; i < r->n_items; i++) {
            FUZZ_MUST(r->kinds & QR_KIND_BIT(r->items[i].kind));
        }
    }
    free(r);
}

static void
read_roster(qr_view v, char why[static WHY])
{
    struct qr_roster *r = NULL;

    if (qr_roster_parse(v, &r, why, WHY) == QR_OK) {
        FUZZ_MUST(r->n >= QR_MIN_THRESHOLD && r->n <= QR_MAX_PARTIES);
        for (size_t i = 0; i < r->n; i++) {
            FUZZ_MUST(r->party[i].index == i + 1);
            FUZZ_MUST(qr_roster_find(r, r->party[i].identity) == &r->party[i]);
        }
    }
    qr_roster_free(r);
}

static void
read_policy(qr_view v, char why[static WHY])
{
    struct qr_policy *p = NULL;

    if (qr_policy_parse(v, &p, why, WHY) == QR_OK) {
        for (size_t i = 0; i < qr_policy_n_clients(p); i++) {
            const struct qr_client *c = qr_policy_client(p, i), *found = NULL;
            FUZZ_MUST(qr_policy_find_client(p, &c->key, &found) == QR_OK && found == c);
        }
    }
    qr_policy_free(p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int started;
    char why[WHY] = "";
    unsigned which = fuzz_choice(&data, &size, 7);
    qr_view v = qr_view_of(data, size);

    if (!started) {
        FUZZ_MUST(qr_hash_init() == QR_OK && qr_stamp_init() == QR_OK);
        started = 1;
    }
    switch (which) {
    case 0:
        read_request(v, why);
        break;
    case 1:
        read_roster(v, why);
        break;
    case 2:
        read_policy(v, why);
        break;
    case 3: {
        struct qr_command c;
        if (qr_command_parse(v, &c, why, WHY) == QR_OK && c.cmd != QR_CMD_KEYGEN) {
            FUZZ_MUST(c.pair[0] >= 1 && c.pair[0] < c.pair[1] && c.pair[1] <= QR_MAX_PARTIES);
        }
        break;
    }
    case 4: {
        struct qr_descriptor d;
        if (qr_descriptor_parse(v, &d, why, WHY) == QR_OK) {
            FUZZ_MUST(d.party.index == 0);
        }
        break;
    }
    case 5: {
        struct qr_stamp s;
        if (qr_stamp_parse(v, &s, why, WHY) == QR_OK) {
            FUZZ_MUST(s.sig_len <= QR_STAMP_SIG_MAX);
        }
        break;
    }
    default: {
        struct qr_key_pub *k = malloc(sizeof *k);
        FUZZ_MUST(k);
        if (qr_keyjson_parse(v, k) == QR_OK) {
            FUZZ_MUST(k->n >= k->t && k->n <= QR_MAX_PARTIES);
        }
        free(k);
    }
    }
    fuzz_text(why, WHY);
    return 0;
}
