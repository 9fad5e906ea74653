#include "transport/chain.h"

#include "protocol/base/buf.h"
#include "protocol/base/secret.h"

#include <sodium.h>

static void
show(const uint8_t secret[static 32], uint16_t who, uint8_t out[static 32])
{
    uint8_t msg[2];

    qr_put16(msg, who);
    crypto_auth_hmacsha256(out, msg, sizeof msg, secret);
}

void
qr_chain_start(struct qr_chain *c, const uint8_t fresh[static 32])
{
    *c = (struct qr_chain){.open = 1};
    memcpy(c->cur, fresh, 32);
}

void
qr_chain_say(const struct qr_chain *c, uint16_t self, uint8_t out[static QR_CHAIN_LEN])
{
    show(c->cur, self, out);
    show(c->open ? c->prev : c->cur, self, out + 32);
}

qr_err
qr_chain_hear(struct qr_chain *c, uint16_t peer, const uint8_t in[static QR_CHAIN_LEN],
              const uint8_t fresh[static 32])
{
    uint8_t want[32];

    show(c->cur, peer, want);
    int newest = qr_sec_eq(want, in, 32) | qr_sec_eq(want, in + 32, 32);
    show(c->prev, peer, want);
    int before = c->open && (qr_sec_eq(want, in, 32) | qr_sec_eq(want, in + 32, 32));
    qr_wipe(want, sizeof want);
    if (!newest && !before) {
        return QR_ERR_BOOT_NONCE;
    }
    if (newest) {
        memcpy(c->prev, c->cur, 32);
    }
    memcpy(c->cur, fresh, 32);
    c->open = 1;
    return QR_OK;
}

void
qr_chain_confirm(struct qr_chain *c)
{
    qr_wipe(c->prev, sizeof c->prev);
    c->open = 0;
}

void
qr_chain_wipe(struct qr_chain *c)
{
    qr_wipe(c, sizeof *c);
}
