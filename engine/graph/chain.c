/* SPDX-License-Identifier: MIT */
#include "graph/chain.h"

#include "base/error.h"
#include "base/mem.h"
#include "graph/order.h"
#include "graph/pipe.h"
#include "host/spec.h"

/* Frames wait in a list between the last filter and phi_chain_next, because one call of a source
 * may emit several. Used frames go to a list of free ones by stage, so the memory of a chain stays
 * as large as its largest burst. */
struct node {
    struct ph_frame frame; /* first: a frame pointer is its node */
    struct node *next;
    size_t home; /* stage whose output it carries, 0 the source; HOME_EVENT for events */
};

#define HOME_EVENT (PHI_MAX_FILTERS + 1)

struct phi_chain {
    const struct phi_run *run;
    struct phi_stage *source;
    struct phi_voxel_list voxels;
    struct phi_pipe pipe;
    struct node *free[PHI_MAX_FILTERS + 2];
    struct node *first; /* outputs that wait */
    struct node *last;
    struct node *given; /* what phi_chain_next gave out */
    struct phi_order order;
    bool ended;
    enum ph_status failed;
    struct ph_error err;
};

static const struct ph_spec *spec_at(const struct phi_chain *chain, size_t home)
{
    return home == 0 ? &chain->source->out : &chain->pipe.stages[home - 1].stage->out;
}

static bool give_payload(const struct phi_chain *chain, struct node *node)
{
    size_t n_bytes = 0;

    if (node->home == HOME_EVENT)
        return true;
    if (phi_spec_bytes(spec_at(chain, node->home), &n_bytes, NULL) != PH_OK)
        return false;
    node->frame.data = phi_calloc(n_bytes, 1);
    node->frame.capacity_bytes = n_bytes;
    return node->frame.data != NULL;
}

static struct node *new_node(struct phi_chain *chain, size_t home)
{
    struct node *node = chain->free[home];

    if (node) {
        chain->free[home] = node->next;
        return node;
    }
    node = phi_calloc(1, sizeof *node);
    if (!node)
        return NULL;
    node->home = home;
    if (give_payload(chain, node))
        return node;
    phi_free(node);
    return NULL;
}

static void recycle(struct phi_chain *chain, struct node *node)
{
    node->next = chain->free[node->home];
    chain->free[node->home] = node;
}

static void free_nodes(struct node *node)
{
    while (node) {
        struct node *next = node->next;

        phi_free(node->frame.data);
        phi_free(node);
        node = next;
    }
}

static void fail(struct phi_chain *chain, enum ph_status status, const char *name, const char *what)
{
    if (chain->failed == PH_OK)
        chain->failed = phi_error(&chain->err, status, "stage '%s': %s: %s", name, what,
                                  phi_status_name(status));
}

static struct ph_frame *take_at(struct phi_chain *chain, size_t home)
{
    struct node *node = new_node(chain, home);

    if (!node)
        fail(chain, PH_E_NOMEM, "chain", "a frame");
    return node ? &node->frame : NULL;
}

/* The pipe's calls. */

static struct ph_frame *pipe_take(void *arg, size_t i)
{
    return take_at(arg, i + 1);
}

static void pipe_release(void *arg, struct ph_frame *frame)
{
    recycle(arg, (struct node *)(void *)frame);
}

static void pipe_deliver(void *arg, struct ph_frame *frame)
{
    struct phi_chain *chain = arg;
    struct node *node = (struct node *)(void *)frame;

    node->next = NULL;
    if (chain->last)
        chain->last->next = node;
    else
        chain->first = node;
    chain->last = node;
}

static void pipe_failed(void *arg, size_t i, enum ph_status status, const struct ph_frame *frame)
{
    struct phi_chain *chain = arg;
    const struct phi_pipe_stage *stage = &chain->pipe.stages[i];

    if (!frame || frame->kind == PH_FRAME_EVENT || stage->on_error == PHI_ON_ERROR_STOP)
        fail(chain, status, stage->stage->name, frame ? "a frame failed" : "the end failed");
}

/* The source's way out. */

static struct ph_frame *source_take(void *self)
{
    struct phi_chain *chain = self;
    struct ph_frame *frame = take_at(chain, 0);

    if (frame)
        phi_frame_shape(frame, &chain->source->out);
    return frame;
}

static struct ph_frame *source_take_event(void *self)
{
    struct ph_frame *frame = take_at(self, HOME_EVENT);

    if (!frame)
        return NULL;
    *frame = (struct ph_frame){.struct_size = (uint32_t)sizeof *frame, .kind = PH_FRAME_EVENT};
    phi_quality_clear(&frame->quality);
    return frame;
}

/* Missing volumes become frames of their own before the frame that shows that they are missing. */
static void source_emit(void *self, struct ph_frame *frame)
{
    struct phi_chain *chain = self;
    uint64_t index = 0;

    while (chain->failed == PH_OK && phi_order_gap(&chain->order, frame, &index)) {
        struct ph_frame *gap = source_take(chain);

        if (!gap)
            break;
        phi_order_fill_gap(gap, index, &chain->source->out);
        phi_pipe_push(&chain->pipe, gap);
    }
    if (phi_order_accept(&chain->order, frame))
        phi_pipe_push(&chain->pipe, frame);
    else
        pipe_release(chain, frame); /* too late to have a place */
    if (chain->order.broken)
        fail(chain, PH_E_LIMIT, chain->source->name,
             "too many volumes are missing in a row (engine.max_gap)");
}

