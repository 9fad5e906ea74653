/*
 * dcapkit: one piece of Intel evidence under a test's control, and tables of what is wrong with it.
 *
 * What: `struct dcapkit` is evidence in the making: the generator's fields, what is left out or put in
 *       place of an item, and the options it is judged with. A rule changes one thing, everything is
 *       signed again, and the rule names the check and the reason that must refuse it.
 * Why: both platforms share most rules; test_tdx.c and test_sgx.c run all that apply to theirs, count
 *      them, and see that every check of the platform was hit.
 */
#ifndef TEST_DCAPKIT_H
#define TEST_DCAPKIT_H

#include "test/common/evgen_dcap.h"
#include "test/common/evjudge.h"

#define DCAPKIT_REPLACED 4u
struct dcapkit {
    struct evgen_dcap d;
    struct evgen_dcap_out out;
    struct evjudge j;
    int unpinned;                                  /* the throwaway root is nobody's */
    void (*finish)(struct dcapkit *k, unsigned i); /* after signing, before judging */
    size_t n_replaced;
    struct {
        enum qr_part part;
        qr_view v; /* p NULL: left out; of any length */
    } replaced[DCAPKIT_REPLACED];
    uint8_t binder[64];
    struct qr_tcb_exception exception;
    struct qr_collateral_marks seen;
    uint8_t mem[140 * 1024]; /* for what is put in place of items, keys, extensions */
    size_t mem_len;
};

/* Defaults of that kind. */
void dcapkit_init(struct dcapkit *k, enum evgen_dcap_kind kind);
/* Puts v in place of the item (copied); p NULL: leaves the item out. Call in change() or finish(). */
void dcapkit_replace(struct dcapkit *k, enum qr_part part, qr_view v);
/* Makes, signs, pins, judges. i is handed to finish. */
void dcapkit_run(struct dcapkit *k, unsigned i);
/* n bytes that live as long as the kit. */
uint8_t *dcapkit_mem(struct dcapkit *k, size_t n);
/* The evidence as it was judged. */
qr_view dcapkit_item(const struct dcapkit *k, enum qr_part part);

enum { DCAP_SGX = 1, DCAP_TDX = 2, DCAP_BOTH = 3 };
struct dcapkit_rule {
    unsigned line; /* of the list of hostile evidence, 49 to 77; 0: none of them */
    const char *name;
    int platforms;
    unsigned n; /* change is called with 0..n-1: so many documents */
    void (*change)(struct dcapkit *k, unsigned i);
    enum qr_check check;
    enum qr_reason reason;
    int kind; /* an enum evgen_dcap_kind + 1; 0: each kind of the platform in turn */
};

/* Tables, each with its length. */
extern const struct dcapkit_rule dcapneg_quote[], dcapneg_chain[], dcapneg_collateral[],
    dcapneg_tcb[], dcapneg_platform[];
extern const size_t n_dcapneg_quote, n_dcapneg_chain, n_dcapneg_collateral, n_dcapneg_tcb,
    n_dcapneg_platform;

/* Edits of the signed documents' text. */
struct dcapneg_edit {
    int platforms;
    int kind;              /* as above */
    int qe;                /* 1: QE identity, 0: TCB info */
    const char *from, *to; /* the first `from` becomes `to` */
    enum qr_reason reason;
};
extern const struct dcapneg_edit dcapneg_edits[];
extern const size_t n_dcapneg_edits;
/* The change that an edit is. */
void dcapneg_apply(struct dcapkit *k, const struct dcapneg_edit *e);

/* The same things as they should be. */
void dcapneg_good_claims(struct dcapkit *k);
void dcapneg_good_log(struct dcapkit *k);

/* All rules and edits of a platform: how many documents, how often each check, each line. */
struct dcapneg_tally {
    size_t documents;
    unsigned check[QR_CHECK_COUNT], line[128];
};
void dcapneg_run_all(int platform, struct dcapneg_tally *ret);
/* Counts, and that every one of these checks refused three documents or more. */
void dcapneg_assert(const struct dcapneg_tally *t, size_t at_least, const enum qr_check *checks,
                    size_t n);

/*
 * Real cases of a platform's folder, by the product's own roots: verdict, reason, TCB status,
 * advisories; every claim of case.json (of valid cases all, of others what was extracted). Also their
 * mutations. Returns how many cases there were; 0 when there is no folder.
 */
size_t dcapkit_real(enum qr_evidence_kind kind, size_t *ret_mutations);
/*
 * One real case, judged with an exception (NULL: none) at a time (< 0: that of the case). 0: there is no
 * such case.
 */
int dcapkit_real_one(const char *name, enum qr_evidence_kind kind,
                     const struct qr_tcb_exception *exception, int64_t now_ms,
                     struct evjudge **ret);

#endif
