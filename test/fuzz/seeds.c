/*
 * Writes the named seeds of the fuzz targets: one good encoding of each thing that a parser reads, and
 * scripts that take the stateful targets through an honest run. `make fuzz-seeds`.
 *
 * usage: seeds FOLDER. Files are FOLDER/TARGET/NAME; those that targets found have hashes for names
 * and are not touched.
 */
#include "daemon/client/check.h"
#include "daemon/client/ecsig.h"
#include "daemon/config.h"
#include "daemon/control.h"
#include "daemon/descriptor.h"
#include "daemon/fresh.h"
#include "daemon/keyjson.h"
#include "daemon/sharing.h"
#include "proto/boundary.h"
#include "proto/wire.h"
#include "protocol/base/enc.h"
#include "protocol/base/hash.h"
#include "test/common/documents.h"
#include "test/common/fakekey.h"
#include "test/common/parties.h"
#include "test/common/vendor.h"
#include "test/fuzz/fuzz.h"
#include "test/fuzz/kit_approval_seeds.h"
#include "test/fuzz/kit_dcap_seeds.h"
#include "test/fuzz/kit_eif_seeds.h"
#include "test/fuzz/kit_facade_seeds.h"
#include "test/fuzz/kit_nsm_seeds.h"
#include "test/fuzz/kit_platform_seeds.h"
#include "test/fuzz/kit_policy_seeds.h"
#include "test/fuzz/kit_preimage_seeds.h"
#include "test/fuzz/kit_seeds.h"
#include "test/fuzz/kit_tpm_seeds.h"
#include "test/fuzz/kit_verify_seeds.h"
#include "transport/frame.h"
#include "transport/hello.h"
#include "transport/zip.h"

#include <sys/stat.h>

static const char *root;

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)data;
    return (int)size;
}

/* choice < 0: the target takes none. */
static void
seed(const char *target, const char *name, int choice, qr_view v)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", root, target);
    (void)mkdir(path, 0755);
    (void)snprintf(path, sizeof path, "%s/%s/%s", root, target, name);
    FILE *f = fopen(path, "w");
    FUZZ_MUST(f);
    if (choice >= 0) {
        FUZZ_MUST(putc(choice, f) != EOF);
    }
    FUZZ_MUST(v.len == 0 || fwrite(v.p, v.len, 1, f) == 1);
    FUZZ_MUST(fclose(f) == 0);
}

static void
text(const char *target, const char *name, int choice, const char *s)
{
    seed(target, name, choice, qr_view_str(s));
}

/* Hex digits and spaces. */
static void
bytes(const char *target, const char *name, const char *hex)
{
    uint8_t b[1024];
    size_t n = 0, k = 0;
    for (const char *p = hex; *p; p++) {
        if (*p != ' ') {
            unsigned d = (unsigned)(*p <= '9' ? *p - '0' : *p - 'a' + 10);
            FUZZ_MUST(d < 16 && n < sizeof b);
            b[n] = (uint8_t)(k % 2 ? (unsigned)b[n] << 4 | d : d);
            n += k++ % 2;
        }
    }
    seed(target, name, -1, qr_view_of(b, n));
}

/* ---- messages and frames -------------------------------------------------------------------- */

static void
messages(void)
{
    static const enum qr_msg types[] = {QR_MSG_PAIR1, QR_MSG_DKG4, QR_MSG_SIGN_REQUEST,
                                        QR_MSG_PRESIGN_DONE};
    uint8_t mem[8192], packed[8192];
    char name[32];

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct qr_envelope e = {.type = types[i],
                                .from = 1,
                                .to = 2,
                                .epoch = (uint32_t)i,
                                .seq = 1 + i * 200,
                                .payload = qr_view_str("payload")};
        struct qr_buf b = qr_buf_over(mem, sizeof mem);
        memset(e.sid, 7, 32);
        FUZZ_MUST(qr_wire_encode(&e, &b) == QR_OK);
        (void)snprintf(name, sizeof name, "type-%d", (int)types[i]);
        seed("wire", name, -1, qr_buf_view(&b));
    }

    struct qr_buf items = qr_buf_over(mem, sizeof mem);
    qr_buf_put(&items, (uint8_t[QR_FRAME_HEAD_LEN]){0}, QR_FRAME_HEAD_LEN);
    qr_buf_put64(&items, 3);
    qr_buf_put32(&items, 5);
    qr_buf_put(&items, "hello", 5);
    qr_buf_put32(&items, QR_ITEM_ZSTD | 4);
    qr_buf_put(&items, "zstd", 4);
    qr_frame_head_put(mem, QR_FRAME_DATA, items.len - QR_FRAME_HEAD_LEN);
    seed("frame", "data", 0, qr_buf_view(&items));

    struct qr_zip *z = qr_zip_new(1);
    memset(mem, 'a', 300);
    size_t n = qr_zip_pack(z, qr_view_of(mem, 300), packed);
    FUZZ_MUST(z && n > 0);
    seed("frame", "packed", 1, qr_view_of(packed, n));
    qr_zip_free(z);

    struct test_identity id;
    test_identity_make(&id, 1);
    struct qr_id_signer signer = test_signer(&id);
    struct qr_hello h = {.index = 1, .role = QR_ROLE_CLIENT, .platform = QR_PLATFORM_SIM};
    struct qr_binding binding = {.exporter = {1}};
    FUZZ_MUST(qr_hello_make(&h, &binding, &signer, mem) == QR_OK);
    seed("frame", "hello", 2, qr_view_of(mem, QR_HELLO_LEN));
}

