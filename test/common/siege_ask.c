/*
 * What honest clients ask for in a siege (siege.h), and what of it may be signed.
 *
 * The model of the policy (siege_allowed, siege_judge) is written from the rules' meaning and looks at
 * how a request was made, never at its bytes; the bytes are written here by hand: RLP, JSON, hashes.
 */
#include "test/common/siege.h"

#include "daemon/keccak.h"
#include "protocol/base/check.h"
#include "protocol/base/enc.h"

#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Receivers by index: 20 times this byte. Nobody's rule names the last; the one before is denied. */
static const uint8_t receiver[] = {0x11, 0x22, 0x33, 0xee, 0x99};
#define RECEIVERS 5u
#define DENIED 3u
static const unsigned chains[] = {1, 10, 5};
/* First bytes of an eth_tx's data; number 0 has none. */
static const char *const selectors[] = {"", "a9059cbb", "095ea7b3"};

static const char rp_id[] = "example.org";
static const char origin[] = "https://approve.example.org";

/* ---- the policy -------------------------------------------------------------------------- */

static const char rules_text[] =
    "{\"id\":\"blocked\",\"effect\":\"deny\",\"clients\":[\"*\"],\"keys\":[\"*\"],"
    "\"kinds\":[\"eth_tx\"],\"eth\":{\"to\":[\"0x%s\"]}},"
    "{\"id\":\"pay\",\"effect\":\"allow\",\"clients\":[\"ops\"],\"keys\":[\"%s\"],"
    "\"kinds\":[\"eth_tx\"],\"eth\":{\"types\":[\"1559\"],\"chain_ids\":[1],"
    "\"to\":[\"0x%s\",\"0x%s\",\"0x%s\"],\"selectors\":[\"none\",\"0xa9059cbb\"],"
    "\"max_value_wei\":\"1000\"},\"limits\":[{\"window_s\":60,\"requests\":%u},"
    "{\"window_s\":60,\"value_wei\":\"%u\"}]},"
    "{\"id\":\"big\",\"effect\":\"allow\",\"clients\":[\"ops\"],\"keys\":[\"%s\"],"
    "\"kinds\":[\"eth_tx\"],\"eth\":{\"chain_ids\":[1,10],\"to\":[\"0x%s\",\"0x%s\",\"0x%s\",\"0x%"
    "s\"],"
    "\"max_value_wei\":\"1000000\"},\"approvals\":{\"need\":2,\"of\":[\"alice\",\"bob\",\"carol\"],"
    "\"within_s\":600}},"
    "{\"id\":\"notes\",\"effect\":\"allow\",\"clients\":[\"ops\",\"desk\"],\"keys\":[\"*\"],"
    "\"kinds\":[\"eip191\"],\"paths\":[[7]]},"
    "{\"id\":\"hashes\",\"effect\":\"allow\",\"clients\":[\"ops\",\"desk\"],\"keys\":[\"%s\"],"
    "\"kinds\":[\"sha256\"]},"
    "{\"id\":\"mole\",\"effect\":\"allow\",\"clients\":[\"mole\"],\"keys\":[\"%s\"],"
    "\"kinds\":[\"eip191\"],\"limits\":[{\"window_s\":60,\"requests\":%u}]},"
    "{\"id\":\"scrap\",\"effect\":\"allow\",\"clients\":[\"mole\"],\"keys\":[\"%s\"],"
    "\"kinds\":[\"keccak256\"]},"
    "{\"id\":\"office\",\"effect\":\"allow\",\"clients\":[\"desk\"],\"keys\":[\"%s\"],"
    "\"kinds\":[\"sha256d\"],\"hours\":{\"days\":[\"fri\"],\"from\":\"00:00\",\"to\":\"23:00\"}},"
    "{\"id\":\"night\",\"effect\":\"allow\",\"clients\":[\"ops\"],\"keys\":[\"*\"],"
    "\"kinds\":[\"sha256d\"],\"hours\":{\"days\":[\"sat\",\"sun\"],\"from\":\"22:00\","
    "\"to\":\"04:00\"}}";

