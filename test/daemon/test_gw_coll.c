/* The gateway's collateral: needs, documents, cache and schedule, against a vendor played in memory. */
#include "daemon/gw_cache.h"
#include "daemon/gw_coll.h"
#include "protocol/base/enc.h"
#include "protocol/base/hash.h"
#include "test/common/evgen_ca.h"
#include "test/common/tmpdir.h"
#include "test/common/vendor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define HOUR UINT64_C(3600000)

static const struct qr_need_bases bases = {
    .amd_kds = "https://kdsintf.amd.com",
    .intel_pcs = "https://api.trustedservices.intel.com",
    .intel_crl = "https://certificates.trustedservices.intel.com",
    .azure_thim = "http://169.254.169.254",
};

/* ---- needs ---- */

static void
test_needs_become_addresses(void **state)
{
    (void)state;
    struct qr_needs n;
    char err[256] = "";

    assert_int_equal(qr_needs_read(qr_view_str(vendor_needs_all), &bases, &n, err, sizeof err),
                     QR_OK);
    assert_int_equal(n.n, 4);
    assert_int_equal(n.need[0].n, 3);
    assert_non_null(strstr(n.need[0].doc[0].url, "https://kdsintf.amd.com/vcek/v1/Milan/0011"));
    assert_non_null(strstr(n.need[0].doc[0].url, "?blSPL=04&teeSPL=00&snpSPL=24&ucodeSPL=219"));
    assert_true(n.need[0].doc[2].optional);
    assert_string_equal(n.need[1].doc[0].url,
                        "https://api.trustedservices.intel.com/tdx/certification/v4/"
                        "tcb?fmspc=00806f050000");
    assert_string_equal(n.need[1].doc[2].url,
                        "https://api.trustedservices.intel.com/sgx/certification/v4/"
                        "pckcrl?ca=platform&encoding=der");
    assert_true(n.need[2].doc[0].metadata);
    assert_string_equal(n.need[3].doc[0].url, "https://sharedweu.weu.attest.azure.net/certs");
    struct qr_need_bases mirror = bases;
    (void)snprintf(mirror.jwks, sizeof mirror.jwks, "http://127.0.0.1:1");
    assert_int_equal(qr_needs_read(qr_view_str(vendor_needs_all), &mirror, &n, err, sizeof err),
                     QR_OK);
    assert_string_equal(n.need[3].doc[0].url,
                        "http://127.0.0.1:1/sharedweu.weu.attest.azure.net/certs");
}

static void
test_needs_turin(void **state)
{
    (void)state;
    struct qr_needs n;
    char err[256] = "";
    assert_int_equal(
        qr_needs_read(qr_view_str("{\"v\":1,\"needs\":[{\"source\":\"amd-kds\",\"product\":"
                                  "\"Turin\",\"chip\":\"0011223344556677\",\"spl\":{\"bl\":1,"
                                  "\"tee\":2,\"snp\":3,\"ucode\":4,\"fmc\":5}}]}"),
                      &bases, &n, err, sizeof err),
        QR_OK);
    assert_non_null(strstr(n.need[0].doc[0].url,
                           "/Turin/0011223344556677?fmcSPL=05&blSPL=01&teeSPL=02&snpSPL=03"));
}

#define BUCKET "65cf2318-0000-2408-a9b3-14c14ef06180"
#define OBJECT "64bf42df2a9c15f8c82f"

