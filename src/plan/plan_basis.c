// SPDX-License-Identifier: GPL-2.0-or-later
#include "plan/plan_basis.h"

#include <sha2.h>
#include <stdio.h>
#include <string.h>

#include "inventory/json.h"
#include "ruleset/print.h"
#include "util/text.h"

typedef char digest[SHA256_DIGEST_STRING_LENGTH];

enum part { PART_IN_FORCE, PART_POLICIES, PART_INVENTORY, PART_KERNEL, PARTS };

/*
 * Digits of the ID. Who writes policies can choose their bytes, and look for two sets with one digest: one to be
 * reviewed and one to be applied. So most digits go to them.
 */
static const unsigned digits[PARTS] = {12, 28, 12, 12};

enum kind { KIND_FILE, KIND_CONTAINER, KIND_NETWORK, KIND_HOST, KIND_TABLE, KIND_SET, KIND_CHAIN };

/* Something that can move by itself, and be named. */
struct thing {
    enum kind kind;
    char *key;  /* what makes it the same thing at another time: a container's ID, a file's digest */
    char *name; /* for people */
    size_t n;   /* of a container: whether it runs; of a set or chain: how many it holds */
    digest digest;
};

struct things {
    struct thing *v;
    size_t n;
};

struct plan_basis {
    struct things parts[PARTS];
    char id[PLAN_ID_LEN + 1];
};

/* ---- gathering ---------------------------------------------------------------------------------------- */

static struct thing *add(struct things *things, enum kind kind, const char *key, const char *name)
{
    struct thing *thing = ARRAY_ADD(things->v, things->n);

    thing->kind = kind;
    thing->key = xstrdup(key);
    thing->name = text_escape(name, false);
    return thing;
}

static void digest_of(const void *bytes, size_t len, digest ret)
{
    SHA256Data(bytes, len, ret);
}

static void add_files(struct things *things, const struct policy_set *set)
{
    for (size_t i = 0; i < set->n_files; i++) {
        const struct policy_file *file = &set->files[i];
        const char *slash = strrchr(file->path, '/');
        digest bytes;

        digest_of(file->text, file->len, bytes);
        struct thing *thing = add(things, KIND_FILE, bytes, slash ? slash + 1 : file->path);
        memcpy(thing->digest, bytes, sizeof(bytes));
    }
}

static void digest_json(const json_t *json, digest ret)
{
    _cleanup_free_ char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);

    digest_of(text ?: "", text ? strlen(text) : 0, ret);
}

static void add_list(struct things *things, enum kind kind, json_t *inventory, const char *key)
{
    json_t *object;
    size_t i;

    json_array_foreach (json_object_get(inventory, key), i, object) {
        const char *id = json_string_value(json_object_get(object, "id"));
        const char *name = json_string_value(json_object_get(object, "name"));
        struct thing *thing = add(things, kind, id ?: "", name ?: id ?: "?");

        thing->n = json_is_true(json_object_get(object, "running"));
        /* What they listen on changes at any time, and with it no more than what is advised. */
        json_object_del(object, "listening");
        json_object_del(object, "listening_on_loopback");
        digest_json(object, thing->digest);
    }
    json_object_del(inventory, key);
}

static void add_inventory(struct things *things, const struct inventory *inventory)
{
    json_t *json = inventory_to_json(inventory);

    add_list(things, KIND_CONTAINER, json, "containers");
    add_list(things, KIND_NETWORK, json, "networks");
    digest_json(json, add(things, KIND_HOST, "", "")->digest); /* what is left */
    json_decref(json);
}

/* A text that is digested when it is complete. */
struct text {
    FILE *out;
    char *bytes;
    size_t len;
};

static FILE *text_start(struct text *text, enum table_id table)
{
    *text = (struct text){0};
    text->out = open_memstream(&text->bytes, &text->len);
    if (!text->out)
        abort(); /* out of memory */
    fprintf(text->out, "%s\n", table_family_name(table));
    return text->out;
}

static void text_end(struct text *text, digest ret)
{
    if (fclose(text->out) != 0)
        abort();
    digest_of(text->bytes, text->len, ret);
    free(text->bytes);
}

static struct thing *add_object(struct things *things, enum kind kind, enum table_id table, const char *name)
{
    _cleanup_free_ char *key = xasprintf("%s %s", table_family_name(table), name);
    _cleanup_free_ char *shown = xasprintf("%s of table %s " TABLE_NAME, name, table_family_name(table));

    return add(things, kind, key, kind == KIND_TABLE ? name : shown);
}

static size_t foreign_elements(const struct set *set)
{
    size_t n = 0;

    for (const struct element *element = set->elements; element; element = element->hh.next)
        n += element->foreign;
    return n;
}

static void add_set(struct things *things, enum table_id table, const struct set *set)
{
    struct thing *thing = add_object(things, KIND_SET, table, set->name);
    struct text text;
    FILE *out = text_start(&text, table);

    set_print(set, out);
    fprintf(out, "%s %zu\n", set->foreign ?: "", foreign_elements(set));
    text_end(&text, thing->digest);
    thing->n = set_count(set);
}

