/*
 * Every limit of the product, in one place.
 *
 * What: named constants that bound what a peer, a client, the host or a document may ask for.
 * Why: a length is checked against one of these before anything is allocated for it.
 * Invariant: the only numbers of this kind in the tree; documents quote these names.
 */
#ifndef QR_LIMITS_H
#define QR_LIMITS_H

#define QR_PROTOCOL_VERSION 1

/* Parties and thresholds: 2 <= t <= n <= QR_MAX_PARTIES; indices are 1..n. */
#define QR_MAX_PARTIES 16
#define QR_MIN_THRESHOLD 2

/* Sizes of the field's objects on the wire. */
#define QR_SCALAR_LEN 32
#define QR_POINT_LEN 33
#define QR_HASH_LEN 32
#define QR_SID_LEN 32
#define QR_NONCE_LEN 32
#define QR_IDKEY_LEN 32 /* Ed25519 public key */
#define QR_IDSIG_LEN 64 /* Ed25519 signature */

/* Presigning. */
#define QR_BATCH_MAX 16         /* presignatures in a batch, a multiple of 4 */
#define QR_PRESIG_PER_KEY 10000 /* outstanding, over all sets and owners */
#define QR_PRESIG_BYTES 256     /* one slab slot */

/* Transport. */
#define QR_FRAME_MAX (1024u * 1024u)            /* one frame or message, bytes */
#define QR_PEER_QUEUE_MAX (16u * 1024u * 1024u) /* unacknowledged bytes for one peer */

/* Client requests (interfaces: POST /v1/sign). */
#define QR_BODY_MAX (64u * 1024u)
#define QR_STAMP_MAX 2048u /* one X-Stamp header value */
#define QR_STAMPS_MAX 8u   /* on one body: the client's, then the approvals */
#define QR_APPROVALS_MAX (QR_STAMPS_MAX - 1u)
#define QR_ITEMS_MAX 64u
#define QR_PREIMAGE_MAX (32u * 1024u)
#define QR_PATH_MAX 8u
#define QR_REQUEST_LIFE_MS 300000u    /* expires_ms - issued_ms */
#define QR_APPROVAL_LIFE_MS 86400000u /* the same, when a rule waits for approvals */
#define QR_BTC_INPUTS_MAX 256u
#define QR_CLOCK_SKEW_MS 30000u
#define QR_ID_MIN 16u
#define QR_ID_MAX 64u

/* Authority documents. */
#define QR_DOC_MAX (256u * 1024u) /* roster, policy or administrator command */
#define QR_ADMINS_MAX 16u
#define QR_CLIENTS_MAX 256u
#define QR_APPROVERS_MAX 64u
#define QR_ORIGINS_MAX 8u /* of one approver */
#define QR_RULES_MAX 1024u
#define QR_RULE_LIMITS_MAX 4u /* of one rule */
#define QR_LIMITS_MAX 1024u   /* of all rules together */
#define QR_NAME_MAX 64u

/* Keys and sessions in one party. */
#define QR_KEYS_MAX 64u
#define QR_SESSIONS_MAX 64u
#define QR_EVIDENCE_MAX (256u * 1024u) /* with certificates, collateral and event logs */

#endif