/* What goes to the metadata service with a body, and Google's certificates by their two words. */
static void
test_needs_of_virtual_tpms(void **state)
{
    (void)state;
    static struct qr_needs n;
    static uint8_t tdreport[1024];
    char report[1400], text[2048], err[256] = "";

    memset(tdreport, 0xfb, sizeof tdreport);
    qr_b64url_encode(qr_view_of(tdreport, sizeof tdreport), report);
    (void)snprintf(text, sizeof text,
                   "{\"v\":1,\"needs\":[{\"source\":\"azure-tdquote\",\"report\":\"%s\"},"
                   "{\"source\":\"google-ca\",\"bucket\":\"" BUCKET "\",\"object\":\"" OBJECT
                   "\"},{\"source\":\"google-root\",\"bucket\":\"" BUCKET "\",\"object\":\"" OBJECT
                   "\"}]}",
                   report);
    assert_int_equal(qr_needs_read(qr_view_str(text), &bases, &n, err, sizeof err), QR_OK);
    assert_int_equal(n.n, 3);
    assert_string_equal(n.need[0].doc[0].url, "http://169.254.169.254/acc/tdquote");
    assert_true(n.need[0].doc[0].metadata);
    (void)snprintf(text, sizeof text, "{\"report\":\"%s\"}", report);
    assert_string_equal(n.need[0].doc[0].post, text);
    assert_string_equal(n.need[1].doc[0].url, "http://privateca-content-" BUCKET
                                              ".storage.googleapis.com/" OBJECT "/ca.crt");
    assert_string_equal(n.need[1].doc[0].post, "");
    assert_string_equal(n.need[2].source, "google-root");
    struct qr_need_bases mirror = bases;
    (void)snprintf(mirror.google_ca, sizeof mirror.google_ca, "http://127.0.0.1:1");
    assert_int_equal(
        qr_needs_read(qr_view_str("{\"v\":1,\"needs\":[{\"source\":\"google-ca\","
                                  "\"bucket\":\"" BUCKET "\",\"object\":\"" OBJECT "\"}]}"),
                      &mirror, &n, err, sizeof err),
        QR_OK);
    assert_string_equal(n.need[0].doc[0].url, "http://127.0.0.1:1/" BUCKET "/" OBJECT "/ca.crt");
}

static void
test_needs_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "empty"},
        {"{\"v\":2,\"needs\":[]}", "v"},
        {"{\"v\":1,\"needs\":[{}]}", "source"},
        {"{\"v\":1,\"needs\":[7]}", "source"},
        {"{\"v\":1,\"needs\":[{\"source\":\"ftp\"}]}", "unknown source \"ftp\""},
        {"{\"v\":1,\"needs\":[{\"source\":\"azure-thim\",\"url\":\"http://a\"}]}", "url"},
        {"{\"v\":1,\"needs\":[{\"source\":\"azure-tdquote\",\"report\":\"AAAA\"}]}",
         "report must be 1024 bytes"},
        {"{\"v\":1,\"needs\":[{\"source\":\"azure-tdquote\",\"report\":\"A\\\"}\"}]}", "report"},
        {"{\"v\":1,\"needs\":[{\"source\":\"google-ca\",\"bucket\":"
         "\"65cf2318-0000-2408-a9b3-14c14ef0618.\",\"object\":\"64bf42df2a9c15f8c82f\"}]}",
         "bucket and object"},
        {"{\"v\":1,\"needs\":[{\"source\":\"google-root\",\"bucket\":"
         "\"65cf2318-0000-2408-a9b3-14c14ef06180\",\"object\":\"64bf42df2a9c15f8c82\"}]}",
         "object"},
        {"{\"v\":1,\"needs\":[{\"source\":\"jwks\",\"issuer\":\"https://evil.example\"}]}",
         "issuer must be"},
        {"{\"v\":1,\"needs\":[{\"source\":\"jwks\",\"issuer\":\"https://.attest.azure.net\"}]}",
         "issuer must be"},
        {"{\"v\":1,\"needs\":[{\"source\":\"jwks\",\"issuer\":\"http://a.attest.azure.net\"}]}",
         "issuer must be"},
        {"{\"v\":1,\"needs\":[{\"source\":\"jwks\",\"issuer\":\"https://a@b.attest.azure.net\"}]}",
         "issuer must be"},
        {"{\"v\":1,\"needs\":[{\"source\":\"intel-pcs\",\"tee\":\"tdy\",\"ca\":\"platform\","
         "\"fmspc\":\"00806f050000\"}]}",
         "tee must be"},
        {"{\"v\":1,\"needs\":[{\"source\":\"intel-pcs\",\"tee\":\"tdx\",\"ca\":\"platforms\","
         "\"fmspc\":\"00806f050000\"}]}",
         "ca must be"},
        {"{\"v\":1,\"needs\":[{\"source\":\"intel-pcs\",\"tee\":\"tdx\",\"ca\":\"platform\","
         "\"fmspc\":\"00806F050000\"}]}",
         "fmspc"},
        {"{\"v\":1,\"needs\":[{\"source\":\"amd-kds\",\"product\":\"Rome\",\"chip\":"
         "\"0011223344556677\",\"spl\":{\"bl\":1,\"tee\":2,\"snp\":3,\"ucode\":4}}]}",
         "product must be"},
        {"{\"v\":1,\"needs\":[{\"source\":\"amd-kds\",\"product\":\"Turin\",\"chip\":"
         "\"0011223344556677\",\"spl\":{\"bl\":1,\"tee\":2,\"snp\":3,\"ucode\":4}}]}",
         "product must be"},
        {"{\"v\":1,\"needs\":[{\"source\":\"amd-kds\",\"product\":\"Turin\",\"chip\":"
         "\"00112233445566..\",\"spl\":{\"bl\":1,\"tee\":2,\"snp\":3,\"ucode\":4,\"fmc\":1}}]}",
         "product must be"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct qr_needs n = {.n = 99};
        char err[256] = "";
        assert_int_not_equal(qr_needs_read(qr_view_str(cases[i].text), &bases, &n, err, sizeof err),
                             QR_OK);
        if (!strstr(err, cases[i].why)) {
            fail_msg("case %zu: \"%s\" lacks \"%s\"", i, err, cases[i].why);
        }
        assert_int_equal(n.n, 99);
    }
}