static void add_chain(struct things *things, enum table_id table, const struct chain *chain)
{
    struct thing *thing = add_object(things, KIND_CHAIN, table, chain->name);
    struct text text;
    FILE *out = text_start(&text, table);

    chain_print(table, chain, out);
    fprintf(out, "%s\n", chain->foreign ?: "");
    text_end(&text, thing->digest);
    thing->n = chain->n_rules;
}

static void add_table(struct things *things, enum table_id id, const struct table *table)
{
    struct thing *thing = add_object(things, KIND_TABLE, id, table_family_name(id));
    struct text text;
    FILE *out = text_start(&text, id);

    fprintf(out, "%d %d\n", table->absent, table->standby);
    for (size_t i = 0; i < table->n_odd; i++)
        fprintf(out, "%s\n", table->odd[i]);
    text_end(&text, thing->digest);
    for (const struct set *set = table->sets; set; set = set->hh.next)
        add_set(things, id, set);
    for (const struct chain *chain = table->chains; chain; chain = chain->hh.next)
        add_chain(things, id, chain);
}

static int compare_things(const void *a, const void *b)
{
    const struct thing *x = a, *y = b;

    return x->kind != y->kind ? (int)x->kind - (int)y->kind : strcmp(x->key, y->key);
}

static void digest_things(const struct things *things, digest ret)
{
    digest *all = xcalloc(things->n + 1, sizeof(*all));

    for (size_t i = 0; i < things->n; i++)
        memcpy(all[i], things->v[i].digest, sizeof(*all));
    digest_of(all, things->n * sizeof(*all), ret);
    free(all);
}

struct plan_basis *plan_basis_new(const struct policy_set *in_force, const struct policy_set *policies,
                                  const struct inventory *inventory, const struct ruleset *kernel)
{
    struct plan_basis *basis = xnew(struct plan_basis);
    char *id = basis->id;
    digest all;

    add_files(&basis->parts[PART_IN_FORCE], in_force);
    add_files(&basis->parts[PART_POLICIES], policies);
    add_inventory(&basis->parts[PART_INVENTORY], inventory);
    for (enum table_id table = 0; table < TABLES; table++)
        add_table(&basis->parts[PART_KERNEL], table, &kernel->tables[table]);
    for (enum part part = 0; part < PARTS; part++) {
        struct things *things = &basis->parts[part];

        if (things->n)
            qsort(things->v, things->n, sizeof(*things->v), compare_things);
        digest_things(things, all);
        memcpy(id, all, digits[part]);
        id += digits[part];
    }
    return basis;
}

struct plan_basis *plan_basis_free(struct plan_basis *basis)
{
    for (enum part part = 0; basis && part < PARTS; part++) {
        struct things *things = &basis->parts[part];

        for (size_t i = 0; i < things->n; i++) {
            free(things->v[i].key);
            free(things->v[i].name);
        }
        free(things->v);
    }
    free(basis);
    return NULL;
}

const char *plan_basis_id(const struct plan_basis *basis)
{
    return basis->id;
}

bool plan_id_is_valid(const char *text)
{
    return text && strspn(text, "0123456789abcdef") == PLAN_ID_LEN && !text[PLAN_ID_LEN];
}

/* ---- memory ------------------------------------------------------------------------------------------- */

void plan_remember(struct plan_memory *memory, struct plan_basis *basis)
{
    size_t at = 0;

    while (at < PLANS_MAX - 1 && memory->v[at] && strcmp(memory->v[at]->id, basis->id) != 0)
        at++;
    plan_basis_free(memory->v[at]);
    memmove(&memory->v[1], &memory->v[0], at * sizeof(memory->v[0]));
    memory->v[0] = basis;
}

void plan_memory_clear(struct plan_memory *memory)
{
    for (size_t i = 0; i < PLANS_MAX; i++)
        memory->v[i] = plan_basis_free(memory->v[i]);
}

static const struct plan_basis *remembered(const struct plan_memory *memory, const char *id)
{
    for (size_t i = 0; i < PLANS_MAX; i++)
        if (memory->v[i] && strcmp(memory->v[i]->id, id) == 0)
            return memory->v[i];
    return NULL;
}

/* ---- what has moved ----------------------------------------------------------------------------------- */

struct report {
    char *text; /* NULL: nothing yet */
    size_t n;
};

static void say(struct report *report, char *sentence /* taken */)
{
    _cleanup_free_ char *said = sentence, *before = report->text;

    if (report->n++ < PLAN_MOVED_MAX)
        report->text = xasprintf("%s%s%s", before ?: "", before ? "; " : "", said);
    else
        before = NULL;
}

static const char *kind_name(enum part part, enum kind kind)
{
    switch (kind) {
    case KIND_FILE:
        return part == PART_IN_FORCE ? "in force: policy file" : "policy file";
    case KIND_CONTAINER:
        return "container";
    case KIND_NETWORK:
        return "network";
    case KIND_HOST:
        return "host";
    case KIND_TABLE:
        return "table";
    case KIND_SET:
        return "set";
    case KIND_CHAIN:
        return "chain";
    }
    return "?";
}

