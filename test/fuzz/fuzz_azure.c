/*
 * Composites of Azure and Google. The first byte chooses: Azure's runtime data, hashed and signed by
 * the throwaway processor; the header of its report; a Google guest's key set; genuine evidence of
 * each with changed bytes or parts that are missing, doubled or another's.
 *
 * Beyond "no crash": nothing that was changed under a signature or a hash is accepted.
 */
#include "test/common/tpmbench.h"
#include "test/fuzz/kit_verdict.h"

enum { RUNTIME, HEADER, KEY_SET, CHANGED, MODES };

static struct tpmbench b;
static struct fuzz_in script;
static int must_fail;

static void
runtime(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    (void)arg;
    if (s != TB_SPEC) {
        return;
    }
    if (fuzz_u8(&script) % 2) {
        while (script.len > 0) {
            (void)fuzz_xor(&script, (uint8_t *)t->hcl.json, t->hcl.json_len);
        }
    } else if (script.len > 0) {
        qr_view text = fuzz_take(&script, 1300);
        memcpy(t->hcl.json, text.p, text.len);
        t->hcl.json_len = text.len;
    }
}

static void
header(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    (void)arg;
    if (s == TB_SPEC) {
        t->hcl.version ^= fuzz_u8(&script);
        t->hcl.request_type ^= fuzz_u8(&script);
        t->hcl.report_type ^= fuzz_u8(&script);
        t->hcl.hash_type ^= fuzz_u8(&script);
        t->hcl.data_version ^= fuzz_u8(&script);
        t->hcl.var_size_add = (int8_t)fuzz_u8(&script);
        t->hcl.data_size_add = (int8_t)fuzz_u8(&script);
        t->hcl.report_size_add = (int8_t)fuzz_u8(&script);
        must_fail =
            t->hcl.var_size_add != 0 || t->hcl.data_size_add != 0 || t->hcl.report_size_add != 0;
    } else if (s == TB_REPORT) {
        must_fail |= fuzz_xor(&script, t->report_data, sizeof t->report_data);
    }
}

static void
key_set(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    (void)arg;
    if (s != TB_SPEC) {
        return;
    }
    size_t len = strlen(t->key_set);
    if (fuzz_u8(&script) % 2) {
        (void)fuzz_xor(&script, (uint8_t *)t->key_set, len);
    } else if (script.len > 0) {
        qr_view text = fuzz_take(&script, sizeof t->key_set - 1);
        memcpy(t->key_set, text.p, text.len);
        t->key_set[text.len] = 0;
    }
    if (t->key_set[0] == 0) {
        t->key_set[0] = '?';
    }
}

/* Parts of which every byte is signed, hashed or compared. */
static void
change(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const enum qr_part part[] = {
        QR_PART_TPM_QUOTE, QR_PART_TPM_SIG,      QR_PART_TPM_PCRS,         QR_PART_SNP_VEK,
        QR_PART_SNP_ASK,   QR_PART_SNP_ARK,      QR_PART_AK_CERT,          QR_PART_AK_INTERMEDIATE,
        QR_PART_AK_ROOT,   QR_PART_RUNTIME_DATA, QR_PART_ATTESTATION_DATA,
    };
    (void)arg;
    while (s == TB_EVIDENCE && script.len > 0) {
        uint8_t what = fuzz_u8(&script);
        enum qr_part p = part[fuzz_u8(&script) % (sizeof part / sizeof part[0])];
        qr_view was = qr_evidence_get(&t->e, p);
        if (what % 4 == 0 && was.p) {
            must_fail |= fuzz_xor(&script, tb_own(t, p, 0), was.len);
            return; /* tb_own has room for one part */
        }
        if (what % 4 == 1 && was.p) {
            evtpm_swap(&t->e, p, 0, (qr_view){NULL, 0});
        } else if (what % 4 == 2 && !was.p) {
            evtpm_swap(&t->e, p, 0, qr_view_str("{}"));
        } else if (what % 4 == 3) {
            t->e.kind = (enum qr_evidence_kind)(fuzz_u8(&script) % 14u);
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const tb_change how[MODES] = {runtime, header, key_set, change};
    static const enum tb_base bases[] = {TB_AZURE, TB_GCP, TB_GCP_SET};

    must_fail = 0;
    script = fuzz_in_of(data, size < 4096 ? size : 4096);
    unsigned mode = fuzz_u8(&script) % MODES;
    enum tb_base base = mode == CHANGED   ? bases[fuzz_u8(&script) % 3u]
                        : mode == KEY_SET ? TB_GCP_SET
                                          : TB_AZURE;
    qr_err e = tb_run(&b, base, how[mode], 0);
    fuzz_verdict(&b.v, e);
    FUZZ_MUST(e != QR_OK || !must_fail);
    return 0;
}
