/* SPDX-License-Identifier: MIT
 *
 * The engine's side of a run on the wire: which volumes have come, which stand in the journal, and
 * what is answered to each message. A state machine over plain data without sockets, clocks or
 * allocation after its creation; one session belongs to one thread.
 *
 * A volume's way: NONE -> UNDER_WAY (taken, being journalled) -> JOURNALLED (acknowledged).
 */
#ifndef PHI_IO_WIRE_SESSION_H
#define PHI_IO_WIRE_SESSION_H

#include "io/wire.h"

#define PHI_WIRE_MAX_VOLUMES ((uint64_t)1 << 18) /* of one run: 36 hours at TR 0.5 s */

/* Zero is the default of each field. */
struct phi_wire_session_config {
    uint32_t credit;         /* volumes under way unacknowledged; 8 */
    size_t max_volume_bytes; /* of one image as it is; 256 MiB */
};

/* What to do with a VOLUME. */
enum phi_wire_verdict {
    PHI_WIRE_TAKE,    /* journal it, then call phi_wire_session_journalled; no answer yet */
    PHI_WIRE_ANSWER,  /* drop it and send the answer: a repeated volume, or an error */
    PHI_WIRE_QUIET,   /* drop it: repeated while the first is being journalled */
    PHI_WIRE_CONFLICT /* keep it in the journal as a conflict, and send the answer */
};

struct phi_wire_session;

/* A session without a run. Owned by the caller. */
PH_NODISCARD enum ph_status phi_wire_session_create(const struct phi_wire_session_config *config,
                                                    struct phi_wire_session **ret_session,
                                                    struct ph_error *reterr);

/* Frees; accepts NULL and *session == NULL, clears *session. */
void phi_wire_session_destroy(struct phi_wire_session **session);

/* HELLO: fills *ret_answer with WELCOME or a fatal ERROR (another run, another geometry, too
 * large). PH_OK and WELCOME mean that the sender may go on; *ret_new (may be NULL) tells that this
 * is the run's first HELLO, to be journalled. */
PH_NODISCARD enum ph_status phi_wire_session_hello(struct phi_wire_session *session,
                                                   const struct phi_wire_message *hello,
                                                   struct phi_wire_message *ret_answer,
                                                   bool *ret_new);

/* VOLUME, before its payload is looked at. `ret_answer` is filled unless the verdict is TAKE or
 * QUIET. TAKE changes nothing yet: phi_wire_session_took does. */
enum phi_wire_verdict phi_wire_session_volume(struct phi_wire_session *session,
                                              const struct phi_wire_message *volume,
                                              struct phi_wire_message *ret_answer);

/* The volume's payload was good and is on its way to the journal. */
void phi_wire_session_took(struct phi_wire_session *session, const struct phi_wire_message *volume);

/* The volume stands in the journal (or, when nothing is journalled, has been taken): *ret_answer is
 * its ACK. */
void phi_wire_session_journalled(struct phi_wire_session *session, uint64_t index, bool journalled,
                                 struct phi_wire_message *ret_answer);

/* LOST: *ret_answer is ACK or ERROR; PH_OK if it is news (to be journalled), else PH_SKIP. */
PH_NODISCARD enum ph_status phi_wire_session_lost(struct phi_wire_session *session,
                                                  const struct phi_wire_message *lost,
                                                  struct phi_wire_message *ret_answer);

/* END: PH_OK once all announced volumes stand in the journal or are known lost, and it is news.
 * PH_AGAIN if some are still under way or missing (*ret_answer then holds an ERROR "missing" if
 * none is under way, else type NONE). PH_SKIP if the end was known already. */
PH_NODISCARD enum ph_status phi_wire_session_end(struct phi_wire_session *session,
                                                 const struct phi_wire_message *end,
                                                 struct phi_wire_message *ret_answer);

/* DONE for the run; latency is left to the caller. */
struct phi_wire_message phi_wire_session_done(const struct phi_wire_session *session);

/* What a journal record tells when a killed engine starts again: a message of it (HELLO, VOLUME,
 * LOST, END). PH_E_FORMAT if it does not fit what came before. */
PH_NODISCARD enum ph_status phi_wire_session_restore(struct phi_wire_session *session,
                                                     const struct phi_wire_message *message);

/* The HELLO of the run; NULL before it. Lives as long as the session. */
const struct phi_wire_message *phi_wire_session_run(const struct phi_wire_session *session);

/* Whether the end is known. */
bool phi_wire_session_ended(const struct phi_wire_session *session);

/* The least index that is neither journalled nor lost. */
uint64_t phi_wire_session_next(const struct phi_wire_session *session);

/* Events: whether one with `id` has been seen, and noting that it has. At most 65536 ids are kept;
 * later ones count as new. */
bool phi_wire_session_knows_event(const struct phi_wire_session *session, uint64_t id);
void phi_wire_session_note_event(struct phi_wire_session *session, uint64_t id);

#endif
