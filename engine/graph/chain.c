/* SPDX-License-Identifier: MIT */
#include "graph/chain.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "graph/order.h"
#include "host/spec.h"

/* Frames wait in a list between the last filter and phi_chain_next, because one call of a source
 * may emit several. Used frames go to a list of free ones by stage, so the memory of a chain stays
 * as large as its largest burst. */
struct node {
    struct ph_frame frame; /* first: a frame pointer is its node */
    struct node *next;
    size_t home; /* index of the stage whose output it carries; N_STAGES for events */
};

struct phi_chain {
    const struct phi_run *run;
    struct phi_stage *stages[PHI_MAX_FILTERS + 1]; /* source, then filters */
    bool bypassed[PHI_MAX_FILTERS + 1];
    size_t n_stages;
    struct node *free[PHI_MAX_FILTERS + 2];
    struct node *first; /* outputs that wait */
    struct node *last;
    struct node *given; /* what phi_chain_next gave out */
    struct phi_order order;
    bool ended;
    enum ph_status failed;
    struct ph_error err;
};

/* Where the io calls of one stage lead. */
struct port {
    struct phi_chain *chain;
    size_t stage;
    const struct ph_frame *in;
};

static void process(struct phi_chain *chain, size_t stage, struct node *node);

static struct node *new_node(struct phi_chain *chain, size_t home)
{
    struct node *node = chain->free[home];
    size_t n_bytes = 0;

    if (node) {
        chain->free[home] = node->next;
        return node;
    }
    node = phi_calloc(1, sizeof *node);
    if (!node)
        return NULL;
    node->home = home;
    if (home <= PHI_MAX_FILTERS) {
        if (phi_spec_bytes(&chain->stages[home]->out, &n_bytes, NULL) != PH_OK ||
            !(node->frame.data = phi_calloc(n_bytes, 1))) {
            phi_free(node);
            return NULL;
        }
        node->frame.capacity_bytes = n_bytes;
    }
    return node;
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

static void fail(struct phi_chain *chain, enum ph_status status, size_t stage, const char *what)
{
    if (chain->failed == PH_OK)
        chain->failed = phi_error(&chain->err, status, "stage '%s': %s: %s",
                                  chain->stages[stage]->name, what, phi_status_name(status));
}

static void append(struct phi_chain *chain, struct node *node)
{
    node->next = NULL;
    if (chain->last)
        chain->last->next = node;
    else
        chain->first = node;
    chain->last = node;
}

/* Hands a frame to the stage behind `stage`, or to the waiting list. */
static void pass_on(struct phi_chain *chain, size_t stage, struct node *node)
{
    if (stage + 1 < chain->n_stages)
        process(chain, stage + 1, node);
    else
        append(chain, node);
}

static struct ph_frame *port_take(void *self)
{
    struct port *port = self;
    struct node *node = new_node(port->chain, port->stage);

    if (!node) {
        fail(port->chain, PH_E_NOMEM, port->stage, "a frame");
        return NULL;
    }
    phi_frame_shape(&node->frame, &port->chain->stages[port->stage]->out);
    if (port->in)
        phi_frame_inherit(&node->frame, port->in);
    return &node->frame;
}

static struct ph_frame *port_take_event(void *self)
{
    struct port *port = self;
    struct node *node = new_node(port->chain, PHI_MAX_FILTERS + 1);

