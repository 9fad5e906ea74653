#include "test/common/teeconform.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/gw_need.h"

#include <dirent.h>
#include <stdio.h>

#define EPOCH 7u
#define SEALED_MAX 512u

static char why[700];

/* ---- kept values ---- */

static qr_err
mem_load(void *ctx, const char *name, struct qr_dbuf *out)
{
    struct memkeep *m = ctx;
    for (size_t i = 0; i < m->n; i++) {
        if (strcmp(m->item[i].name, name) == 0) {
            out->len = 0;
            return qr_dbuf_append(out, m->item[i].v, m->item[i].len);
        }
    }
    return QR_ERR_NOT_FOUND;
}

static qr_err
mem_save(void *ctx, const char *name, qr_view v)
{
    struct memkeep *m = ctx;
    size_t i = 0;

    if (m->fail_save != QR_OK) {
        return m->fail_save;
    }
    assert_true(qr_tee_keep_is_name(name));
    while (i < m->n && strcmp(m->item[i].name, name) != 0) {
        i++;
    }
    assert_true(i < 4 && v.len <= sizeof m->item[i].v);
    (void)snprintf(m->item[i].name, sizeof m->item[i].name, "%s", name);
    memcpy(m->item[i].v, v.p, v.len);
    m->item[i].len = v.len;
    m->n += i == m->n;
    return QR_OK;
}

static const char *
mem_why(void *ctx)
{
    (void)ctx;
    return "the memory is read-only today";
}

static void
mem_free(void *ctx)
{
    (void)ctx;
}

void
memkeep_table(struct memkeep *m, struct qr_tee_keep *ret)
{
    *ret = (struct qr_tee_keep){m, mem_load, mem_save, mem_why, mem_free};
}

/* ---- what must not grow ---- */

struct usage {
    size_t bytes, blocks, locked, unlocked;
    unsigned files;
};

static struct usage
usage(void)
{
    struct usage u = {0};
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d)) {
        u.files++;
    }
    (void)closedir(d);
    qr_alloc_stats(&u.bytes, &u.blocks);
    qr_locked_stats(&u.locked, &u.unlocked);
    return u;
}

static void
same_usage(struct usage a)
{
    struct usage b = usage();
    assert_int_equal(b.blocks, a.blocks);
    assert_int_equal(b.bytes, a.bytes);
    assert_int_equal(b.locked, a.locked);
    assert_int_equal(b.files, a.files);
}

static void
open_one(const struct teeconform *c, int machine, struct qr_tee *t)
{
    *t = (struct qr_tee){0};
    why[0] = '\0';
    qr_err e = c->open(c->ctx, machine, t, why, sizeof why);
    if (e != QR_OK) {
        fail_msg("%s: open: %s: %s", c->name, qr_err_text(e), why);
    }
    if (c->deliver) {
        e = c->deliver(c->ctx, t);
        if (e != QR_OK) {
            fail_msg("%s: deliver: %s", c->name, qr_tee_why(t, e));
        }
    }
}

/* ---- parts of the suite ---- */

static void
check_table(const struct teeconform *c)
{
    struct qr_tee t;

    open_one(c, 0, &t);
    assert_non_null(t.profile);
    assert_string_equal(t.profile->name, c->name);
    assert_true(t.profile->grain >= QR_TEE_PROCESS && t.profile->grain <= QR_TEE_MACHINE);
    assert_true(t.evidence && t.seal && t.unseal && t.derive && t.random && t.free);
    assert_true(!t.needs == !t.collateral);
    assert_int_equal(t.insecure, t.platform == QR_PLATFORM_SIM);
    assert_true(!t.profile->clock_signed || t.time);
    assert_true(t.insecure || t.profile->keeps_secrets == c->survives);
    assert_true(qr_tee_why(&t, QR_OK) != NULL);
    qr_tee_close(&t);
    assert_null(t.ctx);
    qr_tee_close(&t); /* a zeroed one */
}

