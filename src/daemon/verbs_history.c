/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verb "history". */
#include <errno.h>
#include <string.h>

#include "control/protocol.h"
#include "daemon.h"
#include "inventory/json.h"
#include "verbs.h"

json_t *history_refuse(const struct daemon *daemon, unsigned number, int error)
{
    _cleanup_free_ char *what = NULL;

    if (error == -ENOENT)
        what = xasprintf("there is no number %u in the history", number);
    else if (error == -EBADMSG)
        what = xasprintf("number %u in the history is damaged", number);
    else
        what = xasprintf("number %u in the history of %s cannot be read: %s", number, daemon->settings->state,
                         error == -EPERM ? "others than root may write it" : strerror(-error));
    return control_error(STATUS_ERROR, what, "`cofferdam history` lists those that can be gone back to",
                         NULL);
}

json_t *history_take_number(const json_t *request, unsigned *ret)
{
    const json_t *value = json_object_get(request, "number");

    *ret = 0;
    if (!value || json_is_null(value))
        return NULL;
    if (!json_is_integer(value) || json_integer_value(value) < 1 || json_integer_value(value) > UINT32_MAX)
        return control_error(STATUS_USAGE, "the number is none from the history", NULL, NULL);
    *ret = (unsigned)json_integer_value(value);
    return NULL;
}

static json_t *number_to_json(const struct history_entry *entry, enum policy_change_kind kind)
{
    return entry->compared ? json_integer((json_int_t)entry->n_of[kind]) : json_null();
}

static json_t *entry_to_json(const struct history_entry *entry, bool in_force)
{
    json_t *object = change_to_json(&entry->change);
    _cleanup_free_ char *who = who_text(&entry->change.who);

    json_object_set_new(object, "number", json_integer((json_int_t)entry->number));
    json_object_set_new(object, "damaged", json_false());
    json_object_set_new(object, "in_force", json_boolean(in_force));
    json_object_set_new(object, "by", json_text_or_null(who));
    json_object_set_new(object, "policies", json_integer((json_int_t)entry->n_policies));
    json_object_set_new(object, "added", number_to_json(entry, POLICY_ADDED));
    json_object_set_new(object, "changed", number_to_json(entry, POLICY_CHANGED));
    json_object_set_new(object, "removed", number_to_json(entry, POLICY_REMOVED));
    return object;
}

/* The same keys, of which nothing is known. */
static json_t *damaged_to_json(unsigned number)
{
    static const char *const unknown[] = {"kind", "time",     "comment", "plan_id", "forced",  "from",
                                          "who",  "policies", "added",   "changed", "removed", "by"};
    json_t *object =
        json_pack("{s:I, s:b, s:b}", "number", (json_int_t)number, "damaged", true, "in_force", false);

    for (size_t i = 0; i < ARRAY_SIZE(unknown); i++)
        json_object_set_new(object, unknown[i], json_null());
    return object;
}

static json_t *list_history(struct daemon *daemon)
{
    struct history_entry *entries = NULL;
    _cleanup_free_ struct history_item *items = NULL;
    json_t *list = json_array();
    bool found = false;
    size_t n = 0;
    int r = history_list(daemon, &entries, &items, &n);

    /* Of equal ones the newest is the one in force. */
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(list, items[i].damaged
                                        ? damaged_to_json(items[i].number)
                                        : entry_to_json(&entries[i], items[i].in_force && !found));
        found = found || items[i].in_force;
    }
    history_entries_free(entries, n);
    if (r == 0)
        return control_answer(STATUS_OK, json_pack("{s:o, s:n}", "entries", list, "entry"));
    json_decref(list);
    return control_error(STATUS_ERROR, "the history cannot be read", strerror(-r), NULL);
}

static json_t *show_entry(struct daemon *daemon, unsigned number)
{
    _cleanup_(history_entry_clear) struct history_entry entry = {0};
    int r = history_load(daemon, number, &entry);

    if (r < 0)
        return history_refuse(daemon, number, r);
    json_t *object = entry_to_json(&entry, number == daemon->history.in_force);
    json_object_set_new(object, "files",
                        entry.nothing ? json_null() : saved_files_to_json(entry.files, entry.n_files));
    return control_answer(STATUS_OK, json_pack("{s:n, s:o}", "entries", "entry", object));
}

json_t *verb_history(struct daemon *daemon, const json_t *request, const struct control_peer *peer)
{
    unsigned number = 0;
    json_t *error = history_take_number(request, &number);

    (void)peer;
    if (error)
        return error;
    return number ? show_entry(daemon, number) : list_history(daemon);
}
