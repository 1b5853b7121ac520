/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An inventory from a file: the containers of a host, where there is no host. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "files/files.h"
#include "inventory/json.h"

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
static int read_document(const json_t *json, const char *name, struct inventory **ret, struct diags *diags)
{
    _cleanup_(inventory_freep) struct inventory *inventory = NULL;
    const struct source_pos pos = {.file = name, .width = 1};
    const json_t *part = json_object_get(json, "inventory");
    size_t before = diags->n;
    int r;

    /* Without this, any JSON object, such as a daemon's refusal, would be an inventory without containers. */
    if (!json_object_get(part ?: json, "containers"))
        return refuse(diags, &pos, "this is no inventory: it has no list of containers");
    r = inventory_from_json(part ?: json, &inventory, diags);
    for (size_t i = before; i < diags->n; i++)
        diags->v[i].file = diags->v[i].file ?: xstrdup(name);
    if (r < 0)
        return r;
    if (!inventory->containers)
        return refuse(diags, &pos, "the inventory has no containers, so there is nothing to test with");
    *ret = STEAL(inventory);
    return 0;
}

int cli_load_inventory(const char *path, struct inventory **ret, struct diags *diags)
{
    bool from_stdin = strcmp(path, "-") == 0;
    const char *name = from_stdin ? "(standard input)" : path;
    const struct source_pos pos = {.file = name, .width = 1};
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
        r = read_document(json, name, ret, diags);
    json_decref(json);
    return r;
}
