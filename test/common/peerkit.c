#include "test/common/peerkit.h"

#include "protocol/base/check.h"

#include <stdio.h>
#include <stdlib.h>

#define X8(x) x x x x x x x x
#define X16(x) X8(x) X8(x)
#define X32(x) X16(x) X16(x)
#define X48(x) X32(x) X16(x)
#define X64(x) X32(x) X32(x)

const enum qr_evidence_kind peerkit_kinds[9] = {
    QR_EV_NITRO,     QR_EV_SNP,       QR_EV_TDX,     QR_EV_SGX,     QR_EV_TPM,
    QR_EV_AZURE_SNP, QR_EV_AZURE_TDX, QR_EV_GCP_SNP, QR_EV_GCP_TDX,
};

#define DATES "\"valid_from\": \"2026-01-01T00:00:00Z\", \"valid_until\": \"2027-01-01T00:00:00Z\""
#define SET(name, platform, expect)                                                                \
    "  {\"name\": \"" name "\", \"platform\": \"" platform "\", " DATES ",\n"                      \
    "   \"expect\": {" expect "}}"
#define MILAN                                                                                      \
    "   \"products\": [\n"                                                                         \
    "    {\"product\": \"Milan\", \"bootloader\": 4, \"tee\": 0, \"snp\": 24, \"microcode\": "     \
    "219},\n"                                                                                      \
    "    {\"product\": \"Turin\", \"bootloader\": 1, \"tee\": 1, \"snp\": 1, \"microcode\": 70, "  \
    "\"fmc\": 1}]"
#define UP "   \"statuses\": [{\"status\": \"UpToDate\", \"advisories\": []}]"