static void
control(void)
{
    static uint8_t mem[QR_CTL_SIGN_MAX];
    static const uint8_t ids[2 * QR_PRESIG_ID_LEN] = {1}, shares[96] = {2}, confirm[3 * 64] = {3};
    struct fakekey k;
    struct qr_key rec = {.self = 2, .state = QR_KEY_ACTIVE};
    struct qr_buf b;

#define CTL(number, name, ...)                                                                     \
    do {                                                                                           \
        struct qr_ctl_##name m = __VA_ARGS__;                                                      \
        b = qr_buf_over(mem, sizeof mem);                                                          \
        qr_ctl_put_##name(&b, &m);                                                                 \
        FUZZ_MUST(b.err == QR_OK);                                                                 \
        seed("control", #name, number, qr_buf_view(&b));                                           \
    } while (0)
    CTL(0, sign,
        {.attempt = 1,
         .set_mask = 3,
         .n = 2,
         .presig_ids = ids,
         .body = qr_view_str("{}"),
         .stamp = {qr_view_str("c3Q")},
         .n_stamps = 1});
    CTL(1, share, {.attempt = 1, .n = 1, .shares = shares});
    CTL(2, admin,
        {.body = qr_view_str("{}"), .stamp = {qr_view_str("a"), qr_view_str("b")}, .n_stamps = 2});
    CTL(3, start, {.set_mask = 3, .B = 4, .ctr = 1});
    CTL(4, retire, {.lo = 1, .hi = 2, .by = 1});
    CTL(5, store, {.boot_counter = 1, .serial = 2});
    CTL(6, key, {.tell = 1, .n = 3, .confirm = confirm});
    CTL(6, key, {.tell = 0});
    CTL(0xfa, secret_put, {.epoch = 2, .keep = 1, .need = 1, .piece = {{5}}});
    CTL(0xfb, secret_have, {.epoch = 2, .older = 1, .newer = 2});
    CTL(0xfc, secret_piece, {.epoch = 2, .holder = 3, .piece = {{5}}});
#undef CTL
    const uint8_t epoch[4] = {0, 0, 0, 2};
    seed("control", "epoch", 0xfd, qr_view_of(epoch, sizeof epoch));
    struct qr_piece piece = {.name = {.epoch = 2, .owner = 1, .holder = 2, .need = 1}};
    qr_piece_encode(&piece, mem);
    seed("control", "piece", 0xf8, qr_view_of(mem, QR_PIECE_RECORD_LEN));
    const struct qr_sharing s = {
        .epoch = 2, .owner = 1, .need = 1, .n = 2, .holder = {{.index = 2}, {.index = 3}}};
    seed("control", "holders", 0xf9, qr_view_of(mem, qr_sharing_encode(3, &s, mem)));
    const uint8_t zero[32] = {0};
    fakekey_make(&k, 2, 3, 1, zero, zero, zero, 0);
    rec.pub = k.pub;
    FUZZ_MUST(qr_fq_parse(&rec.share, k.secret) == QR_OK);
    uint8_t wall[8] = {0, 0, 1, 0x9f, 0, 0, 0, 0};
    seed("control", "time", 0xfe, qr_view_of(wall, sizeof wall));
    static struct qr_fresh_memory memory = {.floor_ms = 1, .marks = {.n = 1}};
    memory.marks.mark[0] = (struct qr_collateral_mark){.kind = QR_COLL_CRL, .number = 7};
    b = qr_buf_over(mem, sizeof mem);
    qr_fresh_memory_encode(&memory, &b);
    seed("control", "memory", 0xff, qr_buf_view(&b));
    seed("control", "record", 7, qr_view_of(mem, qr_key_encode(&rec, mem)));
}

static void
boundary(void)
{
    struct qr_answer_sig sigs[2] = {{.rs = {1}, .recid = 1}, {.rs = {2}}};
    const struct qr_ask asks[] = {
        {.id = 1,
         .what = QR_ASK_SIGN,
         .body = qr_view_str("{\"v\":1}"),
         .n_stamps = 2,
         .stamps = {qr_view_str("c3Q"), qr_view_str("c3R")},
         .traceparent = qr_view_str("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")},
        {.id = 2,
         .what = QR_ASK_QUERY,
         .query = QR_QUERY_ATTESTATION,
         .body = qr_view_of(sigs[0].rs, 32)},
        {.id = 300,
         .what = QR_ASK_ADMIN,
         .admin = QR_ADMIN_COMMAND,
         .body = qr_view_str("{}"),
         .n_stamps = 1,
         .stamps = {qr_view_str("c3Q")}},
        {.id = 4, .what = QR_ASK_ADMIN, .admin = QR_ADMIN_DRAIN},
        {.id = 5,
         .what = QR_ASK_COLLATERAL,
         .body = qr_view_str("amd-kds"),
         .n_pieces = 2,
         .pieces = {{qr_view_str("vek.der"), qr_view_str("one")},
                    {qr_view_str("ask.der"), qr_view_str("two")}}},
    };
    const struct qr_answer answers[] = {
        {.id = 1,
         .is_signed = 1,
         .rule = qr_view_str("r1"),
         .sgn = {.n_sigs = 2,
                 .sigs = sigs,
                 .n_signers = 2,
                 .signers = {1, 3},
                 .insecure_sim = 1,
                 .moves = 1,
                 .move_reason = qr_view_str("party 2: slow"),
                 .micros = 9,
                 .bytes = 8}},
        {.id = 2, .json = qr_view_str("{}"), .text = qr_view_str("# text")},
        {.id = 3,
         .error = QR_ERR_POLICY_DENIED,
         .party = 2,
         .detail = qr_view_str("no"),
         .rule = qr_view_str("r2")},
    };
    struct qr_dbuf d, all;
    char name[32];

    qr_dbuf_init(&all, 1 << 20);
    for (size_t i = 0; i < sizeof asks / sizeof asks[0]; i++) {
        qr_dbuf_init(&d, 1 << 20);
        FUZZ_MUST(qr_ask_put(&d, &asks[i]) == QR_OK && qr_ask_put(&all, &asks[i]) == QR_OK);
        (void)snprintf(name, sizeof name, "ask-%zu", i);
        seed("boundary", name, 0, qr_view_of(d.p + 4, d.len - 4));
        qr_dbuf_free(&d);
    }
    seed("boundary", "stream", 2, qr_view_of(all.p, all.len));
    qr_dbuf_free(&all);
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        qr_dbuf_init(&d, 1 << 20);
        FUZZ_MUST(qr_answer_put(&d, &answers[i]) == QR_OK);
        (void)snprintf(name, sizeof name, "answer-%zu", i);
        seed("boundary", name, 1, qr_view_of(d.p + 4, d.len - 4));
        seed("ctl_http", name, 2, qr_view_of(d.p, d.len));
        qr_dbuf_free(&d);
    }
}