static qr_err
verify(const struct teeconform *c, const struct qr_tee *t, qr_view evidence,
       const uint8_t binder[static 32])
{
    static struct qr_verdict v;
    static struct qr_verify_out out;
    const struct qr_verify_opts o = {.roots = c->roots, .now_ms = c->now_ms};
    struct qr_claims claims;

    qr_err e = qr_tee_verify(t->platform, evidence, binder, &o, &v, &out, &claims, why, sizeof why);
    if (e == QR_OK) {
        assert_int_equal(claims.platform, t->platform);
        assert_int_equal(claims.insecure, t->insecure);
    }
    return e;
}

static void
check_evidence(const struct teeconform *c)
{
    uint8_t binder[2][32] = {{1, 2, 3}, {1, 2, 4}};
    uint8_t *mem = qr_alloc(QR_EVIDENCE_MAX);
    struct qr_tee t;

    assert_non_null(mem);
    open_one(c, 0, &t);
    for (int i = 0; i < 2; i++) {
        struct qr_buf b = qr_buf_over(mem, QR_EVIDENCE_MAX);
        qr_err e = t.evidence(t.ctx, binder[i], &b);
        if (e != QR_OK) {
            fail_msg("%s: evidence: %s", c->name, qr_tee_why(&t, e));
        }
        e = verify(c, &t, qr_buf_view(&b), binder[i]);
        if (e != QR_OK) {
            fail_msg("%s: its evidence is refused: %s", c->name, why);
        }
        assert_int_equal(verify(c, &t, qr_buf_view(&b), binder[1 - i]), QR_ERR_ATTESTATION);
        for (size_t at = b.len / 7; at < b.len;
             at += b.len / 3) { /* and it is not just any bytes */
            mem[at] ^= 0x20;
            (void)verify(c, &t, qr_buf_view(&b), binder[i]);
            mem[at] ^= 0x20;
        }
        assert_int_equal(verify(c, &t, qr_buf_view(&b), binder[i]), QR_OK);
    }
    struct qr_buf small = qr_buf_over(mem, 100);
    assert_int_not_equal(t.evidence(t.ctx, binder[0], &small), QR_OK);
    qr_tee_close(&t);
    qr_free(mem);
}

/* Seals "a share" under epoch and ad; *ret_len. */
static void
seal_one(struct qr_tee *t, uint32_t epoch, const char *ad, uint8_t out[static SEALED_MAX],
         size_t *ret_len)
{
    struct qr_buf b = qr_buf_over(out, SEALED_MAX);
    assert_int_equal(t->seal(t->ctx, epoch, qr_view_str(ad), qr_view_str("a share"), &b), QR_OK);
    *ret_len = b.len;
}

static qr_err
unseal_one(struct qr_tee *t, uint32_t epoch, const char *ad, qr_view sealed)
{
    uint8_t out[64] = "head";
    struct qr_buf b = qr_buf_over(out, sizeof out);
    b.len = 4;
    qr_err e = t->unseal(t->ctx, epoch, qr_view_str(ad), sealed, &b);
    if (e == QR_OK) {
        assert_int_equal(b.len, 11);
        assert_memory_equal(out, "heada share", 11);
    } else {
        assert_int_equal(b.len, 4);
    }
    return e;
}

static void
check_sealing(const struct teeconform *c)
{
    uint8_t a[SEALED_MAX], b[SEALED_MAX], tiny[16];
    size_t a_len, b_len;
    struct qr_tee t, other;

    open_one(c, 0, &t);
    open_one(c, 1, &other);
    seal_one(&t, EPOCH, "ad", a, &a_len);
    seal_one(&t, EPOCH, "ad", b, &b_len);
    assert_true(a_len > 7 && a_len <= 7 + QR_SEAL_OVERHEAD);
    assert_int_equal(a_len, b_len);
    assert_memory_not_equal(a, b, a_len); /* a nonce each */
    qr_view v = qr_view_of(a, a_len);
    assert_int_equal(unseal_one(&t, EPOCH, "ad", v), QR_OK);
    assert_int_equal(unseal_one(&t, EPOCH, "ae", v), QR_ERR_SEAL);
    assert_int_equal(unseal_one(&t, EPOCH, "", v), QR_ERR_SEAL);
    assert_int_equal(unseal_one(&t, EPOCH + 1, "ad", v), QR_ERR_SEAL);
    assert_int_equal(unseal_one(&t, 0, "ad", v), QR_ERR_SEAL);
    assert_int_equal(unseal_one(&other, EPOCH, "ad", v), QR_ERR_SEAL); /* another machine's */
    for (size_t n = 0; n < a_len; n++) {
        assert_int_equal(unseal_one(&t, EPOCH, "ad", qr_view_of(a, n)), QR_ERR_SEAL);
        a[n] ^= 1;
        assert_int_equal(unseal_one(&t, EPOCH, "ad", v), QR_ERR_SEAL);
        a[n] ^= 1;
    }
    struct qr_buf small = qr_buf_over(tiny, sizeof tiny);
    assert_int_equal(t.seal(t.ctx, EPOCH, qr_view_str(""), qr_view_str("a share"), &small),
                     QR_ERR_NO_SPACE);
    qr_tee_close(&other);
    qr_tee_close(&t);
    open_one(c, 0, &t); /* the next start */
    assert_int_equal(unseal_one(&t, EPOCH, "ad", v), c->survives ? QR_OK : QR_ERR_SEAL);
    qr_tee_close(&t);
}

