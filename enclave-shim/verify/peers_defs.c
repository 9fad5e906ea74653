/*
 * The tables of a policy: what a section may say, which checks a platform makes, how machines are
 * named.
 */
#include "enclave-shim/verify/peers_int.h"

#include <stdio.h>

#define SNP QR_KINDS_SNP
#define TDX QR_KINDS_TDX
#define NITRO QR_KIND_MASK(QR_EV_NITRO)

#define GUEST_BITS                                                                                 \
    "smt single_socket cxl_allow mem_aes_256_xts rapl_dis ciphertext_hiding page_swap_disable "    \
    "migrate_ma "
#define PLATFORM_BITS                                                                              \
    "smt_en tsme_en ecc_en rapl_dis ciphertext_hiding_en alias_check_complete tio_en "
#define TD_BITS "sept_ve_disable migratable pks kl perfmon "

const struct qr_peers_def qr_peers_defs[] = {
    {NITRO, "role_pcr3", "pcrs.3", QR_OP_BYTES, 48, NULL, "the IAM role's PCR3"},
    {NITRO, "instance_pcr4", "pcrs.4", QR_OP_BYTES, 48, NULL, "the parent instance's PCR4"},
    {NITRO, "signer_pcr8", "pcrs.8", QR_OP_BYTES, 48, NULL, "the image signer's PCR8"},
    {SNP, "vmpl", "vmpl", QR_OP_UINT, 3, NULL, "the VMPL"},
    {SNP, "min_guest_svn", "guest_svn", QR_OP_MIN, UINT32_MAX, NULL, "the guest's SVN"},
    {SNP, "host_data", "host_data", QR_OP_BYTES, 32, NULL, "HOST_DATA"},
    {SNP, "id_key_digests", "id_key_digest", QR_OP_BYTES, 48, NULL, "the ID key's digest"},
    {SNP, "author_key_digests", "author_key_digest", QR_OP_BYTES, 48, NULL,
     "the author key's digest"},
    {SNP, "signing_keys", "signing_key", QR_OP_WORD, 0, "VCEK VLEK ", "the kind of signing key"},
    {SNP, "guest_policy", "policy_bits", QR_OP_BITS, 0, GUEST_BITS, "the guest policy"},
    {SNP, "platform_info", "platform_info_bits", QR_OP_BITS, 0, PLATFORM_BITS,
     "the platform's information"},
    {TDX, "td_attributes", "body.td_attr_bits", QR_OP_BITS, 0, TD_BITS, "the TD's attributes"},
    {TDX, "xfams", "body.xfam", QR_OP_BYTES, 8, NULL, "XFAM"},
    {TDX, "mr_seams", "body.mr_seam", QR_OP_BYTES, 48, NULL, "the TDX module's MRSEAM"},
    {TDX, "mr_config_ids", "body.mr_config_id", QR_OP_BYTES, 48, NULL, "MRCONFIGID"},
    {TDX, "mr_owners", "body.mr_owner", QR_OP_BYTES, 48, NULL, "MROWNER"},
    {TDX, "mr_owner_configs", "body.mr_owner_config", QR_OP_BYTES, 48, NULL, "MROWNERCONFIG"},
    {QR_KINDS_INTEL, "fmspcs", "pck.fmspc", QR_OP_BYTES, 6, NULL, "the platform's FMSPC"},
    {QR_KIND_MASK(QR_EV_SGX), "config_ids", "body.config_id", QR_OP_BYTES, 64, NULL, "CONFIGID"},
    {QR_KINDS_AZURE, "secure_boot", "hcl.vm_configuration.secure-boot", QR_OP_TRUE, 0, NULL,
     "secure boot"},
    {QR_KINDS_GCP | QR_KIND_MASK(QR_EV_TPM), "secure_boot", "event_log.secure_boot", QR_OP_TRUE, 0,
     NULL, "secure boot, by the event log"},
};
const size_t qr_peers_n_defs = sizeof qr_peers_defs / sizeof qr_peers_defs[0];

const struct qr_peers_id qr_peers_ids[] = {
    {SNP, "chip_id", "chip_id", 64, 0},
    {QR_KINDS_INTEL, "ppid", "pck.ppid", 16, 0},
    {QR_KINDS_INTEL, "platform_instance_id", "pck.platform_instance_id", 16, 0},
    {NITRO, "module_id", "module_id", 0, 0},
    {NITRO, "ec2_instance", "module_id", 0, 0},
    {QR_KINDS_AZURE, "vm_unique_id", "hcl.vm_configuration.vmUniqueId", 0, 0},
    {QR_KINDS_GCP, "gcp_instance", "ak_cert.instance.instance_id", 0, 1},
    {QR_KIND_MASK(QR_EV_TPM), "ak_name", "ak_name", 34, 0},
    {QR_KIND_MASK(QR_EV_TPM), "ak_key_sha256", "ak_spki_sha256", 32, 0},
};
const size_t qr_peers_n_ids = sizeof qr_peers_ids / sizeof qr_peers_ids[0];

