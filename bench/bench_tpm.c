/*
 * A party's calls to its TPM, against a software TPM on this machine: wall time, as a party waits for it.
 *
 *     bench_tpm                one JSON object a line; needs swtpm (deploy/deps.sh dev); a few seconds
 *
 * tpm_open: connection, capabilities, storage key, salted session, as at each start. tpm_quote: PCRs 4, 7,
 * 9, 11 and 12 read and quoted by an ECDSA key. tpm_vouch: the attestation key certifies the salt key.
 * tpm_seal and tpm_unseal: all of qr_tpm_seal and qr_tpm_unseal. tpm_revoke_step: one more release
 * revoked. value: milliseconds, median. swtpm's own time is in it, and says nothing of a cloud's TPM.
 */
#include "bench/bench.h"
#include "enclave-shim/tpm/tpm_seal.h"
#include "protocol/base/hash.h"
#include "test/common/swtpm.h"
#include "test/common/tpmrel.h"

#define ROUNDS 41u
#define MASK 0x1a90u

static struct swtpm sw;
static struct qr_tpm *tpm;
static struct qr_tpm_key key;
static struct tpmrel rel;
static struct qr_dbuf blob;
static const struct qr_sec32 secret = {{7}};

static double
wall_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return 1e3 * (double)ts.tv_sec + (double)ts.tv_nsec / 1e6;
}

static void
must(qr_err e)
{
    if (e != QR_OK) {
        (void)fprintf(stderr, "bench_tpm: %s: %s\n", qr_err_name(e),
                      tpm ? qr_tpm_error(tpm) : "the TPM cannot be opened");
        swtpm_stop(&sw);
        exit(1);
    }
}

static void
open_tpm(void)
{
    tpm = qr_tpm_close(tpm);
    must(qr_tpm_open(sw.path, 0, &tpm, NULL, 0));
}

static void
quote(void)
{
    static struct qr_tpm_quote q;
    must(qr_tpm_quote(tpm, &key, MASK, qr_view_str("what the channel commits to ..."), &q));
}

static void
vouch(void)
{
    must(qr_tpm_vouch(tpm, &key));
}

static void
seal(void)
{
    must(qr_tpm_seal(tpm, &rel.r, 1, &secret, &blob));
}

static void
unseal(void)
{
    struct qr_sec32 out;
    must(qr_tpm_unseal(tpm, &rel.r, qr_view_of(blob.p, blob.len), &out));
}

static void
revoke_one(void)
{
    static uint64_t now = 1;
    must(qr_tpm_revoke(tpm, now + 1, &now));
}

static void
measure(const char *name, void (*what)(void))
{
    double ms[ROUNDS];
    size_t n = bench_runs() == 1 ? 3 : ROUNDS;

    what();
    for (size_t i = 0; i < n; i++) {
        double since = wall_ms();
        what();
        ms[i] = wall_ms() - since;
    }
    bench_emit(name, 1, 1, bench_median(ms, n), "ms", -1);
}

static int
in_path(const char *program)
{
    char line[128];
    (void)snprintf(line, sizeof line, "command -v %s >/dev/null 2>&1", program);
    return system(line) == 0;
}

int
main(void)
{
    uint8_t pcr[QR_TPM_PCRS][32];

    if (!in_path("swtpm")) {
        (void)fprintf(stderr, "bench_tpm: needs swtpm; deploy/deps.sh dev installs it\n");
        return 1;
    }
    must(qr_hash_init());
    swtpm_start(&sw);
    qr_dbuf_init(&blob, QR_TPM_WRAPPED_MAX);
    measure("tpm_open", open_tpm);
    must(qr_tpm_key_own(tpm, &key));
    measure("tpm_quote", quote);
    measure("tpm_vouch", vouch);
    must(qr_tpm_pcr_read(tpm, MASK, pcr));
    tpmrel_new(&rel);
    tpmrel_sign(&rel, 400, MASK, (const uint8_t(*)[32])pcr);
    measure("tpm_seal", seal);
    measure("tpm_unseal", unseal);
    measure("tpm_revoke_step", revoke_one);
    qr_tpm_key_free(tpm, &key);
    tpm = qr_tpm_close(tpm);
    swtpm_stop(&sw);
    tpmrel_free(&rel);
    qr_dbuf_free(&blob);
    return 0;
}
