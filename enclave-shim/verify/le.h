/*
 * qr_le: little-endian loads, for the structures of processors and firmware.
 *
 * What: what view.h is for big-endian. Invariant: the caller has checked that the bytes are there.
 */
#ifndef QR_LE_H
#define QR_LE_H

#include <stdint.h>

static inline uint16_t
qr_le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | (p[1] << 8));
}

static inline uint32_t
qr_le32(const uint8_t *p)
{
    return p[0] | ((uint32_t)p[1] << 8) | ((uint32_t)p[2] << 16) | ((uint32_t)p[3] << 24);
}

static inline uint64_t
qr_le64(const uint8_t *p)
{
    return qr_le32(p) | ((uint64_t)qr_le32(p + 4) << 32);
}

#endif
