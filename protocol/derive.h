/*
 * BIP32 public derivation, non-hardened: a child key and the scalar that leads to it.
 *
 * What: from (pk, chain code) along a path, pk' = pk + tau*G with tau the sum of the steps' tweaks.
 * Why: signers add tau to the shared key inside the online round (SPEC.md section 9), so one shared
 *      key serves any number of addresses. Hardened steps need the private key, which nobody has.
 * Source: BIP32, "Public parent key -> public child key".
 * Variable time: keys, chain codes and tweaks are public here.
 */
#ifndef QR_DERIVE_H
#define QR_DERIVE_H

#include "protocol/base/limits.h"
#include "protocol/group.h"

/*
 * path: depth indices, depth <= QR_PATH_MAX, else QR_ERR_TOO_LARGE; any index >= 2^31 is
 * QR_ERR_HARDENED. A step whose tweak is >= q or whose child is infinite is QR_ERR_INFINITY (chance
 * 2^-127; the caller takes the next index, as BIP32 says). Depth 0 gives pk, 0 and cc. ret_child
 * may be pk, and ret_cc may be cc; ret_cc may be NULL.
 */
qr_err QR_MUST qr_derive(const qr_pt *pk, const uint8_t cc[static 32], const uint32_t *path,
                         size_t depth, qr_pt *ret_child, qr_fq *ret_tweak_sum, uint8_t *ret_cc);

#endif
