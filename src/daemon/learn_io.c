/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is learned, on disk, and its end. */
#include "daemon.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "control/protocol.h"
#include "files/files.h"
#include "inventory/json.h"
#include "util/text.h"

#define SAVE_USEC (30 * 1000000ULL) /* after the first change: a crash loses no more */
#define DAMAGED LEARN_STATE_FILE ".damaged"

static uint64_t wall(void)
{
    return (uint64_t)time(NULL);
}

int learn_save(struct daemon *daemon)
{
    struct learn_keep *keep = &daemon->learn;
    _cleanup_free_ char *text = learn_state_format(keep->list, wall());
    int r =
        strlen(text) > LEARN_STATE_MAX ? -EFBIG : state_save(daemon->settings->state, LEARN_STATE_FILE, text);

    if (r < 0 && keep->error == 0)
        log_text(LOG_ERR, "what is learned cannot be saved in %s (%s): it is kept until cofferdamd ends",
                 daemon->settings->state, strerror(-r));
    keep->error = r;
    keep->changed = r < 0;
    return r;
}

static void end(struct daemon *daemon, struct learning *learning)
{
    _cleanup_free_ char *title = text_escape(learning->title, false);
    _cleanup_free_ char *text = xasprintf("%s is not watched any more, as its time is over", title);

    learning->ended = learning->until;
    daemon->learn.changed = true;
    log_text(LOG_NOTICE, "%s; `cofferdam learn` has what was seen", text);
    audit_event(daemon, "learn-end", NULL, control_answer(STATUS_OK, json_pack("{s:s}", "text", text)), NULL);
}

/* Where something is to be saved, or to end. */
static void arm(struct daemon *daemon)
{
    struct learn_keep *keep = &daemon->learn;
    uint64_t now = daemon_now(), at = keep->changed ? now + SAVE_USEC : UINT64_MAX, seconds = wall();

    if (!keep->timer)
        return;
    for (size_t i = 0; i < keep->list->n; i++) {
        const struct learning *learning = keep->list->v[i];
        uint64_t left = learning->until > seconds ? learning->until - seconds : 0;

        if (!learning->ended && learning->until && now + left * 1000000 < at)
            at = now + left * 1000000;
    }
    sd_event_source_set_time(keep->timer, at);
    sd_event_source_set_enabled(keep->timer, at == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

void learn_update(struct daemon *daemon)
{
    struct learn_keep *keep = &daemon->learn;
    uint64_t now = wall();

    for (size_t i = 0; i < keep->list->n; i++)
        if (!keep->list->v[i]->ended && !learning_runs(keep->list->v[i], now))
            end(daemon, keep->list->v[i]);
    flow_events_update(daemon);
    arm(daemon);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct daemon *daemon = userdata;

    (void)source, (void)usec;
    if (daemon->learn.changed)
        (void)learn_save(daemon);
    learn_update(daemon);
    return 0;
}

void learn_record(struct daemon *daemon, const json_t *record, bool final)
{
    struct learn_keep *keep = &daemon->learn;
    bool was_changed = keep->changed;
    uint64_t now = wall();

    for (size_t i = 0; keep->list && i < keep->list->n; i++)
        if (learning_record(keep->list->v[i], record, final, brain_inventory(daemon->brain), now))
            keep->changed = true;
    if (keep->changed && !was_changed)
        arm(daemon);
}

bool learn_wants_allowed(const struct daemon *daemon)
{
    const struct learn_keep *keep = &daemon->learn;

    for (size_t i = 0; keep->list && i < keep->list->n; i++)
        if (!keep->list->v[i]->ended)
            return true;
    return false;
}

static int read_list(const char *directory, struct learnings **ret)
{
    _cleanup_free_ char *path = xasprintf("%s/" LEARN_STATE_FILE, directory), *text = NULL;
    size_t len = 0;
    int r = files_read_own(path, LEARN_STATE_MAX, &text, &len);

    return r < 0 ? r : learn_state_parse(text, len, wall(), ret);
}

/* It is put aside: nothing depends on it but what people may want to look at. */
static void set_aside(const char *directory, int error)
{
    (void)state_remove(directory, DAMAGED);
    (void)state_rename(directory, LEARN_STATE_FILE, DAMAGED);
    log_text(LOG_ERR,
             "what was learned, %s/" LEARN_STATE_FILE ", cannot be used (%s) and is now " DAMAGED
             "; `cofferdam learn` has to begin anew",
             directory,
             error == -EBADMSG ? "it is damaged"
             : error == -EPERM ? "others than root may write it"
                               : strerror(-error));
}

void learn_open(struct daemon *daemon)
{
    struct learn_keep *keep = &daemon->learn;
    int r = read_list(daemon->settings->state, &keep->list);

    if (r < 0)
        keep->list = learnings_new();
    if (r < 0 && r != -ENOENT)
        set_aside(daemon->settings->state, r);
    r = sd_event_add_time(daemon->event, &keep->timer, CLOCK_MONOTONIC, UINT64_MAX, 0, on_timer, daemon);
    if (r < 0)
        log_text(LOG_ERR, "no timer for what is learned: %s", strerror(-r));
    learn_update(daemon);
}

/* Also when it has not changed: until when it was watched is in it. */
void learn_close(struct daemon *daemon)
{
    struct learn_keep *keep = &daemon->learn;

    if (keep->list && (keep->changed || learn_wants_allowed(daemon)))
        (void)learn_save(daemon);
    keep->list = learnings_free(keep->list);
    sd_event_source_unref(keep->timer);
    keep->timer = NULL;
}
