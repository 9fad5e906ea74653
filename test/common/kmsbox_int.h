/* kmsbox_int: between the two halves of kmsbox.h: sockets on one side, what KMS decides on the other. */
#ifndef TEST_KMSBOX_INT_H
#define TEST_KMSBOX_INT_H

#include "protocol/base/buf.h"
#include "test/common/kmsbox.h"

int64_t kmsbox_now(const struct kmsbox *b);
/* One request (head of that length, then body): the answer's JSON to body, the status returned. */
int kmsbox_answer(struct kmsbox *b, enum kmsbox_fault f, qr_view request, size_t head,
                  struct qr_buf *body);

#endif
