/* SPDX-License-Identifier: MIT */
#include "io/wire_session.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/nifti.h"

#define MAX_EVENTS     65536
#define DEFAULT_CREDIT 8
#define DEFAULT_BYTES  ((size_t)256 << 20)

enum state { NONE, UNDER_WAY, JOURNALLED, LOST };

struct phi_wire_session {
    struct phi_wire_session_config config;
    struct phi_wire_message hello; /* type NONE before it */
    uint8_t *state;                /* [PHI_WIRE_MAX_VOLUMES] of enum state */
    uint32_t *crc;                 /* [PHI_WIRE_MAX_VOLUMES] */
    uint64_t next;                 /* least index that is neither journalled nor lost */
    uint64_t end;                  /* one past the greatest index heard of */
    uint32_t n_under_way;
    uint64_t n_received, n_lost, n_duplicates;
    bool ended;
    uint64_t *events; /* [MAX_EVENTS] ids */
    size_t n_events;
};

enum ph_status phi_wire_session_create(const struct phi_wire_session_config *config,
                                       struct phi_wire_session **ret_session,
                                       struct ph_error *reterr)
{
    struct phi_wire_session *session = phi_calloc(1, sizeof *session);

    if (session) {
        session->config = *config;
        if (!session->config.credit)
            session->config.credit = DEFAULT_CREDIT;
        if (!session->config.max_volume_bytes)
            session->config.max_volume_bytes = DEFAULT_BYTES;
        session->state = phi_calloc(PHI_WIRE_MAX_VOLUMES, sizeof *session->state);
        session->crc = phi_calloc(PHI_WIRE_MAX_VOLUMES, sizeof *session->crc);
        session->events = phi_calloc(MAX_EVENTS, sizeof *session->events);
    }
    if (!session || !session->state || !session->crc || !session->events) {
        phi_wire_session_destroy(&session);
        return phi_error_nomem(reterr, "the table of volumes", PHI_WIRE_MAX_VOLUMES);
    }
    *ret_session = session;
    return PH_OK;
}

void phi_wire_session_destroy(struct phi_wire_session **session)
{
    if (!session || !*session)
        return;
    phi_free((*session)->state);
    phi_free((*session)->crc);
    phi_free((*session)->events);
    phi_free(*session);
    *session = NULL;
}

static bool same_geometry(const struct phi_wire_message *a, const struct phi_wire_message *b)
{
    return memcmp(a->dims, b->dims, sizeof a->dims) == 0 && strcmp(a->datatype, b->datatype) == 0 &&
           fabs(a->tr_s - b->tr_s) < 1e-9;
}

static bool fits_in_memory(const struct phi_wire_session *session,
                           const struct phi_wire_message *hello)
{
    size_t type_bytes = phi_nifti_type_bytes(phi_nifti_type_of_name(hello->datatype));
    size_t n;

    return phi_mul_size(hello->dims[0], hello->dims[1], &n) &&
           phi_mul_size(n, hello->dims[2], &n) && phi_mul_size(n, type_bytes, &n) &&
           n <= session->config.max_volume_bytes;
}

/* An ERROR that says why `hello` is refused; false if it is not. */
static bool refuse_hello(const struct phi_wire_session *session,
                         const struct phi_wire_message *hello, struct phi_wire_message *ret_answer)
{
    const struct phi_wire_message *known = &session->hello;

    if (phi_nifti_type_of_name(hello->datatype) == 0)
        *ret_answer = phi_wire_error("geometry", true, "datatype '%s' is no NIfTI type we take",
                                     hello->datatype);
    else if (!fits_in_memory(session, hello))
        *ret_answer = phi_wire_error(
            "geometry", true, "a volume of %u x %u x %u %s is larger than the %zu bytes allowed",
            hello->dims[0], hello->dims[1], hello->dims[2], hello->datatype,
            session->config.max_volume_bytes);
    else if (known->type == PHI_WIRE_NONE)
        return false;
    else if (strcmp(known->session, hello->session) != 0 || strcmp(known->run, hello->run) != 0)
        *ret_answer = phi_wire_error("run", true, "this engine is recording session %s, run %s",
                                     known->session, known->run);
    else if (!same_geometry(known, hello))
        *ret_answer = phi_wire_error(
            "geometry", true, "the run began with %u x %u x %u %s at TR %g s", known->dims[0],
            known->dims[1], known->dims[2], known->datatype, known->tr_s);
    else
        return false;
    return true;
}