/* ---- documents ------------------------------------------------------------------------------ */

static int
sign_with(void *ctx, const uint8_t msg[32], uint8_t sig[64])
{
    struct qr_id_signer s = test_signer(ctx);
    return s.sign(s.ctx, msg, sig);
}

/* The answer to the request that fuzz_document asks about. */
static void
answer(const struct fakekey *k)
{
    static const uint32_t path[1] = {7};
    char body[4096], pk[67], sig[2][129];
    uint8_t digest[2][32] = {{0}}, rs[64], recid[2];
    struct qr_request r = {0};
    char why[256];

    qr_hex_encode(qr_view_of(k->pub.pk, 33), pk);
    (void)snprintf(body, sizeof body,
                   "{\"v\":1,\"cluster\":\"" DOC_CLUSTER
                   "\",\"key\":\"%s\",\"id\":\"0123456789abcdef\",\"issued_ms\":1700000000000,"
                   "\"expires_ms\":1700000060000,\"path\":[7],\"items\":[{\"kind\":\"digest\","
                   "\"digest\":\"%064x\"},{\"kind\":\"digest\",\"digest\":\"%064x\"}]}",
                   pk, 1, 2);
    FUZZ_MUST(qr_request_parse(qr_view_str(body), &r, why, sizeof why) == QR_OK);
    char hash[65];
    qr_hex_encode(qr_view_of(r.hash, 32), hash);
    qr_request_clear(&r);
    for (unsigned i = 0; i < 2; i++) {
        digest[i][31] = (uint8_t)(i + 1);
        fakekey_sign(k, path, 1, digest[i], rs, &recid[i]);
        qr_hex_encode(qr_view_of(rs, 64), sig[i]);
    }
    (void)snprintf(
        body, sizeof body,
        "{\"v\":1,\"request\":\"%s\",\"key\":\"%s\",\"signatures\":[{\"digest\":\"%064x\","
        "\"r\":\"%.64s\",\"s\":\"%s\",\"recid\":%u},{\"digest\":\"%064x\",\"r\":\"%.64s\","
        "\"s\":\"%s\",\"recid\":%u}],\"signers\":[1,2],\"insecure_sim\":true,\"moves\":0,"
        "\"micros\":5000,\"bytes\":300}",
        hash, pk, 1, sig[0], sig[0] + 64, recid[0], 2, sig[1], sig[1] + 64, recid[1]);
    text("document", "answer", 8, body);
}

#define KEY_G "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"

