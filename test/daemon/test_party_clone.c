/*
 * A running party is copied with all its memory: whichever copy is first, peers hear one, and no
 * presignature answers twice.
 */
#include "test/common/clonerig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define WHO 1 /* dials everybody */

struct play {
    struct cluster c;
    uint8_t pk[33];
    struct clone *k;
    unsigned requests, n_sigs;
    uint8_t r[16][32]; /* of every signature that came out */
};

static int
stocked(struct cluster *c, void *ctx)
{
    (void)ctx;
    for (uint16_t owner = 1; owner <= c->n; owner++) {
        size_t have = 0;
        for (uint16_t other = 1; other <= c->n; other++) {
            struct qr_pool_id id = {.owner = owner};
            id.set_mask = (uint16_t)(1u << (owner - 1) | 1u << (other - 1));
            memcpy(id.key_id, c->p[1].party->key[0].key->pub.key_id, 32);
            have += other != owner ? qr_pool_ready(c->p[owner].party->pool, &id) : 0;
        }
        if (have < 8) {
            return 0;
        }
    }
    return 1;
}

static void
play_start(struct play *p)
{
    memset(p, 0, sizeof *p);
    clone_watch(&p->c);
    cluster_start(&p->c, 3, NULL);
    cluster_keygen(&p->c, 2, p->pk);
    assert_true(cluster_until(&p->c, 20000, stocked, p));
    p->k = clone_make(&p->c, WHO);
}

static void
play_end(struct play *p)
{
    assert_int_equal(clone_used_twice(), 0);
    for (unsigned i = 0; i < p->n_sigs; i++) {
        for (unsigned j = 0; j < i; j++) {
            assert_memory_not_equal(p->r[i], p->r[j], 32);
        }
    }
    clone_end(p->k);
    cluster_stop(&p->c);
}

static const char *
next_body(struct play *p)
{
    static char body[2048];
    char id[32];
    (void)snprintf(id, sizeof id, "clone-request-%04u", ++p->requests);
    cluster_body(&p->c, p->pk, id, "", 1, "sha256", body, sizeof body);
    return body;
}

static void
keep(struct play *p, const uint8_t sig[64])
{
    assert_true(p->n_sigs < 16);
    memcpy(p->r[p->n_sigs++], sig, 32);
}

/* Party i of the test's own process signs; 1 if it did. */
static int
original_signs(struct play *p, size_t i, enum clone_run which)
{
    uint64_t ask = cluster_sign(&p->c, i, next_body(p));
    const struct qr_answer *a = NULL;
    for (int k = 0; k < 12000 && !a; k++) {
        clone_turns(p->k, which, 1);
        a = cluster_answer(&p->c, ask);
    }
    assert_non_null(a);
    if (a->error == QR_OK && a->is_signed) {
        keep(p, a->sgn.sigs[0].rs);
        return 1;
    }
    return 0;
}

static int
copy_signs(struct play *p, enum clone_run which)
{
    uint8_t sig[64];
    int said = 0;
    clone_sign(p->k, next_body(p));
    for (int k = 0; k < 12000 && said == 0; k++) {
        clone_turns(p->k, which, 1);
        said = clone_answer(p->k, sig);
    }
    assert_int_not_equal(said, 0);
    if (said == 1) {
        keep(p, sig);
    }
    return said == 1;
}

static int
original_up(const struct play *p, uint16_t peer)
{
    return qr_net_is_up(p->c.p[WHO].party->net, peer);
}

/* The original works on; the copy comes later and stays a stranger, as owner and as member. */
static void
attack_23_original_first(void **state)
{
    struct play p;
    (void)state;

    play_start(&p);
    for (size_t peer = 2; peer <= 3; peer++) { /* with each peer alone */
        p.c.p[5 - peer].frozen = 1;
        clone_turns(p.k, CLONE_ORIGINAL, 3200);
        assert_true(original_signs(&p, WHO, CLONE_ORIGINAL));  /* as owner */
        assert_true(original_signs(&p, peer, CLONE_ORIGINAL)); /* as member */
        p.c.p[5 - peer].frozen = 0;
    }
    size_t before = clone_shares(WHO);
    assert_int_equal(before, 4);
    /* Both run; the copy knocks at every door. */
    clone_turns(p.k, CLONE_BOTH, 3200);
    assert_false(clone_up(p.k, 2) || clone_up(p.k, 3));
    assert_false(copy_signs(&p, CLONE_BOTH));
    assert_int_equal(clone_shares(WHO), before); /* the copy computed nothing */
    /* The host stops letting the copy near; the original comes back by itself, in the same boot. */
    clone_turns(p.k, CLONE_ORIGINAL, 3000);
    assert_true(original_up(&p, 2) && original_up(&p, 3));
    assert_true(original_signs(&p, WHO, CLONE_ORIGINAL));
    play_end(&p);
}

