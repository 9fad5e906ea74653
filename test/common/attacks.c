/* See attacks.h. */
#include "test/common/attacks.h"

const struct attack attacks[] = {
    {"presig_reuse", "a presignature leaves its pool, and is wiped, before a share is computed",
     attack_presig_reuse},
    {"delta_oracle", "a failed check retires the pair", attack_delta_oracle},
    {"raw_hash_forgery", "the nonce is re-randomised by everything that is signed",
     attack_raw_hash_forgery},
    {"base_ot_known_dlog", "points are hashed by a map whose logarithms nobody knows",
     attack_base_ot_known_dlog},
    {"bad_signature", "nothing is released that does not verify", attack_bad_signature},
    {"rsid_twice", "a batch's counter must rise, so that no session runs twice", attack_rsid_twice},
    {"split_view", "the members compare what was committed to each of them", attack_split_view},
    {"forged_stamp", "every signer checks the client's stamp itself", attack_forged_stamp},
    {"rolled_back_store", "peers remember how far a party's store had come",
     attack_rolled_back_store},
    {"cloned_process", "a connection follows the last one of the same two processes",
     attack_cloned_process},
    {"hostile_gateway", "every party judges every request itself: stamp, rule, approvals, limits",
     attack_hostile_gateway},
};

const size_t attacks_n = sizeof attacks / sizeof attacks[0];
