/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/policy_files.h"

#include "inventory/json.h"
#include "policy/parse.h"

json_t *policy_files_to_json(const struct policy_set *set)
{
    json_t *list = json_array();

    for (size_t i = 0; i < set->n_files; i++) {
        const struct policy_file *file = &set->files[i];

        json_array_append_new(list, json_pack("{s:o, s:o}", "path", json_text_or_null(file->path), "text",
                                              json_stringn(file->text, file->len)));
    }
    return list;
}

struct policy_set *policy_files_from_json(const json_t *files, struct diags *diags)
{
    _cleanup_(policy_set_freep) struct policy_set *set = policy_set_new();
    const json_t *file;
    size_t i;

    json_array_foreach (files, i, file) {
        const char *path = json_string_value(json_object_get(file, "path"));
        const json_t *text = json_object_get(file, "text");

        if (!path || !path[0] || !json_is_string(text))
            return NULL;
        policy_parse(set, path, json_string_value(text), json_string_length(text), diags);
    }
    policy_set_finish(set, diags);
    return json_is_array(files) ? STEAL(set) : NULL;
}
