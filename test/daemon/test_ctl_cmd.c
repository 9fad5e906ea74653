/*
 * The command line as its users see it: arguments, files, exit codes, what is on stdout. Gateways
 * and parties behind it are fakes, honest and otherwise.
 */
#include "daemon/client/check.h"
#include "daemon/ctl.h"
#include "daemon/descriptor.h"
#include "daemon/gw_render.h"
#include "daemon/keyjson.h"
#include "daemon/policy.h"
#include "daemon/stamp.h"
#include "protocol/base/check.h"
#include "protocol/base/enc.h"
#include "protocol/base/hash.h"
#include "test/common/ctlkit.h"
#include "test/common/fakegate.h"
#include "test/common/fakekey.h"
#include "test/common/fakeparty.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct fakekey key;

static int
sign_as(void *ctx, const uint8_t msg[32], uint8_t sig[64])
{
    return crypto_sign_detached(sig, NULL, msg, 32, ctx);
}

static int
setup(void **state)
{
    (void)state;
    static const uint8_t zero[32];
    struct qr_rng rng = qr_rng_system();
    snprintf(ctl_home, sizeof ctl_home, "/tmp/test_ctl_XXXXXX");
    assert_non_null(mkdtemp(ctl_home));
    assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    assert_true(sodium_init() >= 0);
    assert_int_equal(qr_hash_init(), QR_OK);
    assert_int_equal(qr_group_init(&rng), QR_OK);
    assert_int_equal(qr_stamp_init(), QR_OK);
    fakekey_make(&key, 2, 3, 7, zero, zero, zero, 0); /* for its identities */
    for (int i = 0; i < 3; i++) {
        struct qr_descriptor d = {.party = {.platform = QR_PLATFORM_SIM}};
        struct qr_id_signer s = {key.id_sk[i], sign_as};
        struct qr_dbuf b;
        char name[16];
        memcpy(d.party.identity, key.pub.id[i], 32);
        snprintf(d.party.address, sizeof d.party.address, "tcp://127.0.0.1:%d", 7001 + i);
        snprintf(d.party.cloud, sizeof d.party.cloud, "cloud-%d", i + 1);
        snprintf(d.party.operator_name, sizeof d.party.operator_name, "op");
        qr_dbuf_init(&b, 8192);
        assert_int_equal(qr_descriptor_build(&d, &s, &b), QR_OK);
        snprintf(name, sizeof name, "d%d", i + 1);
        ctl_write(name, b.p, b.len);
        qr_dbuf_free(&b);
    }
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    DIR *d = opendir(ctl_home);
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        unlink(ctl_path(e->d_name));
    }
    closedir(d);
    rmdir(ctl_home);
    return 0;
}

/* Keys, roster and policy as an operator would make them; leaves alice, bob and client in files. */
static void
make_documents(void)
{
    char alice[80], bob[80];
    assert_int_equal(ctl_run("key new", "--out @/alice"), 0);
    snprintf(alice, sizeof alice, "%.66s", ctl_out);
    assert_int_equal(ctl_run("key new", "--scheme ed25519 --out @/bob"), 0);
    snprintf(bob, sizeof bob, "%.64s", ctl_out);
    assert_int_equal(ctl_run("key new", "--scheme p256 --out @/client"), 0);
    assert_int_equal(ctl_run("roster new",
                             "--name prod --admin alice:%s --admin bob:%s:ed25519 --need 2 "
                             "--out @/roster @/d1 @/d2 @/d3",
                             alice, bob),
                     0);
}

/* ---- keys and stamps ---- */

