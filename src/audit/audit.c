/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "audit/audit.h"

#include <inttypes.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "inventory/json.h"
#include "util/text.h"

#define REQUEST_KEYS_MAX 24
#define KEY_MAX 64

/* ---- texts and lists ---------------------------------------------------------------------------------- */

static json_t *text_of(const char *text)
{
    size_t len = text ? strlen(text) : 0;

    if (len <= AUDIT_TEXT_MAX)
        return json_text_or_null(text);
    for (len = AUDIT_TEXT_MAX; len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80;)
        len--;
    _cleanup_free_ char *head = xstrndup(text, len), *cut = xasprintf("%s...", head);
    return json_text_or_null(cut);
}

static const char *get_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static void set_text(json_t *object, const char *key, const char *text)
{
    json_object_set_new(object, key, text_of(text));
}

static void set_number(json_t *object, const char *key, uint64_t number)
{
    json_object_set_new(object, key, json_integer((json_int_t)number));
}

static void add_text(json_t *list, const char *text)
{
    if (text && json_array_size(list) < AUDIT_LIST_MAX)
        json_array_append_new(list, text_of(text));
}

/* ---- who and when ------------------------------------------------------------------------------------- */

static void set_time(json_t *entry, uint64_t usec)
{
    char seconds[sizeof("2026-11-20T15:04:05")] = "";
    time_t time = (time_t)(usec / 1000000);
    struct tm tm;

    if (gmtime_r(&time, &tm))
        strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm);
    _cleanup_free_ char *text = xasprintf("%s.%06uZ", seconds, (unsigned)(usec % 1000000));
    set_text(entry, "time", text);
}

static void set_id(json_t *entry, const char *key, bool known, uint64_t id)
{
    json_object_set_new(entry, key, known ? json_integer((json_int_t)id) : json_null());
}

static void set_who(json_t *entry, const struct who *who)
{
    static const struct who nobody;

    if (!who)
        who = &nobody;
    set_id(entry, "uid", who->known, who->uid);
    set_text(entry, "user", who->user);
    set_id(entry, "login_uid", who->has_login, who->login_uid);
    set_text(entry, "login_user", who->login_user);
    set_id(entry, "pid", who->known, (uint64_t)who->pid);
    json_object_set_new(entry, "command", json_text_or_null(who->command)); /* is short already */
}

/* ---- what was asked for ------------------------------------------------------------------------------- */

static json_t *texts_copy(const json_t *list)
{
    json_t *copy = json_array();
    const json_t *item;
    size_t i;

    json_array_foreach (list, i, item)
        add_text(copy, json_string_value(item));
    return copy;
}

/* NULL: it is none of what is asked for in few words. */
static json_t *value_copy(const json_t *value)
{
    if (json_is_string(value))
        return text_of(json_string_value(value));
    if (json_is_integer(value) || json_is_boolean(value))
        return json_deep_copy(value);
    return json_is_array(value) && json_is_string(json_array_get(value, 0)) ? texts_copy(value) : NULL;
}

static bool stands_elsewhere(const char *key)
{
    static const char *const keys[] = {"verb", "reason", "comment", "request"};

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return strlen(key) > KEY_MAX;
}

/* Whatever a verb takes: one that is new is on record, too. */
static json_t *request_copy(const json_t *request)
{
    json_t *copy = json_object(), *value;
    const char *key;

    if (!request) {
        json_decref(copy);
        return json_null();
    }
    json_object_foreach ((json_t *)request, key, value) {
        json_t *item = stands_elsewhere(key) ? NULL : value_copy(value);

        if (item && json_object_size(copy) < REQUEST_KEYS_MAX)
            json_object_set_new(copy, key, item);
        else
            json_decref(item);
    }
    return copy;
}

/* ---- what became of it -------------------------------------------------------------------------------- */

