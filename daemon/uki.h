/*
 * A unified kernel image, and the PCRs that a machine which boots it will have.
 *
 * What: reads a UKI (a PE file of systemd-stub, kernel, initrd and command line) and computes, offline,
 *       PCR 4, 7, 9, 11 and 12 of the SHA-256 bank.
 * Why: a policy that pins these registers must get them from the image and not from the machine that
 *      it is about to judge.
 * How each register comes about:
 *   4   the firmware's two fixed events, then the Authenticode hash of each program it starts: the UKI
 *       and the kernel inside it
 *   7   Secure Boot's variables (off and empty unless they are given), then a separator
 *   9   the kernel's own: its command line as UTF-16 with the NUL, then the initrd as the stub hands it
 *       over: .initrd, and a small archive with the os-release section in it
 *   11  the stub's: name and content of each of the image's sections, in the stub's order
 *   12  nothing: what a loader, an add-on or SMBIOS says to the stub would land here
 * Invariants: the image is somebody's file: everything is bounded by its length before it is used.
 *      Sections that the stub would measure or load in a way not computed here (profiles, microcode,
 *      device trees, .pcrpkey and .pcrsig) are refused, not passed over.
 * Source: Microsoft's PE format and "Windows Authenticode Portable Executable Signature Format"; TCG PC
 *      Client Platform Firmware Profile 1.05, section 3.3.4; UEFI 2.10, section 32; systemd's
 *      TPM2_PCR_MEASUREMENTS and uapi-group's UKI specification; the kernel's buffer format document
 *      (newc archives). systemd 257's stub and a 6.12 kernel are what it was compared with.
 * Thread rules: pure functions.
 */
#ifndef QR_UKI_H
#define QR_UKI_H

#include "protocol/base/err.h"
#include "protocol/base/view.h"

#include <stddef.h>
#include <stdint.h>

#define QR_UKI_MAX (512u * 1024u * 1024u)
#define QR_UKI_PCR 32u
#define QR_UKI_ERR_MAX 256u
#define QR_UKI_VAR_MAX 65536u /* a signature list */

enum qr_uki_section {
    QR_UKI_LINUX,
    QR_UKI_OSREL,
    QR_UKI_CMDLINE,
    QR_UKI_INITRD,
    QR_UKI_UNAME,
    QR_UKI_SBAT,
    QR_UKI_SECTIONS,
};

struct qr_uki {
    qr_view file;
    /* What is loaded of each, without the zeros behind it; p NULL: the image has none. */
    qr_view section[QR_UKI_SECTIONS];
    size_t size[QR_UKI_SECTIONS]; /* as loaded: zeros fill it up */
};

/* The views go into file. MALFORMED, TRUNCATED, UNKNOWN_FIELD (see above), VERSION (not x86-64 PE). */
qr_err QR_MUST qr_uki_read(qr_view file, struct qr_uki *ret, char err_text[static QR_UKI_ERR_MAX]);

/* Secure Boot's variables as the firmware has them: EFI_SIGNATURE_LISTs, empty where there is none. */
struct qr_uki_firmware {
    int secure_boot;
    qr_view pk, kek, db, dbx;
    /*
     * With secure_boot: what the firmware records of the entry of db by which it let the UKI start: one
     * EFI_SIGNATURE_DATA (owner GUID and certificate). Empty without.
     */
    qr_view authority;
};

struct qr_uki_pcrs {
    uint8_t pcr4[QR_UKI_PCR], pcr7[QR_UKI_PCR], pcr9[QR_UKI_PCR], pcr11[QR_UKI_PCR],
        pcr12[QR_UKI_PCR];
};

/* MALFORMED (the kernel inside is no PE file, the command line is not printable ASCII), NO_MEMORY. */
qr_err QR_MUST qr_uki_measure(const struct qr_uki *u, const struct qr_uki_firmware *f,
                              struct qr_uki_pcrs *ret, char err_text[static QR_UKI_ERR_MAX]);

/* Authenticode's SHA-256 of a PE file. */
qr_err QR_MUST qr_uki_authenticode(qr_view pe, uint8_t out[static QR_UKI_PCR],
                                   char err_text[static QR_UKI_ERR_MAX]);

#endif
