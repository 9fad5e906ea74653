/*
 * TPM quotes. The first byte chooses: a TPMS_ATTEST, a signature, a TPMT_PUBLIC, a PEM key alone; the
 * fields of a genuine quote changed and signed again; its TPMS_ATTEST's bytes changed and signed again;
 * an instance extension that is certified again; genuine evidence with changed bytes.
 *
 * Beyond "no crash": a refusal is a printable sentence; what is accepted has a PCR digest that fits its
 * values, and the extraData that was asked for; what was changed under a signature is never accepted.
 */
#include "enclave-shim/verify/tpm.h"
#include "test/common/tpmbench.h"
#include "test/fuzz/kit_verdict.h"

enum { ATTEST, SIGNATURE, PUBLIC, PEM, FIELDS, BYTES, INSTANCE, CHANGED, MODES };

static struct tpmbench b;
static struct qr_verdict v;
static struct fuzz_in script;
static int changed;

static void
alone(unsigned mode, qr_view bytes)
{
    struct qr_tpm_attest a;
    struct qr_tpm_public p;
    struct qr_tpm_sig s;
    EVP_PKEY *k = bytes.len % 2 ? evgen_key(EVGEN_P256, 11) : evgen_key(EVGEN_RSA2048, 2);

    qr_verdict_init(&v);
    if (mode == ATTEST) {
        qr_err e = qr_tpm_attest_parse(bytes, &v, &a);
        fuzz_verdict(&v, e);
        FUZZ_MUST(e != QR_OK || (a.selected != 0 && a.extra.len <= 64 && a.safe <= 1));
    } else if (mode == SIGNATURE) {
        qr_err e = qr_tpm_sig_parse(bytes, k, &v, &s);
        fuzz_verdict(&v, e);
        FUZZ_MUST(e != QR_OK || (s.hash != QR_SHA1 && (s.rsa.p || s.ecdsa_len == 64)));
    } else if (mode == PUBLIC) {
        qr_err e = qr_tpm_public_parse(bytes, &v, &p);
        fuzz_verdict(&v, e);
        if (e == QR_OK) {
            FUZZ_MUST((p.attributes & 0x00070032) == 0x00050032);
            FUZZ_MUST(qr_tpm_key_fits(p.key));
            EVP_PKEY_free(p.key);
        }
    } else {
        k = qr_tpm_pem_parse(bytes);
        FUZZ_MUST(!k || qr_tpm_key_fits(k));
        EVP_PKEY_free(k);
    }
}

/* One change of the quote's specification. */
static void
change_field(struct tpmbench *t, struct fuzz_in *in)
{
    switch (fuzz_u8(in) % 14u) {
    case 0:
        t->q.magic ^= fuzz_u32(in);
        break;
    case 1:
        t->q.type = fuzz_u16(in);
        break;
    case 2:
        t->q.signer_len = fuzz_u8(in) % (sizeof t->q.signer + 1);
        break;
    case 3:
        t->q.extra_len = fuzz_u8(in) % (sizeof t->q.extra + 1);
        break;
    case 4:
        t->q.safe = fuzz_u8(in);
        break;
    case 5:
        t->q.n_banks = fuzz_u8(in) % 7u;
        break;
    case 6: {
        unsigned i = fuzz_u8(in) % EVTPM_BANKS;
        t->q.bank[i].alg = fuzz_u16(in);
        t->q.bank[i].size = fuzz_u8(in);
        t->q.bank[i].bits[fuzz_u8(in) % 3u] = fuzz_u8(in);
        break;
    }
    case 7:
        t->q.digest_len = fuzz_u8(in) % 81u;
        break;
    case 8:
        t->q.form = fuzz_u8(in) % 2 ? EVTPM_RAW : EVTPM_TPMT;
        break;
    case 9:
        t->q.scheme = fuzz_u16(in);
        t->q.hash = fuzz_u16(in);
        break;
    case 10:
        t->pub.attributes ^= fuzz_u32(in);
        break;
    case 11:
        t->pub.scheme = fuzz_u16(in);
        t->pub.symmetric = fuzz_u16(in);
        t->pub.name_alg = fuzz_u16(in);
        break;
    case 12:
        t->q.digest_hash = (enum qr_hash_alg)(fuzz_u8(in) % 4u);
        t->q.really = t->q.digest_hash;
        break;
    default:
        t->o.now_ms = fuzz_u8(in) % 2 ? -1 : t->o.now_ms + fuzz_u32(in) * INT64_C(1000000);
        break;
    }
}

