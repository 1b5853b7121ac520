// SPDX-License-Identifier: GPL-2.0-or-later
#include <sha2.h>
#include <stdio.h>
#include <string.h>

#include "inventory/json.h"
#include "plan_private.h"
#include "ruleset/print.h"

typedef char digest[SHA256_DIGEST_STRING_LENGTH];

static void digest_of(const void *bytes, size_t len, digest ret)
{
    SHA256Data(bytes, len, ret);
}

static int compare_digests(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* The same files under other names, or in another order, are the same set. */
static void digest_policies(const struct policy_set *set, digest ret)
{
    digest *files = xcalloc(set->n_files + 1, sizeof(*files));

    for (size_t i = 0; i < set->n_files; i++)
        digest_of((const uint8_t *)set->files[i].text, set->files[i].len, files[i]);
    qsort(files, set->n_files, sizeof(*files), compare_digests);
    digest_of(files, set->n_files * sizeof(*files), ret);
    free(files);
}

static void digest_inventory(const struct inventory *inventory, digest ret)
{
    json_t *json = inventory_to_json(inventory);
    _cleanup_free_ char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);

    digest_of(text ?: "", text ? strlen(text) : 0, ret);
    json_decref(json);
}

static void digest_kernel(const struct ruleset *kernel, digest ret)
{
    _cleanup_free_ char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        abort(); /* out of memory */
    ruleset_print(kernel, out);
    for (size_t i = 0; i < TABLES; i++) {
        const struct table *table = &kernel->tables[i];

        fprintf(out, "%d %d\n", table->absent, table->standby);
        for (size_t j = 0; j < table->n_odd; j++)
            fprintf(out, "%s\n", table->odd[j]);
    }
    if (fclose(out) != 0)
        abort();
    digest_of(text, len, ret);
}

void plan_identify(const struct plan *plan, char ret[static PLAN_ID_SIZE])
{
    digest parts[4];

    digest_policies(plan->old.policies, parts[0]);
    digest_policies(plan->new.policies, parts[1]);
    digest_inventory(plan->new.inventory, parts[2]);
    digest_kernel(plan->kernel, parts[3]);
    digest_of(parts, sizeof(parts), ret);
}