static void
derive_one(struct qr_tee *t, uint32_t epoch, const char *label, const char *ad,
           struct qr_sec32 *ret)
{
    assert_int_equal(t->derive(t->ctx, epoch, label, qr_view_str(ad), ret), QR_OK);
}

static void
check_derive(const struct teeconform *c)
{
    static const uint8_t long_ad[QR_SEAL_OVERHEAD * 16];
    static const struct {
        uint32_t epoch;
        const char *label, *ad;
    } of[] = {{0, "a", "b"}, {1, "a", "b"}, {0, "ab", ""}, {0, "", "ab"}, {0, "a", "c"}};
    struct qr_sec32 k[6], again;
    struct qr_tee t, other;

    open_one(c, 0, &t);
    for (size_t i = 0; i < 5; i++) {
        derive_one(&t, of[i].epoch, of[i].label, of[i].ad, &k[i]);
        derive_one(&t, of[i].epoch, of[i].label, of[i].ad, &again);
        assert_memory_equal(k[i].b, again.b, 32);
    }
    open_one(c, 1, &other);
    derive_one(&other, of[0].epoch, of[0].label, of[0].ad, &k[5]);
    for (size_t i = 0; i < 6; i++) {
        for (size_t n = 0; n < i; n++) {
            assert_memory_not_equal(k[i].b, k[n].b, 32);
        }
    }
    assert_int_equal(t.derive(t.ctx, 0, "a", qr_view_of(long_ad, sizeof long_ad), &again),
                     QR_ERR_TOO_LARGE);
    qr_tee_close(&other);
    qr_tee_close(&t);
    open_one(c, 0, &t);
    derive_one(&t, of[0].epoch, of[0].label, of[0].ad, &again);
    assert_int_equal(memcmp(again.b, k[0].b, 32) == 0, c->survives);
    qr_tee_close(&t);
}

static void
check_random(const struct teeconform *c)
{
    uint8_t a[300] = {0}, b[300] = {0};
    struct qr_tee t;

    open_one(c, 0, &t);
    t.random(t.ctx, a, sizeof a);
    t.random(t.ctx, b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a + sizeof a - 32, a, 32); /* to the end */
    t.random(t.ctx, a, 0);
    struct qr_rng rng = qr_tee_rng(&t);
    qr_rng_fill(&rng, b, sizeof b);
    qr_tee_close(&t);
}