/* A policy, and each way of saying something twice or wrongly in it. */
static void
policies(void)
{
    static const char good[] =
        "{\"v\":1,\"type\":\"quorate/policy\",\"cluster\":\"" DOC_CLUSTER
        "\",\"serial\":3,\"peers\":{\"insecure_sim\":true},\"requests\":{\"clients\":[{\"name\":"
        "\"ops\",\"scheme\":\"secp256k1\",\"key\":\"" KEY_G "\"},{\"name\":\"bot\",\"scheme\":"
        "\"p256\",\"key\":\"036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\"}],"
        "\"rules\":[{\"id\":\"r1\",\"effect\":\"allow\",\"clients\":[\"ops\",\"bot\"],\"keys\":["
        "\"*\"],\"kinds\":[\"sha256\",\"eth_tx\"]},{\"id\":\"r2\",\"effect\":\"deny\",\"clients\":["
        "\"*\"],\"keys\":[\"" KEY_G "\",\"03"
        "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959"
        "f2815b16f81798\"],\"kinds\":[\"digest\"]}]}}";
    static const struct {
        const char *name, *from, *to;
    } change[] = {
        {"policy-twin-name", "\"bot\",\"scheme", "\"ops\",\"scheme"},
        {"policy-client-twice", "[\"ops\",\"bot\"]", "[\"ops\",\"ops\"]"},
        {"policy-key-twice",
         "\"03"
         "79be",
         "\"02"
         "79be"},
        {"policy-no-point",
         "\"03"
         "79be",
         "\"04"
         "79be"},
        {"policy-kind-twice", "\"eth_tx\"", "\"sha256\""},
        {"policy-rule-twice", "\"r2\"", "\"r1\""},
        {"policy-other-cluster", "c1c1", "c1c2"},
    };
    char body[4096];

    text("document", "policy-rules", 2, good);
    for (size_t i = 0; i < sizeof change / sizeof change[0]; i++) {
        (void)snprintf(body, sizeof body, "%s", good);
        doc_replace(body, sizeof body, change[i].from, change[i].to);
        text("document", change[i].name, 2, body);
    }
    /* as the next policy, with a stamp that is none */
    (void)snprintf(body, sizeof body, "%s", good);
    doc_replace(body, sizeof body, "c1c1", "c1c2");
    text("document", "policy-accept", 7, "");
    memmove(body + 2, body, strlen(body) + 1);
    body[0] = body[1] = '\x01';
    body[0] = 0;
    seed("document", "policy-accept", 7, qr_view_of(body, strlen(body + 1) + 1));
}

static void
documents(void)
{
    char admins[1024], body[8192];
    struct stamper a[2];
    struct qr_dbuf d;
    struct fakekey k;
    uint8_t cluster[32], zero[32] = {0}, der[72], rs[64] = {0};

    stamper_new(&a[0], QR_SCHEME_P256);
    stamper_new(&a[1], QR_SCHEME_ED25519);
    doc_admins(admins, sizeof admins, 2, a, 2);
    doc_roster(body, sizeof body, 7, 3, admins, "seed");
    text("document", "roster-of-3", 1, body);
    text("ctl_file", "roster-check", 5, "");
    (void)memmove(body + 1, body, strlen(body) + 1);
    body[0] = '\0'; /* no stamps */
    seed("ctl_file", "roster-check", 5, qr_view_of(body, strlen(body + 1) + 1));
    seed("ctl_file", "roster-show", 6, qr_view_of(body, strlen(body + 1) + 1));

    policies();
    static const struct {
        const char *name;
        unsigned serial;
        const char *from, *to;
    } next[] = {{"roster-same-serial", 7, "demo", "emo"},
                {"roster-lower-serial", 6, "demo", "emo"},
                {"roster-other-cluster", 8, "c1c1", "c1c2"},
                {"roster-unsigned", 8, "demo", "emo"}};
    for (size_t i = 0; i < sizeof next / sizeof next[0]; i++) {
        doc_roster(body + 2, sizeof body - 2, next[i].serial, 3, admins, "seed");
        doc_replace(body + 2, sizeof body - 2, next[i].from, next[i].to);
        body[0] = body[1] = '\0'; /* one stamp, of no length */
        seed("document", next[i].name, 7, qr_view_of(body, strlen(body + 2) + 2));
    }
    static const char policy[] =
        "\0{\"v\":1,\"type\":\"quorate/policy\",\"cluster\":\"" DOC_CLUSTER
        "\",\"serial\":3,\"peers\":{\"insecure_sim\":false},\"requests\":{\"clients\":[],"
        "\"rules\":[]}}";
    seed("ctl_file", "policy-check", 7, qr_view_of(policy, sizeof policy - 1));

    struct test_identity id;
    test_identity_make(&id, 1);
    struct qr_descriptor desc = {.party = {.platform = QR_PLATFORM_SIM}};
    struct qr_id_signer signer = {&id, sign_with};
    memcpy(desc.party.identity, id.pk, 32);
    (void)snprintf(desc.party.address, sizeof desc.party.address, "tcp://127.0.0.1:7001");
    (void)snprintf(desc.party.cloud, sizeof desc.party.cloud, "local");
    (void)snprintf(desc.party.operator_name, sizeof desc.party.operator_name, "demo");
    qr_dbuf_init(&d, 65536);
    FUZZ_MUST(qr_descriptor_build(&desc, &signer, &d) == QR_OK);
    seed("document", "descriptor", 4, qr_view_of(d.p, d.len));
    qr_dbuf_free(&d);

    memset(cluster, 0xc1, 32);
    fakekey_make(&k, 2, 3, 1, cluster, zero, zero, QR_KEY_INSECURE_SIM);
    qr_dbuf_init(&d, QR_KEYJSON_MAX);
    FUZZ_MUST(qr_keyjson_put(&d, &k.pub) == QR_OK);
    seed("document", "keyjson", 6, qr_view_of(d.p, d.len));
    qr_dbuf_free(&d);
    answer(&k);

    bytes("document", "stamped-client", "07 02 00 7b7d");
    bytes("document", "stamped-other", "07 12 00 7b7d");
    bytes("document", "stamped-admin", "07 0a 7b7d");
    bytes("document", "stamped-foreign", "07 22 7b7d");
    bytes("document", "stamped-foreign-admin", "07 2a 7b7d");
    bytes("document", "stamped-less", "07 42 7b7d");
    bytes("document", "stamped-less-other", "07 52 7b7d");
    bytes("document", "stamped-less-admin", "07 4a 7b7d");
    bytes("document", "stamped-badly", "07 06 0000000001 7b7d");
    bytes("document", "stamped-otherwise", "07 01 0563335263 05633352633 07b7d0");

    rs[31] = 1;
    rs[32] = 0x80;
    seed("text", "der", 7, qr_view_of(der, qr_ecsig_der(rs, der)));
    seed("text", "points", 8, qr_view_of(k.pub.pk, 33));
    stamper_free(&a[0]);
    stamper_free(&a[1]);
}

