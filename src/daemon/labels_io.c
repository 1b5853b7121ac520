/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The labels given to containers in the state directory, and their ends. */
#include "daemon.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "control/protocol.h"
#include "daemon/label_state.h"
#include "files/files.h"
#include "inventory/json.h"
#include "util/text.h"

int labels_save(struct daemon *daemon, const struct given_labels *list)
{
    _cleanup_free_ char *text = label_state_format(list);

    return strlen(text) > LABEL_STATE_MAX ? -EFBIG
                                          : state_save(daemon->settings->state, LABEL_STATE_FILE, text);
}

static int read_list(const char *directory, struct given_labels **ret)
{
    _cleanup_free_ char *path = xasprintf("%s/" LABEL_STATE_FILE, directory), *text = NULL;
    size_t len = 0;
    int r = files_read_own(path, LABEL_STATE_MAX, &text, &len);

    return r < 0 ? r : label_state_parse(text, len, ret);
}

void labels_open(struct daemon *daemon, struct brain_config *config)
{
    int r = read_list(daemon->settings->state, &config->labels);

    if (r == 0 || r == -ENOENT)
        return;
    config->labels_lost = (uint64_t)time(NULL);
    log_text(LOG_CRIT,
             "the labels given to containers, %s/" LABEL_STATE_FILE
             ", cannot be used (%s): nobody knows what they granted or denied, and every container is locked "
             "down; put the file right and start again, or `cofferdam label --reset` goes on without them",
             daemon->settings->state,
             r == -EBADMSG ? "it is damaged"
             : r == -EPERM ? "others than root may write it"
                           : strerror(-r));
}

static void log_changed(const struct given_label *label, void *userdata)
{
    _cleanup_free_ char *name = text_escape(label->whom->name ? label->whom->name : label->whom->id, false);

    if (label->ended) {
        json_array_append_new(json_object_get(userdata, "containers"),
                              json_pack("{s:o, s:o}", "name", json_text_or_null(name), "id",
                                        json_text_or_null(label->whom->id)));
        json_array_append_new(
            json_object_get(userdata, "problems"),
            json_sprintf("label %s=%s has ended with its container", label->key, label->value));
    }
    if (label->ended)
        log_text(LOG_WARNING, "label %s=%s of %s (%.12s) has ended, as that container is gone", label->key,
                 label->value, name, label->whom->id);
    else
        log_text(LOG_WARNING, "label %s=%s of %s (%.12s) holds again, as that container is back", label->key,
                 label->value, name, label->whom->id);
}

/* The time is the wall's, which the brain does not know. */
void labels_update(struct daemon *daemon)
{
    const struct given_labels *old = brain_labels(daemon->brain);
    _cleanup_(given_labels_freep) struct given_labels *list = NULL;
    int r;

    if (!old || old->n == 0 || !brain_inventory_known(daemon->brain) ||
        labels_are_settled(old, brain_inventory(daemon->brain)))
        return;
    list = given_labels_copy(old, NULL, NULL);
    json_t *ended = json_pack("{s:[], s:[]}", "containers", "problems");
    labels_settle(list, brain_inventory(daemon->brain), (uint64_t)time(NULL), log_changed, ended);
    if (json_array_size(json_object_get(ended, "containers")))
        audit_event(daemon, "label-end", NULL, control_answer(STATUS_OK, json_incref(ended)), NULL);
    json_decref(ended);
    r = labels_save(daemon, list);
    if (r < 0) /* the next start finds out again */
        log_text(LOG_ERR, "the labels of containers that are gone cannot be removed from %s: %s",
                 daemon->settings->state, strerror(-r));
    brain_set_labels(daemon->brain, STEAL(list), daemon_now());
    daemon_touch(daemon);
}
