/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `cofferdam label` has done, and which labels there are, for people. */
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "util/text.h"

static bool is_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

static void print_all(const json_t *texts, FILE *out, bool colour, enum cli_style style)
{
    const json_t *item;
    size_t i;

    json_array_foreach (texts, i, item)
        cli_print_line(out, colour, style, text_escape(json_string_value(item) ?: "?", false));
}

static char *pair_text(const char *key, const char *value)
{
    _cleanup_free_ char *text = xasprintf("%s=%s", key ?: "?", value ?: "?");

    return text_escape(text, false);
}

/* ---- what was given ----------------------------------------------------------------------------------- */

static char *time_text(const json_t *seconds)
{
    char text[sizeof("2026-11-20T15:04:05Z")] = "?";
    time_t time = (time_t)json_integer_value(seconds);
    struct tm tm;

    if (gmtime_r(&time, &tm))
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
    return xstrdup(text);
}

char *given_label_text(const json_t *given)
{
    _cleanup_free_ char *since = time_text(json_object_get(given, "since"));
    _cleanup_free_ char *reason = text_escape(cli_text_of(given, "reason") ?: "no reason given", false);
    _cleanup_free_ char *by = text_escape(cli_text_of(given, "by") ?: "?", false);

    return xasprintf("given by %s at %s%s: %s", by, since, is_true(given, "follow") ? ", follows" : "",
                     reason);
}

static void print_given(const json_t *given, FILE *out, bool colour)
{
    const json_t *ended = json_object_get(given, "ended"), *names = json_object_get(given, "containers"),
                 *item;
    const char *name = cli_text_of(given, "container");
    _cleanup_free_ char *pair = pair_text(cli_text_of(given, "key"), cli_text_of(given, "value"));
    _cleanup_free_ char *safe = text_escape(name ?: "?", false), *told = given_label_text(given);
    size_t i;

    cli_print_line(out, colour, json_is_integer(ended) ? STYLE_DIM : STYLE_NONE,
                   xasprintf("  %s  %s", safe, pair));
    cli_print_line(out, false, STYLE_NONE, xasprintf("    %s", told));
    if (json_is_integer(ended)) {
        _cleanup_free_ char *when = time_text(ended);

        cli_print_line(out, colour, STYLE_WARN,
                       xasprintf("    ended at %s, as that container was gone", when));
        return;
    }
    if (json_array_size(names) == 0)
        cli_print_line(out, colour, STYLE_WARN, xstrdup("    no container has it now"));
    json_array_foreach (names, i, item) {
        _cleanup_free_ char *other = text_escape(json_string_value(item) ?: "?", false);

        if (!name || strcmp(json_string_value(item) ?: "", name) != 0)
            cli_print_line(out, false, STYLE_NONE, xasprintf("    counts for %s", other));
    }
}

static void print_list(const json_t *given, FILE *out, bool colour)
{
    const json_t *item;
    size_t i;

    if (json_array_size(given) == 0)
        cli_print_line(out, false, STYLE_NONE, xstrdup("No label was given."));
    else
        cli_print_line(out, colour, STYLE_HEAD, xstrdup("Labels that were given"));
    json_array_foreach (given, i, item)
        print_given(item, out, colour);
}

/* ---- those of one container --------------------------------------------------------------------------- */

static const char *source_text(const json_t *label)
{
    const char *from = cli_text_of(label, "from") ?: "";

    if (strcmp(from, "image") == 0)
        return "its image's, does not count";
    if (strcmp(from, "docker") == 0)
        return is_true(label, "counts") ? "Docker's" : "Docker's, does not count";
    return NULL;
}

static void print_labels(const json_t *result, FILE *out, bool colour)
{
    const json_t *labels = json_object_get(result, "labels"), *label;
    _cleanup_(cli_table_freep) struct cli_table *table = cli_table_new(2);
    size_t i;

    _cleanup_free_ char *name = text_escape(cli_text_of(result, "container") ?: "?", false);

    if (json_array_size(labels) == 0)
        cli_print_line(out, false, STYLE_NONE, xasprintf("%s has no label.", name));
    json_array_foreach (labels, i, label) {
        _cleanup_free_ char *pair =
            xasprintf("%s=%s", cli_text_of(label, "key") ?: "?", cli_text_of(label, "value") ?: "?");
        const char *source = source_text(label);
        _cleanup_free_ char *told = source ? NULL : given_label_text(json_object_get(label, "given"));

        cli_table_add(table, is_true(label, "counts") ? STYLE_NONE : STYLE_DIM, pair);
        cli_table_add(table, STYLE_DIM, source ?: told);
    }
    cli_table_print(table, out, colour);
}

/* ---- a change ----------------------------------------------------------------------------------------- */