/* ---- texts ---------------------------------------------------------------------------------- */

static void
texts(void)
{
    static const struct {
        const char *name;
        int choice;
        const char *text;
    } t[] = {
        {"tcp", 0, "tcp://127.0.0.1:7001"},
        {"tcp6", 0, "tcp://[::1]:7001"},
        {"tcp-name", 0, "tcp://party-1.example:7001"},
        {"unix", 0, "unix:///run/q.sock"},
        {"addr", 1, "127.0.0.1:8440"},
        {"addr6", 1, "[::ffff:127.0.0.1]:65535"},
        {"url", 2, "https://gateway.example:8440/"},
        {"url6", 2, "http://[::1]:80"},
        {"number", 3, "4294967295"},
        {"kind", 4, "eth_tx"},
        {"scheme", 4, "secp256k1"},
        {"platform", 4, "sim"},
        {"route", 5, "/v1/keys/02"},
        {"fields", 6,
         "\x0e"
         "Content-Length"
         "\x01"
         "7\x0c"
         "Content-Type"
         "\x10"
         "application/json"
         "\x07"
         "X-Stamp"
         "\x03"
         "c3Q"
         "\x04"
         "Host"
         "\x01"
         "h"
         "\x0b"
         "traceparent"
         "\x37"
         "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
        {"render", 9,
         "\x06"
         "a\"\\\n\xc3\xa9"
         "rule"},
        {"manager", 10, "2"},
    };
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        text("text", t[i].name, t[i].choice, t[i].text);
    }
    text("config", "party", 0,
         "[party]\nstate_dir = /var/lib/quorate\nlisten = tcp://127.0.0.1:7001\n"
         "cloud = local\noperator = demo\n[pool]\nlow = 10\nhigh = 20\n[sign]\ntimeout = 500ms\n"
         "[log]\nlevel = info\n");
    text("config", "gateway", 1,
         "; a comment\n[gateway]\nlisten = 127.0.0.1:8440\nparty_socket = /run/q.sock\n"
         "header_max = 8KiB\nidle_timeout = 5s\n");
    bytes("pump", "frames",
          "00 01 00 01010002 5152504d 00 02020001 00000000 00 03000001 00000005 01 0201 01 0101"
          "00 04000001 00000001 00 05000001 00000000 01 0301 00 06000001 00000000 01 0401"
          "01 0000 00 07000000 00000000 00 02020001 00000000 00 06010001 00000000 01 0401");
    bytes("pump", "again", "00 00 00 01010001 5152504d 00 02000000 00000000 00 02000000 00000000");
    bytes("pump", "half",
          "01 02020001 00000000 03000001 00000005 68656c6c6f 05000001 00000000 07000000 00000000"
          "02030003 00000000 02090005 00000000 06010001 00000000");
    bytes("pump", "flood", "01 02020001 00000000 04000001 00000001");
    text("pump", "outside", 2,
         "\x02[pump]\nlisten = vsock:any:7000\ntrunks = 2\n# c\n[route 2]\n"
         "dial = tcp:party-2.example.net:9440\ntrunk = 1\nstreams = 3\n[route 32]\n"
         "listen = tcp:[::]:9440\n[document]\nlisten = hybrid:/run/vm:9001\nfile = /etc/d\n");
    text("pump", "inside", 2,
         "\x03[pump]\ndial = vsock:3:7000\n[route 1]\nlisten = tcp:127.0.0.1:7101\n[route 33]\n"
         "dial = unix:/run/quorate/party/gateway.sock\n");
    seed("pump", "init", 3,
         qr_view_of("[tee] kms_key = arn:x\n# c\n[pool] low = 4\n\0#cloud-config\nquorate:\n"
                    "  party:\n    cloud: aws\n    operator: me\n",
                    95));
    bytes("storewire", "gateway",
          "00 00000001 02 00000006 03 0002 0161 00000004 04 01 0000"
          "00000042 05 0000000000000000000000000000000000000000000000000000000000000000 02"
          "01 0002 0161 0000000000000001 00000003 616263 03 00000003 686561"
          "00000006 03 0002 0161 00000006 04 00 0002 0161"
          "00000028 05 0000000000000000000000000000000000000000000000000000000000000000 01 02 0002 "
          "0161"
          "00000009 07 026b31 00000001 7800000004 06 026b31");
    bytes("storewire", "party",
          "01 01 02 0001 01 06 00 00000001 68 01 11 00 0002 0161 0000000000000001 00000001 78"
          "01 01 01 01 0e 00 0000000000000001 00000001 79 01 02 0001 01 01 00");
    bytes("storewire", "fresh", "01 01 02 0001 01 01 01 01 01 01 01 01 02 0001 01 01 00");
    bytes("storewire", "says", "01 01 06 02 6e6f0a1b00");
    text("ctl_file", "arguments", 0, "--text=a\0");
    seed("ctl_file", "arguments", 0,
         qr_view_of("--text\0a\0--many=b\0--flag\0--number=7\0x\0--\0-y", 43));
    text("ctl_file", "stamps", 1, "c3Q\n\nc3R\n");
    text("ctl_file", "named", 3,
         "alice:0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798:secp256k1");
    text("ctl_file", "problem", 4,
         "\x01\x93{\"code\":\"policy_denied\",\"detail\":\"no\",\"rule\":\"r\",\"party\":2}");
    text("ctl_file", "pem", 2,
         "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhsc"
         "HR4f\n-----END PRIVATE KEY-----\n");
    text("case", "nothing", 0, "");
    text("case", "folder", 0,
         "\x09"
         "case.json"
         "\x2a"
         "{\"platform\":\"tpm2\",\"evaluation_time\":null}"
         "\x14"
         "tpm_quote.sha256.msg"
         "\x04"
         "quot"
         "\x0f"
         "pcrs.sha256.bin"
         "\x04"
         "pcrs"
         "\x0b"
         "custom.file"
         "\x01"
         "x");
    text("case", "report", 0,
         "\x09"
         "case.json"
         "\x43"
         "{\"platform\":\"amd-sev-snp\",\"evaluation_time\":\"2026-01-01T00:00:00Z\"}"
         "\x0a"
         "report.bin"
         "\x05"
         "short");
    bytes("case", "encoded", "01 51524556 01 06 0001 11 02 00000001 41");
    text("case", "answer", 2,
         "{\"v\":1,\"party\":2,\"platform\":\"intel-tdx\",\"insecure_sim\":false,"
         "\"identity\":\"0000000000000000000000000000000000000000000000000000000000000000\","
         "\"boot_nonce\":\"0000000000000000000000000000000000000000000000000000000000000000\","
         "\"policy_hash\":\"0000000000000000000000000000000000000000000000000000000000000000\","
         "\"roster_hash\":\"0000000000000000000000000000000000000000000000000000000000000000\","
         "\"evidence\":\"UVJFVgEGAAERAgAAAAFB\"}");
    text("case", "time", 3, "2026-01-01T00:00:00.5+01:00");
    text("ctl_http", "ok", 0, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\n\r\n{}");
    text("ctl_http", "to-the-end", 1, "HTTP/1.0 403 No\r\n\r\n{\"code\":\"x\"}");
    text("simkey", "key", 0, "0123456789abcdef0123456789abcdef");
    text("simkey", "new", 0, "");
    text("gateway", "sign", 0, "");
}

/* ---- scripts -------------------------------------------------------------------------------- */

static void
scripts(void)
{
    bytes("pair", "to-the-end", "00");
    bytes("pair", "changed", "01 02 00000007 01");
    bytes("dkg", "to-the-end", "00");
    bytes("dkg", "changed", "02 02 00000007 01");
    bytes("presign", "to-the-end", "00");
    bytes("presign", "changed-1", "01 02 00000107 01");
    bytes("presign", "changed-2", "02 02 00010007 01");
    bytes("presign", "pair-gone", "01 0c");
    bytes("sign", "plain", "00 00");
    bytes("sign", "path", "01 09 00000007 00");
    bytes("sign", "two-ideas", "00 01 02 00000001 01");
    bytes("sign", "changed", "00 02 00000041 01");
    bytes("chan", "server", "00 ff 16030100");
    bytes("chan", "client", "01 ff 160303");
    bytes("chan", "hello", "02 10");
    bytes("chan", "hello-cluster", "02 14 00 00000001 01 10");
    bytes("chan", "hello-roster", "02 14 08 00000001 01 03 10");
    bytes("chan", "hello-policy", "02 14 10 00000001 01 03 10");
    bytes("chan", "hello-index", "02 14 18 01 10");
    bytes("chan", "hello-unknown", "02 14 18 07 10");
    bytes("chan", "hello-role", "02 14 20 10");
    bytes("chan", "hello-platform", "02 14 28 02 10");
    bytes("chan", "evidence", "03 10");
    bytes("chan", "confirm", "04 10");
    bytes("chan", "frames", "05 34 08 0000000000000000");
    bytes("net", "data", "01 20 41 05 68656c6c6f 02 03 616263");
    bytes("net", "packed",
          "01 00 41 40 6161616161616161616161616161616161616161616161616161616161616161"
          "6161616161616161616161616161616161616161616161616161616161616161");
    bytes("net", "packed-badly",
          "01 00 c1 40 6161616161616161616161616161616161616161616161616161616161616161"
          "6161616161616161616161616161616161616161616161616161616161616161"
          "00000003 7f");
    bytes("net", "packed-twice", "01 20 41 01 61 49 01 62 01 00 40 01 61 0f 0f");
    bytes("net", "duplicate", "01 00 01 03 616263 00 09 03 616263 01");
    bytes("net", "pings", "01 35 05 25 07 15 01 4e 0b 0a");
    bytes("net", "policy", "01 0d 1e 1e");
    bytes("net", "close", "01 93 01 00");
    bytes("net", "resend", "01 07 03 616263 0a 06");
    bytes("net", "stranger", "00 08 05 1603010001 0b 64");
    bytes("net", "resume-twice", "00 06 06");
    bytes("party", "sign", "0d 00 20 20 10 01 20");
    bytes("party", "restart", "18 42 0d 01 42");
    bytes("party", "peer-restart", "17 42 97 42 0d 02 42");
    bytes("party", "query", "12 00 12 02 12 03 12 04");
    bytes("party", "queries",
          "12 00 12 01 12 02 12 03 12 04 12 05 12 06 12 07 12 08 12 83 00000001 07");
    bytes("party", "refused", "0d 0c 0d 0d 0d 0e 0d 00 0d 0f 0d 10 ed 00 2d 00 0d 01");
    bytes("party", "again", "0d 00 0d 00 42 0d 00");
    bytes("party", "expired", "1c 7f 0d 00 1c 81 1c 81 1c 81 0d 01");
    bytes("party", "draining", "0d 02 14 80 05 0d 00 00");
    bytes("party", "disk-full-sign", "1a 14 80 00 0d 00 10 01 02");
    bytes("party", "set-up-again", "1d 07 00 1d 0f 00 1d 17 00 1d 1f 42 1d 27 00 1d 2f 42");
    bytes("party", "key-sync-later", "14 80 00 18 17 97 42 42 42");
    bytes("party", "retired-set-up", "1d 09 00 1d 0f 00 1d 0f 00");
    bytes("party", "set-up-ahead", "18 03 03 1d 0f 24 24 24 42 42");
    bytes("party", "set-up-bad", "18 03 03 05 06 00000040 01 24 24 42 42 42");
    bytes("party", "keygen-restart-1", "14 80 00 00 18 42 42 42");
    bytes("party", "keygen-restart-2", "14 80 00 40 18 42 42 42");
    bytes("party", "keygen-restart-3", "14 80 00 60 18 42 42 42");
    bytes("party", "retire-malformed", "09 0e 00 05 0102030405 00");
    bytes(
        "party", "retire-unsigned",
        "09 0e 00 66 000100020001 0000000000000000000000000000000000000000000000000000000000000000"
        "0000000000000000000000000000000000000000000000000000000000000000"
        "0000000000000000000000000000000000000000000000000000000000000000 00");
    bytes("party", "dkg-early",
          "09 03 00 20 0000000000000000000000000000000000000000000000000000000000000000"
          "14 80 00 05 07 00000001 01 02");
    bytes("party", "keygen", "14 80 00 42 42");
    bytes("party", "documents", "14 80 03 14 80 04 14 80 05");
    bytes("party", "full-disk", "1a 14 80 00 42");
    bytes("party", "retired", "1d 09 42 9d 01 42 18 42 0d 00 42 14 80 02 42");
    bytes("party", "key-sync", "1d 00 00 1d 08 00 1d 48 00000010 01 00");
    bytes("party", "batch", "1d 02 05 00 42");
    bytes("party", "store-state", "1d 03 00 00 00 1d 03 ff ff 00");
    bytes("party", "time", "09 13 00 08 0000019f00000000 42 09 13 00 07 00000000000000 42");
    bytes("party", "admin", "1d 04 00 1d 0c 00 1d 14 00 1d 44 00000020 01 00");
    bytes("party", "bad-share", "0d 00 1d 05 00 00 1d 05 00 9d 05 00 02");
    bytes("party", "abort", "1d 06 1d 0e 1d 16 9d 46 00");
    bytes("party", "bad-presign", "02 05 07 00000200 01 00000300 01 42 42");
    bytes("party", "inject", "09 09 00 05 0000000100 0b 00 01 2b 01 02");
    bytes("hostsock", "questions", "01 00 03 07 00 20 00 07 05");
    bytes("hostsock", "pieces", "00 01 04 05 40 02 03 00 01 02 03");
    bytes("gateway", "sign", "08 00 00 20 00 38");
    bytes("gateway", "get", "08 01 00 09 00 02 10 03 00 20 00 39");
    bytes("gateway", "smuggle", "08 0a 00 11 0b 00");
    bytes("gateway", "party-goes", "08 00 00 a8 03 010203 30 64 08 01 00");
    bytes("store", "page", "01 00 01 40 ff");
    bytes("store", "old-page", "01 01 00 01 01");
    bytes("store", "log", "02 377f0682 002de218 00001000 00000000");
    bytes("store", "edit", "03 0b 01 0c 00");
    bytes("store", "serial", "03 00 02");
    bytes("store", "new", "00");
    bytes("store", "not-a-store", "00 53514c69746520666f726d6174203300");
    bytes("store", "cut", "01 07 01");
    bytes("store", "no-head", "03 0d 00");
    bytes("store", "added", "03 08 00");
    bytes("store", "missing", "03 06 01");
    bytes("store", "changed", "03 0a 01");
    bytes("store", "renamed", "03 02 04");
    bytes("store", "tables", "03 0f 00");
    bytes("store", "trigger", "03 10 00");
    bytes("store", "version", "03 12 01");
    bytes("store", "program", "03 13 01");
    bytes("store", "unknown-table", "03 05 00");
    bytes("store", "peer-swapped", "03 07 04");
    bytes("store", "head-version", "04 51525354 02");
    bytes("store", "head",
          "04 51525354 01 00000000000000000000000000000000 0000000000000001"
          "0000000000000000000000000000000000000000000000000000000000000000"
          "00000001 0001 04 626f6f74 0000000000000001"
          "0000000000000000000000000000000000000000000000000000000000000000");
}

/* ---- collateral ------------------------------------------------------------------------------ */

/* What Azure's and Google's platforms ask for. */
static const char *
needs_vtpm(void)
{
    static char text[2048];
    char report[1367];

    memset(report, 'A', sizeof report - 1);
    report[sizeof report - 1] = 0;
    (void)snprintf(
        text, sizeof text,
        "{\"v\":1,\"needs\":[{\"source\":\"azure-tdquote\",\"report\":\"%s\"},{\"source\":"
        "\"google-ca\",\"bucket\":\"65cf2318-0000-2408-a9b3-14c14ef06180\",\"object\":"
        "\"64bf42df2a9c15f8c82f\"}]}",
        report);
    return text;
}

static void
collateral(void)
{
    static uint8_t both[2 + 32768];
    qr_view header = vendor_tcb_header(), body = vendor_tcb_info(NULL);

    qr_put16(both, (uint16_t)header.len);
    memcpy(both + 2, header.p, header.len);
    memcpy(both + 2 + header.len, body.p, body.len);
    seed("collateral", "tcb_info", QR_DOC_TCB_INFO, qr_view_of(both, 2 + header.len + body.len));
    seed("collateral", "vek", QR_DOC_VEK, vendor_vek());
    seed("collateral", "amd_chain", QR_DOC_AMD_CHAIN, vendor_amd_chain());
    seed("collateral", "amd_crl", QR_DOC_AMD_CRL, vendor_crl(0));
    seed("collateral", "qe_identity", QR_DOC_QE_IDENTITY, vendor_qe_identity(NULL));
    seed("collateral", "pck_crl", QR_DOC_PCK_CRL, vendor_crl(0));
    seed("collateral", "root_crl", QR_DOC_ROOT_CRL, vendor_crl(0));
    seed("collateral", "thim", QR_DOC_THIM, vendor_thim());
    seed("collateral", "jwks", QR_DOC_JWKS, vendor_jwks());
    text("collateral", "tdquote", QR_DOC_TDQUOTE, "{\"quote\":\"BAACAIEAAAAAAAAA\"}");
    seed("collateral", "google_ca", QR_DOC_GOOGLE_CA, vendor_vek());
    seed("collateral", "google_root", QR_DOC_GOOGLE_ROOT, vendor_vek());
    text("collateral", "needs_vtpm", QR_DOC_KINDS, needs_vtpm());
    text("collateral", "needs", QR_DOC_KINDS, vendor_needs_all);
    text("collateral", "needs_turin", QR_DOC_KINDS,
         "{\"v\":1,\"needs\":[{\"source\":\"amd-kds\",\"product\":\"Turin\",\"chip\":"
         "\"0011223344556677\",\"spl\":{\"bl\":1,\"tee\":2,\"snp\":3,\"ucode\":4,\"fmc\":5}},"
         "{\"source\":\"jwks\",\"issuer\":\"https://confidentialcomputing.googleapis.com\"}]}");
}

int
main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 64;
    }
    root = argv[1];
    FUZZ_MUST(qr_hash_init() == QR_OK && qr_stamp_init() == QR_OK);
    messages();
    control();
    boundary();
    documents();
    texts();
    collateral();
    fuzz_seeds_approval(seed);
    fuzz_seeds_platform(seed);
    fuzz_seeds_policy(seed);
    fuzz_seeds_preimage(seed);
    fuzz_seeds_snp(seed);
    fuzz_seeds_eif(seed);
    fuzz_seeds_facade(seed);
    fuzz_seeds_peers(seed);
    fuzz_seeds_dcap(seed);
    fuzz_seeds_nitro(seed);
    fuzz_seeds_nsm(seed);
    fuzz_seeds_tokens(seed);
    fuzz_seeds_tpm(seed);
    fuzz_seeds_verify(seed);
    scripts();
    return 0;
}
