/* SPDX-License-Identifier: MIT */
#include "nn/prim.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"

/* oneDNN's thread pool is libgomp's whatever compiler built us, and clang may lack the header. */
extern void omp_set_num_threads(int n_threads);
extern int omp_get_max_threads(void);

void phi_nn_set_threads(int n_threads)
{
    omp_set_num_threads(n_threads > 0 ? n_threads : 1);
}

int phi_nn_threads(void)
{
    return omp_get_max_threads();
}

enum ph_status phi_dnnl_status(dnnl_status_t status, const char *what, struct ph_error *reterr)
{
    if (status == dnnl_success)
        return PH_OK;
    if (status == dnnl_out_of_memory)
        return phi_error(reterr, PH_E_NOMEM, "%s: out of memory in oneDNN", what);
    if (status == dnnl_unimplemented)
        return phi_error(reterr, PH_E_SHAPE, "%s: oneDNN cannot do this shape on this processor",
                         what);
    return phi_error(reterr, PH_E_INTERNAL, "%s: oneDNN reports error %d", what, (int)status);
}

enum ph_status phi_dnnl_init(struct phi_dnnl *ret_dnnl, struct ph_error *reterr)
{
    struct phi_dnnl dnnl = {0};
    dnnl_status_t status = dnnl_engine_create(&dnnl.engine, dnnl_cpu, 0);

    if (status == dnnl_success)
        status = dnnl_stream_create(&dnnl.stream, dnnl.engine, dnnl_stream_default_flags);
    if (status != dnnl_success)
        phi_dnnl_fini(&dnnl);
    else
        *ret_dnnl = dnnl;
    return phi_dnnl_status(status, "starting the network library", reterr);
}

void phi_dnnl_fini(struct phi_dnnl *dnnl)
{
    if (dnnl->stream)
        dnnl_stream_destroy(dnnl->stream);
    if (dnnl->engine)
        dnnl_engine_destroy(dnnl->engine);
    phi_free(dnnl->scratch);
    phi_free(dnnl->work);
    memset(dnnl, 0, sizeof *dnnl);
}

dnnl_memory_desc_t phi_dnnl_desc(const size_t *dim, int n_dims, dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t desc;
    dnnl_dims_t dims = {0};

    for (int i = 0; i < n_dims; i++)
        dims[i] = (dnnl_dim_t)dim[i];
    if (dnnl_memory_desc_init_by_tag(&desc, n_dims, dims, dnnl_f32, tag) != dnnl_success)
        memset(&desc, 0, sizeof desc);
    return desc;
}

dnnl_primitive_attr_t phi_dnnl_attr(void)
{
    dnnl_primitive_attr_t attr = NULL;

    if (dnnl_primitive_attr_create(&attr) != dnnl_success)
        return NULL;
    (void)dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    return attr;
}

/* Memory whose content need not outlive a change of its size. */
static enum ph_status grow(void **block, size_t *n_held, size_t n_bytes)
{
    void *larger;

    if (n_bytes <= *n_held)
        return PH_OK;
    larger = phi_calloc(n_bytes, 1);
    if (!larger)
        return PH_E_NOMEM;
    phi_free(*block);
    *block = larger;
    *n_held = n_bytes;
    return PH_OK;
}

#define LINE 64 /* bytes of a cache line */

enum ph_status phi_prim_reserve(struct phi_prim *prim, size_t n_bytes, size_t *ret_offset)
{
    struct phi_dnnl *dnnl = prim->dnnl;
    void *work = dnnl->work;
    size_t offset = prim->n_work_bytes;
    enum ph_status status = grow(&work, &dnnl->n_work_bytes, offset + n_bytes);

    dnnl->work = work;
    prim->n_work_bytes = (offset + n_bytes + LINE - 1) / LINE * LINE;
    *ret_offset = offset;
    return status;
}

float *phi_prim_room(const struct phi_prim *prim, size_t offset)
{
    union {
        char *byte;
        void *any;
    } place = {.byte = prim->dnnl->work + offset};

    return place.any;
}