static void
address_hex(unsigned i, char out[static 41])
{
    for (unsigned k = 0; k < 20; k++) {
        (void)snprintf(out + 2 * (size_t)k, 3, "%02x", receiver[i]);
    }
}

/* old: what was in force before: the leaver might have anything signed. */
void
siege_policy(struct siege *s, int old, char *out, size_t cap)
{
    char cluster[65], key[2][67], a[RECEIVERS][41], rules[4096];
    static const char *const schemes[SIEGE_KEYS] = {"p256", "ed25519", "secp256k1", "p256", "p256"};
    size_t n = 0;

    qr_hex_encode(qr_view_of(s->c.cluster, 32), cluster);
    for (size_t i = 0; i < 2; i++) {
        qr_hex_encode(qr_view_of(s->pk[i], 33), key[i]);
    }
    for (unsigned i = 0; i < RECEIVERS; i++) {
        address_hex(i, a[i]);
    }
    if (old) {
        (void)snprintf(rules, sizeof rules,
                       "{\"id\":\"all\",\"effect\":\"allow\",\"clients\":[\"*\"],\"keys\":[\"*\"],"
                       "\"kinds\":[\"eth_tx\",\"eip191\",\"sha256\",\"sha256d\",\"digest\"]}");
    } else {
        (void)snprintf(rules, sizeof rules, rules_text, a[DENIED], key[0], a[0], a[1], a[DENIED],
                       SIEGE_PAY_REQUESTS, SIEGE_PAY_WEI, key[0], a[0], a[1], a[2], a[DENIED],
                       key[0], key[1], SIEGE_MOLE_REQUESTS, key[1], key[1]);
    }
    n += (size_t)snprintf(out + n, cap - n,
                          "{\"v\":1,\"type\":\"quorate/policy\",\"cluster\":\"%s\",\"serial\":%u,"
                          "\"peers\":{\"insecure_sim\":true},\"requests\":{\"clients\":[",
                          cluster, ++s->c.policy_serial);
    static const char *const names[SIEGE_KEYS] = {"ops", "desk", "mole", "leaver", "stranger"};
    for (unsigned i = 0; i < (old ? LEAVER + 1u : SIEGE_CLIENTS); i++) {
        n += (size_t)snprintf(out + n, cap - n,
                              "%s{\"name\":\"%s\",\"scheme\":\"%s\",\"key\":\"%s\"}", i ? "," : "",
                              names[i], schemes[i], s->who[i].hex);
    }
    n += (size_t)snprintf(
        out + n, cap - n,
        "],\"approvers\":[{\"name\":\"alice\",\"scheme\":\"p256\",\"key\":\"%s\"},"
        "{\"name\":\"bob\",\"scheme\":\"ed25519\",\"key\":\"%s\"},"
        "{\"name\":\"carol\",\"scheme\":\"webauthn\",\"key\":\"%s\","
        "\"rp_id\":\"%s\",\"origins\":[\"%s\"]}],"
        "\"gateways\":[\"https://gate.example.org\"],\"rules\":[%s]}}",
        s->approver[ALICE].hex, s->approver[BOB].hex, s->approver[CAROL].hex, rp_id, origin, rules);
    QR_ASSERT(n < cap);
}

/* ---- the model --------------------------------------------------------------------------- */

static unsigned
allowed_for(const struct siege_req *q, enum siege_who who, size_t i)
{
    const struct siege_item *it = &q->item[i];
    unsigned allowed = 0;
    int people = (int)(q->shown & 1) + (int)(q->shown >> 1 & 1) + (int)(q->shown >> 2 & 1);
    uint64_t life = q->expires - q->issued;
    int shortly = life <= QR_REQUEST_LIFE_MS;

    if (it->kind == QR_KIND_ETH_TX && it->to != DENIED && who == OPS && q->key == 0) {
        unsigned chain = chains[it->chain];
        if (shortly && it->type == 2 && chain == 1 && it->to < 2 && it->selector < 2 &&
            it->value <= 1000) {
            allowed |= R_PAY;
        }
        if (life <= SIEGE_APPROVED_LIFE_MS && people >= 2 && (chain == 1 || chain == 10) &&
            it->to < 3 && it->value <= 1000000) {
            allowed |= R_BIG;
        }
    }
    if (it->kind == QR_KIND_EIP191 && shortly) {
        if ((who == OPS || who == DESK) && q->depth > 0 && q->path[0] == 7) {
            allowed |= R_NOTES;
        }
        if (who == MOLE && q->key == 1) {
            allowed |= R_MOLE;
        }
    }
    if (it->kind == QR_KIND_SHA256 && shortly && (who == OPS || who == DESK) && q->key == 0) {
        allowed |= R_HASHES;
    }
    if (it->kind == QR_KIND_KECCAK256 && shortly && who == MOLE && q->key == 1) {
        allowed |= R_SCRAP;
    }
    if (it->kind == QR_KIND_SHA256D && shortly && who == DESK && q->key == 1) {
        allowed |= R_OFFICE; /* a siege begins on a Friday at eight and does not last until 23:00 */
    }
    return allowed;
}

