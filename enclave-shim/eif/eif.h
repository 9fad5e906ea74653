/*
 * qr_eif: enclave image files (EIF version 4), read and written.
 *
 * What: the file a Nitro enclave is started from: a kernel, its command line, metadata, one or more
 *       ramdisks, and perhaps a signature.
 * Why: what is measured is decided by how a file is cut into sections. AWS's own tool walks the
 *      sections one after the other and never looks at the header's table, QEMU uses the table; a
 *      file on which two readers disagree would have two measurements. Here both must agree.
 * Invariants, of every file that is accepted: the sections follow each other without a gap from the
 *      header's end to the file's end, in the order kernel, command line, ramdisks, signature, with
 *      metadata anywhere between the command line and the signature; the table says the same as the
 *      sections' own headers, and is zero where there is no section; reserved fields are zero; the CRC
 *      holds. Nothing is allocated: an image is views into the file's bytes.
 * Source: the image format's definition in AWS's crate aws-nitro-enclaves-image-format, and QEMU's
 *      hw/core/eif.c; checked against both (test/vm/nitro_oracle.sh, test/vm/nitro_boot.sh).
 *      All integers are big-endian.
 */
#ifndef QR_EIF_H
#define QR_EIF_H

#include "protocol/base/err.h"
#include "protocol/base/mem.h"
#include "protocol/base/view.h"

#define QR_EIF_HEADER 548u
#define QR_EIF_SECTION_HEADER 12u
#define QR_EIF_SECTIONS 32u
#define QR_EIF_RAMDISKS 29u /* what is left beside a kernel, a command line and a signature */
#define QR_EIF_VERSION 4u
#define QR_EIF_ERR_MAX 256u

/* A file is no longer than this, a command line than what x86's kernel takes. */
#define QR_EIF_MAX (512u * 1024u * 1024u)
#define QR_EIF_CMDLINE_MAX 2047u
#define QR_EIF_METADATA_MAX (1024u * 1024u)
#define QR_EIF_SIGNATURE_MAX (64u * 1024u)

enum qr_eif_arch { QR_EIF_X86_64, QR_EIF_ARM64 };

enum qr_eif_type {
    QR_EIF_KERNEL = 1,
    QR_EIF_CMDLINE = 2,
    QR_EIF_RAMDISK = 3,
    QR_EIF_SIGNATURE = 4,
    QR_EIF_METADATA = 5,
};

struct qr_eif {
    enum qr_eif_arch arch;
    uint64_t default_mem, default_cpus; /* hints; nitro-cli's own options win */
    uint32_t crc;
    qr_view kernel, cmdline;
    qr_view metadata;  /* empty: none */
    qr_view signature; /* empty: none; eif_sig.h reads it */
    size_t n_ramdisk;  /* 1..QR_EIF_RAMDISKS */
    qr_view ramdisk[QR_EIF_RAMDISKS];
    size_t n_section;
    struct {
        enum qr_eif_type type;
        uint64_t offset; /* of its 12-byte header */
        uint64_t size;   /* of its payload */
    } section[QR_EIF_SECTIONS];
};

/*
 * Reads a whole file. The views of *ret live as long as `file`. err_text says what is wrong, where, and
 * what it should have been; written on failure only.
 * Errors: MALFORMED; TRUNCATED; TRAILING (bytes after the last section); TOO_LARGE; VERSION (not version
 * 4).
 */
qr_err QR_MUST qr_eif_read(qr_view file, struct qr_eif *ret, char *err_text, size_t err_cap);

/*
 * Writes a file in AWS's order: kernel, command line, metadata, ramdisks, signature. Uses of `e`: arch,
 * default_mem, default_cpus, kernel, cmdline, metadata, ramdisks, signature. Appends to out (empty, max
 * >= the file's length). The parts are looked at: a kernel of the architecture's boot format (x86-64:
 * bzImage; arm64: Image), a printable command line, metadata that is a JSON object, ramdisks that are
 * newc archives, plain or gzip. What it writes, qr_eif_read accepts.
 * Errors: MALFORMED (which part, and why); TOO_LARGE; NO_MEMORY.
 */
qr_err QR_MUST qr_eif_write(const struct qr_eif *e, struct qr_dbuf *out, char *err_text,
                            size_t err_cap);

/* CRC-32 (IEEE 802.3, as zlib's), continued from `crc`; start with 0. */
uint32_t qr_eif_crc32(uint32_t crc, qr_view v);

const char *qr_eif_arch_name(enum qr_eif_arch a);
const char *qr_eif_type_name(enum qr_eif_type t);

#endif
