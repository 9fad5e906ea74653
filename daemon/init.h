/*
 * What quorate-init, PID 1 of an enclave, knows beyond system calls: what it says to the parent, what
 * it makes of the document that it gets, how it seeds the kernel, when it starts again what ended.
 *
 * What: the parts of main_init.c that can be tried without being PID 1.
 * Why: in an enclave nothing but this runs before quorated. It loads nothing, opens no shell, takes
 *      one document from a hostile parent, and starts two programs.
 * Order: mounts, console, loopback, entropy, heartbeat, document, quorate-pump, quorated.
 * Heartbeat: after connecting to CID 3, port 9000: 0xB7 out, 0xB7 back; nitro-cli waits for it.
 * Document: CID 3, port QR_INIT_DOCUMENT_PORT: the parent writes one `quorate:` document of at most
 *      QR_USERDATA_MAX bytes and closes. It is read as in user data (userdata.h): addresses, names, sizes.
 * Invariants: what the image fixes (qr_init_fixed, and /etc/quorate/fixed.conf, which is measured) wins
 *      over the document. libc only, so that the program can be static.
 * Thread rules: single-threaded.
 */
#ifndef QR_INIT_H
#define QR_INIT_H

#include "daemon/userdata.h"
#include "protocol/base/err.h"

#include <stddef.h>
#include <stdint.h>

#define QR_INIT_PARENT_CID 3u
#define QR_INIT_HEARTBEAT_PORT 9000u
#define QR_INIT_HEARTBEAT 0xb7u
#define QR_INIT_DOCUMENT_PORT 9001u
#define QR_INIT_SEED 256u /* bytes */

#define QR_INIT_FIXED_FILE "/etc/quorate/fixed.conf"
#define QR_INIT_FIXED_MAX 32u /* lines, the built-in ones too */
#define QR_INIT_FIXED_BYTES 4096u

/* fd is connected. TIMEOUT, LINK_CLOSED, MALFORMED (another byte came back). */
qr_err QR_MUST qr_init_heartbeat(int fd, int timeout_ms);

/*
 * Reads until the other side closes. TOO_LARGE: more than cap bytes; TIMEOUT: the whole took longer;
 * LINK_CLOSED: an error, or nothing came.
 */
qr_err QR_MUST qr_init_fetch(int fd, uint8_t *out, size_t cap, size_t *ret_len, int timeout_ms);

/*
 * quorated.conf of a document. image: the text of QR_INIT_FIXED_FILE, "" if there is none: lines
 * "[section] key = value", comments with #. err_text says what is wrong and in which of the two.
 * CONFIG (the image's), or userdata.h's errors.
 */
qr_err QR_MUST qr_init_config(const uint8_t *document, size_t len, const char *image, char *out,
                              size_t cap, char err_text[static QR_USERDATA_ERR_MAX]);

/* Into the kernel's generator through random_fd (/dev/random), with full credit. PLATFORM. */
qr_err QR_MUST qr_init_seed(int random_fd, const uint8_t *seed, size_t len);

/* A program that ended is started again after 0.5 s, doubling to 30 s; one that lived a minute, anew. */
struct qr_init_backoff {
    uint64_t started_ms;
    uint32_t wait_ms;
};
void qr_init_started(struct qr_init_backoff *b, uint64_t now_ms);
/* How long to wait before it is started again. */
uint32_t qr_init_ended(struct qr_init_backoff *b, uint64_t now_ms);

/* "exited with 78 (configuration)", "was killed by signal 9". */
void qr_init_describe(int wait_status, char *out, size_t cap);

#endif
