/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "denial/staged_tally.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "denial/judge.h"

#define ALL "" /* the item of all at once; no policy is called so */

/* Whose rows they are: one container's, the host's, or those of all that is outside. */
struct owner {
    char *key;
    size_t n;
    UT_hash_handle hh;
};

struct row {
    char *key; /* all that makes it another row */
    char *item, *from, *to, *port;
    bool allows; /* what is denied would pass; else what passes would be denied */
    char *direction, *reason, *reference;
    unsigned long long count; /* of records that are final */
    unsigned open;            /* records that are not */
    char *first, *last;
    struct owner *owner;
    UT_hash_handle hh;
};

struct left_out {
    char *item;
    unsigned long long n;
    UT_hash_handle hh;
};

struct staged_tally {
    struct row *rows; /* the oldest first */
    struct owner *owners;
    struct left_out *left_out;
    unsigned long long seen;
};

struct staged_tally *staged_tally_new(void)
{
    return xnew(struct staged_tally);
}

static void row_drop(struct staged_tally *tally, struct row *row)
{
    struct owner *owner = row->owner;

    HASH_DEL(tally->rows, row);
    free(row->key);
    free(row->item);
    free(row->from);
    free(row->to);
    free(row->port);
    free(row->direction);
    free(row->reason);
    free(row->reference);
    free(row->first);
    free(row->last);
    free(row);
    if (--owner->n > 0)
        return;
    HASH_DEL(tally->owners, owner);
    free(owner->key);
    free(owner);
}

struct staged_tally *staged_tally_free(struct staged_tally *tally)
{
    struct left_out *left_out, *next;

    if (!tally)
        return NULL;
    while (tally->rows)
        row_drop(tally, tally->rows);
    HASH_ITER (hh, tally->left_out, left_out, next) {
        HASH_DEL(tally->left_out, left_out);
        free(left_out->item);
        free(left_out);
    }
    free(tally);
    return NULL;
}

/* ---- what a record says ------------------------------------------------------------------------------- */

struct facts {
    char *from, *to, *port; /* for people */
    const char *owner;
    bool denied, would_be_denied;
    const char *direction, *reason, *reference;
    const char *first, *last;
    unsigned long long count; /* 0: it is not final */
};