unsigned
siege_allowed(const struct siege_req *q, size_t i)
{
    return (q->who < SIEGE_CLIENTS ? allowed_for(q, q->who, i) : 0) |
           (q->mole ? allowed_for(q, MOLE, i) : 0);
}

/* Everything of it, by the rules of this client alone. */
static int
all_allowed(const struct siege_req *q, enum siege_who who)
{
    for (size_t i = 0; i < q->n_items; i++) {
        if (allowed_for(q, who, i) == 0) {
            return 0;
        }
    }
    return 1;
}

const char *
siege_judge(const struct siege_req *q, uint64_t wall_ms)
{
    int asked = q->who < SIEGE_CLIENTS;

    if (!asked && !q->mole) {
        return "nobody who may ask stamped it";
    }
    if (q->other_cluster) {
        return "it is for another cluster";
    }
    if (wall_ms >= q->expires + QR_CLOCK_SKEW_MS) {
        return "it has expired";
    }
    if (q->issued > wall_ms + QR_CLOCK_SKEW_MS) {
        return "it is from the future";
    }
    if (!(asked && all_allowed(q, q->who)) && !(q->mole && all_allowed(q, MOLE))) {
        return "no rule allows one of its items";
    }
    return NULL;
}

/* ---- bytes ------------------------------------------------------------------------------- */

static size_t
rlp_number(uint8_t *out, uint64_t v)
{
    uint8_t b[9];
    size_t n = 0;

    for (unsigned k = 8; k-- > 0;) {
        if (n || v >> (8 * k)) {
            b[n++] = (uint8_t)(v >> (8 * k));
        }
    }
    if (n == 1 && b[0] < 0x80) {
        out[0] = b[0];
        return 1;
    }
    out[0] = (uint8_t)(0x80 + n);
    memcpy(out + 1, b, n);
    return n + 1;
}

/* The unsigned transaction; type 0 as EIP-155 has it. */
static size_t
rlp_tx(const struct siege_item *it, uint64_t nonce, uint8_t *out)
{
    uint8_t in[160];
    size_t n = 0, at = 0;

    if (it->type != 0) {
        n += rlp_number(in + n, chains[it->chain]);
    }
    n += rlp_number(in + n, nonce);
    if (it->type == 2) {
        n += rlp_number(in + n, 2);
    }
    n += rlp_number(in + n, 30000000);
    n += rlp_number(in + n, 60000);
    in[n++] = 0x94;
    memset(in + n, receiver[it->to], 20);
    n += 20;
    n += rlp_number(in + n, it->value);
    if (it->selector == 0) {
        in[n++] = 0x80;
    } else {
        in[n++] = 0x86;
        QR_ASSERT(qr_hex_decode(selectors[it->selector], 8, in + n, 4) == QR_OK);
        in[n + 4] = 0;
        in[n + 5] = 7;
        n += 6;
    }
    if (it->type != 0) {
        in[n++] = 0xc0;
        out[at++] = (uint8_t)it->type;
    } else {
        n += rlp_number(in + n, chains[it->chain]);
        in[n++] = 0x80;
        in[n++] = 0x80;
    }
    if (n < 56) {
        out[at++] = (uint8_t)(0xc0 + n);
    } else {
        out[at++] = 0xf8;
        out[at++] = (uint8_t)n;
    }
    memcpy(out + at, in, n);
    return at + n;
}