    if (!node) {
        fail(port->chain, PH_E_NOMEM, port->stage, "an event");
        return NULL;
    }
    node->frame =
        (struct ph_frame){.struct_size = (uint32_t)sizeof node->frame, .kind = PH_FRAME_EVENT};
    phi_quality_clear(&node->frame.quality);
    return &node->frame;
}

static void port_emit(void *self, struct ph_frame *frame)
{
    struct port *port = self;

    pass_on(port->chain, port->stage, (struct node *)(void *)frame);
}

/* Missing volumes become frames of their own before the frame that shows that they are missing. */
static void source_emit(void *self, struct ph_frame *frame)
{
    struct port *port = self;
    struct phi_chain *chain = port->chain;
    struct node *node = (struct node *)(void *)frame;
    uint64_t index = 0;

    while (chain->failed == PH_OK && phi_order_gap(&chain->order, frame, &index)) {
        struct ph_frame *gap = port_take(self);

        if (!gap)
            break;
        phi_order_fill_gap(gap, index, &chain->stages[0]->out);
        pass_on(chain, 0, (struct node *)(void *)gap);
    }
    if (phi_order_accept(&chain->order, frame))
        pass_on(chain, 0, node);
    else
        recycle(chain, node); /* too late to have a place */
    if (chain->order.broken)
        fail(chain, PH_E_LIMIT, 0, "too many volumes are missing in a row (engine.max_gap)");
}

static struct ph_io io_of(struct port *port, struct ph_frame *in)
{
    return (struct ph_io){
        .struct_size = (uint32_t)sizeof(struct ph_io),
        .in = in,
        .self = port,
        .take = port_take,
        .emit = port->stage == 0 ? source_emit : port_emit,
        .take_event = port_take_event,
    };
}

/* What the run file wants when a filter fails on a frame. A filter that is not in place has no
 * output then: a zero frame that is marked takes its place, so that later stages see the moment. */
static void on_failure(struct port *port, enum ph_status status, struct node *node)
{
    struct phi_chain *chain = port->chain;
    enum phi_on_error policy = chain->run->filters[port->stage - 1].on_error;
    struct ph_frame *marked;

    if (policy == PHI_ON_ERROR_STOP)
        fail(chain, status, port->stage, "a volume failed");
    if (policy == PHI_ON_ERROR_BYPASS)
        chain->bypassed[port->stage] = true;
    node->frame.flags |= PH_FLAG_INVALID;
    if (chain->stages[port->stage]->type->caps & PH_CAP_IN_PLACE)
        return;
    marked = port_take(port);
    if (!marked)
        return;
    memset(marked->data, 0, marked->capacity_bytes);
    pass_on(chain, port->stage, (struct node *)(void *)marked);
}

static void process(struct phi_chain *chain, size_t stage, struct node *node)
{
    struct phi_stage *s = chain->stages[stage];
    struct port port = {chain, stage, &node->frame};
    struct ph_io io = io_of(&port, &node->frame);
    bool in_place = (s->type->caps & PH_CAP_IN_PLACE) != 0;
    enum ph_status status = PH_OK;

    if (node->frame.kind == PH_FRAME_EVENT) {
        status = phi_stage_event(s, &io);
        if (status < 0)
            fail(chain, status, stage, "an event failed");
        pass_on(chain, stage, node);
        return;
    }
    if (!chain->bypassed[stage])
        status = s->type->ops->process(s->state, &io);
    if (status < 0)
        on_failure(&port, status, node);
    if (in_place && status != PH_SKIP)
        pass_on(chain, stage, node);
    else
        recycle(chain, node);
}

static enum ph_status end_stages(struct phi_chain *chain)
{
    for (size_t i = 1; i < chain->n_stages; i++) {
        struct port port = {chain, i, NULL};
        struct ph_io io = io_of(&port, NULL);
        enum ph_status status = phi_stage_end(chain->stages[i], &io);

        if (status < 0)
            fail(chain, status, i, "the end of the run failed");
    }
    chain->ended = true;
    return chain->failed;
}

enum ph_status phi_chain_next(struct phi_chain *chain, const struct ph_frame **ret_frame,
                              struct ph_error *reterr)
{
    struct port port = {chain, 0, NULL};
    struct ph_io io = io_of(&port, NULL);

    if (chain->given)
        recycle(chain, chain->given);
    chain->given = NULL;
    while (!chain->first && !chain->ended && chain->failed == PH_OK) {
        enum ph_status status = chain->stages[0]->type->ops->process(chain->stages[0]->state, &io);

        if (status == PH_EOS)
            (void)end_stages(chain);
        else if (status < 0)
            fail(chain, status, 0, "reading failed");
    }
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
    return &chain->stages[chain->n_stages - 1]->out;
}

const struct ph_spec *phi_chain_source_spec(const struct phi_chain *chain)
{
    return &chain->stages[0]->out;
}

static enum ph_status add_stage(struct phi_chain *chain, const struct phi_run_stage *from,
                                const struct phi_services *services, struct ph_error *reterr)
{
    struct phi_params *params = NULL;
    enum ph_status status = phi_params_copy(from->params, &params, reterr);

    if (status != PH_OK)
        return status;
    status = phi_stage_create(from->type, from->name, &params, services,
                              &chain->stages[chain->n_stages], reterr);
    if (status == PH_OK)
        chain->n_stages++;
    return status;
}

static enum ph_status open_source(struct phi_chain *chain, const struct phi_services *services,
                                  struct ph_error *reterr)
{
    enum ph_status status;

    if (!chain->run->source.type)
        return phi_error(reterr, PH_E_INVAL, "%s: the run has no source", chain->run->path);
    status = add_stage(chain, &chain->run->source, services, reterr);
    if (status == PH_OK)
        status = phi_stage_init(chain->stages[0], reterr);
    if (status != PH_OK)
        return status;
    do
        status = phi_stage_discover(chain->stages[0], reterr);
    while (status == PH_AGAIN);
    return status;
}

static enum ph_status open_filter(struct phi_chain *chain, size_t i,
                                  const struct phi_services *services, struct ph_error *reterr)
{
    enum ph_status status = add_stage(chain, &chain->run->filters[i], services, reterr);

    if (status == PH_OK)
        status = phi_stage_plan(chain->stages[i + 1], &chain->stages[i]->out, reterr);
    return status == PH_OK ? phi_stage_init(chain->stages[i + 1], reterr) : status;
}

enum ph_status phi_chain_open(const struct phi_run *run, const struct phi_services *services,
                              struct phi_chain **ret_chain, struct ph_error *reterr)
{
    struct phi_chain *chain = phi_calloc(1, sizeof *chain);
    enum ph_status status;

    if (!chain)
        return phi_error_nomem(reterr, "the filter chain", sizeof *chain);
    chain->run = run;
    status = open_source(chain, services, reterr);
    for (size_t i = 0; i < run->n_filters && status == PH_OK; i++)
        status = open_filter(chain, i, services, reterr);
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
    if (!chain || !*chain)
        return;
    for (size_t i = 0; i < (*chain)->n_stages; i++)
        phi_stage_destroy(&(*chain)->stages[i]);
    for (size_t i = 0; i < PHI_MAX_FILTERS + 2; i++)
        free_nodes((*chain)->free[i]);
    free_nodes((*chain)->first);
    if ((*chain)->given) {
        (*chain)->given->next = NULL;
        free_nodes((*chain)->given);
    }
    phi_free(*chain);
    *chain = NULL;
}
