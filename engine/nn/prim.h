/* SPDX-License-Identifier: MIT
 *
 * A thin layer over oneDNN's C API: one context (engine, stream, shared scratch) per executor and
 * primitives that reorder their operands from and to the layout that the caller keeps. The context
 * belongs to one thread at a time.
 *
 * All products inside networks, also the plain matrix products, go to oneDNN: its OpenMP threads
 * and those of a BLAS with a pool of its own would fight for the cores (measured elsewhere: more
 * threads, slower).
 */
#ifndef PHI_NN_PRIM_H
#define PHI_NN_PRIM_H

#include <oneapi/dnnl/dnnl.h>

#include "nn/tensor.h"

struct phi_dnnl {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    void *scratch; /* shared by all primitives of the context */
    size_t n_scratch_bytes;
    char *work; /* reordered operands, shared too: they live as long as one call */
    size_t n_work_bytes;
};

#define PHI_PRIM_ARGS 8

struct phi_prim_arg {
    int arg; /* DNNL_ARG_... */
    bool output;
    dnnl_memory_t user;       /* in the caller's layout */
    dnnl_memory_t inner;      /* in the primitive's layout; == user if they agree */
    dnnl_primitive_t reorder; /* user -> inner, or inner -> user for an output */
    void *block;              /* memory of inner, owned; NULL for a place in the shared work */
    size_t offset;            /* that place */
    const char *at;           /* where inner points now */
};

struct phi_prim {
    struct phi_dnnl *dnnl;
    dnnl_primitive_t primitive;
    struct phi_prim_arg arg[PHI_PRIM_ARGS];
    int n_args;
    size_t n_work_bytes; /* of the shared work */
};

/* Sets the number of threads that networks driven from the calling thread use (1 without OpenMP),
 * from now on; call it before plans and tapes are made. */
void phi_nn_set_threads(int n_threads);
int phi_nn_threads(void);

/* Opens and closes the oneDNN engine and stream that primitives run on. */
PH_NODISCARD enum ph_status phi_dnnl_init(struct phi_dnnl *ret_dnnl, struct ph_error *reterr);
void phi_dnnl_fini(struct phi_dnnl *dnnl);

/* Turns a oneDNN status into ours, with the text "what: oneDNN says ...". */
enum ph_status phi_dnnl_status(dnnl_status_t status, const char *what, struct ph_error *reterr);

/* A float32 description of shape (`dims` may differ in order from a tensor's) by format tag. */
dnnl_memory_desc_t phi_dnnl_desc(const size_t *dim, int n_dims, dnnl_format_tag_t tag);

/* Attributes with scratch memory supplied by the context; destroyed by the caller. */
dnnl_primitive_attr_t phi_dnnl_attr(void);

/* Makes the primitive of `pd`, which it takes over (destroyed also on failure). */
PH_NODISCARD enum ph_status phi_prim_init(struct phi_prim *ret_prim, struct phi_dnnl *dnnl,
                                          dnnl_primitive_desc_t pd, struct ph_error *reterr);

/* Adds an operand in layout `user` where the primitive wants `inner`. Operands keep the order of
 * addition. */
PH_NODISCARD enum ph_status phi_prim_bind(struct phi_prim *prim, int arg, bool output,
                                          const dnnl_memory_desc_t *user,
                                          const dnnl_memory_desc_t *inner);

/* Adds an input whose data never change: reordered once from the layout `user`, and kept. Adds its
 * bytes to *n_bytes. */
PH_NODISCARD enum ph_status phi_prim_bind_fixed(struct phi_prim *prim, int arg,
                                                const dnnl_memory_desc_t *user,
                                                const dnnl_memory_desc_t *inner, const float *data,
                                                size_t *n_bytes);

/* Points operand i to data in its user layout. */
void phi_prim_set(struct phi_prim *prim, int i, float *data);

/* Sets aside room in the shared work for a result of n_bytes, and tells where it is; the address
 * may change until all primitives of the context are made. What stands there stays until the next
 * primitive runs. */
PH_NODISCARD enum ph_status phi_prim_reserve(struct phi_prim *prim, size_t n_bytes,
                                             size_t *ret_offset);
float *phi_prim_room(const struct phi_prim *prim, size_t offset);

/* Runs on the operands set and waits for the end. */
PH_NODISCARD enum ph_status phi_prim_run(struct phi_prim *prim);

/* True if operand 0 of both is an input with equal content once `a` has run: it need not be
 * reordered again for `b`. */
bool phi_prim_shares_first(const struct phi_prim *a, const struct phi_prim *b);

/* As phi_prim_run, right after a primitive that shares operand 0, set to the same data. */
PH_NODISCARD enum ph_status phi_prim_run_after(struct phi_prim *prim);

/* Accepts a prim that is all zero. */
void phi_prim_fini(struct phi_prim *prim);

/* c [m][n] = (add ? c : 0) + op(a) op(b), all row-major; a is [m][k], or [k][m] if transposed, b is
 * [k][n], or [n][k] if transposed. */
struct phi_gemm {
    bool a_transposed, b_transposed;
    size_t m, n, k;
    bool add;
};
PH_NODISCARD enum ph_status phi_nn_gemm(const struct phi_gemm *gemm, const float *a, const float *b,
                                        float *c);

#endif
