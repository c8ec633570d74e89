/* SPDX-License-Identifier: MIT
 *
 * Identification: is the true candidate more like the estimate than the others are? Everything is
 * computed from one similarity matrix, and the n-way score exactly from ranks instead of drawn
 * distractors. A tie counts as a failure. Pure; thread-safe.
 */
#ifndef PHI_DECODE_IDENT_H
#define PHI_DECODE_IDENT_H

#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

/* Similarity of n estimates to m candidates, and which candidate is the true one. */
struct phi_ident {
    const double *sim;     /* [n][m], borrowed */
    size_t n, m;           /* m at least 2 */
    const uint32_t *truth; /* [n] candidate numbers, or NULL: estimate i is of candidate i */
};

/* ret_sim[n][m] = Pearson correlation of the rows of estimate[n][p] and candidates[m][p]; 0 where a
 * row is constant. PH_E_NOMEM if scratch of (n + m) p floats cannot be had. */
PH_NODISCARD enum ph_status phi_ident_correlate(const float *estimate, size_t n,
                                                const float *candidates, size_t m, size_t p,
                                                double *ret_sim, struct ph_error *reterr);

/* How many wrong candidates are at least as similar as the true one, for estimate i: 0 is best. */
size_t phi_ident_rank(const struct phi_ident *ident, size_t i);

/* Chance that the true candidate wins against n_way - 1 distractors drawn without replacement from
 * the m - 1 wrong ones, given its rank: C(m-1-rank, n_way-1) / C(m-1, n_way-1). n_way is 2 .. m;
 * two-way is 1 - rank/(m-1). Chance level 1/n_way. */
double phi_ident_n_way(size_t rank, size_t m, size_t n_way);

/* Means over the estimates: n-way identification, and the share with rank below k (chance k/m).
 * The mean rank percentile 1 - rank/(m-1) is the two-way score. NaN without estimates. */
double phi_ident_mean_n_way(const struct phi_ident *ident, size_t n_way);
double phi_ident_top_k(const struct phi_ident *ident, size_t k);

/* Share of pairs (a, b) of estimates with different truths that are told apart: "2v2", where
 * sim(a,A) + sim(b,B) > sim(a,B) + sim(b,A), and one-sided, sim(a,A) > sim(a,B), over ordered
 * pairs. The two differ by several points: say which. Chance .5; NaN without any pair. */
double phi_ident_pairwise_2v2(const struct phi_ident *ident);
double phi_ident_pairwise_one_sided(const struct phi_ident *ident);

#endif