static void
fields(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    (void)arg;
    while (s == TB_SPEC && script.len > 0) {
        change_field(t, &script);
    }
}

static void
msg_bytes(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    (void)arg;
    if (s == TB_MSG) {
        uint16_t len = fuzz_u16(&script);
        t->q.msg_len = len > 0 && len < t->q.msg_len + 8u ? len : t->q.msg_len;
        while (script.len > 0) {
            (void)fuzz_xor(&script, t->q.msg, t->q.msg_len);
        }
    }
}

/* Another use of the certified key. */
static void
certificate(struct tpmbench *t)
{
    uint8_t how = fuzz_u8(&script);
    t->ca.leaf_spec.key_usage = how & 1 ? EVGEN_KU_SIGN | 1u << (how >> 1 & 7) : EVGEN_KU_SIGN;
    t->ca.no_ids = how >> 4 & 1;
    t->ca.eku_len = how >> 5 & 1 ? 0 : t->ca.eku_len;
    t->ca.instance_len = how >> 6 & 1 ? 0 : t->ca.instance_len;
    t->ca.leaf_spec.key = how >> 7 ? evgen_key(EVGEN_P256, 11) : t->ca.leaf_spec.key;
}

static void
instance(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    (void)arg;
    if (s == TB_SPEC) {
        unsigned how = fuzz_u8(&script) % 3u;
        if (how == 1) {
            (void)fuzz_xor(&script, t->ca.instance, t->ca.instance_len);
        } else if (how == 2) {
            certificate(t);
        } else {
            qr_view x = fuzz_take(&script, 200);
            memcpy(t->ca.instance, x.p, x.len);
            t->ca.instance_len = x.len;
        }
        t->ca_changed = 1;
    }
}

/* The quote in another slot, or a second one there, which answers another question. */
static void
other_slot(struct tpmbench *t, int second)
{
    static struct evtpm other;
    uint8_t slot = fuzz_u8(&script) % 6u;
    other = t->q;
    if (second) {
        evtpm_bank(&other, (enum qr_hash_alg)(fuzz_u8(&script) % 3u));
        other.extra[0] ^= fuzz_u8(&script);
        evtpm_build(&other);
    } else {
        evtpm_swap(&t->e, QR_PART_TPM_QUOTE, 0, (qr_view){NULL, 0});
        evtpm_swap(&t->e, QR_PART_TPM_SIG, 0, (qr_view){NULL, 0});
        evtpm_swap(&t->e, QR_PART_TPM_PCRS, 0, (qr_view){NULL, 0});
    }
    if (slot > 0 || !second) {
        evtpm_add(&other, slot, &t->e);
    }
}

/* The key once more, or another, or none. */
static void
add_pem(struct tpmbench *t)
{
    struct evgen_buf pem = evgen_buf_over(t->pem, sizeof t->pem);
    unsigned which = fuzz_u8(&script) % 3u;
    evtpm_put_pem(&pem, which == 0 ? t->ak : evgen_key(EVGEN_P256, 3));
    evtpm_swap(&t->e, QR_PART_AK_PEM, 0, qr_view_of(t->pem, which == 2 ? 40 : pem.len));
}