/* clang-format off */
/* In pieces: C11 promises room for strings of 4095 characters. */
static const char *const pieces[] = {
    "{\n"                                                                                    /* 1 */
    " \"note\": \"every platform\", \"peer_secret\": {\"threshold\": 2},\n"
    " \"freshness\": {\"max_age_s\": 300, \"reattest_s\": 600, \"clock_spread_s\": 60,\n"
    "  \"stages\": {\"warn_s\": 3600, \"no_peers_s\": 7200, \"no_keys_s\": 14400, \"stop_s\": 86400},\n"
    "  \"collateral_grace_s\": 120},\n"                                                      /* 5 */
    " \"require\": [\"validity\", \"binder\"],\n"
    " \"collateral\": {\"min_tcb_evaluation\": 17,\n"
    "  \"tcb_exceptions\": [{\"fmspc\": \"90c06f000000\", \"tee\": \"sgx\", \"component\": 8,\n"
    "    \"min_svn\": 3, \"until\": \"2027-01-01T00:00:00Z\"}]},\n"
    " \"measurements\": [\n"                                                                /* 10 */
    SET("nitro", "aws-nitro", "\"pcrs.0\": \"" X48("11") "\", \"pcrs.1\": \"" X48("12") "\"") ",\n"
    SET("snp", "amd-sev-snp", "\"measurement\": \"" X48("21") "\"") ",\n"
    SET("tdx", "intel-tdx", "\"body.mr_td\": \"" X48("31") "\",\n    \"body.rtmr1\": \"" X48("32") "\"") ",\n"
    SET("sgx", "intel-sgx", "\"body.mrenclave\": \"" X32("41") "\"") ",\n"                  /* 18 */
    SET("tpm", "tpm2", "\"quote.pcrs.11\": \"" X32("51") "\"") ",\n"                        /* 20 */
    SET("azure-snp", "azure-snp-vtpm", "\"quote.pcrs.11\": \"" X32("51") "\"") ",\n"        /* 22 */
    SET("azure-tdx", "azure-tdx-vtpm", "\"quote.pcrs.11\": \"" X48("51") "\"") ",\n"        /* 24 */
    SET("gcp-snp", "gcp-snp-vtpm", "\"quote.pcrs.4\": \"" X32("51") "\"") ",\n"             /* 26 */
    SET("gcp-tdx", "gcp-tdx-vtpm", "\"quote.pcrs.4\": \"" X32("51") "\"") "],\n"            /* 28 */
    ,
    " \"platforms\": {\n"                                                                   /* 30 */
    "  \"aws-nitro\": {\n"
    "   \"require\": [\"timestamp\"],\n"
    "   \"role_pcr3\": [\"" X48("13") "\"],\n"
    "   \"instance_pcr4\": [\"" X48("14") "\", \"" X48("15") "\"],\n"
    "   \"signer_pcr8\": [\"" X48("18") "\"],\n"                                            /* 35 */
    "   \"machines\": {\"allow\": [{\"ec2_instance\": \"i-0123456789abcdef0\"},\n"
    "     {\"module_id\": \"i-other-enc01\"}]}},\n"
    "  \"amd-sev-snp\": {\n"
    MILAN ",\n"                                                                             /* 39 */
    "   \"vmpl\": [0, 1],\n"                                                                /* 42 */
    "   \"min_guest_svn\": 3,\n"
    "   \"host_data\": [\"" X32("22") "\"],\n"
    "   \"id_key_digests\": [\"" X48("23") "\", \"" X48("24") "\"],\n"                      /* 45 */
    "   \"author_key_digests\": [\"" X48("25") "\"],\n"
    "   \"signing_keys\": [\"VCEK\"],\n"
    "   \"guest_policy\": {\"set\": [\"single_socket\"], \"clear\": [\"smt\"]},\n"
    "   \"platform_info\": {\"set\": [\"alias_check_complete\", \"ecc_en\"]},\n"
    "   \"machines\": {\"allow\": [{\"note\": \"rack 1\", \"chip_id\": \"" X64("26") "\"}],\n" /* 50 */
    "    \"deny\": [{\"chip_id\": \"" X64("27") "\"}]}},\n"
    ,
    "  \"intel-tdx\": {\n"
    "   \"statuses\": [{\"status\": \"UpToDate\", \"advisories\": []},\n"
    "    {\"status\": \"SWHardeningNeeded\", \"advisories\": [\"INTEL-SA-00615\"]},\n"
    "    {\"status\": \"OutOfDate\", \"advisories\": [\"INTEL-SA-00960\"], \"fmspcs\": [\"00806f050000\"],\n" /* 55 */
    "     \"until\": \"2026-12-01T00:00:00Z\"}],\n"
    "   \"td_attributes\": {\"set\": [\"sept_ve_disable\"], \"clear\": [\"perfmon\"]},\n"
    "   \"xfams\": [\"e702060000000000\"],\n"
    "   \"mr_seams\": [\"" X48("33") "\"],\n"
    "   \"mr_config_ids\": [\"" X48("34") "\"],\n"                                          /* 60 */
    "   \"mr_owners\": [\"" X48("35") "\"],\n"
    "   \"mr_owner_configs\": [\"" X48("36") "\"],\n"
    "   \"fmspcs\": [\"90c06f000000\", \"00806f050000\"],\n"
    "   \"machines\": {\"allow\": [{\"ppid\": \"" X16("37") "\"},\n"
    "     {\"platform_instance_id\": \"" X16("38") "\"}]}},\n"                              /* 65 */
    "  \"intel-sgx\": {\n"
    UP ",\n"
    "   \"signers\": [{\"mrsigner\": \"" X32("42") "\", \"isv_prod_id\": 7, \"min_isv_svn\": 3}],\n"
    "   \"config_ids\": [\"" X64("43") "\"]},\n"
    "  \"tpm2\": {\"insecure\": true,\n"                                                    /* 70 */
    "   \"secure_boot\": true,\n"
    "   \"machines\": {\"allow\": [{\"ak_name\": \"000b" X32("52") "\"},\n"
    "     {\"ak_key_sha256\": \"" X32("53") "\"}]}},\n"
    ,
    "  \"azure-snp-vtpm\": {\n"
    MILAN ",\n"                                                                             /* 75 */
    "   \"id_key_digests\": [\"" X48("23") "\"],\n"                                         /* 78 */
    "   \"min_guest_svn\": 8,\n"
    "   \"secure_boot\": true,\n"                                                           /* 80 */
    "   \"machines\": {\"allow\": [{\"vm_unique_id\": \"26F8BC30-774E\"}]}},\n"
    "  \"azure-tdx-vtpm\": {\n"
    UP ",\n"
    "   \"secure_boot\": true},\n"
    "  \"gcp-snp-vtpm\": {\n"                                                               /* 85 */
    MILAN ",\n"                                                                             /* 86 */
    "   \"machines\": {\"allow\": [{\"gcp_instance\": \"7899197072425216309\"}]}},\n"       /* 89 */
    "  \"gcp-tdx-vtpm\": {\n"                                                               /* 90 */
    UP "}},\n"
    " \"machines\": {\"deny\": [{\"chip_id\": \"" X64("28") "\"},\n"
    "   {\"ppid\": \"" X16("39") "\"}, {\"gcp_instance\": \"5\"}]},\n"
    " \"quorum\": {\"note\": \"n\",\n"
    "  \"max_per_cloud\": 1,\n"                                                             /* 95 */
    "  \"max_per_operator\": 2,\n"
    "  \"max_per_vendor\": 2,\n"
    "  \"max_per_product\": 1}\n"
    "}\n"
};
/* clang-format on */