static void
test_keys(void **state)
{
    (void)state;
    static const char *const schemes[] = {"p256", "secp256k1", "ed25519"};
    struct stat st;
    char made[128];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ctl_run("key new", "--scheme %s --out @/k%d", schemes[i], i), 0);
        assert_int_equal(strspn(ctl_out, "0123456789abcdef"), i == 2 ? 64 : 66);
        snprintf(made, sizeof made, "%.100s", ctl_out);
        char name[24];
        snprintf(name, sizeof name, "k%d", i);
        assert_int_equal(stat(ctl_path(name), &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        assert_int_equal(ctl_run("key show", "@/k%d", i), 0);
        assert_string_equal(ctl_out, made);
        assert_int_equal(ctl_run("key show", "--json @/k%d", i), 0);
        assert_non_null(strstr(ctl_out, schemes[i]));
    }
    assert_int_equal(ctl_run("key new", "--out @/k0"), QR_EXIT_CONFIG);
    ctl_says("exists already");
    assert_int_equal(ctl_run("key new", "--scheme rsa --out @/k9"), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("key new", " "), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("key new", "--out"), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("key new", "--out @/x --out @/y"), QR_EXIT_USAGE);
    ctl_says("twice");
    assert_int_equal(ctl_run("key new", "--out @/x --colour red"), QR_EXIT_USAGE);
    ctl_says("--colour");
    assert_int_equal(ctl_run("key new", "--out @/x extra"), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("key show", "@/nothing"), QR_EXIT_CONFIG);
    assert_int_equal(chmod(ctl_path("k0"), 0644), 0);
    assert_int_equal(ctl_run("key show", "@/k0"), QR_EXIT_CONFIG);
    ctl_says("0644");
    ctl_write("rubbish", "rubbish\n", 8);
    assert_int_equal(chmod(ctl_path("rubbish"), 0600), 0);
    assert_int_equal(ctl_run("key show", "@/rubbish"), QR_EXIT_CONFIG);
    ctl_says("no unencrypted PEM private key");
    assert_int_equal(ctl_run("key new", "--help"), 0);
    assert_non_null(strstr(ctl_out, "Usage: quorate key new"));
}

static void
test_stamp(void **state)
{
    (void)state;
    struct qr_stamp st;
    struct qr_pubkey *pub = NULL;
    char why[256], stamps[4096];
    static const char doc[] = "exact bytes\n";
    assert_int_equal(ctl_run("key new", "--out @/k"), 0);
    ctl_write("doc", doc, sizeof doc - 1);
    assert_int_equal(ctl_run("stamp", "--key @/k --print @/doc"), 0);
    ctl_out[strcspn(ctl_out, "\n")] = '\0';
    assert_int_equal(qr_stamp_parse(qr_view_str(ctl_out), &st, why, sizeof why), QR_OK);
    assert_int_equal(qr_pubkey_new(&st.key, &pub), QR_OK);
    assert_int_equal(qr_stamp_verify(pub, &st, qr_view_of(doc, sizeof doc - 1)), QR_OK);
    qr_pubkey_free(pub);
    assert_int_not_equal(access(ctl_path("doc.stamps"), F_OK), 0);

    assert_int_equal(ctl_run("stamp", "--key @/k @/doc"), 0);
    assert_int_equal(ctl_run("stamp", "--key @/k @/doc"), 0); /* once is enough */
    ctl_says("already");
    assert_int_equal(ctl_run("key new", "--scheme secp256k1 --out @/k2"), 0);
    assert_int_equal(ctl_run("stamp", "--key @/k2 @/doc"), 0);
    ctl_read(ctl_path("doc.stamps"), stamps, sizeof stamps);
    size_t lines = 0;
    for (const char *p = stamps; *p; p++) {
        lines += *p == '\n';
    }
    assert_int_equal(lines, 2);
    /* The document changes: nobody adds a stamp to the old ones. */
    ctl_write("doc", "other bytes\n", 12);
    assert_int_equal(ctl_run("key new", "--scheme ed25519 --out @/k3"), 0);
    assert_int_equal(ctl_run("stamp", "--key @/k3 @/doc"), QR_EXIT_REFUSED);
    ctl_says("changed");
    ctl_write("doc.stamps", "nonsense\n", 9);
    assert_int_equal(ctl_run("stamp", "--key @/k3 @/doc"), QR_EXIT_CONFIG);
    assert_int_equal(ctl_run("stamp", "--key @/k3 -"), QR_EXIT_USAGE);
}

static size_t
open_files(void)
{
    size_t n = 0;
    for (int fd = 0; fd < 256; fd++) {
        n += fcntl(fd, F_GETFD) != -1;
    }
    return n;
}

