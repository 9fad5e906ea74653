/*
 * Judging: claims that the fuzzer changes, drops and invents, against a policy with every
 * platform. What is accepted shows the measurement that the policy asks for, no debug, and every
 * demanded check.
 */
#include "protocol/base/enc.h"
#include "test/common/peerkit.h"
#include "test/fuzz/fuzz.h"

/* The bytes that a set of peerkit's policy asks for, by platform. */
static const struct {
    const char *path;
    uint8_t byte;
} measured[9] = {
    {"pcrs.0", 0x11},         {"measurement", 0x21},   {"body.mr_td", 0x31},
    {"body.mrenclave", 0x41}, {"quote.pcrs.11", 0x51}, {"quote.pcrs.11", 0x51},
    {"quote.pcrs.11", 0x51},  {"quote.pcrs.4", 0x51},  {"quote.pcrs.4", 0x51},
};

/* peerkit's policy, and the same believing two releases, of which the second revokes the first. */
static const struct qr_peers *
policy(unsigned which)
{
    static struct qr_peers *p[2];
    static char text[32768], rule[512];
    char why[QR_ERR_TEXT_MAX], sha[2][65];

    if (!p[0]) {
        struct qr_manifest *m[2];
        for (int i = 0; i < 2; i++) {
            FUZZ_MUST(qr_manifest_parse(qr_view_str(peerkit_releases[i]), &m[i], why, sizeof why) ==
                      QR_OK);
            qr_hex_encode(qr_view_of(qr_manifest_sha256(m[i]), 32), sha[i]);
        }
        (void)snprintf(rule, sizeof rule,
                       "\"manifests\":[{\"sha256\":[\"%s\",\"%s\"]}],\"platforms\": {\n", sha[0],
                       sha[1]);
        peerkit_edit(peerkit_policy(), "\"platforms\": {\n", rule, text, sizeof text);
        FUZZ_MUST(qr_peers_read(qr_view_str(peerkit_policy()), &p[0], why, sizeof why) == QR_OK);
        FUZZ_MUST(qr_peers_read(qr_view_str(text), &p[1], why, sizeof why) == QR_OK);
        for (int i = 0; i < 2; i++) {
            FUZZ_MUST(qr_peers_add_manifest(p[1], m[i], qr_view_str(""), why, sizeof why) == QR_OK);
        }
    }
    return p[which];
}

static void
change(struct qr_verdict *v, const uint8_t **data, size_t *size)
{
    static const char *const values[] = {
        "-",
        "n",
        "u0",
        "u1",
        "b0",
        "b1",
        "h11*48",
        "h21*48",
        "h31*48",
        "h51*32",
        "h00*64",
        "h26*64",
        "tMilan",
        "tUpToDate",
        "j[\"X\"]",
        "tx",
        "h61*48",
        "h62*48",
        "tSWHardeningNeeded",
        "j[\"INTEL-SA-00615\"]",
        "tOutOfDate",
        "h77*32",
    };
    const unsigned n_values = sizeof values / sizeof values[0];
    struct qr_claim *c = &v->claims.item[fuzz_choice(data, size, (unsigned)v->claims.n)];
    unsigned what = fuzz_choice(data, size, n_values + 2);

    if (what < n_values) {
        peerkit_set(v, c->path, values[what]);
    } else if (what == n_values) {
        c->u ^= (uint64_t)1 << fuzz_choice(data, size, 64);
    } else {
        v->check[fuzz_choice(data, size, QR_CHECK_COUNT)] = QR_CHECK_SKIPPED;
    }
}

static void
must_deserve(int i, const struct qr_verdict *v)
{
    qr_view m, signer;
    int debug = 1;

    int has = qr_claim_get_hex(&v->claims, measured[i].path, &m) && m.len > 0 &&
              m.p[0] == measured[i].byte;
    if (peerkit_kinds[i] == QR_EV_SNP) {
        has |= qr_claim_get_hex(&v->claims, "measurement", &m) && m.p[0] == 0x62;
    }
    if (peerkit_kinds[i] == QR_EV_SGX) {
        has |= qr_claim_get_hex(&v->claims, "body.mrsigner", &signer) && signer.p[0] == 0x42;
    }
    FUZZ_MUST(has);
    FUZZ_MUST(peerkit_kinds[i] == QR_EV_TPM ||
              (qr_claim_get_bool(&v->claims, "debug", &debug) && !debug));
    FUZZ_MUST(v->check[QR_CHECK_BINDER] == QR_CHECK_PASS &&
              v->check[QR_CHECK_VALIDITY] == QR_CHECK_PASS);
    FUZZ_MUST(v->check[QR_CHECK_POLICY] == QR_CHECK_PASS && v->reason == QR_REASON_NONE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct qr_verdict v;
    static const char *const clouds[] = {"", "aws", "azure-eu", "gcp", "elsewhere"};
    struct qr_peers_domain d[3];
    char why[QR_ERR_TEXT_MAX] = "";
    int good = 0;

    const struct qr_peers *p = policy(fuzz_choice(&data, &size, 2));
    for (uint16_t k = 0; k < 3; k++) {
        unsigned i = fuzz_choice(&data, &size, 9), n = fuzz_choice(&data, &size, 4);
        struct qr_peers_who who = {(uint16_t)(k + 1), clouds[fuzz_choice(&data, &size, 5)], "op"};
        int64_t now =
            PEERKIT_NOW + (int64_t)fuzz_choice(&data, &size, 4) * 100000000000 - 100000000;
        peerkit_verdict(peerkit_kinds[i], &v);
        for (unsigned c = 0; c < n; c++) {
            change(&v, &data, &size);
        }
        qr_err e = qr_peers_judge(p, peerkit_kinds[i], 0, &who, now, &v, &d[good]);
        if (e == QR_OK) {
            must_deserve((int)i, &v);
            good++;
        } else {
            FUZZ_MUST(e == QR_ERR_ATTESTATION && v.sentence[0] && v.reason != QR_REASON_NONE);
            FUZZ_MUST(strncmp(v.sentence, "rule ", 5) == 0);
            fuzz_text(v.sentence, sizeof v.sentence);
        }
    }
    if (qr_peers_quorum(p, d, (size_t)good, why, sizeof why) == QR_OK) {
        for (int a = 0; a < good; a++) {
            for (int b = 0; b < a; b++) {
                FUZZ_MUST(strcmp(d[a].cloud, d[b].cloud) != 0);
                FUZZ_MUST(strcmp(d[a].product, d[b].product) != 0);
            }
        }
    } else {
        FUZZ_MUST(strncmp(why, "rule quorum.", 12) == 0);
    }
    fuzz_text(why, sizeof why);
    return 0;
}