enum ph_status phi_prim_init(struct phi_prim *ret_prim, struct phi_dnnl *dnnl,
                             dnnl_primitive_desc_t pd, struct ph_error *reterr)
{
    const dnnl_memory_desc_t *scratch =
        dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    size_t n_bytes = scratch ? dnnl_memory_desc_get_size(scratch) : 0;
    struct phi_prim prim = {.dnnl = dnnl};
    dnnl_status_t status = dnnl_primitive_create(&prim.primitive, pd);
    enum ph_status grown = PH_OK;

    if (status == dnnl_success && n_bytes > 0) {
        grown = grow(&dnnl->scratch, &dnnl->n_scratch_bytes, n_bytes);
        status = dnnl_memory_create(&prim.arg[0].user, scratch, dnnl->engine, DNNL_MEMORY_NONE);
        prim.arg[0].inner = prim.arg[0].user;
        prim.arg[0].arg = DNNL_ARG_SCRATCHPAD;
    }
    dnnl_primitive_desc_destroy(pd);
    if (status != dnnl_success || grown != PH_OK) {
        phi_prim_fini(&prim);
        return status == dnnl_success ? phi_error_nomem(reterr, "scratch of a layer", n_bytes)
                                      : phi_dnnl_status(status, "making a layer", reterr);
    }
    prim.n_args = 1; /* slot 0 is kept for the scratch, used or not */
    *ret_prim = prim;
    return PH_OK;
}

/* Memory of the primitive's layout in `block`, or in the shared work for NULL, and the reorder from
 * or to the caller's layout. */
static dnnl_status_t make_reorder(struct phi_prim *prim, struct phi_prim_arg *arg,
                                  const dnnl_memory_desc_t *user, const dnnl_memory_desc_t *inner)
{
    dnnl_engine_t engine = prim->dnnl->engine;
    const dnnl_memory_desc_t *from = arg->output ? inner : user;
    const dnnl_memory_desc_t *to = arg->output ? user : inner;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status =
        dnnl_memory_create(&arg->inner, inner, engine, arg->block ? arg->block : DNNL_MEMORY_NONE);

    if (status != dnnl_success)
        return status;
    status = dnnl_reorder_primitive_desc_create(&pd, from, engine, to, engine, NULL);
    if (status != dnnl_success)
        return status;
    status = dnnl_primitive_create(&arg->reorder, pd);
    dnnl_primitive_desc_destroy(pd);
    return status;
}

enum ph_status phi_prim_bind(struct phi_prim *prim, int arg, bool output,
                             const dnnl_memory_desc_t *user, const dnnl_memory_desc_t *inner)
{
    struct phi_prim_arg *slot = &prim->arg[prim->n_args];
    dnnl_status_t status;

    if (prim->n_args == PHI_PRIM_ARGS)
        return PH_E_INTERNAL;
    prim->n_args++;
    slot->arg = arg;
    slot->output = output;
    status = dnnl_memory_create(&slot->user, user, prim->dnnl->engine, DNNL_MEMORY_NONE);
    slot->inner = slot->user;
    if (status == dnnl_success && !dnnl_memory_desc_equal(user, inner)) {
        slot->inner = NULL;
        status = make_reorder(prim, slot, user, inner);
        if (status == dnnl_success &&
            phi_prim_reserve(prim, dnnl_memory_desc_get_size(inner), &slot->offset) != PH_OK)
            status = dnnl_out_of_memory;
    }
    return phi_dnnl_status(status, "binding an operand", NULL);
}

/* Reorders `data` into the memory of a slot. */
static dnnl_status_t pack(struct phi_prim *prim, struct phi_prim_arg *slot,
                          const dnnl_memory_desc_t *user, const float *data)
{
    dnnl_memory_t from = NULL;
    union {
        const float *in;
        void *out;
    } handle = {.in = data};
    dnnl_status_t status = dnnl_memory_create(&from, user, prim->dnnl->engine, handle.out);
    dnnl_exec_arg_t args[2] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, slot->inner}};

    if (status == dnnl_success)
        status = dnnl_primitive_execute(slot->reorder, prim->dnnl->stream, 2, args);
    if (status == dnnl_success)
        status = dnnl_stream_wait(prim->dnnl->stream);
    if (from)
        dnnl_memory_destroy(from);
    return status;
}

enum ph_status phi_prim_bind_fixed(struct phi_prim *prim, int arg, const dnnl_memory_desc_t *user,
                                   const dnnl_memory_desc_t *inner, const float *data,
                                   size_t *n_bytes)
{
    struct phi_prim_arg *slot = &prim->arg[prim->n_args];
    dnnl_status_t status;

    if (prim->n_args == PHI_PRIM_ARGS)
        return PH_E_INTERNAL;
    prim->n_args++;
    slot->arg = arg;
    slot->block = phi_calloc(dnnl_memory_desc_get_size(inner), 1);
    status = slot->block ? make_reorder(prim, slot, user, inner) : dnnl_out_of_memory;
    if (status == dnnl_success)
        status = pack(prim, slot, user, data);
    if (slot->reorder)
        dnnl_primitive_destroy(slot->reorder);
    slot->reorder = NULL;
    *n_bytes += dnnl_memory_desc_get_size(inner);
    return phi_dnnl_status(status, "packing weights", NULL);
}

