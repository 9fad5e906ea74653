/*
 * testparty: quorated for the guests of test/vm, unchanged but for whom it believes.
 *
 * What: linked with the product's main and library and four wrappers. The device below the Nitro back
 *       end puts the throwaway root's signature on documents that QEMU's module leaves unsigned
 *       (test/common/fakensm.h); the table of vendors' roots gets the throwaway Nitro root, and the
 *       roots that the file in QUORATE_TEST_ROOTS lists; KMS's certificates end in kmsbox's root. With
 *       QUORATE_TEST_CPU=snp or tdx the kernel's reports come from a throwaway vendor's processor
 *       (test/common/fakehw.h), for machines that have no other.
 * Why: the emulator's documents cannot be verified by anyone. Everything between the device and the
 *      verifier is the product's: requests, evidence, sealing, policy, channels.
 * QUORATE_TEST_ROOTS: lines "WORD SHA256", WORD one of the table below, SHA256 a root certificate's
 *      fingerprint. Without it, the lines of testparty_roots.h. This program is never part of an image
 *      that is released.
 */
#include "enclave-shim/nitro/nitro.h"
#include "enclave-shim/tsm/door.h"
#include "enclave-shim/verify/roots.h"
#include "protocol/base/enc.h"
#include "test/common/fakehw.h"
#include "test/common/fakensm.h"
#include "test/common/kmsbox.h"
#include "test/vm/testparty_roots.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

qr_err __wrap_qr_tee_nitro_open(const struct qr_tee_opts *o, struct qr_tee *ret, char *err_text,
                                size_t err_cap);
qr_err __real_qr_report_open(const struct qr_tee_opts *o, enum qr_door door,
                             struct qr_report_src *ret, char *err_text, size_t err_cap);
qr_err __wrap_qr_report_open(const struct qr_tee_opts *o, enum qr_door door,
                             struct qr_report_src *ret, char *err_text, size_t err_cap);
const struct qr_roots *__real_qr_roots_builtin(void);
const struct qr_roots *__wrap_qr_roots_builtin(void);
const struct qr_kms_roots *__wrap_qr_kms_roots_builtin(void);

qr_err
__wrap_qr_tee_nitro_open(const struct qr_tee_opts *o, struct qr_tee *ret, char *err_text,
                         size_t err_cap)
{
    static struct qr_nsm_dev kernels;
    char why[QR_NSM_WHY_MAX];

    qr_err e = qr_nsm_device(o->nsm && o->nsm[0] ? o->nsm : QR_NSM_PATH, &kernels, why);
    if (e != QR_OK) {
        (void)snprintf(err_text, err_cap, "nitro: %s", why);
        return e;
    }
    const struct qr_nsm_dev signs = fakensm_resign(&kernels);
    return qr_tee_nitro_over(&signs, o, ret, err_text, err_cap);
}

qr_err
__wrap_qr_report_open(const struct qr_tee_opts *o, enum qr_door door, struct qr_report_src *ret,
                      char *err_text, size_t err_cap)
{
    static struct faketsm kernel;
    struct qr_tee_opts fake = *o;
    const char *cpu = getenv("QUORATE_TEST_CPU");

    if (!cpu) {
        return __real_qr_report_open(o, door, ret, err_text, err_cap);
    }
    faketsm_init(&kernel);
    if (strcmp(cpu, "tdx") == 0) {
        fakehw_tdx(&kernel);
    } else {
        fakehw_snp(&kernel);
    }
    fake.tsm = FAKETSM_ROOT;
    fake.tsm_entry = "";
    return qr_report_open_over(&fake, door, &kernel.sys, ret, err_text, err_cap);
}

const struct qr_kms_roots *
__wrap_qr_kms_roots_builtin(void)
{
    return kmsbox_roots();
}

static void
must(int ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "testparty: %s\n", what);
        abort();
    }
}

static void
add(struct qr_roots *r, enum qr_vendor_root v, const uint8_t sha256[32])
{
    must(r->of[v].n < QR_ROOT_PINS, "QUORATE_TEST_ROOTS: too many of one kind");
    memcpy(r->of[v].sha256[r->of[v].n++], sha256, 32);
}

/* One line without its end. */
static void
add_line(struct qr_roots *r, char *line)
{
    static const struct {
        const char *word;
        enum qr_vendor_root v;
    } words[] = {{"aws-nitro", QR_ROOT_AWS_NITRO},
                 {"amd-milan", QR_ROOT_AMD_MILAN},
                 {"amd-genoa", QR_ROOT_AMD_GENOA},
                 {"amd-turin", QR_ROOT_AMD_TURIN},
                 {"intel", QR_ROOT_INTEL},
                 {"google-vtpm", QR_ROOT_GOOGLE_VTPM},
                 {"microsoft-vtpm", QR_ROOT_MICROSOFT_VTPM}};
    uint8_t sha[32];
    char *space = strchr(line, ' ');
    size_t i = 0;

    must(space != NULL, "roots: a line without a space");
    *space = 0;
    while (i < sizeof words / sizeof words[0] && strcmp(words[i].word, line) != 0) {
        i++;
    }
    must(i < sizeof words / sizeof words[0] &&
             qr_hex_decode(space + 1, strlen(space + 1), sha, sizeof sha) == QR_OK,
         "roots: a line that is none");
    add(r, words[i].v, sha);
}

static void
add_listed(struct qr_roots *r, FILE *f)
{
    char line[160];

    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        add_line(r, line);
    }
    (void)fclose(f);
}

const struct qr_roots *
__wrap_qr_roots_builtin(void)
{
    static struct qr_roots roots;
    static char built[] = TESTPARTY_ROOTS;
    static int made;

    if (!made) {
        const char *path = getenv("QUORATE_TEST_ROOTS");
        roots = *__real_qr_roots_builtin();
        add(&roots, QR_ROOT_AWS_NITRO, fakensm_roots()->of[QR_ROOT_AWS_NITRO].sha256[0]);
        if (path) {
            FILE *f = fopen(path, "re");
            must(f != NULL, "QUORATE_TEST_ROOTS: cannot be read");
            add_listed(&roots, f);
        } else if (built[0]) {
            FILE *f = fmemopen(built, sizeof built - 1, "r");
            must(f != NULL, "testparty_roots.h: cannot be read");
            add_listed(&roots, f);
        }
        made = 1;
    }
    return &roots;
}
