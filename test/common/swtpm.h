/*
 * swtpm: a software TPM of a test's own.
 *
 * What: starts swtpm on a Unix socket with its state in a folder that is removed at the end; restarts it
 *       with the same state, which is a reboot to a TPM; and commands that the product has no use for,
 *       written out byte by byte (extend a PCR, delete an index, keep a key, ...).
 * Rules: for cmocka tests: what cannot be started fails the running test, and says which package is
 *       missing. The process dies with its parent. swtpm serves one connection at a time and has no
 *       resource manager: what a test does not flush stays. Raw commands go over qr_tpm_fd.
 * Source: TPM 2.0 part 3; numbers are written down here a second time, on purpose.
 */
#ifndef TEST_SWTPM_H
#define TEST_SWTPM_H

#include "protocol/base/view.h"
#include "test/common/tmpdir.h"

#include <sys/types.h>

struct swtpm {
    struct tmpdir dir;
    pid_t pid;       /* 0: not running */
    char path[96];   /* "unix:..." for qr_tpm_open */
    char socket[88]; /* the same without "unix:" */
};

void swtpm_start(struct swtpm *s);
/* The process ends and starts again: PCRs begin anew, NV and seeds stay. */
void swtpm_reboot(struct swtpm *s);
/* Takes a zeroed one. */
void swtpm_stop(struct swtpm *s);
/* For swtpm_setup: a folder to fill, not started yet; then the process. */
void swtpm_prepare(struct swtpm *s);
void swtpm_run(struct swtpm *s);

/* One command over fd, its answer to out; returns the TPM's code. Fails the test if nothing answers. */
uint32_t swtpm_raw(int fd, qr_view command, uint8_t out[static 4096], size_t *ret_len);

/* Each returns the TPM's code. */
uint32_t swtpm_extend(int fd, unsigned pcr, const uint8_t digest[static 32]);
uint32_t swtpm_nv_undefine(int fd, uint32_t index);
uint32_t swtpm_nv_increment(int fd, uint32_t index);
/* A counter with other attributes than ours: as ours, but for these bits. */
uint32_t swtpm_nv_define(int fd, uint32_t index, uint32_t attributes, uint16_t size);
/* TPM2_Clear by the lockout hierarchy. */
uint32_t swtpm_clear(int fd);
/* Sets or removes (empty) the owner's password. */
uint32_t swtpm_owner_password(int fd, const char *now, const char *then);
/* An RSA-2048 RSASSA SHA-256 attestation key as Azure's, made persistent; attributes as given. */
uint32_t swtpm_keep_ak(int fd, uint32_t handle, uint32_t attributes);
#define SWTPM_AK_ATTRIBUTES 0x00050472u /* restricted, sign, noDA, userWithAuth, origin, fixed */
/* The unique field of a persistent key's public area: RSA's modulus, 256 bytes at most. */
uint32_t swtpm_modulus(int fd, uint32_t handle, uint8_t out[static 256], size_t *ret_len);
/* Transient objects and sessions that somebody left behind. */
unsigned swtpm_leftovers(int fd);

/* An ECC P-256 attestation key's TPMT_PUBLIC, as it stands in Google's 0x01c10003. Returns its length. */
size_t swtpm_template(uint8_t out[static 128]);

#endif