const char *
peerkit_policy(void)
{
    static char text[16384];
    size_t len = 0;

    for (size_t i = 0; !text[0] || (len > 0 && i < sizeof pieces / sizeof pieces[0]); i++) {
        size_t n = strlen(pieces[i]);
        QR_ASSERT(len + n < sizeof text);
        memcpy(text + len, pieces[i], n);
        len += n;
    }
    return text;
}

#define RELEASE(release, revoked, more, byte)                                                      \
    "{\"v\":1,\"type\":\"quorate/measurements\",\"release\":\"" release                            \
    "\",\"source\":\"0123456789012345678901234567890123456789\",\n\"recipe\":\"" X32(              \
        "ab") "\",\"valid_from\":\"2026-01-01T00:00:00Z\",\"valid_until\":\"2027-01-01T00:00:"     \
              "00Z\","                                                                             \
              "\"revoked\":[" revoked "]," more                                                    \
              "\n\"measurements\":[{\"name\":\"snp\",\"platform\":"                                \
              "\"amd-sev-snp\",\"expect\":{\"measurement\":\"" X48(byte) "\"}}]}"

const char *const peerkit_releases[2] = {
    RELEASE("1.0", "", "", "61"),
    RELEASE("2.0", "\"1.0\"",
            "\"minimum_tcb\":{\"amd_sev_snp\":[{\"product\":\"Milan\",\"bootloader\":4,\"tee\":0,"
            "\"snp\":24,\"microcode\":221}],\"intel_tcb_evaluation\":18},",
            "62"),
};

static uint8_t
digit(char c)
{
    return (uint8_t)(c >= 'a' ? c - 'a' + 10 : c - '0');
}

static void
remove_claim(struct qr_claimset *c, const char *path)
{
    for (size_t i = 0; i < c->n; i++) {
        if (strcmp(c->item[i].path, path) == 0) {
            c->item[i] = c->item[--c->n];
            return;
        }
    }
}