/* A stamp that does not fit on the disk: the error is that of writing, and the file is closed. */
static void
test_stamp_disk_full(void **state)
{
    struct rlimit old, full;
    struct stat st;

    (void)state;
    ctl_write("doc", "exact bytes\n", 12);
    assert_int_equal(ctl_run("key new", "--scheme ed25519 --out @/k"), 0);
    assert_int_equal(ctl_run("key new", "--scheme ed25519 --out @/k2"), 0);
    assert_int_equal(ctl_run("stamp", "--key @/k @/doc"), 0);
    assert_int_equal(stat(ctl_path("doc.stamps"), &st), 0);
    size_t before = open_files();
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    full = (struct rlimit){.rlim_cur = (rlim_t)st.st_size, .rlim_max = old.rlim_max};
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR && setrlimit(RLIMIT_FSIZE, &full) == 0);
    int code = ctl_run("stamp", "--key @/k2 @/doc");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(code, QR_EXIT_CONFIG);
    ctl_says("doc.stamps: File too large");
    assert_int_equal(open_files(), before);
    /* there is room again */
    assert_int_equal(ctl_run("stamp", "--key @/k2 @/doc"), 0);
}

/* ---- documents ---- */

static void
test_roster(void **state)
{
    (void)state;
    make_documents();
    assert_int_equal(ctl_run("roster show", "@/roster"), 0);
    assert_non_null(strstr(ctl_out, "roster    prod, serial 1"));
    assert_non_null(strstr(ctl_out, "cloud-3, operator op, tee sim"));
    assert_int_equal(ctl_run("roster check", "@/roster"), QR_EXIT_REFUSED);
    assert_int_equal(ctl_run("stamp", "--key @/alice @/roster"), 0);
    assert_int_equal(ctl_run("roster check", "@/roster"), QR_EXIT_REFUSED); /* one of two */
    assert_int_equal(ctl_run("stamp", "--key @/client @/roster"), 0);       /* no administrator */
    assert_int_equal(ctl_run("roster check", "@/roster"), QR_EXIT_REFUSED);
    assert_int_equal(ctl_run("stamp", "--key @/bob @/roster"), 0);
    assert_int_equal(ctl_run("roster check", "@/roster"), 0);
    assert_non_null(strstr(ctl_out, "ok: serial 1, 3 parties"));

    /* A successor: same cluster, next serial, checked by the old administrators. */
    char alice[80];
    assert_int_equal(ctl_run("key show", "@/alice"), 0);
    snprintf(alice, sizeof alice, "%.66s", ctl_out);
    assert_int_equal(ctl_run("roster new",
                             "--name prod --after @/roster --admin alice:%s --need 1 "
                             "--out @/roster2 @/d1 @/d2 @/d3",
                             alice),
                     0);
    assert_int_equal(ctl_run("stamp", "--key @/alice @/roster2"), 0);
    assert_int_equal(ctl_run("roster check", "@/roster2"), 0); /* by its own one administrator */
    assert_int_equal(ctl_run("roster check", "--after @/roster @/roster2"), QR_EXIT_REFUSED);
    assert_int_equal(ctl_run("stamp", "--key @/bob @/roster2"), 0);
    assert_int_equal(ctl_run("roster check", "--after @/roster @/roster2"), 0);
    assert_non_null(strstr(ctl_out, "serial 2"));
    assert_int_equal(ctl_run("roster check", "--after @/roster2 @/roster"), QR_EXIT_REFUSED);

    /* What is no roster. */
    assert_int_equal(ctl_run("roster new", "--name prod --admin a:%s --need 2 @/d1 @/d2", alice),
                     QR_EXIT_USAGE);
    assert_int_equal(ctl_run("roster new", "--name prod --admin a:%s --need 1 @/d1 @/d1", alice),
                     QR_EXIT_USAGE);
    ctl_says("same identity");
    assert_int_equal(ctl_run("roster new", "--name prod --admin a:%s --need 1 @/d1", alice),
                     QR_EXIT_USAGE);
    assert_int_equal(ctl_run("roster new", "--name prod --admin a:02ff --need 1 @/d1 @/d2"),
                     QR_EXIT_USAGE);
    assert_int_equal(ctl_run("roster new", "--name prod --admin %s --need 1 @/d1 @/d2", alice),
                     QR_EXIT_USAGE);
    assert_int_equal(
        ctl_run("roster new", "--name prod --admin a:%s:rsa --need 1 @/d1 @/d2", alice),
        QR_EXIT_USAGE);
    ctl_write("roster", "{}", 2);
    assert_int_equal(ctl_run("roster show", "@/roster"), QR_EXIT_CONFIG);

    /* A descriptor that somebody edited. */
    char d[8192];
    ctl_read(ctl_path("d1"), d, sizeof d);
    memcpy(strstr(d, "7001"), "7009", 4);
    ctl_write("forged", d, strlen(d));
    assert_int_equal(
        ctl_run("roster new", "--name prod --admin a:%s --need 1 @/forged @/d2", alice),
        QR_EXIT_REFUSED);
    ctl_says("forged");
}