enum ph_status phi_wire_session_hello(struct phi_wire_session *session,
                                      const struct phi_wire_message *hello,
                                      struct phi_wire_message *ret_answer, bool *ret_new)
{
    if (refuse_hello(session, hello, ret_answer))
        return PH_E_PEER;
    if (ret_new)
        *ret_new = session->hello.type == PHI_WIRE_NONE;
    if (session->hello.type == PHI_WIRE_NONE)
        session->hello = *hello;
    *ret_answer = phi_wire_message_of(PHI_WIRE_WELCOME);
    ret_answer->next = session->next;
    ret_answer->credit = session->config.credit;
    return PH_OK;
}

static void fill_ack(const struct phi_wire_session *session, uint64_t index, bool journalled,
                     struct phi_wire_message *ret_answer)
{
    *ret_answer = phi_wire_message_of(PHI_WIRE_ACK);
    ret_answer->has_index = true;
    ret_answer->index = index;
    ret_answer->credit = session->config.credit;
    ret_answer->journalled = journalled;
}

static void name_index(struct phi_wire_message *answer, uint64_t index)
{
    answer->has_index = true;
    answer->index = index;
}

/* What is wrong with naming `index` now; false if nothing. */
static bool refuse_index(const struct phi_wire_session *session, uint64_t index,
                         struct phi_wire_message *ret_answer)
{
    if (session->hello.type == PHI_WIRE_NONE)
        *ret_answer = phi_wire_error("hello", false, "say HELLO first");
    else if (index >= PHI_WIRE_MAX_VOLUMES)
        *ret_answer = phi_wire_error("limit", false, "a run has at most %llu volumes",
                                     (unsigned long long)PHI_WIRE_MAX_VOLUMES);
    else
        return false;
    name_index(ret_answer, index);
    return true;
}

static enum phi_wire_verdict judge_known(struct phi_wire_session *session,
                                         const struct phi_wire_message *volume,
                                         struct phi_wire_message *ret_answer)
{
    uint64_t index = volume->index;

    if (session->crc[index] != volume->crc32) {
        *ret_answer =
            phi_wire_error("conflict", false, "volume %llu was taken before with other content",
                           (unsigned long long)index);
        name_index(ret_answer, index);
        return PHI_WIRE_CONFLICT;
    }
    session->n_duplicates++;
    if (session->state[index] == UNDER_WAY)
        return PHI_WIRE_QUIET;
    fill_ack(session, index, true, ret_answer);
    return PHI_WIRE_ANSWER;
}

enum phi_wire_verdict phi_wire_session_volume(struct phi_wire_session *session,
                                              const struct phi_wire_message *volume,
                                              struct phi_wire_message *ret_answer)
{
    uint64_t index = volume->index;

    if (refuse_index(session, index, ret_answer))
        return PHI_WIRE_ANSWER;
    if (session->state[index] == UNDER_WAY || session->state[index] == JOURNALLED)
        return judge_known(session, volume, ret_answer);
    if (session->ended) {
        *ret_answer = phi_wire_error("ended", false, "the run has ended");
        name_index(ret_answer, index);
        return PHI_WIRE_ANSWER;
    }
    if (session->n_under_way >= session->config.credit) {
        *ret_answer = phi_wire_error("flow", true, "more than %u volumes are under way",
                                     session->config.credit);
        name_index(ret_answer, index);
        return PHI_WIRE_ANSWER;
    }
    return PHI_WIRE_TAKE;
}

static void advance(struct phi_wire_session *session)
{
    while (session->next < PHI_WIRE_MAX_VOLUMES &&
           (session->state[session->next] == JOURNALLED || session->state[session->next] == LOST))
        session->next++;
}

void phi_wire_session_took(struct phi_wire_session *session, const struct phi_wire_message *volume)
{
    if (session->state[volume->index] == LOST) /* it came after all */
        session->n_lost--;
    session->state[volume->index] = UNDER_WAY;
    session->crc[volume->index] = volume->crc32;
    session->n_under_way++;
    if (volume->index >= session->end)
        session->end = volume->index + 1;
}

