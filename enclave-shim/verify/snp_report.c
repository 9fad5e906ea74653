/*
 * The ATTESTATION_REPORT: one fixed layout, little-endian throughout. Versions differ in what was
 * reserved before: CPUID from 3 on, mitigation vectors in 5.
 */
#include "enclave-shim/verify/le.h"
#include "enclave-shim/verify/snp.h"

#include <stdio.h>

enum at {
    AT_VERSION = 0x000,
    AT_GUEST_SVN = 0x004,
    AT_POLICY = 0x008,
    AT_FAMILY_ID = 0x010,
    AT_IMAGE_ID = 0x020,
    AT_VMPL = 0x030,
    AT_ALGORITHM = 0x034,
    AT_CURRENT_TCB = 0x038,
    AT_PLATFORM_INFO = 0x040,
    AT_FLAGS = 0x048,
    AT_FLAGS_END = 0x04c,
    AT_REPORT_DATA = 0x050,
    AT_MEASUREMENT = 0x090,
    AT_HOST_DATA = 0x0c0,
    AT_ID_KEY_DIGEST = 0x0e0,
    AT_AUTHOR_KEY_DIGEST = 0x110,
    AT_REPORT_ID = 0x140,
    AT_REPORT_ID_MA = 0x160,
    AT_REPORTED_TCB = 0x180,
    AT_CPUID = 0x188,
    AT_CPUID_END = 0x18b,
    AT_CHIP_ID = 0x1a0,
    AT_COMMITTED_TCB = 0x1e0,
    AT_CURRENT_VERSION = 0x1e8,
    AT_COMMITTED_VERSION = 0x1ec,
    AT_LAUNCH_TCB = 0x1f0,
    AT_LAUNCH_MIT = 0x1f8,
    AT_CURRENT_MIT = 0x200,
    AT_MIT_END = 0x208,
    AT_R = 0x2a0,
    AT_S = 0x2e8,
    AT_SIGNATURE_END = 0x330,
};

#define SCALAR_FIELD 72u /* R and S: 48 significant bytes, zeros above */
#define SCALAR_LEN 48u

#define POLICY_ONE (UINT64_C(1) << 17) /* reserved, must be one */
#define POLICY_KNOWN ((UINT64_C(1) << 26) - 1)

static int
all_zero(const uint8_t *p, size_t n)
{
    uint8_t any = 0;
    for (size_t i = 0; i < n; i++) {
        any |= p[i];
    }
    return any == 0;
}

const char *
qr_snp_line_name(enum qr_snp_line l)
{
    switch (l) {
    case QR_SNP_MILAN:
        return "Milan";
    case QR_SNP_GENOA:
        return "Genoa";
    case QR_SNP_TURIN:
        return "Turin";
    case QR_SNP_UNKNOWN:
        break;
    }
    return "unknown";
}

enum qr_snp_line
qr_snp_line_of_cpuid(uint8_t family, uint8_t model)
{
    if (family == 0x19 && model <= 0x0f) {
        return QR_SNP_MILAN;
    }
    /* Genoa, and Bergamo and Siena with Genoa's keys */
    if (family == 0x19 && ((model >= 0x10 && model <= 0x1f) || (model >= 0xa0 && model <= 0xaf))) {
        return QR_SNP_GENOA;
    }
    if (family == 0x1a && model <= 0x11) {
        return QR_SNP_TURIN;
    }
    return QR_SNP_UNKNOWN;
}

enum qr_snp_line
qr_snp_line_of_name(qr_view product_name)
{
    static const struct {
        const char *name;
        enum qr_snp_line line;
    } names[] = {
        {"Milan", QR_SNP_MILAN}, {"Genoa", QR_SNP_GENOA}, {"Bergamo", QR_SNP_GENOA},
        {"Siena", QR_SNP_GENOA}, {"Turin", QR_SNP_TURIN},
    };
    size_t n = 0;
    while (n < product_name.len && product_name.p[n] != '-') {
        n++;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (qr_view_eq(qr_view_of(product_name.p, n), qr_view_str(names[i].name))) {
            return names[i].line;
        }
    }
    return QR_SNP_UNKNOWN;
}

