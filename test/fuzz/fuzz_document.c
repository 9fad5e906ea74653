/* Signed documents and the bodies of requests: refused with a sentence that can be shown, or read. */
#include "daemon/client/check.h"
#include "daemon/command.h"
#include "daemon/descriptor.h"
#include "daemon/keyjson.h"
#include "daemon/policy.h"
#include "daemon/request.h"
#include "daemon/roster.h"
#include "daemon/stamp.h"
#include "protocol/base/enc.h"
#include "protocol/base/hash.h"
#include "protocol/group.h"
#include "test/common/documents.h"
#include "test/common/fakekey.h"
#include "test/fuzz/kit.h"

#define WHY 256u

#define NOW 1700000001000u

static struct stamper admin, client, other;
static struct qr_roster *roster; /* whose administrator is `admin` */
static struct qr_policy *policy; /* whose clients are `client` and `other` */
static struct fakekey key;
static struct qr_request *asked;

/* What good documents are checked against. */
static void
prepare(void)
{
    char admins[1024], text[8192], why[WHY], pk[67];
    uint8_t cluster[32];

    FUZZ_MUST(qr_hash_init() == QR_OK && qr_stamp_init() == QR_OK);
    stamper_new(&admin, QR_SCHEME_P256);
    stamper_new(&client, QR_SCHEME_ED25519);
    stamper_new(&other, QR_SCHEME_SECP256K1);
    doc_admins(admins, sizeof admins, 1, &admin, 1);
    doc_roster(text, sizeof text, 7, 3, admins, "fuzz");
    FUZZ_MUST(qr_roster_parse(qr_view_str(text), &roster, why, WHY) == QR_OK);
    (void)snprintf(text, sizeof text,
                   "{\"v\":1,\"type\":\"quorate/policy\",\"cluster\":\"" DOC_CLUSTER
                   "\",\"serial\":3,\"peers\":{\"insecure_sim\":true},\"requests\":{\"clients\":[{"
                   "\"name\":\"ops\",\"scheme\":"
                   "\"ed25519\",\"key\":\"%s\"},{\"name\":\"bot\",\"scheme\":\"secp256k1\",\"key\":"
                   "\"%s\"}],\"rules\":[]}}",
                   client.hex, other.hex);
    FUZZ_MUST(qr_policy_parse(qr_view_str(text), &policy, why, WHY) == QR_OK);
    memset(cluster, 0xc1, 32);
    fakekey_make(&key, 2, 3, 1, cluster, roster->admins.hash, roster->hash, QR_KEY_INSECURE_SIM);
    qr_hex_encode(qr_view_of(key.pub.pk, 33), pk);
    (void)snprintf(text, sizeof text,
                   "{\"v\":1,\"cluster\":\"" DOC_CLUSTER
                   "\",\"key\":\"%s\",\"id\":\"0123456789abcdef\",\"issued_ms\":1700000000000,"
                   "\"expires_ms\":1700000060000,\"path\":[7],\"items\":[{\"kind\":\"digest\","
                   "\"digest\":\"%064x\"},{\"kind\":\"digest\",\"digest\":\"%064x\"}]}",
                   pk, 1, 2);
    asked = calloc(1, sizeof *asked);
    FUZZ_MUST(asked && qr_request_parse(qr_view_str(text), asked, why, WHY) == QR_OK);
}

/* A good stamp of either kind over what follows, which a flipped byte makes a bad one. */
static void
own_stamp(struct fuzz_in *in, uint8_t how, char why[static WHY])
{
    const struct qr_client *who = NULL;
    char text[QR_STAMP_MAX];
    qr_view stamp = qr_view_of(text, 0);
    const struct stamper *by = how & 8 ? &admin : how & 16 ? &other : &client;
    int flip = (how & 4) != 0, foreign = (how & 32) != 0, longer = (how & 64) != 0;

    if (flip) {
        in->len = in->len < 5 ? 0 : in->len; /* a place and a byte come first */
    }
    struct fuzz_in place = {in->p, in->len < 5 ? 0 : 5};
    qr_view doc = qr_view_of(in->p, in->len), over = doc;
    if (foreign) {
        by = how & 8 ? &client : &admin; /* a good stamp of the wrong list */
    }
    if (longer && over.len > 0) {
        over.len--; /* over other bytes */
    }
    stamp = stamper_stamp(by, over, text);
    if (flip) {
        fuzz_flip(&place, (uint8_t *)text, stamp.len);
    }
    int good = !flip && !foreign && over.len == doc.len;
    qr_err e = how & 8 ? qr_admins_verify(&roster->admins, doc, &stamp, 1, why, WHY)
                       : qr_policy_check_stamp(policy, stamp, doc, &who, why, WHY);
    FUZZ_MUST((e == QR_OK) == good);
}

