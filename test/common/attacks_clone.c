/* The attack on a copied process; see attacks.h. */
#include "test/common/attacks.h"
#include "test/common/clonerig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VICTIM 1
#define PEER 2
#define ASKED 6 /* requests that the original has queued, more than the copy could send */

static int
stocked(struct cluster *c, void *ctx)
{
    struct qr_pool_id id = {.set_mask = 3, .owner = VICTIM};
    (void)ctx;
    memcpy(id.key_id, c->p[VICTIM].party->key[0].key->pub.key_id, 32);
    return qr_pool_ready(c->p[VICTIM].party->pool, &id) >= ASKED + 1;
}

static const char *
body(struct cluster *c, const uint8_t pk[33], unsigned n)
{
    static char text[2048];
    char id[32];
    (void)snprintf(id, sizeof id, "clone-attack-%04u", n);
    cluster_body(c, pk, id, "", 1, "sha256", text, sizeof text);
    return text;
}

/*
 * The copy says something to the peer and is cut off before it acknowledges anything. The original
 * has said as much meanwhile, which nobody heard: so the numbers of messages agree on both sides, and
 * the peer would go on with the original where the copy stopped.
 */
enum attack_result
attack_cloned_process(char *said, size_t cap)
{
    struct cluster *c = calloc(1, sizeof *c);
    enum attack_result r = ATTACK_BROKEN;
    uint8_t pk[33];

    if (!c) {
        return r;
    }
    (void)snprintf(said, cap, "the copy never came in");
    clone_watch(c);
    cluster_start(c, 2, NULL);
    cluster_keygen(c, 2, pk);
    if (!cluster_until(c, 20000, stocked, NULL)) {
        cluster_stop(c);
        free(c);
        return r;
    }
    struct clone *k = clone_make(c, VICTIM);
    c->p[VICTIM].frozen = 1;
    clone_sign(k, body(c, pk, 1));
    clone_turns(k, CLONE_BOTH, 2); /* its old connection is found broken */
    for (int i = 0; i < 400 && !clone_up(k, PEER); i++) {
        clone_turns(k, CLONE_BOTH, 1);
    }
    if (clone_up(k, PEER)) {
        clone_turns(k, CLONE_BOTH, 6); /* before the first acknowledgement is due */
        r = ATTACK_FAILED;
        (void)snprintf(said, cap, "party 2 heard the copy, and not the original after it");
    }
    for (unsigned i = 0; i < ASKED; i++) {
        (void)cluster_sign(c, VICTIM, body(c, pk, 2 + i));
    }
    c->p[VICTIM].frozen = 0;
    clone_turns(k, CLONE_ORIGINAL, 40);
    for (int i = 0; i < 6000 && r == ATTACK_FAILED; i++) {
        clone_turns(k, CLONE_ORIGINAL, 1);
        if (qr_net_is_up(c->p[VICTIM].party->net, PEER)) {
            r = ATTACK_SUCCEEDED;
            (void)snprintf(
                said, cap,
                "party 2 heard the copy, then the original: two processes in one session");
        }
    }
    clone_end(k);
    clone_watch(NULL);
    cluster_stop(c);
    free(c);
    return r;
}
