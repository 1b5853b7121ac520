/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/parse.h"

#include <errno.h>
#include <string.h>

#include "schema.h"

static void report_no_document(struct source *source)
{
    diag_help(report_error(source, CODE_EMPTY, &(struct source_pos){.line = 1, .column = 1, .width = 1},
                           "the file holds no policy"),
              "write one, or remove the file: what no policy grants is denied anyway");
}

static void parse_documents(struct import *import)
{
    _cleanup_(yaml_reader_freep) struct yaml_reader *reader = yaml_reader_new(import->source);
    size_t n = 0;

    for (;; n++) {
        _cleanup_(node_freep) struct node *root = NULL;
        int r;

        import->errors_before = import->source->found.n_errors;
        r = yaml_reader_next(reader, &root);
        if (r == 0)
            break;
        if (r > 0)
            import_document(import, root);
    }
    if (!n)
        report_no_document(import->source);
}

int policy_parse(struct policy_set *set, const char *file, const char *bytes, size_t len, struct diags *diags)
{
    struct policy_file *copy = ARRAY_ADD(set->files, set->n_files);
    struct import import = {.set = set};
    struct source source;
    int r;

    import.file = copy->path = xstrdup(file);
    copy->text = xcalloc(len + 1, 1);
    if (len)
        memcpy(copy->text, bytes, len);
    copy->len = len;
    source_init(&source, file, bytes, len, diags);
    import.source = &source;
    if (!source.too_many && source_check(&source) == 0)
        parse_documents(&import);
    r = source_finish(&source, diags);
    source_clear(&source);
    return r;
}

static int compare_policies(const void *a, const void *b)
{
    return strcmp(((const struct policy *)a)->name, ((const struct policy *)b)->name);
}

int policy_set_finish(struct policy_set *set, struct diags *diags)
{
    int r = 0;

    if (set->n_policies)
        qsort(set->policies, set->n_policies, sizeof(*set->policies), compare_policies);
    /* The parser has kept out what it met; a set may also have been put together in another way. */
    for (size_t i = 1; i < set->n_policies; i++) {
        const struct policy *first = &set->policies[i - 1], *second = &set->policies[i];

        if (strcmp(first->name, second->name) != 0)
            continue;
        diag_other(diag_add(diags, DIAG_ERROR, policy_code_id(CODE_POLICY_TWICE), &second->pos,
                            "there is a policy named '%s' already", second->name),
                   &first->pos, "it stands here already");
        r = -EBADMSG;
    }
    set->finished = r == 0;
    if (set->finished)
        policy_set_lint(set, diags);
    return r;
}