static void add_target(json_t *targets, const json_t *from)
{
    json_t *target = json_object();

    set_text(target, "name", get_text(from, "name"));
    set_text(target, "id", get_text(from, "id"));
    set_text(target, "select", get_text(from, "select"));
    set_text(target, "not_cut", get_text(from, "not_cut"));
    json_array_append_new(targets, target);
}

/* The lockdown of this text, as it was; or nothing but the text. */
static void add_released(json_t *targets, const json_t *lockdowns, const char *text)
{
    const json_t *lockdown;
    json_t *target = json_pack("{s:s}", "name", text);
    size_t i;

    json_array_foreach (lockdowns, i, lockdown) {
        const char *other = get_text(lockdown, "text");

        /* That of an address has neither name nor ID. */
        if (other && strcmp(other, text) == 0 &&
            (get_text(lockdown, "name") || get_text(lockdown, "select"))) {
            add_target(targets, lockdown);
            json_decref(target);
            return;
        }
    }
    add_target(targets, target);
    json_decref(target);
}

/* Containers that the answer tells of, and lockdowns that it says have ended. */
static void set_targets(json_t *entry, const json_t *result, const json_t *lockdowns)
{
    const json_t *containers = json_object_get(result, "containers"),
                 *released = json_object_get(result, "released"), *item;
    json_t *targets = json_array();
    size_t i, n = 0;

    json_array_foreach (containers, i, item)
        if (json_is_object(item) && n++ < AUDIT_LIST_MAX)
            add_target(targets, item);
    json_array_foreach (released, i, item)
        if (json_is_string(item) && n++ < AUDIT_LIST_MAX)
            add_released(targets, lockdowns, json_string_value(item));
    set_number(entry, "targets_more", n - json_array_size(targets));
    json_object_set_new(entry, "targets", targets);
}

static json_t *connection_of(const json_t *from)
{
    json_t *connection = json_object();
    const json_t *bytes = json_object_get(from, "bytes");

    set_text(connection, "from", get_text(from, "from"));
    set_text(connection, "to", get_text(from, "to"));
    set_text(connection, "port", get_text(from, "port"));
    json_object_set_new(connection, "bytes", json_is_integer(bytes) ? json_deep_copy(bytes) : json_null());
    return connection;
}

static void set_connections(json_t *entry, const json_t *result)
{
    const json_t *from = json_object_get(result, "connections"), *item;
    json_t *connections = json_array();
    json_int_t cut = json_integer_value(json_object_get(result, "connections_ended"));
    size_t i;

    if (json_is_array(from))
        cut = (json_int_t)json_array_size(from) + json_integer_value(json_object_get(result, "more"));
    json_array_foreach (from, i, item)
        if (i < AUDIT_LIST_MAX)
            json_array_append_new(connections, connection_of(item));
    set_number(entry, "connections_cut", (uint64_t)cut);
    json_object_set_new(entry, "connections", connections);
}

static void add_diagnostic(json_t *problems, const json_t *diagnostic)
{
    const char *file = get_text(diagnostic, "file"), *message = get_text(diagnostic, "message");
    json_int_t line = json_integer_value(json_object_get(diagnostic, "line"));

    if (!message)
        return;
    _cleanup_free_ char *text =
        file ? xasprintf("%s:%" JSON_INTEGER_FORMAT ": %s", file, line, message) : NULL;
    add_text(problems, text ? text : message);
}

static json_t *problems_of(const json_t *answer)
{
    const json_t *result = json_object_get(answer, "result"), *item;
    json_t *problems = texts_copy(json_object_get(result, "problems"));
    size_t i;

    json_array_foreach (json_object_get(result, "warnings"), i, item)
        add_text(problems, json_string_value(item));
    json_array_foreach (json_object_get(result, "overridden"), i, item)
        add_diagnostic(problems, item);
    json_array_foreach (json_object_get(answer, "diagnostics"), i, item)
        add_diagnostic(problems, item);
    return problems;
}

