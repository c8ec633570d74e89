/* SPDX-License-Identifier: MIT */
#include "decode/folds.h"

#include "base/error.h"

static enum ph_status check(const struct phi_folds *folds, struct ph_error *reterr)
{
    for (size_t f = 0; f < folds->n_folds; f++) {
        struct phi_fold fold = phi_fold_at(folds, f);

        if (phi_fold_n_train(&fold) < 2)
            return phi_error(reterr, PH_E_INVAL,
                             "fold %zu leaves %zu rows to train on (gap %zu rows): use fewer folds "
                             "or a smaller gap",
                             f, phi_fold_n_train(&fold), folds->gap);
    }
    return PH_OK;
}

enum ph_status phi_folds_contiguous(size_t n_rows, size_t n_folds, size_t gap,
                                    struct phi_folds *ret_folds, struct ph_error *reterr)
{
    struct phi_folds folds = {.n_rows = n_rows, .n_folds = n_folds, .gap = gap};
    enum ph_status status;

    if (n_folds < 2 || n_folds > PHI_FOLDS_MAX)
        return phi_error(reterr, PH_E_INVAL, "%zu folds asked for: use 2 to %d", n_folds,
                         PHI_FOLDS_MAX);
    if (n_rows < n_folds)
        return phi_error(reterr, PH_E_INVAL, "%zu samples are fewer than the %zu folds asked for",
                         n_rows, n_folds);
    for (size_t f = 0; f < n_folds; f++)
        folds.start[f + 1] = folds.start[f] + n_rows / n_folds + (f < n_rows % n_folds);
    status = check(&folds, reterr);
    if (status == PH_OK)
        *ret_folds = folds;
    return status;
}

enum ph_status phi_folds_runs(const size_t *run_rows, size_t n_runs, struct phi_folds *ret_folds,
                              struct ph_error *reterr)
{
    struct phi_folds folds = {.n_folds = n_runs};
    enum ph_status status;

    if (n_runs < 2 || n_runs > PHI_FOLDS_MAX)
        return phi_error(reterr, PH_E_INVAL,
                         "leaving one run out needs 2 to %d runs, there are %zu", PHI_FOLDS_MAX,
                         n_runs);
    for (size_t f = 0; f < n_runs; f++) {
        if (!run_rows[f])
            return phi_error(reterr, PH_E_INVAL, "run %zu has no samples", f);
        folds.start[f + 1] = folds.start[f] + run_rows[f];
    }
    folds.n_rows = folds.start[n_runs];
    status = check(&folds, reterr);
    if (status == PH_OK)
        *ret_folds = folds;
    return status;
}

enum ph_status phi_folds_starts(size_t n_rows, const size_t *starts, size_t n_folds, size_t gap,
                                struct phi_folds *ret_folds, struct ph_error *reterr)
{
    struct phi_folds folds = {.n_rows = n_rows, .n_folds = n_folds, .gap = gap};
    enum ph_status status;

    if (n_folds < 2 || n_folds > PHI_FOLDS_MAX)
        return phi_error(reterr, PH_E_INVAL, "%zu folds asked for: use 2 to %d", n_folds,
                         PHI_FOLDS_MAX);
    for (size_t f = 0; f < n_folds; f++) {
        size_t end = f + 1 < n_folds ? starts[f + 1] : n_rows;

        if ((f == 0 && starts[0] != 0) || end <= starts[f] || end > n_rows)
            return phi_error(reterr, PH_E_INVAL,
                             "folds must begin at 0 and ascend below the %zu samples (fold %zu "
                             "begins at %zu)",
                             n_rows, f, starts[f]);
        folds.start[f + 1] = end;
    }
    status = check(&folds, reterr);
    if (status == PH_OK)
        *ret_folds = folds;
    return status;
}

struct phi_fold phi_fold_at(const struct phi_folds *folds, size_t f)
{
    size_t from = folds->start[f], to = folds->start[f + 1];

    return (struct phi_fold){
        .test_from = from,
        .test_to = to,
        .before = from > folds->gap ? from - folds->gap : 0,
        .after = folds->n_rows - to > folds->gap ? to + folds->gap : folds->n_rows,
        .n_rows = folds->n_rows,
    };
}

struct phi_fold phi_fold_whole(size_t n_rows)
{
    return (struct phi_fold){n_rows, n_rows, n_rows, n_rows, n_rows};
}

size_t phi_fold_n_train(const struct phi_fold *fold)
{
    return fold->before + (fold->n_rows - fold->after);
}
