/*
 * One question to a party's operator socket, and its answer.
 *
 * What: connect, one Ask, one Answer, close; a deadline over the whole.
 * Why: the command line has no state to keep; a party that hangs must not hang the operator.
 */
#ifndef QR_CTL_SOCK_H
#define QR_CTL_SOCK_H

#include "proto/boundary.h"

/*
 * *ret is the party's answer, whatever it says (free it). Errors are those of the way there:
 * LINK_CLOSED, TIMEOUT, and the decoder's; err_text says which socket and what to do.
 */
qr_err QR_MUST qr_ctl_ask(const char *socket, struct qr_ask *ask, unsigned timeout_ms,
                          struct qr_answer **ret, char *err_text, size_t err_cap);

#endif