static void
test_policy(void **state)
{
    (void)state;
    char client[80];
    make_documents();
    assert_int_equal(ctl_run("key show", "@/client"), 0);
    snprintf(client, sizeof client, "%.66s", ctl_out);
    assert_int_equal(
        ctl_run("policy new", "--roster @/roster --client ops:%s --out @/policy", client), 0);
    assert_int_equal(ctl_run("policy check", "@/policy"), 0);
    assert_non_null(strstr(ctl_out, "1 clients"));
    char text[8192];
    ctl_read(ctl_path("policy"), text, sizeof text);
    assert_null(strstr(text, "digest")); /* never by default */
    assert_null(strstr(text, "insecure_sim"));
    assert_int_equal(ctl_run("policy check", "--roster @/roster @/policy"), QR_EXIT_REFUSED);
    assert_int_equal(ctl_run("stamp", "--key @/alice @/policy"), 0);
    assert_int_equal(ctl_run("stamp", "--key @/bob @/policy"), 0);
    assert_int_equal(ctl_run("policy check", "--roster @/roster @/policy"), 0);
    assert_int_equal(
        ctl_run("policy new",
                "--roster @/roster --serial 7 --insecure-sim --peer-secret 2 --client ops:%s "
                "--rule hot:allow:ops:*:sha256,digest --rule no:deny:*:*:eip191 --out @/p2",
                client),
        0);
    ctl_read(ctl_path("p2"), text, sizeof text);
    assert_non_null(strstr(text, "\"serial\":7"));
    assert_non_null(strstr(text, "{\"insecure_sim\":true,\"peer_secret\":{\"threshold\":2}}"));
    assert_int_equal(ctl_run("policy new", "--roster @/roster --peer-secret 1 --out @/p3"),
                     QR_EXIT_USAGE);
    ctl_says("peer_secret.threshold: 1 is not between 2 and 16");
    assert_int_equal(ctl_run("policy new", "--roster @/roster --peer-secret 3 --out @/p3"), 0);
    assert_non_null(strstr(text, "\"kinds\":[\"sha256\",\"digest\"]"));
    assert_int_equal(ctl_run("policy check", "@/p2"), 0);
    ctl_says("software TEE");
    static const char *const bad_rules[] = {"x",
                                            "x:allow:*:*",
                                            "x:maybe:*:*:sha256",
                                            "x:allow:nobody:*:sha256",
                                            "x:allow:*:*:everything",
                                            "x:allow:*:zz:sha256",
                                            ":allow:*:*:sha256"};
    for (size_t i = 0; i < sizeof bad_rules / sizeof bad_rules[0]; i++) {
        if (ctl_run("policy new", "--roster @/roster --client ops:%s --rule %s", client,
                    bad_rules[i]) != QR_EXIT_USAGE) {
            fail_msg("rule %s was taken", bad_rules[i]);
        }
    }
    /* Of another cluster. */
    assert_int_equal(
        ctl_run("roster new", "--name other --admin a:%s --need 1 --out @/r2 @/d1 @/d2", client),
        0);
    assert_int_equal(ctl_run("policy check", "--roster @/r2 @/policy"), QR_EXIT_REFUSED);
    ctl_says("another cluster");
}

/* ---- parties ---- */

static struct {
    char body[QR_DOC_MAX];
    size_t n_stamps;
    enum qr_admin admin;
    qr_err refuse;
    const struct qr_key_pub *show;
    char roster[QR_DOC_MAX];
} party;