static void
prefixed(const char *prefix, const uint8_t *msg, size_t len, uint8_t ret[32])
{
    uint8_t all[256];
    int n = snprintf((char *)all, sizeof all, "%s%zu", prefix, len);

    memcpy(all + n, msg, len);
    qr_keccak256(qr_view_of(all, (size_t)n + len), ret);
}

/* An item's preimage in hex, and its digest. */
static void
item_bytes(struct siege *s, struct siege_item *it, char *hex)
{
    uint8_t p[200];
    size_t n;

    if (it->kind == QR_KIND_ETH_TX) {
        n = rlp_tx(it, qr_testrng_below(&s->rng, 100000), p);
        qr_keccak256(qr_view_of(p, n), it->digest);
    } else {
        n = 8 + qr_testrng_below(&s->rng, 40);
        qr_testrng_fill(&s->rng, p, n);
        if (it->kind == QR_KIND_EIP191) {
            prefixed("\x19"
                     "Ethereum Signed Message:\n",
                     p, n, it->digest);
        } else if (it->kind == QR_KIND_DIGEST) {
            n = 32;
            memset(p + 8, 0x5a, 24);
            memcpy(it->digest, p, 32);
        } else if (it->kind == QR_KIND_KECCAK256) {
            qr_keccak256(qr_view_of(p, n), it->digest);
        } else {
            crypto_hash_sha256(it->digest, p, n);
            if (it->kind == QR_KIND_SHA256D) {
                crypto_hash_sha256(it->digest, it->digest, 32);
            }
        }
    }
    qr_hex_encode(qr_view_of(p, n), hex);
}

void
siege_stamp(struct siege *s, enum siege_who who, const char *body, char *out)
{
    (void)stamper_stamp(&s->who[who], qr_view_str(body), out);
}

/* A passkey's answer to a page at `where`. */
static void
assertion(struct siege *s, const uint8_t request[32], const char *where, unsigned flags, char *out)
{
    char text[QR_APPROVAL_TEXT_LEN], challenge[44], client[256], data64[64], client64[400],
        json[900];
    uint8_t hash[32], data[37], all[37 + 32], sig[80];
    size_t sig_len = sizeof sig;
    EVP_MD_CTX *md = EVP_MD_CTX_new();

    qr_approval_text(request, text);
    crypto_hash_sha256(hash, (const uint8_t *)text, sizeof text);
    qr_b64url_encode(qr_view_of(hash, 32), challenge);
    size_t n = (size_t)snprintf(client, sizeof client,
                                "{\"type\":\"webauthn.get\",\"challenge\":\"%s\",\"origin\":\"%s\","
                                "\"crossOrigin\":false}",
                                challenge, where);
    crypto_hash_sha256(data, (const uint8_t *)rp_id, sizeof rp_id - 1);
    data[32] = (uint8_t)flags;
    memset(data + 33, 0, 4);
    memcpy(all, data, 37);
    crypto_hash_sha256(all + 37, (const uint8_t *)client, n);
    QR_ASSERT(md && EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, s->approver[CAROL].key) == 1 &&
              EVP_DigestSign(md, sig, &sig_len, all, sizeof all) == 1);
    EVP_MD_CTX_free(md);
    char sig_hex[2 * sizeof sig + 1];
    qr_hex_encode(qr_view_of(sig, sig_len), sig_hex);
    qr_b64url_encode(qr_view_of(data, 37), data64);
    qr_b64url_encode(qr_view_of(client, n), client64);
    n = (size_t)snprintf(
        json, sizeof json,
        "{\"scheme\":\"webauthn\",\"publicKey\":\"%s\",\"authenticatorData\":\"%s\","
        "\"clientDataJSON\":\"%s\",\"signature\":\"%s\"}",
        s->approver[CAROL].hex, data64, client64, sig_hex);
    QR_ASSERT(qr_b64url_len(n) < SIEGE_APPROVAL);
    qr_b64url_encode(qr_view_of(json, n), out);
}

void
siege_approve(struct siege *s, enum siege_approver who, const uint8_t request[32], char *out)
{
    if (who == CAROL) {
        assertion(s, request, origin, 0x05, out);
    } else {
        QR_ASSERT(qr_approval_sign(s->approver[who].key, request, out, SIEGE_APPROVAL) == QR_OK);
    }
}