static const char *result_name(const struct audit_facts *facts)
{
    if (facts->refused)
        return "refused";
    return json_is_true(json_object_get(facts->answer, "ok")) &&
                   json_integer_value(json_object_get(facts->answer, "exit")) == 0
               ? "ok"
               : "failed";
}

json_t *audit_entry(const struct audit_facts *facts)
{
    const json_t *answer = facts->answer, *result = json_object_get(answer, "result"),
                 *number = json_object_get(result, "number");
    const char *reason = get_text(facts->request, "reason");
    json_t *entry = json_object();

    set_text(entry, "format_version", "1.0");
    set_time(entry, facts->time);
    set_text(entry, "id", facts->id);
    set_text(entry, "program", facts->program);
    set_text(entry, "action", facts->action);
    set_text(entry, "result", result_name(facts));
    set_number(entry, "exit", (uint64_t)json_integer_value(json_object_get(answer, "exit")));
    set_text(entry, "error", get_text(answer, "error"));
    set_who(entry, facts->who);
    set_text(entry, "reason", reason ? reason : get_text(facts->request, "comment"));
    set_text(entry, "request_id", get_text(facts->request, "request"));
    json_object_set_new(entry, "request", request_copy(facts->request));
    set_targets(entry, result, facts->lockdowns);
    set_connections(entry, result);
    json_object_set_new(entry, "problems", problems_of(answer));
    set_text(entry, "plan_id", get_text(facts->request, "only"));
    set_id(entry, "number", json_is_integer(number), (uint64_t)json_integer_value(number));
    set_id(entry, "generation", facts->has_generation, facts->generation);
    set_number(entry, "duration_us", facts->duration);
    set_number(entry, "missing", facts->missing);
    json_object_set_new(entry, "truncated", json_false());
    return entry;
}

/* ---- the line ----------------------------------------------------------------------------------------- */

static char *dump(const json_t *entry)
{
    _cleanup_free_ char *text = json_dumps(entry, JSON_COMPACT | JSON_ENSURE_ASCII);

    return xasprintf("%s\n", text ? text : "{}");
}

/* What is left then has texts of limited length only. */
static void leave_out(json_t *entry, const char *key)
{
    json_t *value = json_object_get(entry, key);

    if (json_is_array(value))
        json_array_clear(value);
    else
        json_object_set_new(entry, key, json_null());
    json_object_set_new(entry, "truncated", json_true());
}

char *audit_line(const json_t *entry)
{
    static const char *const keys[] = {"connections", "request", "problems", "targets"};
    char *line = dump(entry);

    if (strlen(line) <= AUDIT_LINE_MAX)
        return line;
    json_t *shorter = json_deep_copy(entry);
    for (size_t i = 0; i < ARRAY_SIZE(keys) && strlen(line) > AUDIT_LINE_MAX; i++) {
        leave_out(shorter, keys[i]);
        free(line);
        line = dump(shorter);
    }
    json_decref(shorter);
    return line;
}

/* ---- for people --------------------------------------------------------------------------------------- */

#define NAMES_SHOWN 5

static const char *target_name(const json_t *target)
{
    const char *name = json_string_value(target);

    name = name ? name : get_text(target, "select");
    name = name ? name : get_text(target, "name");
    return name ? name : get_text(target, "id");
}

/* Adds some names to the text, and the number of the others to *more. */
static void add_names(char **text, const json_t *targets, size_t *more)
{
    const json_t *target;
    size_t i;

    json_array_foreach (targets, i, target) {
        const char *name = target_name(target);

        if (i >= NAMES_SHOWN || !name) {
            (*more)++;
            continue;
        }
        char *longer = xasprintf("%s%s%s", *text, **text ? ", " : " of ", name);
        free(*text);
        *text = longer;
    }
}

