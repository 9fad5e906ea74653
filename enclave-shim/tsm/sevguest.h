/*
 * qr_sevguest: reports through /dev/sev-guest, for kernels without configfs-tsm.
 *
 * What: SNP_GET_EXT_REPORT (report and the host's certificate table), and SNP_GET_REPORT where the host
 *       has no table.
 * Invariants: the descriptor is opened once and stays; a report is one ioctl (two when the table has
 *       grown). The answer is the kernel's buffer of 4000 bytes: status and size are checked before
 *       anything in it is looked at.
 * Errors: EAGAIN (the host throttles) and EBUSY are tried again within the patience; ENOSPC says how
 *       large the table is, and is asked again once with that; EIO carries the firmware's and the
 *       host's codes, which why() tells.
 * Source: Linux include/uapi/linux/sev-guest.h; AMD 56860 (MSG_REPORT_RSP), AMD 56421 (extended guest
 *       request).
 * System calls after open, for filters: ioctl 0xC0205300 and 0xC0205302 on the one descriptor,
 *       clock_gettime, clock_nanosleep.
 */
#ifndef QR_SEVGUEST_H
#define QR_SEVGUEST_H

#include "enclave-shim/tsm/report.h"

#define QR_SEVGUEST_PATH "/dev/sev-guest"
#define QR_SNP_GET_REPORT 0xC0205300u
#define QR_SNP_GET_EXT_REPORT 0xC0205302u

/* As the kernel has them; x86-64 only. */
struct qr_snp_guest_request {
    uint8_t msg_version; /* 1 */
    uint64_t req_data, resp_data;
    uint64_t exitinfo2; /* low half: the firmware's code, high half: the host's */
};
struct qr_snp_report_req {
    uint8_t user_data[64];
    uint32_t vmpl;
    uint8_t rsvd[28];
};
struct qr_snp_ext_report_req {
    struct qr_snp_report_req data;
    uint64_t certs_address; /* page aligned */
    uint32_t certs_len;     /* multiple of a page; ENOSPC: what is needed */
};

/* PLATFORM (no device, busy), PERMISSIONS, NOT_FOUND (no such file), NO_MEMORY. path NULL or "": the usual. */
qr_err QR_MUST qr_sevguest_open(const char *path, uint32_t patience_ms, const struct qr_sys *sys,
                                struct qr_report_src *ret, char *err_text, size_t err_cap);

#endif