int
qr_snp_tcb_byte(enum qr_snp_line line, enum qr_snp_spl c)
{
    static const int8_t older[QR_SNP_SPLS] = {
        [QR_SNP_BL] = 0,   [QR_SNP_TEE] = 1,   [QR_SNP_SPL4] = 2,
        [QR_SNP_SPL5] = 3, [QR_SNP_SPL6] = 4,  [QR_SNP_SPL7] = 5,
        [QR_SNP_FW] = 6,   [QR_SNP_UCODE] = 7, [QR_SNP_FMC] = -1,
    };
    static const int8_t turin[QR_SNP_SPLS] = {
        [QR_SNP_FMC] = 0,  [QR_SNP_BL] = 1,    [QR_SNP_TEE] = 2,
        [QR_SNP_FW] = 3,   [QR_SNP_SPL5] = 4,  [QR_SNP_SPL6] = 5,
        [QR_SNP_SPL7] = 6, [QR_SNP_UCODE] = 7, [QR_SNP_SPL4] = -1,
    };
    if (line == QR_SNP_UNKNOWN || c >= QR_SNP_SPLS) {
        return -1;
    }
    return line == QR_SNP_TURIN ? turin[c] : older[c];
}

/* What the format reserves is zero: bytes outside the signature would make evidence malleable, and
 * bytes inside it have a meaning that this version does not know. */
static qr_err
check_reserved(const uint8_t *b, uint32_t version, struct qr_verdict *v)
{
    const struct {
        size_t from, to;
    } zero[] = {
        {AT_FLAGS_END, AT_REPORT_DATA},
        {version >= 3 ? AT_CPUID_END : AT_CPUID, AT_CHIP_ID},
        {AT_CURRENT_VERSION + 3, AT_COMMITTED_VERSION},
        {AT_COMMITTED_VERSION + 3, AT_LAUNCH_TCB},
        {version >= 5 ? AT_MIT_END : AT_LAUNCH_MIT, AT_R},
        {AT_SIGNATURE_END, QR_SNP_REPORT_LEN},
    };
    for (size_t i = 0; i < sizeof zero / sizeof zero[0]; i++) {
        for (size_t at = zero[i].from; at < zero[i].to; at++) {
            if (b[at] != 0) {
                return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                               "SNP report: reserved byte at 0x%03zx: expected 0, found 0x%02x", at,
                               b[at]);
            }
        }
    }
    return QR_OK;
}

static qr_err
read_flags(const uint8_t *b, struct qr_verdict *v, struct qr_snp_report *p)
{
    uint32_t flags = qr_le32(b + AT_FLAGS);
    if (flags >> 5 != 0) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_UNSUPPORTED,
                       "SNP report: flags: expected bits 0 to 4 only, found 0x%08x", flags);
    }
    p->author_key_en = (int)(flags & 1);
    p->mask_chip_key = (int)(flags >> 1 & 1);
    p->signing_key = (enum qr_snp_signing_key)(flags >> 2 & 7);
    return QR_OK;
}

/* The fields that the rest of the report hangs on: which version, which algorithm. */
static qr_err
read_head(qr_view report, struct qr_verdict *v, struct qr_snp_report *p)
{
    if (report.len != QR_SNP_REPORT_LEN) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                       "SNP report: expected %u bytes, found %zu", QR_SNP_REPORT_LEN, report.len);
    }
    p->all = report;
    p->version = qr_le32(report.p + AT_VERSION);
    if (p->version < 2 || p->version > 5) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_UNSUPPORTED,
                       "SNP report: expected version 2 to 5, found %u", p->version);
    }
    p->signature_algo = qr_le32(report.p + AT_ALGORITHM);
    if (p->signature_algo != 1) {
        return qr_fail(v, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED,
                       "SNP report: signature algorithm: expected 1 (ECDSA P-384 with SHA-384), "
                       "found %u",
                       p->signature_algo);
    }
    return read_flags(report.p, v, p);
}

static void
read_body(const uint8_t *b, struct qr_snp_report *p)
{
    p->guest_svn = qr_le32(b + AT_GUEST_SVN);
    p->vmpl = qr_le32(b + AT_VMPL);
    p->policy = qr_le64(b + AT_POLICY);
    p->platform_info = qr_le64(b + AT_PLATFORM_INFO);
    p->family_id = qr_view_of(b + AT_FAMILY_ID, 16);
    p->image_id = qr_view_of(b + AT_IMAGE_ID, 16);
    p->report_data = qr_view_of(b + AT_REPORT_DATA, 64);
    p->measurement = qr_view_of(b + AT_MEASUREMENT, 48);
    p->host_data = qr_view_of(b + AT_HOST_DATA, 32);
    p->id_key_digest = qr_view_of(b + AT_ID_KEY_DIGEST, 48);
    p->author_key_digest = qr_view_of(b + AT_AUTHOR_KEY_DIGEST, 48);
    p->report_id = qr_view_of(b + AT_REPORT_ID, 32);
    p->report_id_ma = qr_view_of(b + AT_REPORT_ID_MA, 32);
    p->chip_id = qr_view_of(b + AT_CHIP_ID, 64);
    p->current_tcb = qr_view_of(b + AT_CURRENT_TCB, 8);
    p->reported_tcb = qr_view_of(b + AT_REPORTED_TCB, 8);
    p->committed_tcb = qr_view_of(b + AT_COMMITTED_TCB, 8);
    p->launch_tcb = qr_view_of(b + AT_LAUNCH_TCB, 8);
    p->has_cpuid = p->version >= 3;
    p->family = b[AT_CPUID];
    p->model = b[AT_CPUID + 1];
    p->stepping = b[AT_CPUID + 2];
    /* build, minor, major */
    for (size_t i = 0; i < 3; i++) {
        p->current[i] = b[AT_CURRENT_VERSION + 2 - i];
        p->committed[i] = b[AT_COMMITTED_VERSION + 2 - i];
    }
    p->has_mit = p->version >= 5;
    p->launch_mit = qr_le64(b + AT_LAUNCH_MIT);
    p->current_mit = qr_le64(b + AT_CURRENT_MIT);
    p->r = qr_view_of(b + AT_R, SCALAR_FIELD);
    p->s = qr_view_of(b + AT_S, SCALAR_FIELD);
}