const char *const qr_peers_axis_name[QR_AXES] = {"cloud", "operator", "vendor", "product"};

/*
 * What stands before "-enc" in a Nitro module id is the instance; the rest changes with every
 * start.
 */
static qr_view
instance_of(qr_view module)
{
    for (size_t i = 0; i + 4 <= module.len; i++) {
        if (memcmp(module.p + i, "-enc", 4) == 0) {
            return qr_view_of(module.p, i);
        }
    }
    return qr_view_of(module.p, 0);
}

int
qr_peers_machine(const struct qr_peers_id *id, const struct qr_claimset *c, char text[static 24],
                 qr_view *ret)
{
    uint64_t u = 0;
    qr_view v;

    if (id->number) {
        if (!qr_claim_get_uint(c, id->claim, &u)) {
            return 0;
        }
        (void)snprintf(text, 24, "%llu", (unsigned long long)u);
        v = qr_view_str(text);
    } else if (id->len == 0) {
        if (!qr_claim_get_text(c, id->claim, &v)) {
            return 0;
        }
        v = strcmp(id->member, "ec2_instance") == 0 ? instance_of(v) : v;
    } else {
        size_t zeros = 0;
        if (!qr_claim_get_hex(c, id->claim, &v)) {
            return 0;
        }
        while (zeros < v.len && v.p[zeros] == 0) {
            zeros++;
        }
        v.len = zeros == v.len ? 0 : v.len; /* a masked chip id names no chip */
    }
    *ret = v;
    return v.len > 0;
}

#define C(name) QR_PEERS_CHECK(QR_CHECK_##name)
#define OWN (C(DEBUG) | C(MEASUREMENT) | C(FRESHNESS) | C(POLICY))
#define ANY (C(LIMITS) | C(PARSE) | C(ALGORITHM) | C(VALIDITY) | C(BINDER) | C(MACHINE) | OWN)
#define BASE_X509 (C(ROOT) | C(CHAIN) | C(SIGNATURE))
#define BASE_SNP (BASE_X509 | C(TCB_BINDING))
#define BASE_DCAP (BASE_X509 | C(QE_REPORT) | C(QE_IDENTITY) | C(COLLATERAL) | C(CRL) | C(TCB))
#define BASE_TPM (C(AK) | C(QUOTE) | C(PCRS))
#define MAY_SNP (BASE_SNP | C(CRL) | C(KEY_KIND) | C(PRODUCT) | C(CHIP_ID))
#define MAY_TDX (BASE_DCAP | C(TDX_MODULE) | C(EVENT_LOG))
#define MAY_TPM (BASE_TPM | BASE_X509 | C(EVENT_LOG))
#define MAY_CLOUD (MAY_TPM | C(RUNTIME_DATA) | C(COMPOSITE) | C(CRL))

uint64_t
qr_peers_base_checks(enum qr_evidence_kind k)
{
    switch (k) {
    case QR_EV_NITRO:
        return BASE_X509;
    case QR_EV_SNP:
        return BASE_SNP;
    case QR_EV_TDX:
    case QR_EV_SGX:
        return BASE_DCAP;
    case QR_EV_AZURE_SNP:
        return BASE_SNP | BASE_TPM | C(RUNTIME_DATA);
    case QR_EV_AZURE_TDX:
        return BASE_DCAP | BASE_TPM | C(RUNTIME_DATA);
    case QR_EV_GCP_SNP:
        return BASE_SNP | BASE_TPM;
    case QR_EV_GCP_TDX:
        return BASE_DCAP | BASE_TPM;
    default:
        return BASE_TPM;
    }
}

uint64_t
qr_peers_possible_checks(enum qr_evidence_kind k)
{
    switch (k) {
    case QR_EV_NITRO:
        return ANY | BASE_X509 | C(TIMESTAMP);
    case QR_EV_SNP:
        return ANY | MAY_SNP;
    case QR_EV_TDX:
        return ANY | MAY_TDX;
    case QR_EV_SGX:
        return ANY | BASE_DCAP;
    case QR_EV_AZURE_SNP:
    case QR_EV_GCP_SNP:
        return ANY | MAY_SNP | MAY_CLOUD;
    case QR_EV_AZURE_TDX:
    case QR_EV_GCP_TDX:
        return ANY | MAY_TDX | MAY_CLOUD;
    default:
        return ANY | MAY_TPM;
    }
}

int
qr_peers_word_in(const char *words, qr_view w)
{
    for (const char *p = words; *p;) {
        size_t n = strcspn(p, " ");
        if (qr_view_eq(w, qr_view_of(p, n))) {
            return 1;
        }
        p += n + (p[n] == ' ');
    }
    return 0;
}
