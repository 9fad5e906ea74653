/*
 * RIPEMD-160, for one thing: the hash of a script or a key in Bitcoin, HASH160.
 *
 * Why here: OpenSSL's default provider has it from 3.0.7 on, and a distribution may leave it out.
 * Public data; no table depends on it.
 * Source: Dobbertin, Bosselaers, Preneel: RIPEMD-160, a strengthened version of RIPEMD (1996).
 */
#ifndef QR_RIPEMD160_H
#define QR_RIPEMD160_H

#include "protocol/base/view.h"

void qr_ripemd160(qr_view v, uint8_t ret[static 20]);
/* RIPEMD-160 of SHA-256. */
void qr_hash160(qr_view v, uint8_t ret[static 20]);

#endif
