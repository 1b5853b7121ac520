/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/history.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "daemon/policy_state.h"
#include "daemon/sealed.h"
#include "util/mem.h"

#define FORMAT_VERSION "1.0"
#define KEPT_AT_LEAST 2 /* the newest, and what was in force before it */

void history_entry_clear(struct history_entry *entry)
{
    change_clear(&entry->change);
    policy_files_free(entry->files, entry->n_files);
    *entry = (struct history_entry){0};
}

/* ---- codec -------------------------------------------------------------------------------------------- */

static json_t *differences_to_json(const struct history_entry *entry)
{
    if (!entry->compared)
        return json_null();
    return json_pack("{s:I, s:I, s:I}", "added", (json_int_t)entry->n_of[POLICY_ADDED], "changed",
                     (json_int_t)entry->n_of[POLICY_CHANGED], "removed",
                     (json_int_t)entry->n_of[POLICY_REMOVED]);
}

int history_format(const struct history_entry *entry, char **ret)
{
    json_t *change = change_to_json(&entry->change),
           *files = entry->nothing ? json_null() : saved_files_to_json(entry->files, entry->n_files);

    if (!change || !files) {
        json_decref(change);
        json_decref(files);
        return -EILSEQ;
    }
    return sealed_format(json_pack("{s:s, s:I, s:o, s:I, s:o, s:o}", "format_version", FORMAT_VERSION,
                                   "number", (json_int_t)entry->number, "change", change, "policies",
                                   (json_int_t)entry->n_policies, "differences", differences_to_json(entry),
                                   "files", files),
                         HISTORY_ENTRY_MAX, ret);
}

static int parse_differences(const json_t *object, struct history_entry *entry)
{
    entry->compared = json_is_object(object);
    for (enum policy_change_kind kind = POLICY_ADDED; entry->compared && kind <= POLICY_REMOVED; kind++) {
        const json_t *number = json_object_get(object, policy_change_name(kind));
        if (!json_is_integer(number) || json_integer_value(number) < 0)
            return -EBADMSG;
        entry->n_of[kind] = (size_t)json_integer_value(number);
    }
    return entry->compared || json_is_null(object) ? 0 : -EBADMSG;
}

static int parse_document(const json_t *document, unsigned number, struct history_entry *entry)
{
    const json_t *files = json_object_get(document, "files"), *n = json_object_get(document, "policies"),
                 *own = json_object_get(document, "number");

    if (!json_is_integer(own) || json_integer_value(own) != (json_int_t)number || !json_is_integer(n) ||
        json_integer_value(n) < 0 ||
        change_from_json(json_object_get(document, "change"), &entry->change) < 0 ||
        parse_differences(json_object_get(document, "differences"), entry) < 0)
        return -EBADMSG;
    entry->number = number;
    entry->n_policies = (size_t)json_integer_value(n);
    entry->nothing = json_is_null(files);
    return entry->nothing ? 0 : saved_files_from_json(files, &entry->files, &entry->n_files);
}

int history_parse(const char *text, size_t len, unsigned number, struct history_entry *ret)
{
    struct history_entry entry = {0};
    json_t *document = len <= HISTORY_ENTRY_MAX ? sealed_parse(text, len, FORMAT_VERSION) : NULL;
    int r = parse_document(document, number, &entry);

    json_decref(document);
    if (r < 0)
        history_entry_clear(&entry);
    else
        *ret = entry;
    return r;
}

/* ---- names -------------------------------------------------------------------------------------------- */

void history_name(unsigned number, char ret[static HISTORY_NAME_SIZE])
{
    snprintf(ret, HISTORY_NAME_SIZE, "%06u.json", number);
}

unsigned history_number(const char *name)
{
    unsigned long number = strtoul(name, NULL, 10);
    char same[HISTORY_NAME_SIZE];

    if (!isdigit((unsigned char)name[0]) || number > UINT_MAX - 1)
        return 0;
    history_name((unsigned)number, same);
    return strcmp(name, same) == 0 ? (unsigned)number : 0;
}

/* ---- decisions ---------------------------------------------------------------------------------------- */

bool history_worth(const struct change *change, bool same)
{
    switch (change->kind) {
    case CHANGE_APPLY:
    case CHANGE_RELOAD:
    case CHANGE_START:
        return !same || change->comment;
    case CHANGE_TRIAL:
    case CHANGE_CONFIRM:
    case CHANGE_ROLLBACK:
    case CHANGE_EXPIRED:
        return true;
    }
    return true;
}

size_t history_keep(const struct history_item *items, size_t n, unsigned in_force)
{
    size_t bytes = 0, kept = 0, needed = KEPT_AT_LEAST;

    for (size_t i = 0; i < n; i++)
        if (items[i].number == in_force && i >= needed)
            needed = i + 1;
    for (; kept < n && kept < HISTORY_KEPT; kept++) {
        bytes += items[kept].size;
        if (bytes > HISTORY_BYTES)
            break;
    }
    if (kept < needed)
        kept = needed;
    return kept < n ? kept : n;
}

/* Is the newest change the end of a trial that was not confirmed? */
static bool came_back(const struct history_item *items, size_t n)
{
    if (n == 0 || items[0].damaged)
        return false;
    if (items[0].kind == CHANGE_EXPIRED)
        return true;
    return items[0].kind == CHANGE_ROLLBACK && n > 1 && !items[1].damaged && items[1].kind == CHANGE_TRIAL;
}

enum history_choice history_choose(const struct history_item *items, size_t n, unsigned *ret)
{
    if (came_back(items, n))
        return CHOICE_CAME_BACK;
    for (size_t i = 0; i < n; i++)
        if (!items[i].damaged && !items[i].in_force && items[i].kind != CHANGE_TRIAL) {
            *ret = items[i].number;
            return CHOICE_FOUND;
        }
    return CHOICE_NONE;
}