/* The copy is first: it is the party from then on, and the original is shut out. */
static void
attack_23_copy_first(void **state)
{
    struct play p;
    (void)state;

    play_start(&p);
    p.c.p[WHO].frozen = 1;              /* the test's clock goes on without it */
    clone_turns(p.k, CLONE_BOTH, 3200); /* it finds its connections broken, and makes others */
    assert_true(clone_up(p.k, 2) && clone_up(p.k, 3));
    assert_true(copy_signs(&p, CLONE_BOTH)); /* as owner */
    /* as member: party 3 is away, so party 2 needs this one */
    p.c.p[3].frozen = 1;
    clone_turns(p.k, CLONE_BOTH, 3200);
    size_t before = clone_shares(WHO);
    assert_true(original_signs(&p, 2, CLONE_BOTH));
    assert_int_equal(clone_shares(WHO), before + 1);
    p.c.p[3].frozen = 0;
    p.c.p[WHO].frozen = 0;
    clone_turns(p.k, CLONE_BOTH, 3200);
    assert_false(original_up(&p, 2) || original_up(&p, 3));
    assert_false(original_signs(&p, WHO, CLONE_BOTH));
    clone_turns(p.k, CLONE_BOTH, 3200);
    assert_true(clone_up(p.k, 2) && clone_up(p.k, 3));
    assert_true(copy_signs(&p, CLONE_BOTH));
    assert_true(original_signs(&p, 2, CLONE_BOTH)); /* nothing is wrong with party 2 */
    play_end(&p);
}

/*
 * Nothing was said since the copy was made, and both run at once: each peer takes one of the two, for
 * good. It may be one for one peer and the other for the other: transport/README.md says why that is so.
 */
static void
attack_23_both_at_once(void **state)
{
    struct play p;
    (void)state;

    play_start(&p);
    clone_turns(p.k, CLONE_BOTH, 3200);
    for (uint16_t peer = 2; peer <= 3; peer++) {
        int copy = clone_up(p.k, peer), original = original_up(&p, peer);
        assert_false(copy && original);
        for (int i = 0; i < 20; i++) { /* the other one is never heard again */
            clone_turns(p.k, CLONE_BOTH, 100);
            assert_false(copy ? original_up(&p, peer) : clone_up(p.k, peer));
        }
    }
    /* Both try, each with whom it has, at the same time. */
    size_t before = clone_shares(2) + clone_shares(3);
    int originals = original_signs(&p, WHO, CLONE_BOTH), copies = copy_signs(&p, CLONE_BOTH);
    assert_true(originals || copies);
    assert_int_equal(clone_shares(2) + clone_shares(3), before + (size_t)(originals + copies));

    /* The original restarts, and the copy is gone for a while: a new boot nonce ends it for good. */
    cluster_kill(&p.c, WHO);
    clone_turns(p.k, CLONE_ORIGINAL, 3200);
    cluster_boot(&p.c, WHO);
    for (int i = 0; i < 8000 && !(original_up(&p, 2) && original_up(&p, 3)); i++) {
        clone_turns(p.k, CLONE_ORIGINAL, 1);
    }
    assert_true(original_up(&p, 2) && original_up(&p, 3));
    clone_turns(p.k, CLONE_BOTH, 1500);
    assert_false(clone_up(p.k, 2) || clone_up(p.k, 3));
    assert_true(original_signs(&p, WHO, CLONE_BOTH));
    assert_false(copy_signs(&p, CLONE_BOTH));
    play_end(&p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attack_23_original_first),
        cmocka_unit_test(attack_23_copy_first),
        cmocka_unit_test(attack_23_both_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