static void read_more(struct phi_chain *chain)
{
    struct ph_io io = {
        .struct_size = (uint32_t)sizeof io,
        .self = chain,
        .take = source_take,
        .emit = source_emit,
        .take_event = source_take_event,
    };
    enum ph_status status = chain->source->type->ops->process(chain->source->state, &io);

    if (status == PH_EOS) {
        phi_pipe_end(&chain->pipe);
        chain->ended = true;
    } else if (status < 0) {
        fail(chain, status, chain->source->name, "reading failed");
    }
}

enum ph_status phi_chain_next(struct phi_chain *chain, const struct ph_frame **ret_frame,
                              struct ph_error *reterr)
{
    if (chain->given)
        recycle(chain, chain->given);
    chain->given = NULL;
    while (!chain->first && !chain->ended && chain->failed == PH_OK)
        read_more(chain);
    if (chain->failed != PH_OK) {
        if (reterr)
            *reterr = chain->err;
        return chain->failed;
    }
    if (!chain->first)
        return PH_EOS;
    chain->given = chain->first;
    chain->first = chain->given->next;
    if (!chain->first)
        chain->last = NULL;
    *ret_frame = &chain->given->frame;
    return PH_OK;
}

const struct ph_spec *phi_chain_spec(const struct phi_chain *chain)
{
    return spec_at(chain, chain->pipe.n_stages);
}

const struct ph_spec *phi_chain_source_spec(const struct phi_chain *chain)
{
    return &chain->source->out;
}

static enum ph_status make_stage(const struct phi_run_stage *from,
                                 const struct phi_services *services, struct phi_stage **ret_stage,
                                 struct ph_error *reterr)
{
    struct phi_params *params = NULL;
    enum ph_status status = phi_params_copy(from->params, &params, reterr);

    if (status != PH_OK)
        return status;
    return phi_stage_create(from->type, from->name, &params, services, ret_stage, reterr);
}

static enum ph_status open_source(struct phi_chain *chain, const struct phi_services *services,
                                  struct ph_error *reterr)
{
    enum ph_status status;

    if (!chain->run->source.type)
        return phi_error(reterr, PH_E_INVAL, "%s: the run has no source", chain->run->path);
    status = make_stage(&chain->run->source, services, &chain->source, reterr);
    if (status == PH_OK)
        status = phi_stage_init(chain->source, reterr);
    if (status != PH_OK)
        return status;
    do
        status = phi_stage_discover(chain->source, reterr);
    while (status == PH_AGAIN);
    return status;
}

static enum ph_status open_filter(struct phi_chain *chain, size_t i,
                                  const struct phi_services *services, struct ph_error *reterr)
{
    struct phi_pipe_stage *stage = &chain->pipe.stages[i];
    enum ph_status status = make_stage(&chain->run->filters[i], services, &stage->stage, reterr);

    if (status != PH_OK)
        return status;
    stage->on_error = chain->run->filters[i].on_error;
    status = phi_stage_plan(stage->stage, spec_at(chain, i), reterr);
    chain->pipe.n_stages = i + 1;
    return status == PH_OK ? phi_stage_init(stage->stage, reterr) : status;
}

enum ph_status phi_chain_open(const struct phi_run *run, const struct phi_services *services,
                              struct phi_chain **ret_chain, struct ph_error *reterr)
{
    struct phi_chain *chain = phi_calloc(1, sizeof *chain);
    struct phi_services mine = services ? *services : (struct phi_services){.arg = NULL};
    enum ph_status status;

    if (!chain)
        return phi_error_nomem(reterr, "the filter chain", sizeof *chain);
    chain->run = run;
    mine.voxels = &chain->voxels;
    chain->pipe.mark_failed = true;
    chain->pipe.calls = (struct phi_pipe_calls){
        .arg = chain,
        .take = pipe_take,
        .release = pipe_release,
        .deliver = pipe_deliver,
        .failed = pipe_failed,
    };
    status = open_source(chain, &mine, reterr);
    for (size_t i = 0; i < run->n_filters && status == PH_OK; i++)
        status = open_filter(chain, i, &mine, reterr);
    if (status != PH_OK) {
        phi_chain_close(&chain);
        return status;
    }
    phi_order_init(&chain->order, (uint64_t)phi_run_engine(run)->max_gap);
    *ret_chain = chain;
    return PH_OK;
}

void phi_chain_close(struct phi_chain **chain)
{
    struct phi_chain *c = chain ? *chain : NULL;

    if (!c)
        return;
    phi_stage_destroy(&c->source);
    for (size_t i = 0; i < c->pipe.n_stages; i++)
        phi_stage_destroy(&c->pipe.stages[i].stage);
    for (size_t i = 0; i < PHI_MAX_FILTERS + 2; i++)
        free_nodes(c->free[i]);
    free_nodes(c->first);
    if (c->given) {
        c->given->next = NULL;
        free_nodes(c->given);
    }
    phi_free(c);
    *chain = NULL;
}
