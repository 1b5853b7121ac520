/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small Docker Engine for tests: a process of its own behind a unix socket, which serves captured answers
 * and misbehaves on demand. Which way is told by the ID in a path, such as /containers/slow/json:
 *
 *   none 404   bad 400 with plain text   busy 409   broken 500   forbidden 403   odd 302   text 200, no JSON
 *   slow answers after 0.3 s   hang never   early closes in the middle   silent closes without a word
 *   garbage is no HTTP   huge never ends   cut ends within a chunk
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum fake_events {
    FAKE_EVENTS_STAY,    /* open, after what there is to say */
    FAKE_EVENTS_END,     /* ends properly */
    FAKE_EVENTS_BREAK,   /* the connection just closes */
    FAKE_EVENTS_REFUSED, /* 400 with plain text */
    FAKE_EVENTS_HANG,    /* no answer */
    FAKE_EVENTS_CLOSE,   /* closes without an answer */
};

struct fake_plan {
    const char *capture; /* "20.10": where answers come from */
    const char *version; /* body of /version; NULL: the captured one */
    bool version_hangs;
    size_t piece; /* bytes per chunk of answers and events; 0: all at once, with a length */
    enum fake_events events;
    const char *event_text; /* in place of the captured events */
};

struct fake_engine;

/* At a socket in a directory of its own, or where path says. Ends the program when that fails. */
struct fake_engine *fake_engine_start(const struct fake_plan *plan, const char *path);
struct fake_engine *fake_engine_stop(struct fake_engine *engine);
const char *fake_engine_socket(const struct fake_engine *engine);
/* "GET /version\n...": the request lines so far, in order; "END" is noted just before each slow answer. The
 * caller frees the text. */
char *fake_engine_requests(struct fake_engine *engine);