void
peerkit_set(struct qr_verdict *v, const char *path, const char *value)
{
    struct qr_claimset *c = &v->claims;
    uint8_t bytes[64];

    remove_claim(c, path);
    switch (value[0]) {
    case 'u':
        qr_claim_uint(c, path, strtoull(value + 1, NULL, 10));
        break;
    case 'b':
        qr_claim_bool(c, path, value[1] == '1');
        break;
    case 't':
        qr_claim_text(c, path, qr_view_str(value + 1));
        break;
    case 'j':
        qr_claim_json_copy(c, path, qr_view_str(value + 1));
        break;
    case 'n':
        qr_claim_null(c, path);
        break;
    case 'h': {
        size_t n = strtoull(value + 4, NULL, 10);
        QR_ASSERT(n <= sizeof bytes);
        memset(bytes, digit(value[1]) * 16 + digit(value[2]), n);
        qr_claim_hex_copy(c, path, qr_view_of(bytes, n));
        break;
    }
    default:
        break;
    }
    QR_ASSERT(!c->overflow);
}

struct claim {
    const char *path, *value;
};

#define N(a) (sizeof(a) / sizeof(a)[0])

static void
set_all(struct qr_verdict *v, const struct claim *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        peerkit_set(v, c[i].path, c[i].value);
    }
}

static const struct claim nitro[] = {
    {"module_id", "ti-0123456789abcdef0-enc0181d3dff86da785"},
    {"timestamp_ms", "u1795280390000"},
    {"pcrs.0", "h11*48"},
    {"pcrs.1", "h12*48"},
    {"pcrs.2", "h19*48"},
    {"pcrs.3", "h13*48"},
    {"pcrs.4", "h15*48"},
    {"pcrs.8", "h18*48"},
    {"debug", "b0"},
};

static const struct claim snp[] = {
    {"vmpl", "u0"},
    {"guest_svn", "u8"},
    {"policy_bits.smt", "u0"},
    {"policy_bits.migrate_ma", "u0"},
    {"policy_bits.single_socket", "u1"},
    {"platform_info_bits.alias_check_complete", "u1"},
    {"platform_info_bits.ecc_en", "u1"},
    {"signing_key", "tVCEK"},
    {"measurement", "h21*48"},
    {"host_data", "h22*32"},
    {"id_key_digest", "h23*48"},
    {"author_key_digest", "h25*48"},
    {"chip_id", "h26*64"},
    {"product", "tMilan"},
    {"reported_tcb.bootloader", "u4"},
    {"reported_tcb.tee", "u0"},
    {"reported_tcb.snp", "u24"},
    {"reported_tcb.microcode", "u219"},
    {"committed_tcb.bootloader", "u4"},
    {"committed_tcb.tee", "u0"},
    {"committed_tcb.snp", "u25"},
    {"committed_tcb.microcode", "u220"},
    {"debug", "b0"},
};

static const struct claim intel[] = {
    {"pck.ppid", "h37*16"},
    {"pck.platform_instance_id", "h3a*16"},
    {"tcb.final_status", "tUpToDate"},
    {"tcb.advisories", "j[]"},
    {"debug", "b0"},
};

static const struct claim td[] = {
    {"body.mr_td", "h31*48"},
    {"body.rtmr1", "h32*48"},
    {"body.mr_seam", "h33*48"},
    {"body.mr_config_id", "h34*48"},
    {"body.mr_owner", "h35*48"},
    {"body.mr_owner_config", "h36*48"},
    {"body.td_attr_bits.sept_ve_disable", "u1"},
    {"body.td_attr_bits.migratable", "u0"},
    {"body.td_attr_bits.perfmon", "u0"},
};

static const struct claim sgx[] = {
    {"body.mrenclave", "h41*32"}, {"body.mrsigner", "h42*32"},  {"body.isv_prod_id", "u7"},
    {"body.isv_svn", "u3"},       {"body.config_id", "h43*64"},
};

static const struct claim tpm[] = {
    {"quote.pcrs.4", "h51*32"},
    {"quote.pcrs.11", "h51*32"},
    {"ak_spki_sha256", "h53*32"},
    {"event_log.secure_boot", "b1"},
};