static qr_err
check_body(const struct qr_snp_report *p, struct qr_verdict *v)
{
    if ((p->policy & POLICY_ONE) == 0 || (p->policy & ~POLICY_KNOWN) != 0) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                       "SNP report: policy: expected bit 17 set and bits 26 to 63 clear, found "
                       "0x%016llx",
                       (unsigned long long)p->policy);
    }
    if (p->vmpl > 3) {
        return qr_fail(
            v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
            "SNP report: vmpl: expected 0 to 3, found %u: no guest asked for this report", p->vmpl);
    }
    if (!all_zero(p->r.p + SCALAR_LEN, SCALAR_FIELD - SCALAR_LEN) ||
        !all_zero(p->s.p + SCALAR_LEN, SCALAR_FIELD - SCALAR_LEN)) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                       "SNP report: signature: expected zeros in bytes 48 to 71 of R and S");
    }
    return QR_OK;
}

qr_err
qr_snp_report_parse(qr_view report, struct qr_verdict *v, struct qr_snp_report *ret)
{
    struct qr_snp_report p = {0};
    QR_TRY(read_head(report, v, &p));
    QR_TRY(check_reserved(report.p, p.version, v));
    read_body(report.p, &p);
    QR_TRY(check_body(&p, v));
    qr_pass(v, QR_CHECK_PARSE);
    qr_pass(v, QR_CHECK_ALGORITHM);
    if (p.signing_key == QR_SNP_NO_KEY) {
        return qr_fail(v, QR_CHECK_KEY_KIND, QR_REASON_SIGNATURE,
                       "SNP report: signing key: expected VCEK or VLEK, found none: the report is "
                       "not signed");
    }
    if (p.signing_key != QR_SNP_VCEK && p.signing_key != QR_SNP_VLEK) {
        return qr_fail(v, QR_CHECK_KEY_KIND, QR_REASON_UNSUPPORTED,
                       "SNP report: signing key: expected 0 (VCEK) or 1 (VLEK), found %u",
                       (unsigned)p.signing_key);
    }
    *ret = p;
    return QR_OK;
}

qr_err
qr_snp_report_check(const struct qr_snp_report *p, enum qr_snp_line line, struct qr_verdict *v)
{
    if (line == QR_SNP_TURIN && !all_zero(p->chip_id.p + 8, p->chip_id.len - 8)) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                       "SNP report: chip_id: expected 8 bytes and zeros on Turin, found more");
    }
    return QR_OK;
}

static void
tcb_claims(const char *name, qr_view tcb, enum qr_snp_line line, struct qr_claimset *c)
{
    static const struct {
        const char *name;
        enum qr_snp_spl spl;
    } part[] = {
        {"bootloader", QR_SNP_BL},   {"tee", QR_SNP_TEE}, {"snp", QR_SNP_FW},
        {"microcode", QR_SNP_UCODE}, {"fmc", QR_SNP_FMC},
    };
    for (size_t i = 0; i < sizeof part / sizeof part[0]; i++) {
        int at = qr_snp_tcb_byte(line, part[i].spl);
        if (at >= 0) {
            qr_claim_uint(c, qr_claim_path(c, "%s.%s", name, part[i].name), tcb.p[at]);
        }
    }
    qr_claim_hex(c, qr_claim_path(c, "%s.raw", name), tcb);
}

static void
version_claim(const char *path, const uint8_t version[static 3], struct qr_claimset *c)
{
    char text[16];
    int n = snprintf(text, sizeof text, "%u.%u.%u", version[0], version[1], version[2]);
    qr_claim_text_copy(c, path, qr_view_of(text, (size_t)n));
}

