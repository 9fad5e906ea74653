/*
 * Event logs. The first byte chooses: any bytes as a TPM's log, or a TD's; events of a script, written
 * down with their digests, then changed.
 *
 * Beyond "no crash": digests and texts lie inside the log; a log that replays is the one that was
 * written, up to texts that nobody measured; padding is no event.
 */
#include "enclave-shim/verify/eventlog.h"
#include "test/common/evgen_tpm.h"
#include "test/fuzz/kit_verdict.h"

static struct qr_verdict v;
static struct evlog l;
static uint8_t mem[32768];

static void
events_of(qr_view text, uint32_t last)
{
    struct qr_log log;
    struct qr_log_event ev;
    size_t n = 0;

    qr_verdict_init(&v);
    if (qr_log_open(&log, text, last, &v) == QR_OK) {
        while (qr_log_next(&log, &v, &ev)) {
            FUZZ_MUST(ev.reg <= last);
            FUZZ_MUST(ev.data.p >= text.p && ev.data.p + ev.data.len <= text.p + text.len);
            for (size_t i = 0; i < log.n_algs; i++) {
                FUZZ_MUST(!log.digest[i].p || log.digest[i].len == log.alg[i].len);
            }
            FUZZ_MUST(++n <= text.len / 16);
        }
        FUZZ_MUST(v.reason != QR_REASON_NONE || log.pos == text.len);
    }
    fuzz_verdict(&v, v.reason == QR_REASON_NONE ? QR_OK : QR_ERR_ATTESTATION);
}

static qr_err
replay(int td, qr_view text)
{
    struct qr_evidence e = {.kind = td ? QR_EV_TDX : QR_EV_TPM};
    struct qr_verify_opts o = {.now_ms = -1};
    struct qr_verify_run r = {.e = &e, .o = &o, .v = &v};
    uint8_t values[2][EVTPM_PCRS * 64];
    struct qr_pcr_bank bank[2];

    if (text.len == 0 ||
        qr_evidence_add(&e, td ? QR_PART_CC_LOG : QR_PART_TCG_LOG, 0, text) != QR_OK) {
        return QR_ERR_ATTESTATION;
    }
    qr_verdict_init(&v);
    if (td) {
        qr_view rtmr[4];
        for (size_t i = 0; i < 4; i++) {
            rtmr[i] = qr_view_of(l.reg[0][i], 48);
        }
        qr_err err = qr_cc_log_part(&r, rtmr);
        fuzz_verdict(&v, err);
        return err;
    }
    for (size_t i = 0; i < 2; i++) {
        size_t len = qr_hash_len(l.alg[i]);
        for (unsigned k = 0; k < EVTPM_PCRS; k++) {
            memcpy(values[i] + k * len, l.reg[i][k], len);
        }
        bank[i] = (struct qr_pcr_bank){l.alg[i], 0xffffff, qr_view_of(values[i], EVTPM_PCRS * len),
                                       i ? "" : "other."};
    }
    qr_err err = qr_tcg_log_part(&r, bank, 2);
    fuzz_verdict(&v, err);
    return err;
}

/* Events of the script: register, type, length, text. */
static void
write_log(struct fuzz_in *in, int td)
{
    static const enum qr_hash_alg tpm[] = {QR_SHA1, QR_SHA256}, cc[] = {QR_SHA384};
    evlog_open(&l, mem, sizeof mem, td ? 1u : 0u, td ? cc : tpm, td ? 1 : 2);
    if (fuzz_u8(in) % 2) {
        evlog_boot(&l);
    }
    for (unsigned n = fuzz_u8(in) % 16u; n > 0; n--) {
        uint32_t reg = fuzz_u8(in) % (td ? 5u : 24u);
        uint8_t type = fuzz_u8(in);
        qr_view text = fuzz_bytes(in);
        switch (type % 5u) {
        case 0:
            evlog_secure_boot(&l, reg, type >> 4 & 1);
            break;
        case 1:
            evlog_separator(&l, reg);
            break;
        case 2:
            evlog_remark(&l, reg, text.p, text.len);
            break;
        case 3:
            evlog_event(&l, reg, EV_EFI_VARIABLE, text.p, text.len);
            break;
        default:
            evlog_event(&l, reg, EV_IPL, text.p, text.len);
            break;
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_in in = fuzz_in_of(data, size < 8192 ? size : 8192);
    unsigned mode = fuzz_u8(&in) % 4u;
    int td = mode & 1;

    if (mode < 2) {
        qr_view text = fuzz_take(&in, in.len);
        write_log(&in, td); /* for its registers */
        events_of(text, td ? 4 : 23);
        (void)replay(td, text);
        return 0;
    }
    write_log(&in, td);
    qr_view text = evgen_buf_view(&l.b);
    int written = replay(td, text) == QR_OK; /* not, where a remark is a wrong locality */
    events_of(text, td ? 4 : 23);
    int differs = 0;
    while (in.len > 0) {
        differs |= fuzz_xor(&in, l.b.p, l.b.len);
    }
    qr_err e = replay(td, text);
    FUZZ_MUST(differs || (e == QR_OK) == written);
    return 0;
}
