/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lockdown/request.h"

#include <errno.h>
#include <string.h>

#include "control/protocol.h"
#include "util/duration.h"
#include "util/text.h"

void lock_asked_clear(struct lock_asked *asked)
{
    lock_list_free(asked->locks);
    *asked = (struct lock_asked){0};
}

void lock_refuse(struct lock_asked *asked, int status, const char *help, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    _cleanup_free_ char *text = xvasprintf(format, args);
    va_end(args);
    _cleanup_free_ char *safe = text_escape(text, false);
    if (!asked->error)
        asked->error = control_error(status, safe, help, NULL);
}

bool lock_request_has_list(struct lock_asked *asked, const json_t *request, const char *verb, const char *key,
                           size_t max)
{
    const json_t *list = json_object_get(request, key), *item;
    bool good = !list || (json_is_array(list) && json_array_size(list) <= max);
    size_t i;

    json_array_foreach (list, i, item)
        good = good && json_string_length(item) > 0 && json_string_length(item) <= LOCK_TEXT_MAX &&
               strlen(json_string_value(item)) == json_string_length(item);
    if (!good)
        lock_refuse(asked, STATUS_USAGE, NULL, "%s: \"%s\" must be a list of at most %zu texts", verb, key,
                    max);
    return good;
}

/* ---- what is cut, and for how long -------------------------------------------------------------------- */

/* An address that a container has, or an ID, stands for the container: in rules, addresses are those of others. */
static char *resolve_peer(const struct inventory *inventory, const char *text)
{
    const struct container *container = NULL;
    const struct endpoint *endpoint;
    const char *port;
    _cleanup_free_ char *word = lock_peer_word(text, &port);
    struct ip ip;

    if (ip_parse(word, &ip) == 0)
        inventory_owner(inventory, ip, &container, &endpoint);
    else if (strcmp(word, "host") != 0)
        inventory_find(inventory, word, &container);
    return container && container->name ? xasprintf("%s%s", container->name, port) : xstrdup(text);
}

static void read_exceptions(struct lock_asked *asked, const struct lock_asker *asker, const json_t *request,
                            struct lock *lock)
{
    const char *why = "";
    const json_t *item;
    size_t i;

    if (!lock_request_has_list(asked, request, "lockdown", "allow", LOCK_ALLOW_MAX) || !lock->cut)
        return;
    json_array_foreach (json_object_get(request, "allow"), i, item) {
        _cleanup_free_ char *peer = resolve_peer(asker->inventory, json_string_value(item));

        if (lock_allow(lock, peer, &why) < 0)
            lock_refuse(asked, STATUS_USAGE, why, "lockdown: '%.200s' is no peer", json_string_value(item));
    }
}

/* Everything but whom it means. */
static struct lock *read_terms(struct lock_asked *asked, const struct lock_asker *asker,
                               const json_t *request)
{
    const char *direction = json_string_value(json_object_get(request, "direction"));
    const char *reason = json_string_value(json_object_get(request, "reason"));
    json_int_t limit = json_integer_value(json_object_get(request, "for"));
    struct lock *lock = lock_new();

    if (direction)
        lock->cut = lock_cut_parse(direction);
    if (!lock->cut)
        lock_refuse(asked, STATUS_USAGE, "in, out or both", "lockdown: '%.100s' is no direction", direction);
    if (reason && strlen(reason) > LOCK_TEXT_MAX)
        lock_refuse(asked, STATUS_USAGE, NULL, "lockdown: the reason is longer than %d bytes", LOCK_TEXT_MAX);
    if (limit < 0 || (uint64_t)limit > DURATION_MAX)
        lock_refuse(asked, STATUS_USAGE, NULL, "lockdown: that is no span of time");
    lock->reason = reason && *reason ? xstrdup(reason) : NULL;
    lock->by = xstrdup(asker->by);
    lock->since = asker->wall;
    if (limit > 0 && !asked->error)
        lock_limit(lock, (uint64_t)limit, asker->boot, asker->boot_now);
    read_exceptions(asked, asker, request, lock);
    return lock;
}

/* ---- whom it means ------------------------------------------------------------------------------------ */

/* Named twice, by name and by address perhaps, it is locked down once: two locks have no exceptions. */
static void add_container(struct lock_asked *asked, const struct lock *terms,
                          const struct container *container)
{
    struct lock *lock;

    for (size_t i = 0; i < asked->locks->n; i++)
        if (asked->locks->v[i]->id && strcmp(asked->locks->v[i]->id, container->id) == 0)
            return;
    lock = lock_copy(terms);
    lock_name(lock, container);
    lock_list_add(asked->locks, lock);
}