static void
test_needs_bases(void **state)
{
    (void)state;
    static const char *const good[] = {"https://a.example", "http://127.0.0.1:80/kds",
                                       "http://[::1]:9/x"};
    static const char *const bad[] = {"",           "a.example",     "ftp://a",   "https://",
                                      "https://a/", "https://u@a",   "https:///", "https://a?b",
                                      "http://a b", "https://a#frag"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(qr_need_base_ok(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(qr_need_base_ok(bad[i]));
    }
}

/* ---- documents ---- */

static void
test_documents_are_taken_apart(void **state)
{
    (void)state;
    struct {
        enum qr_doc_kind kind;
        qr_view body, header;
        size_t n;
        const char *first;
    } cases[] = {
        {QR_DOC_VEK, vendor_vek(), {0}, 1, "vek.der"},
        {QR_DOC_AMD_CHAIN, vendor_amd_chain(), {0}, 2, "ask.der"},
        {QR_DOC_AMD_CRL, vendor_crl(EVGEN_NOW_MS), {0}, 1, "crl.der"},
        {QR_DOC_TCB_INFO, vendor_tcb_info(NULL), vendor_tcb_header(), 3, "tcb_info.json"},
        {QR_DOC_QE_IDENTITY, vendor_qe_identity(NULL), {0}, 2, "qe_identity.json"},
        {QR_DOC_PCK_CRL, vendor_crl(EVGEN_NOW_MS), {0}, 1, "pck_crl.der"},
        {QR_DOC_ROOT_CRL, vendor_crl(EVGEN_NOW_MS), {0}, 1, "root_ca_crl.der"},
        {QR_DOC_THIM, vendor_thim(), {0}, 3, "vek.der"},
        {QR_DOC_TDQUOTE, qr_view_str("{\"quote\":\"AAECAwQFBgcICQ\"}"), {0}, 1, "quote.bin"},
        {QR_DOC_GOOGLE_CA, vendor_vek(), {0}, 1, "vtpm_intermediate.der"},
        {QR_DOC_GOOGLE_ROOT, vendor_vek(), {0}, 1, "vtpm_root.der"},
        {QR_DOC_JWKS, vendor_jwks(), {0}, 1, "jwks.json"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct qr_doc d;
        char err[160] = "";
        qr_err e = qr_doc_read(cases[i].kind, cases[i].body, cases[i].header, &d, err, sizeof err);
        if (e != QR_OK) {
            fail_msg("%s: %s", qr_doc_name(cases[i].kind), err);
        }
        assert_int_equal(d.n, cases[i].n);
        assert_string_equal(d.piece[0].name, cases[i].first);
        if (cases[i].kind == QR_DOC_TCB_INFO) {
            /* The exact bytes of the member, braces inside of texts and all. */
            static const char exact[] = "{\"id\":\"TDX\",\"issueDate\":\"2026-01-01T00:00:00Z\","
                                        "\"x\":\"}\\\"{\",\"y\":[{}]}";
            assert_true(qr_view_eq(qr_view_of(d.piece[0].p, d.piece[0].len), qr_view_str(exact)));
            assert_int_equal(d.issued_ms, EVGEN_NOW_MS);
        }
        qr_doc_free(&d);
        /* Cut anywhere, or of another kind, it is refused. */
        for (size_t n = 0; n + 8 < cases[i].body.len; n += 1 + cases[i].body.len / 64) {
            assert_int_not_equal(qr_doc_read(cases[i].kind, qr_view_of(cases[i].body.p, n),
                                             cases[i].header, &d, err, sizeof err),
                                 QR_OK);
        }
        static const char page[] = "<html>429 Too Many Requests</html>";
        assert_int_not_equal(
            qr_doc_read(cases[i].kind, qr_view_str(page), cases[i].header, &d, NULL, 0), QR_OK);
    }
}

static void
test_documents_refused(void **state)
{
    (void)state;
    struct qr_doc d;
    char err[160] = "";
    static uint8_t big[QR_DOC_BODY_MAX + 1];
    qr_view none = qr_view_of(NULL, 0), vek = vendor_vek();

    assert_int_equal(
        qr_doc_read(QR_DOC_VEK, qr_view_of(big, sizeof big), none, &d, err, sizeof err),
        QR_ERR_TOO_LARGE);
    /* A byte behind the certificate. */
    memcpy(big, vek.p, vek.len);
    assert_int_equal(
        qr_doc_read(QR_DOC_VEK, qr_view_of(big, vek.len + 1), none, &d, err, sizeof err),
        QR_ERR_MALFORMED);
    assert_non_null(strstr(err, "no certificate in DER"));
    /* The chain in the header is missing. */
    assert_int_equal(qr_doc_read(QR_DOC_TCB_INFO, vendor_tcb_info(NULL), none, &d, err, sizeof err),
                     QR_ERR_MALFORMED);
    assert_non_null(strstr(err, "0 certificates"));
    assert_int_equal(
        qr_doc_read(QR_DOC_TCB_INFO, vendor_tcb_info("yesterday"), none, &d, err, sizeof err),
        QR_ERR_MALFORMED);
    assert_non_null(strstr(err, "issueDate"));
    assert_int_equal(
        qr_doc_read(QR_DOC_QE_IDENTITY, vendor_tcb_info(NULL), none, &d, err, sizeof err),
        QR_ERR_MALFORMED);
    assert_int_equal(
        qr_doc_read(QR_DOC_JWKS, qr_view_str("{\"keys\":[]}"), none, &d, err, sizeof err),
        QR_ERR_MALFORMED);
    assert_int_equal(qr_doc_read(QR_DOC_JWKS, qr_view_str("{\"keys\":[1],\"keys\":[2]}"), none, &d,
                                 err, sizeof err),
                     QR_ERR_MALFORMED);
}

/* ---- the cache and its schedule ---- */

struct rig {
    struct vendor v;
    struct qr_coll *c;
    unsigned handed;
    size_t pieces;
    char source[24], first[24];
    uint8_t hash[32]; /* of the first piece */
    qr_err answer;
};

static qr_err
on_hand(void *ctx, const char *source, const struct qr_doc_piece *piece, size_t n)
{
    struct rig *r = ctx;
    if (r->answer == QR_OK) {
        r->handed++;
        r->pieces = n;
        (void)snprintf(r->source, sizeof r->source, "%s", source);
        (void)snprintf(r->first, sizeof r->first, "%s", piece[0].name);
        qr_sha256(qr_view_of(piece[0].p, piece[0].len), r->hash);
    }
    return r->answer;
}

static void
rig_open(struct rig *r, const char *cache)
{
    char err[256] = "";
    struct qr_coll_cfg cfg = {.bases = bases,
                              .cache = cache,
                              .refresh_ms = (uint32_t)(24 * HOUR),
                              .fetcher = vendor_fetcher(&r->v),
                              .ctx = r,
                              .hand = on_hand};
    assert_int_equal(qr_coll_new(&cfg, &r->c, err, sizeof err), QR_OK);
}

static void
need(struct rig *r, const char *json, uint64_t now)
{
    char err[256] = "";
    if (qr_coll_need(r->c, qr_view_str(json), now, err, sizeof err) != QR_OK) {
        fail_msg("%s", err);
    }
}

/* A step starts what is due; the next takes in the answers and hands them on. */
static void
steps(struct rig *r, uint64_t now)
{
    for (int i = 0; i < 3; i++) {
        qr_coll_step(r->c, now);
    }
}

static int
metric(struct rig *r, uint64_t now, const char *line)
{
    struct qr_dbuf d;
    qr_dbuf_init(&d, 65536);
    assert_int_equal(qr_coll_metrics(r->c, now, &d), QR_OK);
    assert_int_equal(qr_dbuf_append(&d, "", 1), QR_OK);
    int found = strstr((const char *)d.p, line) != NULL;
    qr_dbuf_free(&d);
    return found;
}

/* A quote of a boot is of no use to the next one: it is asked for by its report, and never kept on disk. */
static void
test_a_posted_document_is_of_its_question(void **state)
{
    (void)state;
    static struct rig r;
    static uint8_t tdreport[1024];
    static char text[2][2048];
    char report[1400], post[QR_POST_MAX] = "";
    struct tmpdir dir;

    tmpdir_new(&dir);
    for (int i = 0; i < 2; i++) {
        tdreport[0] = (uint8_t)i;
        qr_b64url_encode(qr_view_of(tdreport, sizeof tdreport), report);
        (void)snprintf(text[i], sizeof text[i],
                       "{\"v\":1,\"needs\":[{\"source\":\"azure-tdquote\",\"report\":\"%s\"}]}",
                       report);
    }
    r = (struct rig){0};
    vendor_init(&r.v);
    vendor_rule(&r.v, "/acc/tdquote", 200, 0, qr_view_str("{\"quote\":\"AAAB\"}"),
                qr_view_of(NULL, 0));
    rig_open(&r, dir.path);
    for (unsigned i = 0; i < 3; i++) {
        need(&r, text[i % 2], i);
        qr_coll_step(r.c, i);
        qr_coll_step(r.c, i);
        assert_int_equal(r.v.asked, i + 1);
        assert_int_equal(r.handed, i + 1);
        assert_string_equal(r.source, "azure-tdquote");
        assert_string_equal(r.first, "quote.bin");
        assert_int_equal(r.v.last_metadata, 1);
        assert_int_equal(strcmp(r.v.last_post, post) == 0, 0);
        memcpy(post, r.v.last_post, sizeof post);
    }
    r.c = qr_coll_free(r.c);
    assert_int_equal(rmdir(dir.path), 0); /* nothing is in it */
}

static void
test_fetched_once_and_handed_once(void **state)
{
    (void)state;
    static struct rig r;
    r = (struct rig){0};
    vendor_init(&r.v);
    rig_open(&r, "");
    steps(&r, 0);
    assert_int_equal(r.v.asked, 0);
    need(&r, vendor_needs_amd, 0);
    steps(&r, 0);
    assert_int_equal(r.v.asked, 3);
    assert_int_equal(r.handed, 1);
    assert_int_equal(r.pieces, 4);
    assert_string_equal(r.source, "amd-kds");
    assert_true(metric(&r, 0, "quorate_gateway_collateral_documents_held{source=\"amd-kds\"} 3\n"));
    /* Asked again, the same needs change nothing. */
    need(&r, vendor_needs_amd, 1000);
    steps(&r, 1000);
    assert_int_equal(r.v.asked, 3);
    assert_int_equal(r.handed, 1);
    /* A day later it is renewed; the same bytes are not handed again. */
    steps(&r, 24 * HOUR);
    assert_int_equal(r.v.asked, 6);
    assert_int_equal(r.handed, 1);
    /* A new list is. */
    vendor_rule(&r.v, "/crl", 200, 0, vendor_crl(EVGEN_NOW_MS + EVGEN_DAY_MS), qr_view_of(NULL, 0));
    steps(&r, 48 * HOUR);
    assert_int_equal(r.handed, 2);
    /* A party that starts anew is handed all of it. */
    qr_coll_forget_handed(r.c);
    steps(&r, 48 * HOUR + 1);
    assert_int_equal(r.handed, 3);
    r.c = qr_coll_free(r.c);
}

static void
test_party_away_is_handed_later(void **state)
{
    (void)state;
    static struct rig r;
    r = (struct rig){.answer = QR_ERR_NOT_READY};
    vendor_init(&r.v);
    rig_open(&r, "");
    need(&r, vendor_needs_intel, 0);
    steps(&r, 0);
    assert_int_equal(r.handed, 0);
    r.answer = QR_OK;
    steps(&r, 1);
    assert_int_equal(r.handed, 1);
    assert_int_equal(r.pieces, 7);
    r.c = qr_coll_free(r.c);
}

static void
test_throttled_by_the_vendor(void **state)
{
    (void)state;
    static struct rig r;
    r = (struct rig){0};
    vendor_init(&r.v);
    vendor_rule(&r.v, "blSPL", 429, 120, qr_view_of(NULL, 0), qr_view_of(NULL, 0));
    rig_open(&r, "");
    need(&r, vendor_needs_amd, 0);
    steps(&r, 0);
    assert_int_equal(r.v.asked, 3);
    assert_int_equal(r.handed, 0); /* not without the certificate */
    steps(&r, 119999);
    assert_int_equal(r.v.asked, 3); /* not before the vendor said */
    steps(&r, 120000);
    assert_int_equal(r.v.asked, 4);
    assert_true(metric(&r, 0, "quorate_gateway_collateral_failures_total{source=\"amd-kds\"} 2\n"));
    r.v.n--;
    steps(&r, 240000);
    assert_int_equal(r.handed, 1);
    r.c = qr_coll_free(r.c);
}

static void
test_outage_backs_off_and_keeps_the_last_good(void **state)
{
    (void)state;
    static struct rig r;
    r = (struct rig){0};
    vendor_init(&r.v);
    rig_open(&r, "");
    need(&r, vendor_needs_intel, 0);
    steps(&r, 0);
    assert_int_equal(r.handed, 1);
    vendor_rule(&r.v, "intel", 0, 0, qr_view_of(NULL, 0), qr_view_of(NULL, 0));
    /* 72 hours, minute by minute: four documents, each at most once an hour when it lasts. */
    unsigned before = r.v.asked;
    for (uint64_t now = 24 * HOUR; now < 96 * HOUR; now += 60000) {
        steps(&r, now);
    }
    assert_in_range(r.v.asked - before, 4 * 72, 4 * (72 + 8));
    assert_int_equal(r.handed, 1);
    assert_true(metric(&r, 96 * HOUR,
                       "quorate_gateway_collateral_documents_held{source=\"intel-pcs\"} 4\n"));
    assert_true(metric(&r, 96 * HOUR,
                       "quorate_gateway_collateral_age_seconds{source=\"intel-pcs\"} 345600\n"));
    /* It comes back with newer documents. */
    r.v.n--;
    vendor_rule(&r.v, "/tcb?", 200, 0, vendor_tcb_info("2026-01-05T00:00:00Z"),
                vendor_tcb_header());
    steps(&r, 98 * HOUR);
    assert_int_equal(r.handed, 2);
    assert_true(
        metric(&r, 98 * HOUR, "quorate_gateway_collateral_age_seconds{source=\"intel-pcs\"} 0\n"));
    r.c = qr_coll_free(r.c);
}

static void
test_garbage_never_replaces_a_document(void **state)
{
    (void)state;
    static struct rig r;
    uint8_t good[32];
    r = (struct rig){0};
    vendor_init(&r.v);
    rig_open(&r, "");
    need(&r, vendor_needs_intel, 0);
    steps(&r, 0);
    memcpy(good, r.hash, 32);
    vendor_rule(&r.v, "intel", 200, 0, qr_view_str("<html>maintenance</html>"),
                qr_view_of(NULL, 0));
    steps(&r, 24 * HOUR);
    qr_coll_forget_handed(r.c);
    steps(&r, 24 * HOUR + 1);
    assert_int_equal(r.handed, 2);
    assert_memory_equal(r.hash, good, 32);
    assert_true(
        metric(&r, 0, "quorate_gateway_collateral_failures_total{source=\"intel-pcs\"} 4\n"));
    r.c = qr_coll_free(r.c);
}

static void
test_older_issue_never_replaces_a_newer_one(void **state)
{
    (void)state;
    static struct rig r;
    r = (struct rig){0};
    vendor_init(&r.v);
    rig_open(&r, "");
    need(&r, vendor_needs_intel, 0);
    steps(&r, 0);
    vendor_rule(&r.v, "/tcb?", 200, 0, vendor_tcb_info("2025-12-31T23:59:59Z"),
                vendor_tcb_header());
    vendor_rule(&r.v, "/pckcrl?", 200, 0, vendor_crl(EVGEN_NOW_MS - 1000), qr_view_of(NULL, 0));
    steps(&r, 24 * HOUR);
    assert_int_equal(r.handed, 1);
    assert_true(
        metric(&r, 0, "quorate_gateway_collateral_rollbacks_total{source=\"intel-pcs\"} 2\n"));
    r.c = qr_coll_free(r.c);
}

static void
test_restart_in_an_outage_finds_the_cache(void **state)
{
    (void)state;
    static struct rig r;
    struct tmpdir tmp;
    tmpdir_new(&tmp);
    const char *dir = tmp.path;
    r = (struct rig){0};
    vendor_init(&r.v);
    rig_open(&r, dir);
    need(&r, vendor_needs_all, 0);
    steps(&r, 0);
    assert_int_equal(r.handed, 4);
    r.c = qr_coll_free(r.c);

    r.handed = 0;
    vendor_rule(&r.v, "http", 0, 0, qr_view_of(NULL, 0), qr_view_of(NULL, 0));
    rig_open(&r, dir);
    need(&r, vendor_needs_all, 0);
    steps(&r, 0);
    assert_int_equal(r.handed, 4);
    r.c = qr_coll_free(r.c);

    /* A file that somebody changed is not there. */
    struct qr_dbuf mem;
    qr_view header, body;
    struct qr_needs n;
    char path[256], hex[65], err[64];
    uint8_t hash[32];
    assert_int_equal(qr_needs_read(qr_view_str(vendor_needs_amd), &bases, &n, err, sizeof err),
                     QR_OK);
    const char *url = n.need[0].doc[1].url;
    qr_dbuf_init(&mem, QR_CACHE_FILE_MAX);
    assert_int_equal(qr_cache_get(dir, url, &mem, &header, &body), QR_OK);
    qr_dbuf_free(&mem);
    qr_sha256(qr_view_str(url), hash);
    for (size_t i = 0; i < 32; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", hash[i]);
    }
    (void)snprintf(path, sizeof path, "%s/%s", dir, hex);
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    assert_int_equal(fputs("QRCOLL2", f) < 0, 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(qr_cache_get(dir, url, &mem, &header, &body), QR_ERR_NOT_FOUND);
    qr_dbuf_free(&mem);
    assert_int_equal(qr_cache_get(dir, "https://another.example", &mem, &header, &body),
                     QR_ERR_NOT_FOUND);
    qr_dbuf_free(&mem);
    tmpdir_remove(&tmp);
}

static void
test_cache_folder_must_be_there(void **state)
{
    (void)state;
    char err[256] = "";
    struct qr_coll *c = NULL;
    struct qr_coll_cfg cfg = {.bases = bases, .cache = "/nowhere/at/all", .hand = on_hand};
    assert_int_equal(qr_coll_new(&cfg, &c, err, sizeof err), QR_ERR_NOT_FOUND);
    assert_non_null(strstr(err, "create it"));
}

static void
test_needs_change(void **state)
{
    (void)state;
    static struct rig r;
    r = (struct rig){0};
    vendor_init(&r.v);
    rig_open(&r, "");
    need(&r, vendor_needs_amd, 0);
    steps(&r, 0);
    need(&r, vendor_needs_all, 1);
    steps(&r, 1);
    assert_int_equal(r.v.asked, 3 + 4 + 1 + 1); /* AMD's were in hand */
    assert_int_equal(r.handed, 4);
    need(&r, vendor_needs_intel, 2);
    steps(&r, 2);
    assert_int_equal(r.v.asked, 9);
    assert_false(metric(&r, 2, "amd-kds"));
    /* A broken answer of the party changes nothing. */
    char err[128];
    assert_int_not_equal(qr_coll_need(r.c, qr_view_str("{"), 3, err, sizeof err), QR_OK);
    assert_true(metric(&r, 3, "intel-pcs"));
    /* An answer that comes for a document nobody needs any more is dropped. */
    steps(&r, 24 * HOUR);
    need(&r, vendor_needs_amd, 24 * HOUR);
    qr_coll_step(r.c, 24 * HOUR);
    need(&r, vendor_needs_intel, 24 * HOUR);
    steps(&r, 24 * HOUR);
    r.c = qr_coll_free(r.c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_needs_become_addresses),
        cmocka_unit_test(test_needs_turin),
        cmocka_unit_test(test_needs_of_virtual_tpms),
        cmocka_unit_test(test_a_posted_document_is_of_its_question),
        cmocka_unit_test(test_needs_refused),
        cmocka_unit_test(test_needs_bases),
        cmocka_unit_test(test_documents_are_taken_apart),
        cmocka_unit_test(test_documents_refused),
        cmocka_unit_test(test_fetched_once_and_handed_once),
        cmocka_unit_test(test_party_away_is_handed_later),
        cmocka_unit_test(test_throttled_by_the_vendor),
        cmocka_unit_test(test_outage_backs_off_and_keeps_the_last_good),
        cmocka_unit_test(test_garbage_never_replaces_a_document),
        cmocka_unit_test(test_older_issue_never_replaces_a_newer_one),
        cmocka_unit_test(test_restart_in_an_outage_finds_the_cache),
        cmocka_unit_test(test_cache_folder_must_be_there),
        cmocka_unit_test(test_needs_change),
    };
    if (qr_hash_init() != QR_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