static void print_policies(const json_t *policies, const char *what, FILE *out)
{
    const json_t *policy;
    size_t i;

    json_array_foreach (policies, i, policy)
        cli_print_line(out, false, STYLE_NONE,
                       xasprintf("  %s %s%s", what, cli_text_of(policy, "name") ?: "?",
                                 strcmp(cli_text_of(policy, "mode") ?: "", "audit") == 0 ? " (audit)" : ""));
}

/* Those of the labels that are not among the others; with values, also those that have another value there. */
static void print_difference(const json_t *labels, const json_t *others, bool values, const char *what,
                             FILE *out)
{
    json_t *value, *all = (json_t *)(uintptr_t)labels; /* jansson's loop wants it so */
    const char *key;

    json_object_foreach (all, key, value) {
        const json_t *other = json_object_get(others, key);
        _cleanup_free_ char *pair = pair_text(key, json_string_value(value));

        if (!other || (values && !json_equal(value, (json_t *)(uintptr_t)other)))
            cli_print_line(out, false, STYLE_NONE, xasprintf("  %s %s", what, pair));
    }
}

static void print_container(const json_t *container, bool dry_run, FILE *out, bool colour)
{
    const char *reason = cli_text_of(container, "not_enforced");
    const json_t *before = json_object_get(container, "labels_before"),
                 *after = json_object_get(container, "labels");
    _cleanup_free_ char *name = text_escape(cli_text_of(container, "name") ?: "?", false);

    cli_print_line(out, colour, STYLE_HEAD,
                   xasprintf("%s%s", name, is_true(container, "running") ? "" : " (does not run)"));
    if (reason)
        cli_print_line(out, colour, STYLE_BAD, xasprintf("  not enforced: %s", reason));
    print_difference(after, before, true, dry_run ? "would have" : "has", out);
    print_difference(before, after, false, dry_run ? "would lose" : "has no longer", out);
    print_policies(json_object_get(container, "selected_by"),
                   dry_run ? "would be selected by" : "is now selected by", out);
    print_policies(json_object_get(container, "no_longer_selected_by"),
                   dry_run ? "would no longer be selected by" : "is no longer selected by", out);
}

static void print_connections(const json_t *result, bool dry_run, FILE *out, bool colour)
{
    const json_t *connections = json_object_get(result, "connections"), *item;
    long long n = (long long)json_array_size(connections) +
                  (long long)json_integer_value(json_object_get(result, "more"));
    _cleanup_(cli_table_freep) struct cli_table *table = cli_table_new(3);
    size_t i;

    if (n == 0)
        return;
    cli_print_line(out, colour, STYLE_HEAD,
                   xasprintf("%lld open connection%s %s:", n, n == 1 ? "" : "s",
                             dry_run  ? "would be ended"
                             : n == 1 ? "was ended"
                                      : "were ended"));
    json_array_foreach (connections, i, item) {
        cli_table_add(table, STYLE_NONE, cli_text_of(item, "from"));
        cli_table_add(table, STYLE_NONE, cli_text_of(item, "to"));
        cli_table_add(table, STYLE_NONE, cli_text_of(item, "port"));
    }
    cli_table_print(table, out, colour);
}

static void print_change(const json_t *result, int exit_status, FILE *out, bool colour)
{
    const json_t *containers = json_object_get(result, "containers"), *item;
    bool dry_run = is_true(result, "dry_run");
    const char *changes = cli_text_of(result, "changes_text");
    size_t i;

    print_all(json_object_get(result, "problems"), out, colour, STYLE_BAD);
    json_array_foreach (containers, i, item)
        print_container(item, dry_run, out, colour);
    if (changes && *changes) {
        cli_print_line(out, colour, STYLE_HEAD, xstrdup("Connections"));
        fputs(changes, out);
    }
    print_connections(result, dry_run, out, colour);
    print_all(json_object_get(result, "warnings"), out, colour, STYLE_WARN);
    if (dry_run)
        cli_print_line(out, false, STYLE_NONE, xstrdup("This was a dry run: nothing was changed."));
    else if (exit_status == STATUS_OK && is_true(result, "verified"))
        cli_print_line(out, false, STYLE_NONE, xstrdup("The kernel was read back and holds it."));
}

void label_print(const json_t *result, int exit_status, FILE *out, bool colour)
{
    const json_t *given = json_object_get(result, "given");

    if (is_true(result, "lost"))
        cli_print_line(out, colour, STYLE_BAD,
                       xstrdup("The labels that were given are lost, and every container is locked down; "
                               "`cofferdam label --reset`\ngoes on without them."));
    if (given)
        print_list(given, out, colour);
    else if (json_object_get(result, "labels"))
        print_labels(result, out, colour);
    else
        print_change(result, exit_status, out, colour);
}