static void
on_ask(void *ctx, struct fakeparty *f, const struct qr_ask *ask)
{
    struct qr_answer a = {.id = ask->id};
    struct qr_dbuf d;
    (void)ctx;
    qr_dbuf_init(&d, 65536);
    if (party.refuse != QR_OK) {
        a.error = party.refuse;
        a.detail = qr_view_str("command refused: alice has not signed");
    } else if (ask->what == QR_ASK_QUERY && ask->query == QR_QUERY_ROSTER) {
        a.text = qr_view_str(party.roster);
    } else if (ask->what == QR_ASK_ADMIN) {
        memcpy(party.body, ask->body.p, ask->body.len);
        party.body[ask->body.len] = '\0';
        party.n_stamps = ask->n_stamps;
        party.admin = ask->admin;
        a.json = qr_view_str("{\"ok\":true,\"done\":\"it\"}");
        if (strstr(party.body, "keygen")) {
            QR_ASSERT(qr_keyjson_put(&d, party.show) == QR_OK);
            a.json = qr_view_of(d.p, d.len);
        }
    } else {
        a.json = qr_view_str("{\"v\":1,\"keys\":[]}");
    }
    fakeparty_answer(f, &a);
    qr_dbuf_free(&d);
}

/* The fake quorum's key as it would be made under the roster in the file. */
static void
rekey(struct fakekey *k)
{
    struct qr_roster *r = NULL;
    char text[8192], why[256];
    ctl_read(ctl_path("roster"), text, sizeof text);
    assert_int_equal(qr_roster_parse(qr_view_str(text), &r, why, sizeof why), QR_OK);
    fakekey_make(k, 2, 3, 7, r->cluster, r->admins.hash, r->hash, 0);
    qr_roster_free(r);
}

static void
test_party_commands(void **state)
{
    (void)state;
    static struct fakekey genuine, forged;
    char sock[512], hex[67];
    memset(&party, 0, sizeof party);
    make_documents();
    rekey(&genuine);
    snprintf(sock, sizeof sock, "%s", ctl_path("sock"));
    ctl_read(ctl_path("roster"), party.roster, sizeof party.roster);
    struct fakeparty *f = fakeparty_start(sock, on_ask, NULL);
    party.show = &genuine.pub;

    assert_int_equal(ctl_run("stamp", "--key @/alice @/roster"), 0);
    assert_int_equal(ctl_run("roster load", "--socket @/sock @/roster"), 0);
    assert_int_equal(party.admin, QR_ADMIN_LOAD_ROSTER);
    assert_int_equal(party.n_stamps, 1);
    assert_string_equal(party.body, party.roster);
    assert_int_equal(ctl_run("roster load", "--socket @/sock --socket @/none @/roster"),
                     QR_EXIT_TEMPORARY);
    ctl_says("is quorated running?");

    assert_int_equal(
        ctl_run("keygen", "--socket @/sock --roster @/roster --key @/alice --key @/bob --t 2"), 0);
    qr_hex_encode(qr_view_of(genuine.pub.pk, 33), hex);
    assert_int_equal(strncmp(ctl_out, hex, 66), 0);
    assert_int_equal(party.n_stamps, 2);
    assert_int_equal(ctl_run("keygen", "--socket @/sock --key @/alice --t 2"),
                     0); /* the party's own roster */
    /* A party that shows another quorum's key. */
    fakekey_make(&forged, 2, 3, 8, genuine.pub.cluster, genuine.pub.admin_hash,
                 genuine.pub.roster_hash, 0);
    party.show = &forged.pub;
    assert_int_equal(ctl_run("keygen", "--socket @/sock --roster @/roster --key @/alice --t 2"),
                     QR_EXIT_REFUSED);
    ctl_says("is not party 1 of the roster");
    assert_string_equal(ctl_out, "");
    party.show = &genuine.pub;

    assert_int_equal(ctl_run("retire", "--socket @/sock --roster @/roster --key @/alice 3 1"), 0);
    assert_non_null(strstr(party.body, "\"cmd\":\"retire\",\"pair\":[1,3]"));
    assert_int_equal(ctl_run("readmit", "--socket @/sock --roster @/roster --key @/alice 1 3"), 0);
    assert_int_equal(ctl_run("retire", "--socket @/sock --key @/alice 1 1"), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("retire", "--socket @/sock --key @/alice 1 17"), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("keygen", "--socket @/sock --key @/alice --t 1"), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("keygen", "--socket @/sock --t 2"), QR_EXIT_USAGE);

    /* By administrators in two places. */
    assert_int_equal(ctl_run("keygen", "--out @/cmd --roster @/roster --t 2"), 0);
    assert_int_equal(ctl_run("send", "--socket @/sock @/cmd"),
                     QR_EXIT_CONFIG); /* nobody stamped it */
    assert_int_equal(ctl_run("stamp", "--key @/alice @/cmd"), 0);
    assert_int_equal(ctl_run("stamp", "--key @/bob @/cmd"), 0);
    assert_int_equal(ctl_run("send", "--socket @/sock --roster @/roster @/cmd"), 0);
    assert_int_equal(strncmp(ctl_out, hex, 66), 0);
    assert_int_equal(party.n_stamps, 2);
    ctl_write("nocmd", "{}", 2);
    ctl_write("nocmd.stamps", "x\n", 2);
    assert_int_equal(ctl_run("send", "--socket @/sock --roster @/roster @/nocmd"), QR_EXIT_CONFIG);

    party.refuse = QR_ERR_ADMIN;
    assert_int_equal(ctl_run("retire", "--socket @/sock --roster @/roster --key @/alice 1 3"),
                     QR_EXIT_REFUSED);
    ctl_says("alice has not signed");
    party.refuse = QR_ERR_NOT_READY;
    assert_int_equal(ctl_run("keys", "--socket @/sock"), QR_EXIT_TEMPORARY);
    party.refuse = QR_OK;
    assert_int_equal(ctl_run("keys", "--socket @/sock"), 0);
    assert_non_null(strstr(ctl_out, "no keys yet"));
    assert_int_equal(ctl_run("keys", "--socket @/sock --json"), 0);
    assert_string_equal(ctl_out, "{\"v\":1,\"keys\":[]}\n");
    assert_int_equal(ctl_run("keys", "--socket @/sock --gateway http://127.0.0.1:1"),
                     QR_EXIT_USAGE);
    fakeparty_stop(f);
}