static void
check_documents(const struct teeconform *c)
{
    static const struct qr_need_bases bases = {.amd_kds = "https://a",
                                               .intel_pcs = "https://b",
                                               .intel_crl = "https://c",
                                               .azure_thim = "http://d",
                                               .google_ca = ""};
    static struct qr_needs needs;
    struct qr_dbuf json;
    struct qr_tee t;

    open_one(c, 0, &t);
    if (t.needs) {
        for (int i = 0; i < 2; i++) {
            qr_dbuf_init(&json, 65536);
            assert_int_equal(t.needs(t.ctx, &json), QR_OK);
            qr_err e = qr_needs_read(qr_view_of(json.p, json.len), &bases, &needs, why, sizeof why);
            if (e != QR_OK) {
                fail_msg("%s: needs %.*s: %s", c->name, (int)json.len, (const char *)json.p, why);
            }
            qr_dbuf_free(&json);
        }
        const struct qr_tee_piece token = {QR_PART_TOKEN, qr_view_str("no party sends a token")};
        assert_int_equal(t.collateral(t.ctx, qr_view_str("jwks"), &token, 1), QR_ERR_PLATFORM);
        for (size_t i = 0; i < needs.n; i++) {
            qr_view source = qr_view_str(needs.need[i].source);
            assert_int_equal(t.collateral(t.ctx, source, &token, 1), QR_ERR_PLATFORM);
            assert_int_equal(t.collateral(t.ctx, source, &token, 0), QR_ERR_PLATFORM);
        }
        assert_true(strlen(qr_tee_why(&t, QR_ERR_PLATFORM)) > 0);
        /* What was refused changed nothing. */
        uint8_t binder[32] = {9}, *mem = qr_alloc(QR_EVIDENCE_MAX);
        struct qr_buf b = qr_buf_over(mem, QR_EVIDENCE_MAX);
        assert_int_equal(t.evidence(t.ctx, binder, &b), QR_OK);
        assert_int_equal(verify(c, &t, qr_buf_view(&b), binder), QR_OK);
        qr_free(mem);
    }
    qr_tee_close(&t);
}

static void
check_troubles(const struct teeconform *c)
{
    struct teeconform_trouble x;
    uint8_t binder[32] = {5}, *mem = qr_alloc(QR_EVIDENCE_MAX);
    struct qr_tee t;

    open_one(c, 0, &t);
    for (size_t i = 0; c->trouble && c->trouble(c->ctx, i, &x); i++) {
        struct qr_buf b = qr_buf_over(mem, QR_EVIDENCE_MAX);
        qr_err e = t.evidence(t.ctx, binder, &b);
        if (x.lasting) {
            assert_int_not_equal(e, QR_OK);
            assert_true(e == QR_ERR_PLATFORM || e == QR_ERR_PERMISSIONS);
            if (!strstr(qr_tee_why(&t, e), x.says)) {
                fail_msg("%s: trouble %zu: \"%s\" says nothing of \"%s\"", c->name, i,
                         qr_tee_why(&t, e), x.says);
            }
        } else if (e != QR_OK) {
            fail_msg("%s: trouble %zu should pass: %s", c->name, i, qr_tee_why(&t, e));
        }
        c->calm(c->ctx);
        b = qr_buf_over(mem, QR_EVIDENCE_MAX);
        assert_int_equal(t.evidence(t.ctx, binder, &b), QR_OK); /* and it recovers by itself */
        assert_int_equal(verify(c, &t, qr_buf_view(&b), binder), QR_OK);
    }
    qr_tee_close(&t);
    qr_free(mem);
}

static int fail_at;

static int
may_allocate(size_t n)
{
    (void)n;
    return fail_at-- != 0;
}

/* The nth allocation of a start fails, for every n. */
static void
check_starvation(const struct teeconform *c)
{
    struct qr_tee t;
    struct usage before = usage();

    for (int n = 0;; n++) {
        assert_true(n < 1000);
        t = (struct qr_tee){0};
        fail_at = n;
        qr_alloc_gate(may_allocate);
        qr_err e = c->open(c->ctx, 0, &t, why, sizeof why);
        int failed = fail_at < 0;
        qr_alloc_gate(NULL);
        if (e == QR_OK) {
            qr_tee_close(&t);
            if (!failed) {
                break;
            }
        } else {
            assert_true(failed);
        }
        same_usage(before);
    }
}

void
teeconform_run(const struct teeconform *c)
{
    struct qr_tee t;

    open_one(c, 0, &t); /* what is made once a process is made now */
    qr_tee_close(&t);
    struct usage before = usage();
    check_table(c);
    check_evidence(c);
    check_sealing(c);
    check_derive(c);
    check_random(c);
    check_documents(c);
    check_troubles(c);
    if (!c->no_starvation) {
        check_starvation(c);
    }
    same_usage(before);
}
