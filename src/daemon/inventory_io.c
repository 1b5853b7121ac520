/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known of the containers, on disk, for commands that find no daemon. It is written a moment after the last change,
 * and some containers at a time, so that nothing waits for it.
 */
#include "daemon.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "daemon/inventory_state.h"
#include "files/boot.h"

#define QUIET_USEC (1 * 1000000ULL)  /* after the last change */
#define LATEST_USEC (5 * 1000000ULL) /* after the first, while there is no end to them */
#define STEP 50                      /* containers at once: about a millisecond */

static void save(struct daemon *daemon)
{
    struct inventory_keep *keep = &daemon->inventory_keep;
    _cleanup_free_ char *text = inventory_writer_finish(keep->writer);
    int r = strlen(text) > INVENTORY_STATE_MAX
                ? -EFBIG
                : state_save_soon(daemon->settings->state, INVENTORY_STATE_FILE, text);

    keep->writer = inventory_writer_free(keep->writer);
    if (r < 0 && keep->error == 0)
        log_text(
            LOG_WARNING,
            "what is known of the containers cannot be saved in %s (%s): while cofferdamd does not answer, "
            "`cofferdam lockdown` may not find a container by its name",
            daemon->settings->state, strerror(-r));
    keep->error = r;
    if (r < 0)
        keep->seen = keep->written = UINT64_MAX; /* tried again when the brain runs next */
}

static void begin(struct daemon *daemon)
{
    struct inventory_keep *keep = &daemon->inventory_keep;
    _cleanup_free_ char *boot = boot_id();

    keep->written = brain_inventory_changes(daemon->brain);
    keep->changed_at = 0;
    keep->writer = inventory_writer_new(brain_inventory(daemon->brain), (uint64_t)time(NULL), boot);
}

/* True: there is more of it. */
static bool write_some(struct daemon *daemon, size_t n)
{
    struct inventory_keep *keep = &daemon->inventory_keep;

    if (!keep->writer)
        begin(daemon);
    if (inventory_writer_step(keep->writer, brain_inventory(daemon->brain), n))
        return true;
    save(daemon);
    return false;
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct daemon *daemon = userdata;

    (void)usec;
    if (!write_some(daemon, STEP)) {
        if (daemon->inventory_keep.error == 0)
            inventory_keep_update(daemon);
        return 0;
    }
    sd_event_source_set_time_relative(source, 0);
    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return 0;
}

static int arm(struct daemon *daemon, uint64_t at)
{
    struct inventory_keep *keep = &daemon->inventory_keep;
    int r = 0;

    if (!keep->timer) {
        r = sd_event_add_time(daemon->event, &keep->timer, CLOCK_MONOTONIC, at, 0, on_time, daemon);
        if (r >= 0)
            r = sd_event_source_set_priority(keep->timer, SD_EVENT_PRIORITY_IDLE);
        return r;
    }
    sd_event_source_set_time(keep->timer, at);
    return sd_event_source_set_enabled(keep->timer, SD_EVENT_ONESHOT);
}

void inventory_keep_update(struct daemon *daemon)
{
    struct inventory_keep *keep = &daemon->inventory_keep;
    uint64_t changes = brain_inventory_changes(daemon->brain), now = daemon_now(), at = now + QUIET_USEC;

    if (!brain_inventory_known(daemon->brain) || keep->writer || changes == keep->written ||
        changes == keep->seen)
        return;
    keep->seen = changes;
    if (!keep->changed_at)
        keep->changed_at = now;
    if (at > keep->changed_at + LATEST_USEC)
        at = keep->changed_at + LATEST_USEC;
    if (arm(daemon, at) < 0)
        (void)write_some(daemon, SIZE_MAX);
}

void inventory_keep_close(struct daemon *daemon)
{
    struct inventory_keep *keep = &daemon->inventory_keep;

    if (daemon->brain && brain_inventory_known(daemon->brain) &&
        (keep->writer || brain_inventory_changes(daemon->brain) != keep->written))
        (void)write_some(daemon, SIZE_MAX);
    keep->writer = inventory_writer_free(keep->writer);
    sd_event_source_unref(keep->timer);
    keep->timer = NULL;
}