/* ---- gateways ---- */

enum lie {
    HONEST,
    OTHER_KEY,     /* shows its own quorum's key */
    WRONG_RECORD,  /* shows the right public key with a broken record */
    BAD_SIGNATURE, /* one bit off */
    OTHER_DIGEST,  /* signs something else */
    REPLAYED,      /* the answer to an earlier request */
    CUT,           /* half an answer */
    DENIES,        /* 403 */
    BUSY,          /* 503 */
    RUBBISH,       /* no JSON */
};

struct gate {
    enum lie lie;
    struct fakekey key, own;
    struct qr_dbuf old; /* an earlier answer's body */
};

static void
answer_key(struct gate *g, struct qr_dbuf *to)
{
    struct qr_key_pub pub = g->lie == OTHER_KEY ? g->own.pub : g->key.pub;
    struct qr_dbuf d;
    if (g->lie == WRONG_RECORD) {
        memcpy(pub.P[1], g->own.pub.P[1], 33);
    }
    qr_dbuf_init(&d, 65536);
    QR_ASSERT(qr_keyjson_put(&d, &pub) == QR_OK);
    fakegate_reply(to, 200, qr_view_of(d.p, d.len));
    qr_dbuf_free(&d);
}

static void
answer_sign(struct gate *g, const char *request, struct qr_dbuf *to)
{
    static struct qr_request q;
    struct qr_answer_sig sig;
    struct qr_answer_signed s = {.n_sigs = 1, .sigs = &sig, .n_signers = 2, .signers = {1, 2}};
    struct qr_dbuf d;
    char why[256];
    QR_ASSERT(qr_request_parse(qr_view_str(strstr(request, "\r\n\r\n") + 4), &q, why, sizeof why) ==
              QR_OK);
    memcpy(s.request, q.hash, 32);
    memcpy(s.key, q.key, 33);
    memcpy(sig.digest, q.items[0].digest, 32);
    if (g->lie == OTHER_DIGEST) {
        sig.digest[0] ^= 1;
    }
    fakekey_sign(&g->key, q.path, q.depth, sig.digest, sig.rs, &sig.recid);
    if (g->lie == BAD_SIGNATURE) {
        sig.rs[63] ^= 1;
    }
    qr_dbuf_init(&d, 65536);
    QR_ASSERT(qr_gw_render_signed(&d, &s) == QR_OK);
    if (g->lie == REPLAYED) {
        fakegate_reply(to, 200, qr_view_of(g->old.p, g->old.len));
    } else {
        fakegate_reply(to, 200, qr_view_of(d.p, g->lie == CUT ? d.len / 2 : d.len));
    }
    if (g->old.len == 0) {
        QR_ASSERT(qr_dbuf_append(&g->old, d.p, d.len) == QR_OK);
    }
    qr_dbuf_free(&d);
}

