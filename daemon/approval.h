/*
 * Approvals: a person's consent to one request, as it comes in an X-Approval header.
 *
 * What: base64url(JSON) in one of two forms.
 *   a key of one's own (p256, secp256k1, ed25519): a stamp (stamp.h) over the approval text
 *       "quorate/approval/v1\n" || <request hash, 64 hex> || "\n"
 *       which no request and no document can be, so a client's stamp is never an approval.
 *   a passkey: {"scheme":"webauthn","publicKey":"<66 hex, P-256>","authenticatorData":"<base64url>",
 *       "clientDataJSON":"<base64url>","signature":"<hex, DER>"}; the signature is over
 *       authenticatorData || SHA-256(clientDataJSON), the challenge in it is SHA-256 of the approval text.
 * Checked of a passkey, in this order: the key is an approver's; the signature; type webauthn.get; the
 *       challenge; the origin is one of the approver's, exactly; crossOrigin is not true and there is no
 *       topOrigin; the RP id's hash is the approver's; user present and user verified.
 * Why bound to the request hash: what was shown is what is signed; the hash covers every byte of the
 *       body. The signature counter is not looked at: passkeys that are synchronised do not count.
 * Source: W3C Web Authentication Level 3, sections 5.8.1, 6.1, 7.2; RFC 4648 section 5.
 */
#ifndef QR_APPROVAL_H
#define QR_APPROVAL_H

#include "daemon/stamp.h"
#include "proto/json_strict.h"

#define QR_ORIGIN_MAX 128u /* "https://approve.example.org" */
#define QR_RP_ID_MAX 96u

struct qr_approver {
    char name[QR_NAME_MAX];
    int webauthn;
    struct qr_stamp_key key; /* webauthn: P-256 */
    struct qr_pubkey *pub;
    char rp_id[QR_RP_ID_MAX + 1]; /* webauthn alone, as the next two */
    size_t n_origins;
    char origin[QR_ORIGINS_MAX][QR_ORIGIN_MAX + 1];
    uint16_t index; /* position in the policy, 0.. ; the bit in masks */
};

/*
 * Reads one element of the policy's "approvers":
 *   {"name","scheme":"p256"|"secp256k1"|"ed25519","key":"<hex>"}
 *   {"name","scheme":"webauthn","key":"<66 hex>","rp_id":"example.org","origins":["https://…"]}
 * An origin is scheme://host[:port], lower case, nothing behind it; its host is the RP id or ends in "."
 * and it; scheme https, or http with host localhost when insecure. Errors as qr_json_fields, POINT.
 * ret->pub is the caller's (qr_pubkey_free), ret->index too.
 */
qr_err QR_MUST qr_approver_read(const struct qr_json_at *at, int insecure, struct qr_approver *ret);

#define QR_APPROVAL_TEXT_LEN (20u + 64u + 1u)
void qr_approval_text(const uint8_t request[static 32], char ret[static QR_APPROVAL_TEXT_LEN]);

/* A parsed approval; the caller finds the approver by scheme and key. */
struct qr_approval {
    int webauthn;
    struct qr_stamp stamp; /* key, and the signature */
    uint8_t data[512];     /* authenticatorData */
    size_t data_len;
    uint8_t client[1024]; /* clientDataJSON */
    size_t client_len;
};

/* Form alone. APPROVAL_INVALID (why), TOO_LARGE, NO_MEMORY. */
qr_err QR_MUST qr_approval_parse(qr_view header, struct qr_approval *ret, char *why, size_t cap);
/* Everything above, against the approver found. APPROVAL_INVALID with what was expected and found. */
qr_err QR_MUST qr_approval_check(const struct qr_approver *who, const struct qr_approval *a,
                                 const uint8_t request[static 32], char *why, size_t cap);

/*
 * What qr_approval_check does with a passkey's, for any challenge; *a is of the form webauthn. For the
 * check of vectors that others published.
 */
qr_err QR_MUST qr_passkey_check(const struct qr_approver *who, const struct qr_approval *a,
                                const uint8_t challenge[static 32], char *why, size_t cap);

/*
 * All of a request's: *ret_mask has a bit for each approver whose approval is good. One that is not good, or
 * of nobody, or a second one of the same approver, refuses them all (APPROVAL_INVALID): a client sends none
 * that it does not mean. n: 0..QR_APPROVALS_MAX.
 */
struct qr_policy;
qr_err QR_MUST qr_approvals_check(const struct qr_policy *p, const qr_view *headers, size_t n,
                                  const uint8_t request[static 32], uint64_t *ret_mask, char *why,
                                  size_t cap);

/* The signing side for keys of one's own: writes the header value and a NUL. As qr_stamp_sign. */
struct evp_pkey_st;
qr_err QR_MUST qr_approval_sign(struct evp_pkey_st *key, const uint8_t request[static 32],
                                char *out, size_t cap);

#endif