void
siege_phish(struct siege *s, int which, const uint8_t request[32], char *out)
{
    assertion(s, request, which ? origin : "https://gate.example.org", which ? 0x01 : 0x05, out);
}

/* ---- requests ---------------------------------------------------------------------------- */

static unsigned
below(struct siege *s, unsigned n)
{
    return (unsigned)qr_testrng_below(&s->rng, n);
}

static void
choose_item(struct siege *s, struct siege_req *q, struct siege_item *it)
{
    static const enum qr_kind others[] = {QR_KIND_EIP191, QR_KIND_SHA256, QR_KIND_SHA256D,
                                          QR_KIND_DIGEST, QR_KIND_KECCAK256};

    if (q->who == OPS ? below(s, 10) < 7 : below(s, 10) < 1) {
        it->kind = QR_KIND_ETH_TX;
        it->type = below(s, 6) ? 2 : below(s, 2);
        it->chain = below(s, 5) ? 0 : 1 + below(s, 2);
        it->to = below(s, 3) ? below(s, 2) : below(s, 2) ? DENIED : below(s, RECEIVERS);
        it->selector = below(s, 6) ? below(s, 2) : 2;
        it->value = below(s, 4) ? 1 + below(s, 1000) : 1 + below(s, 2000000);
    } else if (below(s, 12) == 0) {
        it->kind = others[below(s, 4)];
    } else {
        it->kind = q->who != MOLE ? others[below(s, 3)]
                   : below(s, 2)  ? QR_KIND_EIP191
                                  : QR_KIND_KECCAK256;
    }
}

static void
write_body(struct siege *s, struct siege_req *q)
{
    char cluster[65], key[67], path[32] = "", hex[512];
    size_t n;

    qr_hex_encode(qr_view_of(s->c.cluster, 32), cluster);
    if (q->other_cluster) {
        cluster[0] = cluster[0] == 'a' ? 'b' : 'a';
    }
    qr_hex_encode(qr_view_of(s->pk[q->key], 33), key);
    for (size_t i = 0; i < q->depth; i++) {
        (void)snprintf(path + strlen(path), sizeof path - strlen(path), "%s%u", i ? "," : "",
                       q->path[i]);
    }
    n = (size_t)snprintf(q->body, sizeof q->body,
                         "{\"v\":1,\"cluster\":\"%s\",\"key\":\"%s\",\"id\":\"%s\","
                         "\"issued_ms\":%llu,\"expires_ms\":%llu,\"path\":[%s],\"items\":[",
                         cluster, key, q->id, (unsigned long long)q->issued,
                         (unsigned long long)q->expires, path);
    for (size_t i = 0; i < q->n_items; i++) {
        item_bytes(s, &q->item[i], hex);
        n += (size_t)snprintf(q->body + n, sizeof q->body - n, "%s{\"kind\":\"%s\",\"%s\":\"%s\"}",
                              i ? "," : "", qr_kind_name(q->item[i].kind),
                              q->item[i].kind == QR_KIND_DIGEST ? "digest" : "preimage", hex);
    }
    n += (size_t)snprintf(q->body + n, sizeof q->body - n, "]}");
    QR_ASSERT(n < sizeof q->body);
}

/* The same in the raw-payload form: one item, no path, 60 s from its time stamp. */
static void
write_raw(struct siege *s, struct siege_req *q)
{
    char cluster[65], key[67], hex[512];
    int tx = q->item[0].kind == QR_KIND_ETH_TX;

    qr_hex_encode(qr_view_of(s->c.cluster, 32), cluster);
    if (q->other_cluster) {
        cluster[0] = cluster[0] == 'a' ? 'b' : 'a';
    }
    cluster[16 + 2 * below(s, 25)] = '\0';
    qr_hex_encode(qr_view_of(s->pk[q->key], 33), key);
    item_bytes(s, &q->item[0], hex);
    (void)snprintf(
        q->body, sizeof q->body,
        "{\"type\":\"ACTIVITY_TYPE_SIGN_%s_V2\",\"timestampMs\":\"%llu\","
        "\"organizationId\":\"%s\",\"parameters\":{\"signWith\":\"%s\",\"%s\":\"%s\",%s}}",
        tx ? "TRANSACTION" : "RAW_PAYLOAD", (unsigned long long)q->issued, cluster, key,
        tx ? "unsignedTransaction" : "payload", hex,
        tx ? "\"type\":\"TRANSACTION_TYPE_ETHEREUM\""
           : "\"encoding\":\"PAYLOAD_ENCODING_HEXADECIMAL\","
             "\"hashFunction\":\"HASH_FUNCTION_SHA256\"");
}