static void
on_request(void *ctx, const char *request, struct qr_dbuf *to)
{
    struct gate *g = ctx;
    if (g->lie == DENIES && strncmp(request, "POST", 4) == 0) {
        fakegate_reply(
            to, 403,
            qr_view_str("{\"code\":\"policy_denied\",\"detail\":\"no rule\\u001b[2J allows it\","
                        "\"party\":2,\"rule\":\"r1\"}"));
    } else if (g->lie == BUSY) {
        fakegate_reply(to, 503, qr_view_str("{\"code\":\"not_ready\",\"detail\":\"later\"}"));
    } else if (g->lie == RUBBISH) {
        fakegate_reply(to, 200, qr_view_str("<html>hello</html>"));
    } else if (strncmp(request, "GET /v1/keys/", 13) == 0) {
        answer_key(g, to);
    } else {
        QR_ASSERT(strstr(request, "\r\nX-Stamp: ") != NULL);
        answer_sign(g, request, to);
    }
}

static void
test_sign(void **state)
{
    (void)state;
    static struct gate liar, honest;
    char hex[67], pub[80], urls[128];
    make_documents();
    memset(&liar, 0, sizeof liar);
    rekey(&liar.key);
    honest = liar;
    fakekey_make(&liar.own, 2, 3, 9, liar.key.pub.cluster, liar.key.pub.admin_hash,
                 liar.key.pub.roster_hash, 0);
    qr_dbuf_init(&liar.old, 65536);
    qr_dbuf_init(&honest.old, 65536);
    struct fakegate *a = fakegate_start(on_request, &liar, NULL, NULL);
    struct fakegate *b = fakegate_start(on_request, &honest, NULL, NULL);
    qr_hex_encode(qr_view_of(liar.key.pub.pk, 33), hex);
    ctl_write("msg", "a message\n", 10);
#define SIGN "--gateway http://127.0.0.1:%u --roster @/roster --client @/client --key %s "

    assert_int_equal(ctl_run("sign", SIGN "--der @/sig --pem @/pem @/msg", fakegate_port(a), hex),
                     0);
    assert_non_null(strstr(ctl_out, "signers    1 2 (of 3, 2 needed)"));
    assert_int_equal(ctl_run("verify", "--key %s --signature @/sig @/msg", hex), 0);
    assert_string_equal(ctl_out, "verified\n");
    ctl_write("msg2", "a messagf\n", 10);
    assert_int_equal(ctl_run("verify", "--key %s --signature @/sig @/msg2", hex), QR_EXIT_REFUSED);
    assert_int_equal(ctl_run("verify", "--key %s --signature @/pem @/msg", hex), QR_EXIT_CONFIG);

    /* A child: the PEM is the child's, and json names it. */
    assert_int_equal(
        ctl_run("sign", SIGN "--path 0/5 --der @/sig2 --json @/msg", fakegate_port(a), hex), 0);
    json_t *j = json_loads(ctl_out, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(j);
    snprintf(pub, sizeof pub, "%s", json_string_value(json_object_get(j, "public_key")));
    json_decref(j);
    assert_string_not_equal(pub, hex);
    assert_int_equal(ctl_run("verify", "--key %s --signature @/sig2 @/msg", pub), 0);
    assert_int_equal(ctl_run("verify", "--key %s --signature @/sig2 @/msg", hex), QR_EXIT_REFUSED);

    static const char *const kinds[] = {"sha256d", "eip191", "digest"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ctl_run("sign", SIGN "--kind %s @/msg", fakegate_port(a), hex, kinds[i]),
                         0);
    }
    ctl_write("hex", "0x616263\n", 9);
    assert_int_equal(ctl_run("sign", SIGN "--hex @/hex", fakegate_port(a), hex), 0);

    /* Every lie is found, nothing is shown, and an honest gateway behind it is used. */
    snprintf(urls, sizeof urls, "http://127.0.0.1:%u,http://127.0.0.1:%u", fakegate_port(a),
             fakegate_port(b));
    static const struct {
        enum lie lie;
        int code;
        const char *says;
    } lies[] = {
        {OTHER_KEY, QR_EXIT_REFUSED, "another key"},
        {WRONG_RECORD, QR_EXIT_REFUSED, "not to be trusted"},
        {BAD_SIGNATURE, QR_EXIT_REFUSED, "verify"},
        {OTHER_DIGEST, QR_EXIT_REFUSED, "another digest"},
        {REPLAYED, QR_EXIT_REFUSED, "another request"},
        {CUT, QR_EXIT_REFUSED, "not to be trusted"},
        {DENIES, QR_EXIT_REFUSED, "party 2, rule r1"},
        {BUSY, QR_EXIT_TEMPORARY, "503 not_ready: later"},
        {RUBBISH, QR_EXIT_REFUSED, "not to be trusted"},
    };
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        liar.lie = lies[i].lie;
        int code = ctl_run("sign", SIGN "--der @/never @/msg", fakegate_port(a), hex);
        if (code != lies[i].code) {
            fail_msg("lie %d: exit %d, not %d: %s", lies[i].lie, code, lies[i].code, ctl_err);
        }
        ctl_says(lies[i].says);
        assert_string_equal(ctl_out, "");
        assert_null(strchr(ctl_err, 0x1b));
        assert_int_not_equal(access(ctl_path("never"), F_OK), 0);
        assert_int_equal(ctl_run("sign",
                                 "--gateway %s --roster @/roster --client @/client --key %s @/msg",
                                 urls, hex),
                         0);
        ctl_says("next gateway");
    }
    /* Nobody there; then somebody. */
    a = fakegate_stop(a);
    assert_int_equal(
        ctl_run("sign",
                "--gateway http://127.0.0.1:1 --roster @/roster --client @/client --key %s @/msg",
                hex),
        QR_EXIT_TEMPORARY);
    assert_int_equal(ctl_run("sign",
                             "--gateway %s --roster @/roster --client @/client --key %s @/msg",
                             urls, hex),
                     0);
    fakegate_stop(b);
    qr_dbuf_free(&liar.old);
    qr_dbuf_free(&honest.old);
}

