/*
 * qr_report_open: the door to the processor's reports that this kernel has.
 *
 * What: configfs-tsm, else (SNP) /dev/sev-guest; behind a helper process, so that the party's filter of
 *       system calls need not know either.
 */
#ifndef QR_TSM_DOOR_H
#define QR_TSM_DOOR_H

#include "enclave-shim/tee_open.h"
#include "enclave-shim/tsm/report.h"

enum qr_door {
    QR_DOOR_SNP,   /* provider sev_guest, then /dev/sev-guest */
    QR_DOOR_TDX,   /* provider tdx_guest */
    QR_DOOR_EITHER /* whichever the kernel has */
};

/* As qr_tsm_open and qr_sevguest_open; when neither is there, the text tells of both. */
qr_err QR_MUST qr_report_open(const struct qr_tee_opts *o, enum qr_door door,
                              struct qr_report_src *ret, char *err_text, size_t err_cap);
/* The same without a process, over any kernel. sys must outlive it. */
qr_err QR_MUST qr_report_open_over(const struct qr_tee_opts *o, enum qr_door door,
                                   const struct qr_sys *sys, struct qr_report_src *ret,
                                   char *err_text, size_t err_cap);

/* User data of the report that is asked for at the start, to learn what machine this is: nobody's binder. */
void qr_report_probe(uint8_t out[static QR_REPORT_DATA]);

#endif