static char *count_of(const struct thing *then, const struct thing *now)
{
    const char *what = now->kind == KIND_SET ? "element" : "rule";
    size_t n = then->n < now->n ? now->n - then->n : then->n - now->n;

    return xasprintf("has %zu %s%s %s", n, what, n == 1 ? "" : "s", then->n < now->n ? "more" : "fewer");
}

/* It is there at both times, under one key. */
static char *change_of(enum part part, const struct thing *then, const struct thing *now)
{
    const char *kind = kind_name(part, now->kind);
    _cleanup_free_ char *count = NULL;

    if (strcmp(then->name, now->name) != 0)
        return xasprintf("%s %s is called %s now", kind, then->name, now->name);
    if (now->kind == KIND_CONTAINER && then->n != now->n)
        return xasprintf("%s %s has %s", kind, now->name, now->n ? "started" : "stopped");
    if ((now->kind == KIND_SET || now->kind == KIND_CHAIN) && then->n != now->n)
        count = count_of(then, now);
    return xasprintf("%s %s %s", kind, now->name, count ?: "has changed");
}

/* Things of one part that are there at one of the two times only, by name. */
static int compare_names(const void *a, const void *b)
{
    const struct thing *x = *(const struct thing *const *)a, *y = *(const struct thing *const *)b;

    return x->kind != y->kind ? (int)x->kind - (int)y->kind : strcmp(x->name, y->name);
}

struct unmatched {
    const struct thing **v;
    size_t n;
};

static void compare_unmatched(enum part part, struct unmatched *then, struct unmatched *now,
                              struct report *report)
{
    size_t i = 0, j = 0;

    if (then->n)
        qsort(then->v, then->n, sizeof(*then->v), compare_names);
    if (now->n)
        qsort(now->v, now->n, sizeof(*now->v), compare_names);
    while (i < then->n || j < now->n) {
        int order = i == then->n ? 1 : j == now->n ? -1 : compare_names(&then->v[i], &now->v[j]);
        const struct thing *thing = order > 0 ? now->v[j] : then->v[i];
        const char *what = order > 0                  ? "is new"
                           : order < 0                ? "is gone"
                           : thing->kind == KIND_FILE ? "has changed"
                                                      : "was recreated";

        say(report, xasprintf("%s %s %s", kind_name(part, thing->kind), thing->name, what));
        i += order <= 0;
        j += order >= 0;
    }
}

/* The host is not told of by itself: it gets addresses with its containers and networks. */
static void compare_part(enum part part, const struct things *then, const struct things *now,
                         struct report *report)
{
    struct unmatched gone = {0}, come = {0};
    size_t i = 0, j = 0;

    while (i < then->n || j < now->n) {
        int order = i == then->n ? 1 : j == now->n ? -1 : compare_things(&then->v[i], &now->v[j]);

        if (order < 0)
            *ARRAY_ADD(gone.v, gone.n) = &then->v[i];
        else if (order > 0)
            *ARRAY_ADD(come.v, come.n) = &now->v[j];
        else if (now->v[j].kind != KIND_HOST && strcmp(then->v[i].digest, now->v[j].digest) != 0)
            say(report, change_of(part, &then->v[i], &now->v[j]));
        i += order <= 0;
        j += order >= 0;
    }
    compare_unmatched(part, &gone, &come, report);
    free(gone.v);
    free(come.v);
}

/* What an ID alone says, from another daemon or of long ago; or, where it is known, what has no name. */
static const char *part_moved(enum part part, bool known)
{
    switch (part) {
    case PART_IN_FORCE:
        return "other policies are in force";
    case PART_POLICIES:
        return "the policy files have changed";
    case PART_INVENTORY:
        return known ? "the host's addresses or name servers have changed"
                     : "containers, networks or the host's addresses have changed";
    case PART_KERNEL:
        return "Cofferdam's rules in the kernel have changed";
    case PARTS:
        break;
    }
    return "?";
}

static char *finish(struct report *report)
{
    _cleanup_free_ char *text = report->text;

    if (report->n <= PLAN_MOVED_MAX)
        return STEAL(text);
    return xasprintf("%s; and %zu more", text, report->n - PLAN_MOVED_MAX);
}

char *plan_moved(const struct plan_memory *memory, const char *id, const struct plan_basis *now)
{
    const struct plan_basis *then = remembered(memory, id);
    struct report report = {0};
    bool moved[PARTS];
    size_t at = 0;

    for (enum part part = 0; part < PARTS; at += digits[part++])
        moved[part] = strncmp(id + at, now->id + at, digits[part]) != 0;
    if (moved[PART_IN_FORCE] || moved[PART_INVENTORY])
        moved[PART_KERNEL] = false; /* it follows from these */
    for (enum part part = 0; part < PARTS; part++) {
        size_t before = report.n;

        if (moved[part] && then)
            compare_part(part, &then->parts[part], &now->parts[part], &report);
        if (moved[part] && report.n == before)
            say(&report, xstrdup(part_moved(part, then != NULL)));
    }
    return finish(&report);
}
