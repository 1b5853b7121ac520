/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A host from a file: its containers, and the policies in force there. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "control/policy_files.h"
#include "files/files.h"
#include "inventory/json.h"
#include "policy/parse.h"
#include "verdict/lock_json.h"

#define HOW "write it on the host with: cofferdam status --json > inventory.json"

static int refuse(struct diags *diags, const struct source_pos *pos, const char *why)
{
    diag_help(diag_add(diags, DIAG_ERROR, NULL, pos, "%s", why), HOW);
    return -EBADMSG;
}

static int parse(const char *bytes, size_t len, const char *name, json_t **ret, struct diags *diags)
{
    struct source_pos pos = {.file = name, .width = 1};
    json_error_t error;
    json_t *json = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, &error);

    if (json) {
        *ret = json;
        return 0;
    }
    if (error.line > 0) {
        pos.line = (unsigned)error.line;
        pos.column = error.column > 0 ? (unsigned)error.column : 1;
    }
    _cleanup_free_ char *why = xasprintf("this is not JSON: %s", error.text);
    return refuse(diags, &pos, why);
}

/* What status --json prints holds the inventory; the inventory alone is as good. */
static int read_document(const json_t *json, const char *name, struct inventory **ret,
                         struct lock_list **ret_locks, struct diags *diags)
{
    _cleanup_(inventory_freep) struct inventory *inventory = NULL;
    _cleanup_(lock_list_freep) struct lock_list *locks = NULL;
    const struct source_pos pos = {.file = name, .width = 1};
    const json_t *part = json_object_get(json, "inventory");
    size_t before = diags->n;
    int r;

    /* Without this, any JSON object, such as a daemon's refusal, would be an inventory without containers. */
    if (!json_object_get(part ?: json, "containers"))
        return refuse(diags, &pos, "this is no inventory: it has no list of containers");
    r = inventory_from_json(part ?: json, &inventory, diags);
    if (r == 0)
        r = locks_from_json(json_object_get(part ?: json, "lockdowns"), &locks, diags);
    for (size_t i = before; i < diags->n; i++)
        diags->v[i].file = diags->v[i].file ?: xstrdup(name);
    if (r < 0)
        return r;
    if (!inventory->containers)
        return refuse(diags, &pos, "the inventory has no containers, so there is nothing to test with");
    *ret = STEAL(inventory);
    *ret_locks = STEAL(locks);
    return 0;
}

/* One that has none, or (too many for it) null, is not wrong: --base can name them. */
static int read_policies(const json_t *json, const char *name, struct policy_set **ret, struct diags *diags)
{
    const struct source_pos pos = {.file = name, .width = 1};
    const json_t *files = json_object_get(json, "policy_files");
    _cleanup_(policy_set_freep) struct policy_set *set = NULL;
    _cleanup_diags_ struct diags mistakes = {};

    if (files && !json_is_null(files)) {
        set = policy_files_from_json(files, &mistakes);
        if (!set)
            return refuse(diags, &pos, "\"policy_files\" is no list of files, each with a path and a text");
    }
    if (mistakes.n_errors) {
        diags_move(diags, &mistakes);
        diag_help(
            diag_add(diags, DIAG_ERROR, NULL, &pos, "the policies in force that it has are not understood"),
            "is it of another version?");
        return -EBADMSG;
    }
    *ret = STEAL(set);
    return 0;
}

int cli_load_inventory(const char *path, struct inventory **ret, struct policy_set **ret_in_force,
                       struct lock_list **ret_locks, struct diags *diags)
{
    bool from_stdin = strcmp(path, "-") == 0;
    const char *name = from_stdin ? "(standard input)" : path;
    const struct source_pos pos = {.file = name, .width = 1};
    _cleanup_(inventory_freep) struct inventory *inventory = NULL;
    _cleanup_(lock_list_freep) struct lock_list *locks = NULL;
    _cleanup_free_ char *bytes = NULL;
    json_t *json = NULL;
    size_t len = 0;
    int r = from_stdin ? files_read_fd(STDIN_FILENO, CONTROL_MESSAGE_MAX, &bytes, &len)
                       : files_read(path, CONTROL_MESSAGE_MAX, &bytes, &len);

    if (r < 0) {
        _cleanup_free_ char *why = xasprintf("the inventory cannot be read: %s", strerror(-r));
        return refuse(diags, &pos, why);
    }
    r = parse(bytes, len, name, &json, diags);
    if (r == 0)
        r = read_document(json, name, &inventory, &locks, diags);
    if (r == 0 && ret_in_force)
        r = read_policies(json, name, ret_in_force, diags);
    json_decref(json);
    if (r == 0)
        *ret = STEAL(inventory);
    if (r == 0 && ret_locks)
        *ret_locks = STEAL(locks);
    return r;
}

/* The set at the path that the option names, or else the one in force. */
static int load_either(const char *option, const char *path, struct policy_set **in_force,
                       struct policy_set **ret, struct diags *diags)
{
    _cleanup_(policy_set_freep) struct policy_set *set = policy_set_new();
    _cleanup_diags_ struct diags mistakes = {};

    if (path) {
        files_load_policies(path, set, &mistakes);
        policy_set_finish(set, &mistakes);
    }
    if (mistakes.n_errors) {
        diags_move(diags, &mistakes);
        return -EBADMSG;
    }
    if (!path && !*in_force) {
        diag_help(
            diag_add(diags, DIAG_ERROR, NULL, NULL, "the inventory does not have the policies in force"),
            "name policies with %s PATH, or " HOW, option);
        return -ENOENT;
    }
    *ret = path ? STEAL(set) : STEAL(*in_force);
    return 0;
}

int cli_load_base(const struct cli_options *options, struct policy_set **in_force, struct policy_set **ret,
                  struct diags *diags)
{
    return load_either("--base", options->base, in_force, ret, diags);
}

int cli_load_explained(const struct cli_options *options, struct policy_set **in_force,
                       struct policy_set **ret, struct diags *diags)
{
    return load_either("--policies", options->policies, in_force, ret, diags);
}