static const struct claim azure[] = {
    {"hcl.vm_configuration.secure-boot", "b1"},
    {"hcl.vm_configuration.vmUniqueId", "t26F8BC30-774E"},
};

/* What must be exactly so, in bytes that no pattern makes. */
static void
set_exact(enum qr_evidence_kind k, struct qr_verdict *v)
{
    static const uint8_t xfam[8] = {0xe7, 0x02, 0x06}, fmspc[6] = {0x90, 0xc0, 0x6f};
    static uint8_t name[34] = {0x00, 0x0b};

    memset(name + 2, 0x52, 32);
    if (k == QR_EV_TDX || k == QR_EV_AZURE_TDX || k == QR_EV_GCP_TDX) {
        qr_claim_hex(&v->claims, "body.xfam", qr_view_of(xfam, 8));
        qr_claim_hex(&v->claims, "pck.fmspc", qr_view_of(fmspc, 6));
    }
    if (k == QR_EV_SGX) {
        qr_claim_hex(&v->claims, "pck.fmspc", qr_view_of(fmspc, 6));
    }
    if (k == QR_EV_TPM) {
        qr_claim_hex(&v->claims, "ak_name", qr_view_of(name, 34));
    }
}

void
peerkit_verdict(enum qr_evidence_kind k, struct qr_verdict *v)
{
    int is_snp = k == QR_EV_SNP || k == QR_EV_AZURE_SNP || k == QR_EV_GCP_SNP;
    int is_td = k == QR_EV_TDX || k == QR_EV_AZURE_TDX || k == QR_EV_GCP_TDX;
    int is_cloud = k >= QR_EV_AZURE_SNP && k <= QR_EV_GCP_TDX;

    qr_verdict_init(v);
    if (k == QR_EV_NITRO) {
        set_all(v, nitro, N(nitro));
        qr_pass(v, QR_CHECK_TIMESTAMP);
    }
    if (is_snp) {
        set_all(v, snp, N(snp));
        qr_pass(v, QR_CHECK_TCB_BINDING);
    }
    if (is_td || k == QR_EV_SGX) {
        set_all(v, intel, N(intel));
        for (int c = QR_CHECK_QE_REPORT; c <= QR_CHECK_TCB; c++) {
            qr_pass(v, (enum qr_check)c);
        }
        qr_pass(v, QR_CHECK_CRL);
    }
    if (is_td) {
        set_all(v, td, N(td));
    }
    if (k == QR_EV_SGX) {
        set_all(v, sgx, N(sgx));
    }
    if (is_cloud || k == QR_EV_TPM) {
        set_all(v, tpm, N(tpm));
        qr_pass(v, QR_CHECK_AK);
        qr_pass(v, QR_CHECK_QUOTE);
        qr_pass(v, QR_CHECK_PCRS);
    }
    if (k == QR_EV_AZURE_SNP || k == QR_EV_AZURE_TDX) {
        set_all(v, azure, N(azure));
        qr_pass(v, QR_CHECK_RUNTIME_DATA);
    }
    if (k == QR_EV_AZURE_TDX) {
        peerkit_set(v, "quote.pcrs.11", "h51*48");
    }
    if (k == QR_EV_GCP_SNP || k == QR_EV_GCP_TDX) {
        peerkit_set(v, "ak_cert.instance.instance_id", "u7899197072425216309");
    }
    set_exact(k, v);
    for (int c = QR_CHECK_LIMITS; c <= QR_CHECK_VALIDITY; c++) {
        qr_pass(v, (enum qr_check)c);
    }
    qr_pass(v, QR_CHECK_SIGNATURE);
    qr_pass(v, QR_CHECK_BINDER);
}

void
peerkit_edit(const char *text, const char *from, const char *to, char *out, size_t cap)
{
    const char *at = strstr(text, from);
    QR_ASSERT(at);
    int n = snprintf(out, cap, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    QR_ASSERT(n >= 0 && (size_t)n < cap);
}
