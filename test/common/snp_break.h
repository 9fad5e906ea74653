/*
 * snp_break: changes to genuine SEV-SNP evidence, each of which breaks one rule.
 *
 * What: what test_snp_refused.c and its table do to a scene before it is built, or after. `arg` picks
 *       which byte, which name, which defect; what it means stands with each function in snp_break.c.
 * Why: the table reads as a list of rules; how each is broken stands here.
 */
#ifndef TEST_SNP_BREAK_H
#define TEST_SNP_BREAK_H

#include "enclave-shim/verify/verify.h"
#include "test/common/evgen_snp.h"

struct snp_scene {
    struct evsnp s;
    struct qr_evidence e;
    struct qr_verify_opts o;
    struct qr_collateral_marks seen;
    uint8_t binder[80];
};

typedef void snp_change(struct snp_scene *c, uint64_t arg);

snp_change snp_break_set_length, snp_break_set_version, snp_break_set_algo, snp_break_flip_flag,
    snp_break_set_byte, snp_break_flip_policy, snp_break_set_vmpl, snp_break_container,
    snp_break_set_signing_key, snp_break_mix_kinds, snp_break_name_vek, snp_break_name_ask,
    snp_break_name_asvk, snp_break_misplace, snp_break_set_cpu, snp_break_set_product_name,
    snp_break_leave_out, snp_break_bad_der, snp_break_own_ark, snp_break_foreign_ark,
    snp_break_bad_chain, snp_break_weak_algorithm, snp_break_bad_bl, snp_break_bad_ucode,
    snp_break_bad_fmc, snp_break_drop_ext, snp_break_double_ext, snp_break_bad_texts,
    snp_break_set_hwid_len, snp_break_wrap_hwid, snp_break_other_chip, snp_break_no_chip,
    snp_break_masked_other_chip, snp_break_sign_with_other_key, snp_break_sign_otherwise,
    snp_break_write_scalars, snp_break_raise_all_tcbs, snp_break_lower_reported,
    snp_break_other_spl, snp_break_old_vcek, snp_break_wrong_order,
    snp_break_reported_above_committed, snp_break_committed_above_current, snp_break_ends_now,
    snp_break_begins_later, snp_break_outlive_ark, snp_break_list, snp_break_broken_list,
    snp_break_other_runtime_data, snp_break_runtime_data_and_more, snp_break_bare_runtime_data,
    snp_break_other_binder, snp_break_binder_and_more, snp_break_want;
#define snp_break_NULL NULL /* in the table: nothing is changed at that stage */

#endif