/*
 * Length byte, stamp, and what it is said to be over. Nobody but the holders of the keys can make one,
 * so none may pass.
 */
static void
read_stamped(struct fuzz_in in, char why[static WHY])
{
    const struct qr_client *who = NULL;
    uint8_t how = fuzz_u8(&in);
    qr_view stamp[2];
    struct qr_command c;
    int same = 0;

    if (how & 2) {
        own_stamp(&in, how, why);
        return;
    }
    stamp[0] = fuzz_bytes(&in);
    stamp[1] = how & 1 ? fuzz_bytes(&in) : stamp[0];
    qr_view doc = qr_view_of(in.p, in.len);
    FUZZ_MUST(qr_policy_check_stamp(policy, stamp[0], doc, &who, why, WHY) != QR_OK && !who);
    FUZZ_MUST(qr_admins_verify(&roster->admins, doc, stamp, 1 + (how & 1u), why, WHY) != QR_OK);
    FUZZ_MUST(why[0] != 0);
    FUZZ_MUST(qr_command_check(&roster->admins, roster->cluster, NOW, 0, doc, stamp, 2, &c, why,
                               WHY) != QR_OK);
    struct qr_roster *next = NULL;
    if (qr_roster_parse(doc, &next, why, WHY) == QR_OK) {
        FUZZ_MUST(qr_roster_accept(roster, next, doc, stamp, 2, &same, why, WHY) != QR_OK);
    }
    qr_roster_free(next);
    struct qr_policy *p = NULL;
    if (qr_policy_parse(doc, &p, why, WHY) == QR_OK) {
        FUZZ_MUST(qr_policy_accept(policy, p, roster->cluster, &roster->admins, doc, stamp, 2,
                                   &same, why, WHY) != QR_OK);
    }
    qr_policy_free(p);
}

/* The answer of POST /v1/sign: nothing passes that the key did not sign. */
static void
read_answer(qr_view v, char why[static WHY])
{
    struct qr_client_signed *s = malloc(sizeof *s);
    FUZZ_MUST(s);
    if (qr_client_signed_check(v, asked, &key.pub, s, why, WHY) == QR_OK) {
        FUZZ_MUST(s->n == asked->n_items && s->n_signers >= 1);
        for (size_t i = 0; i < s->n; i++) {
            qr_pt pk;
            FUZZ_MUST(qr_pt_parse(&pk, s->pk) == QR_OK);
            FUZZ_MUST(qr_ecdsa_verify(&pk, asked->items[i].digest, s->rs[i]) == QR_OK);
        }
    } else {
        FUZZ_MUST(why[0] != 0);
    }
    free(s);
}

static void
read_request(qr_view v, char why[static WHY])
{
    static struct qr_request *r; /* kept: its memory is used again */

    r = r ? r : calloc(1, sizeof *r);
    FUZZ_MUST(r);
    if (qr_request_parse(v, r, why, WHY) == QR_OK) {
        FUZZ_MUST(r->n_items >= 1 && r->n_items <= QR_ITEMS_MAX);
        FUZZ_MUST(r->depth <= QR_PATH_MAX && strlen(r->id) <= QR_ID_MAX);
        for (size_t i = 0; i < r->n_items; i++) {
            FUZZ_MUST(r->kinds & QR_KIND_BIT(r->items[i].kind));
        }
    }
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
    unsigned which = fuzz_choice(&data, &size, 9);
    qr_view v = qr_view_of(data, size);

    if (!started) {
        prepare();
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
    case 7:
        read_stamped(fuzz_in_of(data, size), why);
        break;
    case 8:
        read_answer(v, why);
        break;
    default: {
        struct qr_key_pub *k = malloc(sizeof *k);
        FUZZ_MUST(k);
        if (qr_keyjson_parse(v, k) == QR_OK) {
            uint16_t bad = 0;
            FUZZ_MUST(k->n >= k->t && k->n <= QR_MAX_PARTIES);
            struct qr_dbuf again;
            struct qr_key_pub *same = calloc(1, sizeof *same);
            FUZZ_MUST(same);
            qr_dbuf_init(&again, QR_KEYJSON_MAX);
            FUZZ_MUST(qr_keyjson_put(&again, k) == QR_OK);
            FUZZ_MUST(qr_keyjson_parse(qr_view_of(again.p, again.len), same) == QR_OK);
            FUZZ_MUST(memcmp(k->key_id, same->key_id, 32) == 0 && k->n == same->n);
            qr_dbuf_free(&again);
            free(same);
            /* a key that is the roster's is one that was signed */
            if (qr_client_key_check(k, roster, why, WHY) == QR_OK) {
                FUZZ_MUST(qr_key_check(k, &bad) == QR_OK);
            }
        }
        free(k);
    }
    }
    fuzz_text(why, WHY);
    return 0;
}