static void
policy_claims(uint64_t policy, struct qr_claimset *c)
{
    static const char *const bit[] = {
        "policy_bits.smt",
        "policy_bits.reserved1_must_be_1",
        "policy_bits.migrate_ma",
        "policy_bits.debug",
        "policy_bits.single_socket",
        "policy_bits.cxl_allow",
        "policy_bits.mem_aes_256_xts",
        "policy_bits.rapl_dis",
        "policy_bits.ciphertext_hiding",
        "policy_bits.page_swap_disable",
    };
    qr_claim_x64(c, "policy", policy);
    qr_claim_uint(c, "policy_bits.abi_minor", policy & 0xff);
    qr_claim_uint(c, "policy_bits.abi_major", policy >> 8 & 0xff);
    for (size_t i = 0; i < sizeof bit / sizeof bit[0]; i++) {
        qr_claim_uint(c, bit[i], policy >> (16 + i) & 1);
    }
}

static void
platform_claims(uint64_t info, struct qr_claimset *c)
{
    static const struct {
        const char *path;
        unsigned bit;
    } known[] = {
        {"platform_info_bits.smt_en", 0},
        {"platform_info_bits.tsme_en", 1},
        {"platform_info_bits.ecc_en", 2},
        {"platform_info_bits.rapl_dis", 3},
        {"platform_info_bits.ciphertext_hiding_en", 4},
        {"platform_info_bits.alias_check_complete", 5},
        {"platform_info_bits.tio_en", 7},
    };
    /* Bits without a name here are the platform's to add: they stay in the number. */
    qr_claim_x64(c, "platform_info", info);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        qr_claim_uint(c, known[i].path, info >> known[i].bit & 1);
    }
}

static void
cpuid_claims(const struct qr_snp_report *p, struct qr_claimset *c)
{
    char text[64];
    enum qr_snp_line line = qr_snp_line_of_cpuid(p->family, p->model);
    int n = snprintf(text, sizeof text, "family=0x%02x model=0x%02x stepping=0x%x", p->family,
                     p->model, p->stepping);
    qr_claim_text_copy(c, "cpuid_fms", qr_view_of(text, (size_t)n));
    if (line != QR_SNP_UNKNOWN) {
        qr_claim_text(c, "product_from_cpuid", qr_view_str(qr_snp_line_name(line)));
    }
}

void
qr_snp_report_claims(const struct qr_snp_report *p, enum qr_snp_line line, struct qr_claimset *c)
{
    qr_claim_uint(c, "version", p->version);
    qr_claim_uint(c, "guest_svn", p->guest_svn);
    policy_claims(p->policy, c);
    qr_claim_hex(c, "family_id", p->family_id);
    qr_claim_hex(c, "image_id", p->image_id);
    qr_claim_uint(c, "vmpl", p->vmpl);
    qr_claim_uint(c, "signature_algo", p->signature_algo);
    tcb_claims("current_tcb", p->current_tcb, line, c);
    platform_claims(p->platform_info, c);
    qr_claim_uint(c, "author_key_en", (uint64_t)p->author_key_en);
    qr_claim_uint(c, "mask_chip_key", (uint64_t)p->mask_chip_key);
    qr_claim_text(c, "signing_key", qr_view_str(p->signing_key == QR_SNP_VLEK ? "VLEK" : "VCEK"));
    qr_claim_hex(c, "report_data", p->report_data);
    qr_claim_hex(c, "measurement", p->measurement);
    qr_claim_hex(c, "host_data", p->host_data);
    qr_claim_hex(c, "id_key_digest", p->id_key_digest);
    qr_claim_hex(c, "author_key_digest", p->author_key_digest);
    qr_claim_hex(c, "report_id", p->report_id);
    qr_claim_hex(c, "report_id_ma", p->report_id_ma);
    tcb_claims("reported_tcb", p->reported_tcb, line, c);
    qr_claim_hex(c, "chip_id", p->chip_id);
    tcb_claims("committed_tcb", p->committed_tcb, line, c);
    version_claim("current_version", p->current, c);
    version_claim("committed_version", p->committed, c);
    tcb_claims("launch_tcb", p->launch_tcb, line, c);
    if (p->has_cpuid) {
        cpuid_claims(p, c);
    }
    if (p->has_mit) {
        qr_claim_x64(c, "launch_mit_vector", p->launch_mit);
        qr_claim_x64(c, "current_mit_vector", p->current_mit);
    }
    qr_claim_hex(c, "signature_r_le", p->r);
    qr_claim_hex(c, "signature_s_le", p->s);
    qr_claim_bool(c, "debug", (p->policy & QR_SNP_POLICY_DEBUG) != 0);
}