static void
test_sign_usage(void **state)
{
    (void)state;
    char hex[67];
    make_documents();
    qr_hex_encode(qr_view_of(key.pub.pk, 33), hex);
    ctl_write("msg", "x", 1);
    static char big[QR_PREIMAGE_MAX * 2 + 100];
    memset(big, 'x', sizeof big);
    ctl_write("big", big, sizeof big);
    ctl_write("long", big, QR_PREIMAGE_MAX + 1);
    ctl_write("hex", "0x61626\n", 8);
#define BASE "--gateway http://127.0.0.1:1 --roster @/roster --client @/client "
    assert_int_equal(ctl_run("sign", BASE "--key %.64s @/msg", hex), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("sign", BASE "--key %s --kind sha1 @/msg", hex), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("sign", BASE "--key %s --path 0/x @/msg", hex), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("sign", BASE "--key %s --path 0/ @/msg", hex), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("sign", BASE "--key %s --path 2147483648 @/msg", hex), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("sign", BASE "--key %s --path 1/2/3/4/5/6/7/8/9 @/msg", hex),
                     QR_EXIT_USAGE);
    assert_int_equal(ctl_run("sign", BASE "--key %s --id short @/msg", hex), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("sign", BASE "--key %s --hex @/hex", hex), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("sign", BASE "--key %s @/big", hex), QR_EXIT_CONFIG);
    ctl_says("longer than");
    assert_int_equal(ctl_run("sign", BASE "--key %s @/long", hex), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("sign", BASE "--key %s @/nofile", hex), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("sign", BASE "--key %s", hex), QR_EXIT_USAGE);
    assert_int_equal(ctl_run("sign",
                             "--gateway ftp://x --roster @/roster --client @/client --key %s @/msg",
                             hex),
                     QR_EXIT_USAGE);
    assert_int_equal(
        ctl_run("sign",
                "--gateway http://127.0.0.1:1 --roster @/msg --client @/client --key %s @/msg",
                hex),
        QR_EXIT_CONFIG);
    assert_int_equal(
        ctl_run("sign",
                "--gateway http://127.0.0.1:1 --roster @/roster --client @/msg --key %s @/msg",
                hex),
        QR_EXIT_CONFIG);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_keys),   CASE(test_stamp),      CASE(test_stamp_disk_full),
        CASE(test_roster), CASE(test_policy),     CASE(test_party_commands),
        CASE(test_sign),   CASE(test_sign_usage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
