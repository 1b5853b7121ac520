/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket's verbs "learn", "learn-show", "learn-list", "learn-stop" and "learn-forget": see control/protocol.h. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "control/protocol.h"
#include "daemon.h"
#include "daemon/labels.h"
#include "inventory/json.h"
#include "learn/propose.h"
#include "util/duration.h"
#include "util/text.h"
#include "verbs.h"

#define WORD_MAX 2000 /* bytes of one name or selector */

/* ---- what is asked for -------------------------------------------------------------------------------- */

static json_t *refuse(int status, const char *help, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static json_t *refuse(int status, const char *help, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    _cleanup_free_ char *text = xvasprintf(format, args);
    va_end(args);
    _cleanup_free_ char *safe = text_escape(text, false);
    return control_error(status, safe, help, NULL);
}

/* A list of texts that may stand in a file, or nothing. */
static bool are_texts(const json_t *list)
{
    bool good = !list || (json_is_array(list) && json_array_size(list) <= LEARN_TARGETS_MAX);
    const json_t *item;
    size_t i;

    json_array_foreach (list, i, item) {
        const char *text = json_string_value(item);
        _cleanup_free_ char *safe = text ? text_escape(text, false) : NULL;

        good = good && json_string_length(item) > 0 && json_string_length(item) <= WORD_MAX && safe &&
               strcmp(safe, text) == 0;
    }
    return good;
}

/* One that is gone may still be asked about by the name that it had. */
static json_t *add_container(const struct daemon *daemon, struct learning *learning, const char *word)
{
    const struct container *container;
    int r = inventory_find(brain_inventory(daemon->brain), word, &container);

    if (r == -ENOTUNIQ)
        return refuse(STATUS_ERROR, "give more digits of the ID, or the name",
                      "learn: more than one container has an ID that begins with '%s'", word);
    if (r < 0) {
        struct lock *target = lock_new();

        target->name = xstrdup(word);
        learning_add(learning, target);
        return NULL;
    }
    learning_add(learning, label_whom(container));
    return NULL;
}

static json_t *add_selector(struct learning *learning, const char *text)
{
    _cleanup_(lock_freep) struct lock *target = lock_new();
    const char *why;

    if (lock_select(target, text, &why) < 0)
        return refuse(STATUS_USAGE, why, "learn: '%s' selects nothing", text);
    learning_add(learning, STEAL(target));
    return NULL;
}

/* A learning that is nobody's yet, of whom the request means. NULL: *ret_error says why not. */
static struct learning *read_request(const struct daemon *daemon, const json_t *request, json_t **ret_error)
{
    _cleanup_(learning_freep) struct learning *learning = learning_new();
    const json_t *names = json_object_get(request, "containers"),
                 *select = json_object_get(request, "select");
    const json_t *item;
    json_t *error = NULL;
    size_t i;

    if (!are_texts(names) || !are_texts(select))
        error = refuse(STATUS_USAGE, NULL, "learn: that is no request that this daemon knows");
    else if (json_array_size(names) + json_array_size(select) == 0)
        error = refuse(STATUS_USAGE, NULL, "learn: say which containers");
    else if (json_array_size(names) + json_array_size(select) > LEARN_TARGETS_MAX)
        error = refuse(STATUS_USAGE, NULL, "learn: more than %d names at once", LEARN_TARGETS_MAX);
    if (!error)
        json_array_foreach (names, i, item)
            error = error ? error : add_container(daemon, learning, json_string_value(item));
    if (!error)
        json_array_foreach (select, i, item)
            error = error ? error : add_selector(learning, json_string_value(item));
    *ret_error = error;
    if (error)
        return NULL;
    learning_settle(learning);
    return STEAL(learning);
}

/* The one that is meant by a request. NULL: *ret_error says why not. */
static struct learning *find(const struct daemon *daemon, const json_t *request, json_t **ret_error)
{
    _cleanup_(learning_freep) struct learning *asked = read_request(daemon, request, ret_error);
    struct learning *found;

    if (!asked)
        return NULL;
    found = learnings_find(daemon->learn.list, asked->title);
    if (!found) {
        _cleanup_free_ char *text = xasprintf("learn: %s is not watched, and was not", asked->title);

        *ret_error =
            control_error_code(STATUS_ERROR, "not_watched", text, "`cofferdam learn --list` shows what is");
    }
    return found;
}

/* ---- answers ------------------------------------------------------------------------------------------ */

/* Why not all of what happens is seen. */
static json_t *problems(const struct daemon *daemon, const struct learning *learning)
{
    const struct inventory *inventory = brain_inventory(daemon->brain);
    const struct container *container, *next;
    _cleanup_free_ char *error = allowed_log_error(daemon);
    json_t *list = json_array(), *status = denied_log_status(daemon);
    size_t n = 0;

    if (error)
        json_array_append_new(list, json_sprintf("what is allowed is not seen: %s", error));

    if (!json_is_true(json_object_get(status, "on")))
        json_array_append_new(
            list,
            json_string(
                "what is denied is not seen: the log of it is off, or cannot be had (cofferdam status)"));
    json_decref(status);
    HASH_ITER (hh, inventory->containers, container, next) {
        if (!learning_means(learning, container))
            continue;
        _cleanup_free_ char *why = container_unenforced_reason(inventory, container);
        _cleanup_free_ char *name = text_escape(container->name ? container->name : container->id, false);

        n++;
        if (why)
            json_array_append_new(list, json_sprintf("%s: it %s, where nothing is seen", name, why));
    }
    if (n == 0)
        json_array_append_new(list, json_string("no container is meant by it now"));
    return list;
}

static json_t *answer_of(const struct daemon *daemon, const struct learning *learning, bool began, char *text)
{
    json_t *result = json_pack("{s:s, s:s, s:b, s:o, s:o}", "format_version", "1.0", "text", text, "began",
                               began, "learning", learning_summary_to_json(learning, (uint64_t)time(NULL)),
                               "problems", problems(daemon, learning));

    free(text);
    return control_answer(STATUS_OK, result);
}

static char *until_text(const struct learning *learning, uint64_t now)
{
    _cleanup_free_ char *left =
        learning->until > now ? duration_text((learning->until - now) * 1000000) : NULL;

    return left ? xasprintf("for %s", left) : xstrdup("until `cofferdam learn --stop`");
}

/* ---- the verbs ---------------------------------------------------------------------------------------- */

/* Is it not on the disk, the old list stays as it was. */
static json_t *not_saved(int error)
{
    return refuse(STATUS_ERROR, "nothing has changed; see `cofferdam doctor`",
                  "learn: it cannot be saved: %s", strerror(-error));
}

/* A name that no container has. */
static const char *find_unknown(const struct learning *learning)
{
    for (size_t i = 0; i < learning->n_targets; i++) {
        const struct lock *target = learning->targets[i];

        if (!target->select_text && !target->id)
            return target->name;
    }
    return NULL;
}

static json_t *begin(struct daemon *daemon, struct learning *learning /* taken */, uint64_t span,
                     const struct control_peer *peer)
{
    struct who who = who_of_process(peer->pid, peer->uid);
    uint64_t now = (uint64_t)time(NULL);
    int r;

    learning->since = learning->new_at = now;
    learning->until = span ? now + span / 1000000 : 0;
    learning->by = who_text(&who);
    who_clear(&who);
    learnings_add(daemon->learn.list, learning);
    r = learn_save(daemon);
    if (r < 0) {
        learnings_remove(daemon->learn.list, learning);
        return not_saved(r);
    }
    learn_update(daemon);
    _cleanup_free_ char *until = until_text(learning, now);
    return answer_of(
        daemon, learning, true,
        xasprintf(
            "%s is watched from now on, %s; `cofferdam learn` with the same words shows what comes of it",
            learning->title, until));
}

/* One that is there already goes on, until then. */
static json_t *prolong(struct daemon *daemon, struct learning *learning, uint64_t span)
{
    uint64_t now = (uint64_t)time(NULL), until = learning->until, ended = learning->ended,
             blind = learning->blind;
    int r;

    if (learning->ended)
        learning->blind += now > learning->ended ? now - learning->ended : 0;
    learning->ended = 0;
    learning->until = span ? now + span / 1000000 : 0;
    r = learn_save(daemon);
    if (r < 0) {
        learning->until = until;
        learning->ended = ended;
        learning->blind = blind;
        return not_saved(r);
    }
    learn_update(daemon);
    _cleanup_free_ char *text = until_text(learning, now);
    return answer_of(daemon, learning, false,
                     xasprintf("%s goes on being watched, %s", learning->title, text));
}

json_t *verb_learn(struct daemon *daemon, const json_t *request, const struct control_peer *peer)
{
    const json_t *span = json_object_get(request, "for");
    json_int_t usec = json_integer_value(span);
    json_t *error;
    _cleanup_(learning_freep) struct learning *asked = read_request(daemon, request, &error);

    if (!asked)
        return error;
    if (span && (!json_is_integer(span) || usec < 1000000 || (uint64_t)usec > DURATION_MAX))
        return refuse(STATUS_USAGE, NULL, "learn: \"for\" is no span of time");
    struct learning *found = learnings_find(daemon->learn.list, asked->title);
    if (found)
        return prolong(daemon, found, (uint64_t)usec);
    const char *unknown = find_unknown(asked);
    if (unknown)
        return refuse(STATUS_ERROR, "`docker ps -a` lists them; --select also means those to come",
                      "learn: there is no container '%s'", unknown);
    if (daemon->learn.list->n >= LEARNINGS_MAX)
        return refuse(STATUS_ERROR, "`cofferdam learn --forget` makes room",
                      "learn: %d are watched, or were, and no more can be", LEARNINGS_MAX);
    return begin(daemon, STEAL(asked), (uint64_t)usec, peer);
}

/* NULL: it is in the result. */
static json_t *update(const struct proposal_context *context, const json_t *file, json_t *result)
{
    const char *path = json_string_value(json_object_get(file, "path"));
    const char *text = json_string_value(json_object_get(file, "text"));
    struct learn_update found = {0};
    _cleanup_diags_ struct diags diags = {0};
    json_t *error = NULL;

    if (!path || !text)
        return refuse(STATUS_USAGE, NULL, "learn: \"update\" needs \"path\" and \"text\"");
    if (learning_update(context, path, text, strlen(text), &found, &diags) < 0)
        error = control_error(STATUS_ERROR, "the policies have mistakes", NULL, &diags);
    else
        json_object_set_new(result, "update", learn_update_to_json(&found));
    learn_update_clear(&found);
    return error;
}

json_t *verb_learn_show(struct daemon *daemon, const json_t *request, const struct control_peer *peer)
{
    json_t *error;
    const struct learning *learning = find(daemon, request, &error);

    (void)peer;
    if (!learning)
        return error;
    if (!brain_inventory_known(daemon->brain))
        return control_error(STATUS_ERROR, "the containers are not known yet",
                             "the Docker Engine has not answered since cofferdamd started", NULL);
    const struct proposal_context context = {.learning = learning,
                                             .inventory = brain_inventory(daemon->brain),
                                             .taken = brain_policies(daemon->brain),
                                             .now = (uint64_t)time(NULL)};
    _cleanup_(proposal_freep) struct proposal *proposal = proposal_new(&context);
    json_t *result = proposal_to_json(&context, proposal);
    json_object_set_new(result, "format_version", json_string("1.0"));
    json_object_set_new(result, "problems", problems(daemon, learning));
    const json_t *file = json_object_get(request, "update");
    error = file ? update(&context, file, result) : NULL;
    if (!error)
        return control_answer(STATUS_OK, result);
    json_decref(result);
    return error;
}

json_t *verb_learn_list(struct daemon *daemon, const json_t *request, const struct control_peer *peer)
{
    json_t *list = json_array();

    (void)request, (void)peer;
    for (size_t i = 0; i < daemon->learn.list->n; i++)
        json_array_append_new(list, learning_summary_to_json(daemon->learn.list->v[i], (uint64_t)time(NULL)));
    return control_answer(STATUS_OK, json_pack("{s:s, s:o}", "format_version", "1.0", "learnings", list));
}

json_t *verb_learn_stop(struct daemon *daemon, const json_t *request, const struct control_peer *peer)
{
    json_t *error;
    struct learning *learning = find(daemon, request, &error);

    (void)peer;
    if (!learning)
        return error;
    if (learning->ended)
        return refuse(STATUS_ERROR, "`cofferdam learn` with the same words shows what was seen",
                      "learn: %s is not watched any more", learning->title);
    learning->ended = (uint64_t)time(NULL);
    (void)learn_save(daemon); /* else it is tried again */
    learn_update(daemon);
    return answer_of(daemon, learning, false,
                     xasprintf("%s is not watched any more; what was seen is kept", learning->title));
}

json_t *verb_learn_forget(struct daemon *daemon, const json_t *request, const struct control_peer *peer)
{
    json_t *error;
    struct learning *learning = find(daemon, request, &error);

    (void)peer;
    if (!learning)
        return error;
    json_t *answer =
        answer_of(daemon, learning, false, xasprintf("what was seen of %s is forgotten", learning->title));
    learnings_remove(daemon->learn.list, learning);
    (void)learn_save(daemon);
    learn_update(daemon);
    return answer;
}
