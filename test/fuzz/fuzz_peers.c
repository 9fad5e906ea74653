/*
 * Policies: a text is refused with a sentence, or compiles to a policy that explains itself, whose times
 * rise, and which accepts no evidence without claims.
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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct qr_verdict v;
    char why[QR_ERR_TEXT_MAX] = "";
    struct qr_peers *p = NULL;
    struct qr_peers_domain d;
    size_t lines = 0;

    if (qr_peers_read(qr_view_of(data, size), &p, why, sizeof why) != QR_OK) {
        FUZZ_MUST(!p && why[0]);
        fuzz_text(why, sizeof why);
        return 0;
    }
    const struct qr_peers_times *t = qr_peers_times(p);
    FUZZ_MUST(t->max_age_ms > 0 && t->reattest_ms < t->warn_ms && t->warn_ms < t->no_peers_ms &&
              t->no_peers_ms < t->no_keys_ms && t->no_keys_ms < t->stop_ms);
    qr_peers_explain(p, on_line, &lines);
    FUZZ_MUST(lines > 0);
    for (size_t i = 0; i < qr_peers_n_platforms(p); i++) {
        qr_verdict_init(&v);
        FUZZ_MUST(qr_peers_judge(p, qr_peers_platform(p, i), 0, NULL, PEERKIT_NOW, &v, &d) ==
                  QR_ERR_ATTESTATION);
        fuzz_text(v.sentence, sizeof v.sentence);
        FUZZ_MUST(v.sentence[0]);
    }
    qr_verdict_init(&v);
    FUZZ_MUST((qr_peers_judge(p, QR_EV_NONE, 1, NULL, PEERKIT_NOW, &v, &d) == QR_OK) ==
              qr_peers_insecure_sim(p));
    qr_peers_free(p);
    return 0;
}