void phi_wire_session_journalled(struct phi_wire_session *session, uint64_t index, bool journalled,
                                 struct phi_wire_message *ret_answer)
{
    if (session->state[index] == UNDER_WAY) {
        session->state[index] = JOURNALLED;
        session->n_under_way--;
        session->n_received++;
        advance(session);
    }
    fill_ack(session, index, journalled, ret_answer);
}

enum ph_status phi_wire_session_lost(struct phi_wire_session *session,
                                     const struct phi_wire_message *lost,
                                     struct phi_wire_message *ret_answer)
{
    if (refuse_index(session, lost->index, ret_answer))
        return PH_SKIP;
    fill_ack(session, lost->index, true, ret_answer);
    if (session->state[lost->index] != NONE)
        return PH_SKIP;
    session->state[lost->index] = LOST;
    session->n_lost++;
    if (lost->index >= session->end)
        session->end = lost->index + 1;
    advance(session);
    return PH_OK;
}

enum ph_status phi_wire_session_end(struct phi_wire_session *session,
                                    const struct phi_wire_message *end,
                                    struct phi_wire_message *ret_answer)
{
    if (session->ended)
        return PH_SKIP;
    *ret_answer = phi_wire_message_of(PHI_WIRE_NONE);
    if (refuse_index(session, end->n_volumes ? end->n_volumes - 1 : 0, ret_answer))
        return PH_AGAIN;
    if (session->next < end->n_volumes || session->n_under_way > 0) {
        if (session->n_under_way == 0) {
            *ret_answer = phi_wire_error("missing", false, "volume %llu of %llu has not come",
                                         (unsigned long long)session->next,
                                         (unsigned long long)end->n_volumes);
            name_index(ret_answer, session->next);
        }
        return PH_AGAIN;
    }
    session->ended = true;
    return PH_OK;
}

struct phi_wire_message phi_wire_session_done(const struct phi_wire_session *session)
{
    struct phi_wire_message done = phi_wire_message_of(PHI_WIRE_DONE);

    done.n_received = session->n_received;
    done.n_lost = session->n_lost;
    done.n_duplicates = session->n_duplicates;
    return done;
}

static enum ph_status restore_volume(struct phi_wire_session *session,
                                     const struct phi_wire_message *message)
{
    struct phi_wire_message ignored;

    if (session->hello.type == PHI_WIRE_NONE || message->index >= PHI_WIRE_MAX_VOLUMES ||
        session->state[message->index] == JOURNALLED)
        return PH_E_FORMAT;
    phi_wire_session_took(session, message);
    phi_wire_session_journalled(session, message->index, true, &ignored);
    return PH_OK;
}

enum ph_status phi_wire_session_restore(struct phi_wire_session *session,
                                        const struct phi_wire_message *message)
{
    struct phi_wire_message ignored;

    switch (message->type) {
    case PHI_WIRE_HELLO:
        return phi_wire_session_hello(session, message, &ignored, NULL) ? PH_E_FORMAT : PH_OK;
    case PHI_WIRE_VOLUME:
        return restore_volume(session, message);
    case PHI_WIRE_LOST:
        return phi_wire_session_lost(session, message, &ignored) ? PH_E_FORMAT : PH_OK;
    case PHI_WIRE_EVENT:
        if (message->has_id)
            phi_wire_session_note_event(session, message->id);
        return PH_OK;
    case PHI_WIRE_END:
        session->ended = true;
        return PH_OK;
    default:
        return PH_E_FORMAT;
    }
}

const struct phi_wire_message *phi_wire_session_run(const struct phi_wire_session *session)
{
    return session->hello.type == PHI_WIRE_NONE ? NULL : &session->hello;
}

bool phi_wire_session_ended(const struct phi_wire_session *session)
{
    return session->ended;
}

uint64_t phi_wire_session_next(const struct phi_wire_session *session)
{
    return session->next;
}

bool phi_wire_session_knows_event(const struct phi_wire_session *session, uint64_t id)
{
    /* newest first: a repeated event is nearly always the last one */
    for (size_t i = session->n_events; i > 0; i--)
        if (session->events[i - 1] == id)
            return true;
    return false;
}

void phi_wire_session_note_event(struct phi_wire_session *session, uint64_t id)
{
    if (session->n_events < MAX_EVENTS)
        session->events[session->n_events++] = id;
}