/* One part changed; 1 when a signature or a digest covers what was changed. */
static int
change_part(struct tpmbench *t, enum qr_part p)
{
    qr_view was = qr_evidence_get(&t->e, p);
    switch (fuzz_u8(&script)) {
    case 0:
        evtpm_swap(&t->e, p, 0, (qr_view){NULL, 0});
        return 0;
    case 1:
        if (was.p) {
            tb_grow(t, p, 0, fuzz_u8(&script), fuzz_u8(&script));
        }
        return 0;
    case 2:
        other_slot(t, 0);
        return 0;
    case 3:
        other_slot(t, 1);
        return 0;
    case 4:
        add_pem(t);
        return 0;
    case 5:
        t->e.kind = QR_EV_GCP_AK;
        t->o.binder.p = fuzz_u8(&script) % 2 ? NULL : t->o.binder.p;
        return 0;
    case 6:
        t->o.binder = (qr_view){NULL, 0};
        return 0;
    default:
        /* other attributes are another name of the same key, and nobody signed the form */
        return was.p && fuzz_xor(&script, tb_own(t, p, 0), was.len) && p != QR_PART_AK_PUBLIC;
    }
}

static void
any_bytes(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const enum qr_part part[] = {QR_PART_TPM_QUOTE, QR_PART_TPM_SIG, QR_PART_TPM_PCRS,
                                        QR_PART_AK_PUBLIC, QR_PART_AK_CERT, QR_PART_AK_INTERMEDIATE,
                                        QR_PART_AK_ROOT,   QR_PART_TCG_LOG};
    (void)arg;
    if (s == TB_EVIDENCE) {
        enum qr_part p = part[fuzz_u8(&script) % 8u];
        changed = change_part(t, p) && p != QR_PART_TCG_LOG; /* texts of a log are nobody's */
    }
}

static void
accepted_means(void)
{
    uint8_t digest[64];
    qr_view want = {0}, extra = {0};
    static const enum qr_hash_alg all[] = {QR_SHA256, QR_SHA384, QR_SHA512};
    int fits = 0;

    if (b.e.kind != QR_EV_TPM || !qr_evidence_get(&b.e, QR_PART_TPM_QUOTE).p) {
        return; /* a certificate alone, or a quote of another slot */
    }
    FUZZ_MUST(qr_claim_get_hex(&b.v.claims, "quote.pcrDigest", &want));
    FUZZ_MUST(qr_claim_get_hex(&b.v.claims, "quote.extraData", &extra));
    FUZZ_MUST(!b.o.binder.p || qr_view_eq(extra, b.o.binder));
    qr_view values = qr_evidence_get(&b.e, QR_PART_TPM_PCRS);
    values = values.p ? values : qr_evidence_get_slot(&b.e, QR_PART_TPM_PCRS, 2);
    for (size_t i = 0; i < 3; i++) {
        FUZZ_MUST(qr_hash_of(all[i], &values, 1, digest));
        fits |= qr_view_eq(want, qr_view_of(digest, qr_hash_len(all[i])));
    }
    FUZZ_MUST(fits);
    FUZZ_MUST(!changed);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const tb_change how[MODES] = {
        [FIELDS] = fields, [BYTES] = msg_bytes, [INSTANCE] = instance, [CHANGED] = any_bytes};
    script = fuzz_in_of(data, size < 4096 ? size : 4096);
    unsigned mode = fuzz_u8(&script) % MODES;

    static const enum tb_base some[] = {TB_MSFT, TB_CERT, TB_LOG};
    changed = 0;
    if (mode <= PEM) {
        alone(mode, fuzz_take(&script, script.len));
        return 0;
    }
    enum tb_base base = mode == FIELDS || mode == BYTES ? (fuzz_u8(&script) % 2 ? TB_EC : TB_PUB)
                                                        : some[fuzz_u8(&script) % 3u];
    qr_err e = tb_run(&b, base, how[mode], 0);
    fuzz_verdict(&b.v, e);
    if (e == QR_OK) {
        accepted_means();
    }
    return 0;
}