/* Those that were met; where none were, those that were meant. The caller frees it. */
static char *targets_text(const json_t *entry)
{
    const json_t *request = json_object_get(entry, "request");
    size_t more = (size_t)json_integer_value(json_object_get(entry, "targets_more"));
    char *text = xstrdup("");

    add_names(&text, json_object_get(entry, "targets"), &more);
    if (!*text) {
        add_names(&text, json_object_get(request, "containers"), &more);
        add_names(&text, json_object_get(request, "select"), &more);
    }
    _cleanup_free_ char *shown = text;
    return more ? xasprintf("%s and %zu more", shown, more) : xstrdup(shown);
}

static char *who_line_of(const json_t *entry)
{
    const json_t *uid = json_object_get(entry, "uid"), *login = json_object_get(entry, "login_uid");
    struct who who = {.known = json_is_integer(uid),
                      .uid = (uid_t)json_integer_value(uid),
                      .pid = (pid_t)json_integer_value(json_object_get(entry, "pid")),
                      .has_login = json_is_integer(login),
                      .login_uid = (uid_t)json_integer_value(login),
                      .user = (char *)get_text(entry, "user"),
                      .login_user = (char *)get_text(entry, "login_user"),
                      .command = (char *)get_text(entry, "command")};

    return who_line(&who);
}

/* ": INC-4711", or nothing; the caller frees it. */
static char *part(const char *before, const char *text)
{
    return text ? xasprintf("%s%s", before, text) : xstrdup("");
}

/* "; 3 connections cut", or nothing; the caller frees it. */
static char *count(json_int_t n, const char *one, const char *more)
{
    return n ? xasprintf("; %" JSON_INTEGER_FORMAT " %s", n, n == 1 ? one : more) : xstrdup("");
}

char *audit_text(const json_t *entry)
{
    const char *result = get_text(entry, "result");
    bool done = strcmp(result, "ok") == 0;
    _cleanup_free_ char *targets = targets_text(entry), *who = who_line_of(entry),
                        *error = part(": ", get_text(entry, "error")),
                        *reason = part("; reason: ", get_text(entry, "reason"));
    _cleanup_free_ char *cut = count(json_integer_value(json_object_get(entry, "connections_cut")),
                                     "connection cut", "connections cut"),
                        *missing = count(json_integer_value(json_object_get(entry, "missing")),
                                         "more is not on record", "more are not on record");
    _cleanup_free_ char *text = xasprintf("%s%s by %s: %s%s%s%s%s", get_text(entry, "action"), targets, who,
                                          done ? "done" : result, error, cut, missing, reason);

    return text_escape(text, false);
}

int audit_priority(const json_t *entry)
{
    return strcmp(get_text(entry, "result"), "ok") == 0 ? LOG_NOTICE : LOG_WARNING;
}

const char *audit_message_id(const json_t *entry)
{
    static const struct {
        const char *action, *id;
    } ids[] = {
        {"lockdown", "dbeb1a390cea45dc9e3890ef4c9b0759"},
        {"release", "26e723431fc548db82c6a160359bf168"},
        {"lockdown-end", "ec427c518e96434790bfec9606e9bdb9"},
        {"apply", "1cf75c0087d5446698aabe6940e5766a"},
        {"reload", "abc32fe0cec44f26aae535c3bbf15a8f"},
        {"confirm", "731dde229c4b47d887a68d900e9759c5"},
        {"rollback", "1a7052ae9c8b40a4bc4a8d260f5669fb"},
        {"trial-end", "fe0928681e9c414bb3d8b12b94e4cf9a"},
        {"teardown", "6055b90c87924e6285b505b2b2128dbf"},
        {"start", "3e4fb0ee7754410c8ed419399aa4ca19"},
        {"stop", "1d1e3d36dd9c4cb595e19bc5b643c7ba"},
        {"label", "b2964dc900924a099bf95eaf9dd29405"},
    };
    const char *action = get_text(entry, "action");

    if (strcmp(get_text(entry, "result"), "refused") == 0)
        return "bbd6f73a419b4322a972aada7077044f";
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
        if (strcmp(ids[i].action, action) == 0)
            return ids[i].id;
    return "1715dd8c01c54318b4dd2df199a579a5"; /* some other change */
}