static void read_container(struct lock_asked *asked, const struct lock_asker *asker, const struct lock *terms,
                           const char *word)
{
    const struct container *container;
    int r = inventory_find(asker->inventory, word, &container);
    struct lock *lock;

    if (r == 0) {
        add_container(asked, terms, container);
    } else if (r == -ENOTUNIQ) {
        lock_refuse(asked, STATUS_ERROR, "give more digits of the ID, or the name",
                    "lockdown: more than one container has an ID that begins with '%s'; nothing was done",
                    word);
    } else if (asker->inventory_known) {
        lock_refuse(asked, STATUS_ERROR, asker->help,
                    "lockdown: there is no container '%s'; nothing was done", word);
    } else {
        lock = lock_copy(terms);
        lock->name = xstrdup(word);
        lock_list_add(asked->locks, lock);
    }
}

static void read_selector(struct lock_asked *asked, const struct lock *terms, const json_t *request,
                          const char *text)
{
    struct lock *lock = lock_copy(terms);
    const json_t *item;
    const char *why;
    size_t i;

    if (lock_select(lock, text, &why) < 0)
        lock_refuse(asked, STATUS_USAGE, why, "lockdown: '%s' selects nothing", text);
    json_array_foreach (json_object_get(request, "except"), i, item)
        *ARRAY_ADD(lock->except, lock->n_except) = xstrdup(json_string_value(item));
    lock_list_add(asked->locks, lock);
}

/* Of one that no container is known to have, all that can be cut is all. */
static void add_nameless(struct lock_asked *asked, const struct lock_asker *asker, const struct lock *terms,
                         struct lock *lock)
{
    struct ip ip;

    if (asker->inventory_known && !asker->nameless)
        lock_refuse(asked, STATUS_ERROR, asker->help, "lockdown: no container has %s; nothing was done",
                    lock_text(lock));
    if (terms->cut != CUT_BOTH || terms->n_allow > 0)
        lock_refuse(asked, STATUS_ERROR, "without --direction and --allow, all of it is cut",
                    "lockdown: nobody knows whose %s is: exceptions cannot be made for it; nothing was done",
                    lock_text(lock));
    for (size_t i = 0; lock_has_address(lock, &ip) && i < asker->inventory->n_host_addresses; i++)
        if (ip_equal(asker->inventory->host_addresses[i], ip))
            lock_refuse(asked, STATUS_ERROR, "it takes an address of a container",
                        "lockdown: %s is this host's own address; nothing was done", lock_text(lock));
    lock_list_add(asked->locks, lock_copy(lock));
}

static void read_nameless(struct lock_asked *asked, const struct lock_asker *asker, const struct lock *terms,
                          const char *text, int (*set)(struct lock *, const char *, const char **))
{
    _cleanup_(lock_freep) struct lock *lock = lock_copy(terms);
    const char *why;
    bool found = false;

    if (set(lock, text, &why) < 0) {
        lock_refuse(asked, STATUS_USAGE, why, "lockdown: '%s' cannot be locked down", text);
        return;
    }
    for (const struct container *c = asker->inventory->containers; c; c = c->hh.next) {
        if (!lock_means(lock, c))
            continue;
        found = true;
        add_container(asked, terms, c);
    }
    if (!found)
        add_nameless(asked, asker, terms, lock);
}

/* ---- the request -------------------------------------------------------------------------------------- */

static bool has_lists(struct lock_asked *asked, const json_t *request)
{
    static const char *const keys[] = {"containers", "select", "addresses", "interfaces"};
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if (!lock_request_has_list(asked, request, "lockdown", keys[i], LOCK_NAMES_MAX))
            return false;
        n += json_array_size(json_object_get(request, keys[i]));
    }
    if (!lock_request_has_list(asked, request, "lockdown", "except", LOCK_EXCEPT_MAX))
        return false;
    if (n == 0)
        lock_refuse(asked, STATUS_USAGE, NULL, "lockdown: say which containers");
    return n > 0;
}

void lock_request_read(const json_t *request, const struct lock_asker *asker, struct lock_asked *ret)
{
    const json_t *item;
    size_t i;

    *ret = (struct lock_asked){.locks = lock_list_new(),
                               .dry_run = json_is_true(json_object_get(request, "dry_run"))};
    if (!has_lists(ret, request))
        return;
    _cleanup_(lock_freep) struct lock *terms = read_terms(ret, asker, request);
    if (ret->error)
        return;
    json_array_foreach (json_object_get(request, "containers"), i, item)
        read_container(ret, asker, terms, json_string_value(item));
    json_array_foreach (json_object_get(request, "select"), i, item)
        read_selector(ret, terms, request, json_string_value(item));
    json_array_foreach (json_object_get(request, "addresses"), i, item)
        read_nameless(ret, asker, terms, json_string_value(item), lock_by_address);
    json_array_foreach (json_object_get(request, "interfaces"), i, item)
        read_nameless(ret, asker, terms, json_string_value(item), lock_by_interface);
}
