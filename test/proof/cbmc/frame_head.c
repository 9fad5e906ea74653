/*
 * PROVES: frame heads. Every one of the 2^40 heads is accepted or refused; an accepted one has a known
 *         kind, a body length within that kind's bounds and at most QR_FRAME_MAX - 1, zstd only for
 *         evidence, and is exactly what qr_frame_head_put writes for these values. Every head we may
 *         write for a kind within its bounds is accepted with the same values.
 * BOUND:  none: all inputs.
 * CBMC:   --unwind 7 --unsigned-overflow-check
 * BITE:   transport/frame.c s/n - 1 > bounds\[kind\].max/n > bounds[kind].max + 2/
 * BITE:   transport/frame.c s/kind >= sizeof bounds/kind > sizeof bounds/
 * BITE:   transport/frame.c s/(zstd \&\& !bounds\[kind\].zstd)/0/
 */
#include "transport/frame.c"

#include "test/proof/cbmc/proof.h"

void
proof(void)
{
    uint8_t head[QR_FRAME_HEAD_LEN], again[QR_FRAME_HEAD_LEN];
    enum qr_frame kind = (enum qr_frame)77;
    int zstd = 77;
    size_t len = 77;
    qr_err e = qr_frame_head_get(head, &kind, &zstd, &len);

    if (e == QR_OK) {
        PROVE(kind >= QR_FRAME_HELLO && kind <= QR_FRAME_CLOSE, "a known kind");
        PROVE(len >= 1 && len <= QR_FRAME_MAX - 1, "within the frame");
        PROVE(zstd == 0 || (zstd == 1 && kind == QR_FRAME_EVIDENCE), "zstd where it may be");
        PROVE(kind != QR_FRAME_CONFIRM || len == 33, "a confirmation's length");
        PROVE(kind != QR_FRAME_ACK || len == 8, "an acknowledgement's length");
        PROVE(kind != QR_FRAME_EVIDENCE || len <= QR_EVIDENCE_FRAME_MAX, "bounded evidence");
        qr_frame_head_put(again, (unsigned)kind | (zstd ? QR_FRAME_ZSTD : 0), len);
        PROVE(memcmp(head, again, sizeof head) == 0, "every accepted head is the one we write");
    } else {
        PROVE(kind == 77 && zstd == 77 && len == 77, "nothing is returned with an error");
    }

    unsigned k = nondet_unsigned();
    size_t n = nondet_size();
    ASSUME(k >= 1 && k <= QR_FRAME_CLOSE && n >= bounds[k].min && n <= bounds[k].max);
    qr_frame_head_put(head, k, n);
    PROVE(qr_frame_head_get(head, &kind, &zstd, &len) == QR_OK && kind == k && zstd == 0 &&
              len == n,
          "what we write we read");
}