void phi_prim_set(struct phi_prim *prim, int i, float *data)
{
    (void)dnnl_memory_set_data_handle(prim->arg[1 + i].user, data);
}

static dnnl_status_t run_reorder(const struct phi_prim *prim, const struct phi_prim_arg *arg)
{
    dnnl_exec_arg_t args[2] = {{DNNL_ARG_FROM, arg->output ? arg->inner : arg->user},
                               {DNNL_ARG_TO, arg->output ? arg->user : arg->inner}};

    return dnnl_primitive_execute(arg->reorder, prim->dnnl->stream, 2, args);
}

/* Points operands of the primitive's layout into the shared work, which may have grown. */
static dnnl_status_t place(struct phi_prim *prim, struct phi_prim_arg *arg)
{
    char *at;

    if (!arg->reorder || arg->block) /* then there may be no shared work at all */
        return dnnl_success;
    at = prim->dnnl->work + arg->offset;
    if (arg->at == at)
        return dnnl_success;
    arg->at = at;
    return dnnl_memory_set_data_handle(arg->inner, at);
}

/* Operands before `first_reorder` stand in their place already. */
static enum ph_status run(struct phi_prim *prim, int first_reorder)
{
    dnnl_exec_arg_t args[PHI_PRIM_ARGS];
    int first = prim->arg[0].user ? 0 : 1;
    dnnl_status_t status = dnnl_success;

    if (first == 0)
        status = dnnl_memory_set_data_handle(prim->arg[0].user, prim->dnnl->scratch);
    for (int i = first; i < prim->n_args; i++) {
        args[i - first] = (dnnl_exec_arg_t){prim->arg[i].arg, prim->arg[i].inner};
        if (status == dnnl_success)
            status = place(prim, &prim->arg[i]);
        if (status == dnnl_success && prim->arg[i].reorder && !prim->arg[i].output &&
            i >= first_reorder)
            status = run_reorder(prim, &prim->arg[i]);
    }
    if (status == dnnl_success)
        status =
            dnnl_primitive_execute(prim->primitive, prim->dnnl->stream, prim->n_args - first, args);
    for (int i = first; i < prim->n_args && status == dnnl_success; i++) {
        if (prim->arg[i].reorder && prim->arg[i].output)
            status = run_reorder(prim, &prim->arg[i]);
    }
    if (status == dnnl_success)
        status = dnnl_stream_wait(prim->dnnl->stream);
    return phi_dnnl_status(status, "running a layer", NULL);
}

enum ph_status phi_prim_run(struct phi_prim *prim)
{
    return run(prim, 0);
}

bool phi_prim_shares_first(const struct phi_prim *a, const struct phi_prim *b)
{
    const struct phi_prim_arg *x = &a->arg[1], *y = &b->arg[1];
    const dnnl_memory_desc_t *dx, *dy;

    if (!x->reorder || !y->reorder || x->output || y->output || x->offset != y->offset)
        return false;
    return dnnl_memory_get_memory_desc(x->inner, &dx) == dnnl_success &&
           dnnl_memory_get_memory_desc(y->inner, &dy) == dnnl_success &&
           dnnl_memory_desc_equal(dx, dy);
}

enum ph_status phi_prim_run_after(struct phi_prim *prim)
{
    return run(prim, 2);
}

void phi_prim_fini(struct phi_prim *prim)
{
    for (int i = 0; i < PHI_PRIM_ARGS; i++) {
        struct phi_prim_arg *arg = &prim->arg[i];

        if (arg->reorder)
            dnnl_primitive_destroy(arg->reorder);
        if (arg->inner && arg->inner != arg->user)
            dnnl_memory_destroy(arg->inner);
        if (arg->user)
            dnnl_memory_destroy(arg->user);
        phi_free(arg->block);
    }
    if (prim->primitive)
        dnnl_primitive_destroy(prim->primitive);
    memset(prim, 0, sizeof *prim);
}

enum ph_status phi_nn_gemm(const struct phi_gemm *gemm, const float *a, const float *b, float *c)
{
    size_t lda = gemm->a_transposed ? gemm->m : gemm->k;
    size_t ldb = gemm->b_transposed ? gemm->k : gemm->n;
    dnnl_status_t status = dnnl_sgemm(
        gemm->a_transposed ? 'T' : 'N', gemm->b_transposed ? 'T' : 'N', (dnnl_dim_t)gemm->m,
        (dnnl_dim_t)gemm->n, (dnnl_dim_t)gemm->k, 1.0f, a, (dnnl_dim_t)lda, b, (dnnl_dim_t)ldb,
        gemm->add ? 1.0f : 0.0f, c, (dnnl_dim_t)gemm->n);

    return phi_dnnl_status(status, "a matrix product", NULL);
}
