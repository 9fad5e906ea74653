/*
 * A client's byte stream: TCP, or TLS over it, with one deadline for everything.
 *
 * What: dials every address of a name in turn, verifies chain and name, sends, receives.
 * Why: apart from http.c, so that neither has to be read to understand the other.
 * Thread rules: one thread per stream. SIGPIPE is ignored by the program.
 */
#ifndef QR_CLIENT_STREAM_H
#define QR_CLIENT_STREAM_H

#include "daemon/client/http.h"

struct ssl_st;
struct ssl_ctx_st;

struct qr_stream {
    int fd; /* -1: closed */
    struct ssl_ctx_st *ctx;
    struct ssl_st *ssl; /* NULL: plain */
    uint64_t deadline;  /* qr_mono_ns */
};

/*
 * Connects. Errors: ADDRESS (the name, or plain HTTP to elsewhere), LINK_CLOSED, TLS, TIMEOUT,
 * CRYPTO_LIB; why (cap bytes) then says more, or is empty. Close it in any case.
 */
qr_err QR_MUST qr_stream_open(struct qr_stream *s, const struct qr_http_url *u, const char *ca_file,
                              uint64_t deadline, char *why, size_t cap);
void qr_stream_close(struct qr_stream *s);
/* LINK_CLOSED, TLS, TIMEOUT. */
qr_err QR_MUST qr_stream_write(struct qr_stream *s, qr_view v);
/* Appends what has come; *ret_end = 1 at the end of the stream. Also the errors of qr_dbuf_append. */
qr_err QR_MUST qr_stream_read(struct qr_stream *s, struct qr_dbuf *d, int *ret_end);

#endif
