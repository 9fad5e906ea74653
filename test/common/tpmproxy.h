/*
 * tpmproxy: somebody between a party and its TPM.
 *
 * What: a Unix socket that hands each command on to a swtpm and each answer back, after a test's function
 *       has had its way with it: changed, cut, grown, held back; or something was sent to the TPM first.
 * How: one thread, one connection after the other; started and stopped by the test. The function runs
 *      in that thread and calls no cmocka.
 */
#ifndef TEST_TPMPROXY_H
#define TEST_TPMPROXY_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#define TPMPROXY_MAX 8192u

enum tpmproxy_do {
    TPMPROXY_PASS,
    TPMPROXY_CLOSE, /* what is left in the answer is sent, then the connection ends */
    TPMPROXY_SWALLOW,
};

/* code: TPM_CC of the command; fd: the TPM. *len: of the answer, at most TPMPROXY_MAX afterwards. */
typedef enum tpmproxy_do (*tpmproxy_answer)(void *ctx, uint32_t code, int fd, uint8_t *answer,
                                            size_t *len);
/* Before the command goes to the TPM; fd: the TPM. */
typedef void (*tpmproxy_before)(void *ctx, uint32_t code, int fd);

struct tpmproxy {
    char socket[88], path[96]; /* "unix:..." */
    const char *tpm;           /* the swtpm's socket */
    tpmproxy_before before;    /* may be NULL */
    tpmproxy_answer answer;    /* may be NULL */
    void *ctx;
    int listener, wake[2];
    pthread_t thread;
};

/* socket: where to listen. 0 on success. */
int tpmproxy_start(struct tpmproxy *p, const char *socket, const char *tpm);
void tpmproxy_stop(struct tpmproxy *p);

#endif
