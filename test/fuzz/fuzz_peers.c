/*
 * Policies: a text is refused with a sentence, or compiles to a policy that explains itself,
 * whose times rise, and which accepts no evidence without claims. The input is the text, or a
 * change of a good one: where, how many characters go, what comes in their place.
 */
#include "test/common/peerkit.h"
#include "test/fuzz/fuzz.h"

static void
on_line(void *ctx, const char *text)
{
    size_t *n = ctx;
    fuzz_text(text, 512);
    FUZZ_MUST(text[0] != 0);
    (*n)++;
}

/*
 * Manifests that nobody signed are believed only by their hash, and then they explain themselves.
 */
static void
offer(struct qr_peers *p, struct qr_manifest *m[2], char why[static QR_ERR_TEXT_MAX])
{
    struct qr_verify_opts o = {.now_ms = PEERKIT_NOW};

    for (size_t i = 0; i < 2; i++) {
        FUZZ_MUST(qr_manifest_parse(qr_view_str(peerkit_releases[i]), &m[i], why,
                                    QR_ERR_TEXT_MAX) == QR_OK);
        qr_err e = qr_peers_add_manifest(p, m[i], qr_view_str(""), why, QR_ERR_TEXT_MAX);
        FUZZ_MUST(e != QR_OK || qr_peers_wants_manifests(p));
        FUZZ_MUST((e == QR_OK) == (why[0] == 0));
        fuzz_text(why, QR_ERR_TEXT_MAX);
    }
    qr_peers_verify_opts(p, &o);
    FUZZ_MUST(o.max_age_ms > 0 && (o.n_exceptions > 0) == (o.exception != NULL));
}

static qr_view
edited(const uint8_t *data, size_t size)
{
    static char text[16384];
    const char *good = peerkit_policy();
    size_t len = strlen(good), at = 0, gone = 0;

    if (size >= 4) {
        at = qr_get16(data) % (len + 1);
        gone = qr_get16(data + 2) % (len - at + 1);
        data += 4;
        size -= 4;
    }
    size = size > 4096 ? 4096 : size;
    memcpy(text, good, at);
    memcpy(text + at, data, size);
    memcpy(text + at + size, good + at + gone, len - at - gone);
    return qr_view_of(text, len - gone + size);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct qr_verdict v;
    char why[QR_ERR_TEXT_MAX] = "";
    struct qr_peers *p = NULL;
    struct qr_manifest *m[2] = {NULL, NULL};
    struct qr_peers_domain d;
    size_t lines = 0;

    unsigned which = fuzz_choice(&data, &size, 2);
    qr_view text = which ? edited(data, size) : qr_view_of(data, size);
    if (qr_peers_read(text, &p, why, sizeof why) != QR_OK) {
        FUZZ_MUST(!p && why[0]);
        fuzz_text(why, sizeof why);
        return 0;
    }
    const struct qr_peers_times *t = qr_peers_times(p);
    FUZZ_MUST(t->max_age_ms > 0 && t->reattest_ms < t->warn_ms && t->warn_ms < t->no_peers_ms &&
              t->no_peers_ms < t->no_keys_ms && t->no_keys_ms < t->stop_ms);
    offer(p, m, why);
    qr_peers_explain(p, on_line, &lines);
    FUZZ_MUST(lines > 0);
    for (int k = QR_EV_NITRO; k <= QR_EV_CONFIDENTIAL_SPACE; k++) {
        qr_verdict_init(&v);
        FUZZ_MUST(qr_peers_judge(p, (enum qr_evidence_kind)k, 0, NULL, PEERKIT_NOW, &v, &d) ==
                  QR_ERR_ATTESTATION);
        fuzz_text(v.sentence, sizeof v.sentence);
        FUZZ_MUST(v.sentence[0]);
    }
    qr_verdict_init(&v);
    FUZZ_MUST((qr_peers_judge(p, QR_EV_NONE, 1, NULL, PEERKIT_NOW, &v, &d) == QR_OK) ==
              qr_peers_insecure_sim(p));
    qr_peers_free(p);
    qr_manifest_free(m[0]);
    qr_manifest_free(m[1]);
    return 0;
}
