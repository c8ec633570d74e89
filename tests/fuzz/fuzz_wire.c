/* SPDX-License-Identifier: MIT
 * JSON frames of the wire: whatever is accepted can be written again and read back the same; and
 * both state machines take any message. */
#include <string.h>

#include "fuzz.h"
#include "io/wire.h"
#include "io/wire_sender.h"
#include "io/wire_session.h"

static size_t make_seeds(struct fuzz_seed *seeds)
{
    char json[PHI_WIRE_MAX_JSON];
    size_t n_seeds = 0;
    size_t n;

    for (int type = PHI_WIRE_NONE + 1; type < PHI_WIRE_N_TYPES; type++) {
        struct phi_wire_message m = phi_wire_message_of((enum phi_wire_type)type);

        (void)strcpy(m.session, "s");
        (void)strcpy(m.run, "r");
        (void)strcpy(m.datatype, "int16");
        m.tr_s = 2;
        m.dims[0] = m.dims[1] = m.dims[2] = 8;
        m.n_slices = 2;
        m.has_index = m.has_id = true;
        m.index = 3;
        m.onset_s = 1.5;
        fuzz_check(phi_wire_format(&m, json, sizeof json, &n) == PH_OK);
        seeds[n_seeds++] = fuzz_seed_of(json, n);
    }
    return n_seeds;
}

static void drive_session(struct phi_wire_session *session, const struct phi_wire_message *m)
{
    struct phi_wire_message answer;

    if (m->type == PHI_WIRE_HELLO)
        (void)!phi_wire_session_hello(session, m, &answer, NULL);
    if (m->type == PHI_WIRE_LOST)
        (void)!phi_wire_session_lost(session, m, &answer);
    if (m->type == PHI_WIRE_END)
        (void)!phi_wire_session_end(session, m, &answer);
    if (m->type == PHI_WIRE_VOLUME &&
        phi_wire_session_volume(session, m, &answer) == PHI_WIRE_TAKE) {
        phi_wire_session_took(session, m);
        phi_wire_session_journalled(session, m->index, true, &answer);
        fuzz_check(answer.type == PHI_WIRE_ACK && answer.index == m->index);
    }
    fuzz_check(phi_wire_session_next(session) <= PHI_WIRE_MAX_VOLUMES);
}

static int run(const unsigned char *bytes, size_t n_bytes)
{
    static struct phi_wire_session *session;
    static struct phi_wire_sender sender;
    static int64_t now_ns;
    struct phi_wire_session_config config = {0};
    struct phi_wire_sender_config sender_config = {.n_volumes = 100};
    struct phi_wire_message m, back;
    struct ph_error err = {0};
    char json[PHI_WIRE_MAX_JSON], again[PHI_WIRE_MAX_JSON];
    size_t n, k;
    uint64_t index;

    if (!session)
        fuzz_check(!phi_wire_session_create(&config, &session, &err) &&
                   !phi_wire_sender_init(&sender, &sender_config, 0));
    if (phi_wire_parse(bytes, n_bytes, &m, &err)) {
        fuzz_check(err.text[0] != '\0');
        return 0;
    }
    fuzz_check(!phi_wire_format(&m, json, sizeof json, &n));
    fuzz_check(!phi_wire_parse(json, n, &back, &err));
    fuzz_check(!phi_wire_format(&back, again, sizeof again, &k));
    fuzz_check(n == k && memcmp(json, again, n) == 0);
    drive_session(session, &m);
    now_ns += 100000000;
    phi_wire_sender_heard(&sender, &m, now_ns);
    if (sender.state == PHI_WIRE_REFUSED || sender.state == PHI_WIRE_DONE_STATE)
        sender.state = PHI_WIRE_GREETING;
    if (phi_wire_sender_next(&sender, 100, now_ns, &index) == PHI_WIRE_STEP_VOLUME)
        fuzz_check(index < 100);
    return 1;
}

int main(int argc, char **argv)
{
    static const struct fuzz_target target = {"wire", 60000, make_seeds, run};

    return fuzz_main(&target, argc, argv);
}
