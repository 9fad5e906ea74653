/*
 * qr_tee_open: a platform by the word of the configuration.
 *
 * What: the closed list of platforms, what each can do, and how it is opened.
 *           sim         the software TEE
 *           nitro       AWS Nitro Enclaves: /dev/nsm, KMS for sealing
 *           snp         AMD SEV-SNP guest: configfs-tsm or /dev/sev-guest
 *           tdx         Intel TDX guest: configfs-tsm
 *           azure-vtpm  Azure confidential VM (SNP or TDX, as its report says): the paravisor's vTPM
 *           gcp-vtpm    Google confidential VM (SNP or TDX): the CPU's report and Google's vTPM
 * Why: which platform a party runs on is a measured fact that its evidence proves; the word only says
 *      which devices to try. A wrong word makes evidence that nobody accepts.
 * Invariants: what the host supplies here is paths, names and files that it could withhold anyway;
 *      nothing of it can weaken a policy. No platform is tried in place of another.
 * Adding one: a folder with a back end (copy template/), its row in tee_open.c, its word in
 *      daemon/config.c, and the conformance suite of test/common/teeconform.h over it.
 * Thread rules: single-threaded; used at start-up, before the filter of system calls.
 */
#ifndef QR_TEE_OPEN_H
#define QR_TEE_OPEN_H

#include "enclave-shim/tee.h"
#include "enclave-shim/tee_keep.h"

struct qr_nitro_kms; /* nitro/: where the wrapping key is */

/*
 * Texts may be NULL or empty: the platform's usual path, or none. They must live as long as the
 * platform.
 */
struct qr_tee_opts {
    const char *platform;
    const char *state_dir; /* sim: its key */
    const char *tpm;       /* "/dev/tpmrm0", "unix:PATH" of an emulator */
    const char *tsm;       /* "/sys/kernel/config/tsm/report" */
    const char
        *tsm_entry; /* an entry that was made for us, by name; empty: made and removed by us */
    const char *sev_guest;    /* "/dev/sev-guest", when there is no configfs-tsm */
    const char *nsm;          /* "/dev/nsm" */
    const char *cc_log;       /* "/sys/firmware/acpi/tables/data/CCEL" */
    const char *tcg_log;      /* "/sys/kernel/security/tpm0/binary_bios_measurements" */
    const char *ak_chain;     /* PEM: CA certificates above the TPM's attestation key */
    const char *release_key;  /* file: who signs releases (SPKI, DER); tpm/tpm_seal.h */
    const char *release;      /* file: this release's signed statement */
    uint32_t pcrs;            /* TPM PCRs that evidence quotes, bit i: PCR i; 0: all 24 */
    uint32_t patience_ms;     /* how long a busy device is tried again; 0: 5 s */
    struct qr_tee_keep *keep; /* wrapped secrets between starts; NULL: nowhere */
    const struct qr_nitro_kms *kms;
};

/* What `platform` can do before it is opened (the strictest case); NULL: no such platform. */
const struct qr_tee_profile *qr_tee_profile_of(const char *platform);
/* The words, in the order above, then NULL. */
const char *const *qr_tee_words(void);

/*
 * USAGE (no such platform), PLATFORM, PERMISSIONS, SEAL (what was kept does not open here), STORE,
 * NO_MEMORY; err_text: what, where, what to do.
 */
qr_err QR_MUST qr_tee_open(const struct qr_tee_opts *o, struct qr_tee *ret, char *err_text,
                           size_t err_cap);

#endif
