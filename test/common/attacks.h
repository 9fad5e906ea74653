/*
 * Attack demonstrations: each plays one attack to its end against whatever it is linked with.
 *
 * What: a table of attacks. Against the product each must fail; against a copy of the tree with the
 *       one protection removed that stands beside its name, it must succeed, which shows that the
 *       attack is a real one and the protection is what stops it.
 * Why: a check that was never seen to be missed may be one that never worked.
 * Rules: an attack uses what its attacker has (a party's own memory, what the wire brings it, the
 *        host's disk); the victim's secrets are looked at only to say whether the attack succeeded.
 *        They must be linked with WIRETAP_LINK (wiretap.h) and CLONE_LINK (clonerig.h).
 */
#ifndef QR_TEST_ATTACKS_H
#define QR_TEST_ATTACKS_H

#include <stddef.h>

enum attack_result {
    ATTACK_FAILED = 0,    /* the product is safe from it */
    ATTACK_SUCCEEDED = 1, /* *said: what was recovered */
    ATTACK_BROKEN = 2,    /* it could not be played as planned: says nothing about the product */
};

struct attack {
    const char *name;
    const char *protection; /* what it fails on */
    enum attack_result (*run)(char *said, size_t cap);
};

/* n attacks. */
extern const struct attack attacks[];
extern const size_t attacks_n;

/* Against the machines of protocol/. */
enum attack_result attack_raw_hash_forgery(char *said, size_t cap);
enum attack_result attack_base_ot_known_dlog(char *said, size_t cap);
enum attack_result attack_bad_signature(char *said, size_t cap);
enum attack_result attack_split_view(char *said, size_t cap);
/* Against whole parties. */
enum attack_result attack_presig_reuse(char *said, size_t cap);
enum attack_result attack_delta_oracle(char *said, size_t cap);
enum attack_result attack_rsid_twice(char *said, size_t cap);
enum attack_result attack_forged_stamp(char *said, size_t cap);
enum attack_result attack_rolled_back_store(char *said, size_t cap);
enum attack_result attack_cloned_process(char *said, size_t cap);
/* By whoever stands between clients and parties, one of which is his as well. */
enum attack_result attack_hostile_gateway(char *said, size_t cap);

#endif
