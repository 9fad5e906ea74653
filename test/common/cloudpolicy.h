/*
 * cloudpolicy: policies, as the object `peers`, that accept the parties of teebox.h.
 *
 * What: the published example for three clouds, read from deploy/policies/three-clouds.json, with the
 *       measurements, signers and first days of throwaway machines in place of its placeholders; and
 *       one of its own for bare SNP and TDX, with lists of machines.
 * Why: what operators start from is what parties connect under in tests, rule by rule.
 * Invariants: of the published text nothing but those values changes, and their lengths do not;
 *             anything else fails the test. The text lives until the next call.
 */
#ifndef TEST_CLOUDPOLICY_H
#define TEST_CLOUDPOLICY_H

/* Nitro, Azure on SNP, Google on TDX; no two of one cloud, operator, vendor or product. */
const char *cloudpolicy_published(void);
/* Nitro, SNP, TDX on listed machines; so many of one vendor, two of one cloud. A line for each rule. */
const char *cloudpolicy_machines(unsigned per_vendor);

#endif
