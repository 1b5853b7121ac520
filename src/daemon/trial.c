/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/trial.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "daemon/policy_state.h"
#include "daemon/sealed.h"
#include "util/mem.h"

#define FORMAT_VERSION "1.0"

static void set_clear(struct trial_set *set)
{
    policy_files_free(set->files, set->n_files);
    *set = (struct trial_set){0};
}

void trial_clear(struct policy_trial *trial)
{
    change_clear(&trial->change);
    set_clear(&trial->former);
    set_clear(&trial->new);
    *trial = (struct policy_trial){0};
}

/* ---- codec -------------------------------------------------------------------------------------------- */

static const char *stage_name(enum trial_stage stage)
{
    switch (stage) {
    case TRIAL_BEGUN:
        return "begun";
    case TRIAL_IN_FORCE:
        return "in-force";
    }
    return "?";
}

/* NULL: some text is no UTF-8. */
static json_t *set_to_json(const struct trial_set *set)
{
    return set->nothing ? json_null() : saved_files_to_json(set->files, set->n_files);
}

int trial_format(const struct policy_trial *trial, char **ret)
{
    json_t *former = set_to_json(&trial->former), *new = set_to_json(&trial->new),
           *change = change_to_json(&trial->change);

    if (!former || !new || !change) {
        json_decref(former);
        json_decref(new);
        json_decref(change);
        return -EILSEQ;
    }
    return sealed_format(json_pack("{s:s, s:s, s:s, s:I, s:o, s:I, s:I, s:o, s:o}", "format_version",
                                   FORMAT_VERSION, "stage", stage_name(trial->stage), "boot_id",
                                   trial->boot_id, "deadline", (json_int_t)trial->deadline, "change", change,
                                   "number", (json_int_t)trial->number, "former_number",
                                   (json_int_t)trial->former_number, "former", former, "new", new),
                         TRIAL_MAX, ret);
}

static int take_stage(const json_t *value, enum trial_stage *ret)
{
    const char *name = json_string_value(value);

    for (enum trial_stage stage = TRIAL_BEGUN; name && stage <= TRIAL_IN_FORCE; stage++)
        if (strcmp(name, stage_name(stage)) == 0) {
            *ret = stage;
            return 0;
        }
    return -EBADMSG;
}

static int take_boot_id(const json_t *value, char ret[static BOOT_ID_SIZE])
{
    const char *id = json_string_value(value);

    if (!id || strlen(id) != BOOT_ID_SIZE - 1)
        return -EBADMSG;
    memcpy(ret, id, BOOT_ID_SIZE);
    return 0;
}

static int take_number(const json_t *value, unsigned *ret)
{
    json_int_t number = json_integer_value(value);

    if (!json_is_integer(value) || number < 0 || number > UINT_MAX)
        return -EBADMSG;
    *ret = (unsigned)number;
    return 0;
}

static int take_set(const json_t *value, struct trial_set *set)
{
    set->nothing = json_is_null(value);
    return set->nothing ? 0 : saved_files_from_json(value, &set->files, &set->n_files);
}

static int parse_document(const json_t *document, struct policy_trial *trial)
{
    const json_t *deadline = json_object_get(document, "deadline");

    if (!json_is_integer(deadline) || json_integer_value(deadline) < 0 ||
        take_stage(json_object_get(document, "stage"), &trial->stage) < 0 ||
        take_boot_id(json_object_get(document, "boot_id"), trial->boot_id) < 0 ||
        change_from_json(json_object_get(document, "change"), &trial->change) < 0 ||
        take_number(json_object_get(document, "number"), &trial->number) < 0 ||
        take_number(json_object_get(document, "former_number"), &trial->former_number) < 0 ||
        take_set(json_object_get(document, "former"), &trial->former) < 0 ||
        take_set(json_object_get(document, "new"), &trial->new) < 0 || trial->new.nothing)
        return -EBADMSG;
    trial->deadline = (uint64_t)json_integer_value(deadline);
    return 0;
}

int trial_parse(const char *text, size_t len, struct policy_trial *ret)
{
    struct policy_trial trial = {0};
    json_t *document = len <= TRIAL_MAX ? sealed_parse(text, len, FORMAT_VERSION) : NULL;
    int r = parse_document(document, &trial);

    json_decref(document);
    if (r < 0)
        trial_clear(&trial);
    else
        *ret = trial;
    return r;
}

/* ---- decision ----------------------------------------------------------------------------------------- */

enum trial_fate trial_fate(const struct policy_trial *trial, uint64_t now, const char *boot_id)
{
    if (strcmp(trial->boot_id, boot_id) != 0)
        return TRIAL_REBOOTED;
    if (trial->stage == TRIAL_BEGUN)
        return TRIAL_INTERRUPTED;
    /* No trial is that long: then the clock is not the one that the deadline was read from. */
    if (now >= trial->deadline || trial->deadline - now > TRIAL_SPAN_MAX)
        return TRIAL_EXPIRED;
    return TRIAL_GOES_ON;
}

const char *trial_fate_text(enum trial_fate fate)
{
    switch (fate) {
    case TRIAL_GOES_ON:
        return "the trial goes on";
    case TRIAL_INTERRUPTED:
        return "the trial was interrupted while it began";
    case TRIAL_EXPIRED:
        return "the trial was not confirmed in time";
    case TRIAL_REBOOTED:
        return "the host was booted during the trial";
    }
    return "?";
}
