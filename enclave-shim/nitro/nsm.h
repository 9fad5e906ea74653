/*
 * qr_nsm: the Nitro Security Module of an AWS Nitro enclave, behind /dev/nsm.
 *
 * What: one CBOR question, one CBOR answer per ioctl: what the module is, random bytes, platform
 *       configuration registers (PCRs) and attestation documents. Requests and answers are coded by
 *       hand, so that this file and nsm.c need the C library and protocol/base/{err,view,buf} alone:
 *       quorate-init links them statically, before any library is there.
 * Why a table: the device is two functions (struct qr_nsm_dev). The product has one of them, over
 *       the ioctl (nsm_dev.c); tests have a module in memory.
 * Invariants: nothing of an answer is believed before all of it was read: one item, the member that
 *       was asked for and no other, no member twice, lengths within the table below, nothing left
 *       over. ret_ parameters and `out` change on success only. Answers with random bytes are wiped.
 * Bounds: request <= 0x1000, answer <= 0x3000 bytes; a busy or interrupted device is asked again,
 *       QR_NSM_TRIES times in all, with pauses that double from 1 ms.
 * Source: Linux include/uapi/linux/nsm.h (the ioctl), the NSM API's request and response types as
 *       published by AWS; RFC 8949. Members of answers that we do not know are passed over.
 * Thread rules: one thread at a time per struct qr_nsm; calls block for as long as the device does.
 * Errors of all calls: PLATFORM, PERMISSIONS (open), USAGE (an argument out of range); `why` in the
 *       struct says what, where, what to do.
 */
#ifndef QR_NSM_H
#define QR_NSM_H

#include "protocol/base/buf.h"

#define QR_NSM_PATH "/dev/nsm"
#define QR_NSM_REQUEST_MAX 0x1000u
#define QR_NSM_ANSWER_MAX 0x3000u
#define QR_NSM_TRIES 8u
#define QR_NSM_PCRS 32u
#define QR_NSM_PCR_LEN 48u
#define QR_NSM_PCR_FIRST_FREE 16u /* below: the hypervisor's, locked from the start */
#define QR_NSM_USER_DATA_MAX 512u
#define QR_NSM_NONCE_MAX 512u
#define QR_NSM_PUBLIC_KEY_MAX 1024u
#define QR_NSM_WHY_MAX 256u

/* The device. */
struct qr_nsm_dev {
    void *ctx;
    int fd; /* for the sandbox's tests; -1: none */
    /*
     * One question, one answer of at most cap bytes, its length in *ret_len (which may be a lie and is
     * checked by the caller). 0, or a positive errno.
     */
    int (*exchange)(void *ctx, const uint8_t *request, size_t len, uint8_t *answer, size_t cap,
                    size_t *ret_len);
    void (*pause)(void *ctx, unsigned ms); /* between two tries */
    void (*close)(void *ctx);              /* may be NULL */
};

/* About 16 KiB; holds the last answer while it is read. */
struct qr_nsm {
    struct qr_nsm_dev dev;
    uint8_t request[QR_NSM_REQUEST_MAX], answer[QR_NSM_ANSWER_MAX];
    char why[QR_NSM_WHY_MAX]; /* of the last failure */
};

/*
 * Opens the device file; ret->why is written in any case. PLATFORM: no such device (not in an enclave,
 * or a kernel without the driver), busy for longer than the retries. PERMISSIONS. In nsm_dev.c.
 */
qr_err QR_MUST qr_nsm_open(const char *path, struct qr_nsm *ret);
/* The device alone; what qr_nsm_open stands on. why: QR_NSM_WHY_MAX bytes. */
qr_err QR_MUST qr_nsm_device(const char *path, struct qr_nsm_dev *ret, char *why);
/* A module over any device. */
void qr_nsm_over(struct qr_nsm *n, const struct qr_nsm_dev *dev);
/* Takes a zeroed one. */
void qr_nsm_close(struct qr_nsm *n);

struct qr_nsm_info {
    uint16_t version_major, version_minor, version_patch;
    char module_id[257]; /* printable ASCII; "i-0123456789abcdef0-enc0123456789abcdef" */
    uint16_t max_pcrs;   /* 1..QR_NSM_PCRS */
    uint32_t locked;     /* bit i: PCR i */
};
/* PLATFORM also when the module's digest is not SHA-384. */
qr_err QR_MUST qr_nsm_describe(struct qr_nsm *n, struct qr_nsm_info *ret);

/*
 * n bytes of the module's generator, collected over as many answers (of 1..256 bytes) as it takes.
 * PLATFORM also for an answer of one byte repeated: a generator that does not run.
 */
qr_err QR_MUST qr_nsm_random(struct qr_nsm *n, uint8_t *out, size_t len);

/* index < QR_NSM_PCRS. */
qr_err QR_MUST qr_nsm_pcr(struct qr_nsm *n, unsigned index, uint8_t ret[static QR_NSM_PCR_LEN],
                          int *ret_locked);
/* index >= QR_NSM_PCR_FIRST_FREE; data 1..512 bytes. ret: the register afterwards. */
qr_err QR_MUST qr_nsm_extend(struct qr_nsm *n, unsigned index, qr_view data,
                             uint8_t ret[static QR_NSM_PCR_LEN]);
/* From here on the register stands still and is in documents. */
qr_err QR_MUST qr_nsm_lock(struct qr_nsm *n, unsigned index);

/*
 * Appends an attestation document over these fields (p NULL: absent). It is passed on as it came:
 * who must believe it verifies it. USAGE (a field above its bound), NO_SPACE.
 */
qr_err QR_MUST qr_nsm_attest(struct qr_nsm *n, qr_view user_data, qr_view nonce, qr_view public_key,
                             struct qr_buf *out);

#endif