static const char *text_at(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static bool says(const json_t *object, const char *key, const char *word)
{
    const char *text = text_at(object, key);

    return text && strcmp(text, word) == 0;
}

/* "web", "host", "192.0.2.7" */
static char *end_name(const json_t *record, const char *end)
{
    const json_t *own = json_object_get(json_object_get(record, "cofferdam"), end);
    const json_t *container = json_object_get(own, "container");

    if (container)
        return xstrdup(text_at(container, "name") ?: text_at(container, "id") ?: "?");
    if (says(own, "kind", "host"))
        return xstrdup("host");
    return xstrdup(text_at(json_object_get(record, end), "ip") ?: "?");
}

static const char *owner_name(const json_t *record)
{
    const json_t *source = json_object_get(json_object_get(record, "cofferdam"), "source");

    return text_at(json_object_get(source, "container"), "id") ?: text_at(source, "kind") ?: "?";
}

/* "5432/tcp", "icmp" */
static char *port_name(const json_t *record)
{
    const json_t *network = json_object_get(record, "network");
    const json_t *port = json_object_get(json_object_get(record, "destination"), "port");
    const char *transport = text_at(network, "transport") ?: text_at(network, "iana_number") ?: "?";

    if (strcmp(transport, "ipv6-icmp") == 0)
        transport = "icmp";
    return json_is_integer(port) ? xasprintf("%lld/%s", (long long)json_integer_value(port), transport)
                                 : xstrdup(transport);
}

static struct facts facts_of(const json_t *record, bool final)
{
    const json_t *own = json_object_get(record, "cofferdam"), *staged = json_object_get(own, "staged"),
                 *event = json_object_get(record, "event");
    json_int_t count = json_integer_value(json_object_get(own, "count"));

    return (struct facts){
        .from = end_name(record, "source"),
        .to = end_name(record, "destination"),
        .port = port_name(record),
        .owner = owner_name(record),
        .denied = says(own, "verdict", "deny"),
        .would_be_denied = says(staged, "verdict", "deny"),
        .direction = text_at(staged, "direction"),
        .reason = text_at(staged, "reason"),
        .reference = text_at(staged, "reference"),
        .first = text_at(event, "start") ?: "?",
        .last = text_at(event, "end") ?: "?",
        .count = final ? (count > 0 ? (unsigned long long)count : 1) : 0,
    };
}

static void facts_clear(struct facts *facts)
{
    free(facts->from);
    free(facts->to);
    free(facts->port);
}

/* ---- rows --------------------------------------------------------------------------------------------- */

static char *row_key(const struct facts *facts, const char *item)
{
    return xasprintf("%s\n%s\n%s\n%s\n%c", item, facts->from, facts->to, facts->port, "ad"[facts->denied]);
}

static struct row *find_row(const struct staged_tally *tally, const char *key)
{
    struct row *row;

    HASH_FIND_STR(tally->rows, key, row);
    return row;
}

static void leave_out(struct staged_tally *tally, const char *item, unsigned long long n)
{
    struct left_out *left_out;

    HASH_FIND_STR(tally->left_out, item, left_out);
    if (!left_out) {
        left_out = xnew(struct left_out);
        left_out->item = xstrdup(item);
        HASH_ADD_KEYPTR(hh, tally->left_out, left_out->item, strlen(left_out->item), left_out);
    }
    left_out->n += n;
}

static unsigned long long row_count(const struct row *row)
{
    return row->count + row->open;
}

/* Of the owner with most rows, the oldest goes; unless that is this one. False: there is no room. */
static bool make_room(struct staged_tally *tally, const struct owner *for_whom)
{
    const struct owner *most = NULL;

    if (HASH_COUNT(tally->rows) < STAGED_ROWS_MAX)
        return true;
    for (const struct owner *owner = tally->owners; owner; owner = owner->hh.next)
        if (!most || owner->n > most->n)
            most = owner;
    if (for_whom && most && for_whom->n >= most->n)
        return false;
    for (struct row *row = tally->rows; row; row = row->hh.next)
        if (row->owner == most) {
            leave_out(tally, row->item, row_count(row));
            row_drop(tally, row);
            return true;
        }
    return false;
}

static struct owner *owner_of(struct staged_tally *tally, const char *key, bool make)
{
    struct owner *owner;

    HASH_FIND_STR(tally->owners, key, owner);
    if (owner || !make)
        return owner;
    owner = xnew(struct owner);
    owner->key = xstrdup(key);
    HASH_ADD_KEYPTR(hh, tally->owners, owner->key, strlen(owner->key), owner);
    return owner;
}

static struct row *make_row(struct staged_tally *tally, const struct facts *facts, const char *item,
                            char *key /* taken over */)
{
    struct row *row;

    if (!make_room(tally, owner_of(tally, facts->owner, false))) {
        free(key);
        return NULL;
    }
    row = xnew(struct row);
    row->key = key;
    row->item = xstrdup(item);
    row->from = xstrdup(facts->from);
    row->to = xstrdup(facts->to);
    row->port = xstrdup(facts->port);
    row->allows = facts->denied;
    row->first = xstrdup(facts->first);
    row->last = xstrdup(facts->last);
    row->owner = owner_of(tally, facts->owner, true);
    row->owner->n++;
    HASH_ADD_KEYPTR(hh, tally->rows, row->key, strlen(row->key), row);
    return row;
}

static void set(char **text, const char *value)
{
    free(*text);
    *text = xstrdup_null(value);
}

/* Of one item alone, nobody has asked why: only of all at once. */
static void tell_why(struct row *row, const struct facts *facts)
{
    if (strcmp(row->item, ALL) != 0)
        return;
    set(&row->direction, facts->direction);
    set(&row->reason, facts->reason);
    set(&row->reference, facts->reference);
}

static void add(struct staged_tally *tally, const struct facts *facts, const char *item)
{
    char *key = row_key(facts, item);
    struct row *row = find_row(tally, key);

    if (row)
        free(key);
    else
        row = make_row(tally, facts, item, key);
    if (!row) {
        leave_out(tally, item, facts->count);
        return;
    }
    tell_why(row, facts);
    if (facts->count == 0)
        row->open++;
    else if (row->open > 0)
        row->open--;
    row->count += facts->count;
    if (strcmp(facts->first, row->first) < 0)
        set(&row->first, facts->first);
    if (strcmp(facts->last, row->last) > 0)
        set(&row->last, facts->last);
}

void staged_tally_add(struct staged_tally *tally, const json_t *record, bool final)
{
    const json_t *staged = json_object_get(json_object_get(record, "cofferdam"), "staged"), *item;
    struct facts facts;
    size_t i;

    if (!staged || (!final && denial_is_unsure(record))) /* it may be another's when it is final */
        return;
    tally->seen += final;
    facts = facts_of(record, final);
    if (facts.denied != facts.would_be_denied)
        add(tally, &facts, ALL);
    json_array_foreach (json_object_get(staged, "changed_by"), i, item)
        add(tally, &facts, json_string_value(item) ?: "?");
    facts_clear(&facts);
}

unsigned long long staged_tally_seen(const struct staged_tally *tally)
{
    return tally->seen;
}

/* ---- the answer --------------------------------------------------------------------------------------- */

static int compare_rows(const void *a, const void *b)
{
    const struct row *x = *(const struct row *const *)a, *y = *(const struct row *const *)b;

    if (x->allows != y->allows)
        return x->allows - y->allows;
    if (row_count(x) != row_count(y))
        return row_count(x) < row_count(y) ? 1 : -1;
    return strcmp(x->key, y->key);
}

static json_t *row_to_json(const struct row *row)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:s?, s:s?, s:s?}", "change",
                     row->allows ? "allow" : "deny", "from", row->from, "to", row->to, "port", row->port,
                     "count", (json_int_t)row_count(row), "first", row->first, "last", row->last, "direction",
                     row->direction, "reason", row->reason, "reference", row->reference);
}

json_t *staged_tally_item(const struct staged_tally *tally, const char *item)
{
    _cleanup_free_ const struct row **rows = xcalloc(HASH_COUNT(tally->rows), sizeof(*rows));
    unsigned long long n_connections = 0;
    const struct left_out *left_out;
    json_t *list = json_array();
    size_t n = 0;

    for (const struct row *row = tally->rows; row; row = row->hh.next)
        if (strcmp(row->item, item ?: ALL) == 0)
            rows[n++] = row;
    if (n > 1)
        qsort(rows, n, sizeof(*rows), compare_rows);
    for (size_t i = 0; i < n; i++) {
        n_connections += row_count(rows[i]);
        json_array_append_new(list, row_to_json(rows[i]));
    }
    HASH_FIND_STR(tally->left_out, item ?: ALL, left_out);
    return json_pack("{s:I, s:I, s:o}", "connections", (json_int_t)n_connections, "left_out",
                     (json_int_t)(left_out ? left_out->n : 0), "rows", list);
}
