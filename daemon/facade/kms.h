/*
 * A key manager's JSON API in front of a quorum, compatible with the published wire format of that API.
 *
 * What: POST / with X-Amz-Target TrentService.{Sign,GetPublicKey,DescribeKey,ListKeys,ListAliases}, signed with
 *       Signature Version 4. Sign: MessageType DIGEST (32 bytes) asks for kind "digest", RAW (at most 4096
 *       bytes) for kind "sha256"; the answer is a DER signature with low s. Everything else is refused with
 *       the API's own types of errors.
 * Trust: it runs beside the client and holds the client's stamp key: whoever controls it can ask for what
 *       that client's rules in the policy allow, and no more. The parties see the request that it makes, with
 *       its own id and times; a request that is repeated here is another one there.
 * Narrower than what it stands for: keys are made by the quorum's administrators; there are no grants, no
 *       session tokens, no other algorithms, and unknown members are refused.
 * Source: AWS Key Management Service API Reference (wire format, errors).
 * Thread rules: qr_kms_handle is called by many threads at once.
 */
#ifndef QR_FACADE_KMS_H
#define QR_FACADE_KMS_H

#include "daemon/client/client.h"
#include "daemon/facade/conf.h"
#include "daemon/facade/http.h"

#define QR_KMS_BODY_MAX (16u * 1024u)
#define QR_KMS_MESSAGE_MAX 4096u

struct qr_kms {
    struct qr_client *client;
    const struct qr_facade_conf *conf;
    uint64_t (*now_ms)(void);
};

/* ctx: a struct qr_kms. */
void qr_kms_handle(void *ctx, const struct qr_facade_request *r, struct qr_facade_answer *a);

#endif