static void
request_hash(const char *body, uint8_t ret[32])
{
    static const char tag[] = "quorate/sign-request/v1";
    crypto_hash_sha256_state st;
    uint8_t len[4];

    qr_put32(len, (uint32_t)strlen(body));
    crypto_hash_sha256_init(&st);
    crypto_hash_sha256_update(&st, (const uint8_t *)tag, sizeof tag - 1);
    crypto_hash_sha256_update(&st, len, 4);
    crypto_hash_sha256_update(&st, (const uint8_t *)body, strlen(body));
    crypto_hash_sha256_final(&st, ret);
}

struct siege_req *
siege_ask_new(struct siege *s)
{
    static const enum siege_who callers[] = {OPS,  OPS,  OPS,  OPS,  OPS,    OPS,     OPS,
                                             DESK, DESK, MOLE, MOLE, LEAVER, STRANGER};
    struct siege_req *q = qr_alloc(sizeof *q);

    if (s->n_req == s->cap_req) {
        s->cap_req = s->cap_req ? 2 * s->cap_req : 256;
        s->req = qr_realloc(s->req, s->cap_req * sizeof(struct siege_req *));
    }
    QR_ASSERT(q != NULL && s->req != NULL);
    q->who = callers[below(s, 13)];
    q->key = q->who == MOLE ? 1 : below(s, 6) == 0 || (q->who == DESK && below(s, 2));
    q->other_cluster = below(s, 25) == 0;
    q->raw = below(s, 5) == 0;
    q->n_items = q->raw || below(s, 3) ? 1 : 1 + below(s, SIEGE_ITEMS);
    (void)snprintf(q->id, sizeof q->id, "siege-request-%zu", s->n_req);
    /* now and then a client uses an id twice, which is its mistake */
    if (below(s, 6) == 0 && s->n_req > 0) {
        size_t k = s->n_req - 1 - below(s, s->n_req < 8 ? (unsigned)s->n_req : 8);
        if (!s->req[k]->raw && !q->raw && s->req[k]->who == q->who) {
            memcpy(q->id, s->req[k]->id, sizeof q->id);
        }
    }
    for (size_t i = 0; i < q->n_items; i++) {
        choose_item(s, q, &q->item[i]);
    }
    if (q->raw && q->item[0].kind != QR_KIND_ETH_TX) {
        q->item[0].kind = QR_KIND_SHA256;
    }
    if (!q->raw && (q->item[0].kind == QR_KIND_EIP191 ? below(s, 8) != 0 : below(s, 4) == 0)) {
        q->path[0] = below(s, 8) ? 7 : 8;
        q->path[1] = below(s, 5);
        q->depth = 1 + below(s, 2);
    }
    q->issued =
        s->c.wall_ms + (below(s, 20) ? 0 : 31000 + below(s, 20000)); /* some from the future */
    q->expires = q->issued + (q->raw || below(s, 5) ? 60000 : 200000 + below(s, 900000));
    if (q->raw) {
        write_raw(s, q);
    } else {
        write_body(s, q);
    }
    siege_stamp(s, q->who, q->body, q->stamp);
    request_hash(q->body, q->hash);
    for (unsigned a = 0; q->item[0].kind == QR_KIND_ETH_TX && a < SIEGE_APPROVERS; a++) {
        if (below(s, 2)) {
            siege_approve(s, (enum siege_approver)a, q->hash, q->approval[a]);
            q->approved |= 1u << a;
        }
    }
    s->req[s->n_req++] = q;
    s->r->stamped++;
    return q;
}
