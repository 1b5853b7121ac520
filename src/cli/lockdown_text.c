/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a lockdown has done, as a person wants it: first what it could not do. */
#include <string.h>

#include "cli/cli.h"
#include "ruleset/ruleset.h"
#include "util/duration.h"
#include "util/text.h"

#define USEC ((uint64_t)1000000)

/* "a, b, c"; NULL for none. The caller frees it. */
static char *joined(const json_t *list)
{
    const json_t *item;
    char *text = NULL;
    size_t i;

    json_array_foreach (list, i, item) {
        char *longer = xasprintf("%s%s%s", text ?: "", text ? ", " : "", json_string_value(item) ?: "?");

        free(text);
        text = longer;
    }
    return text;
}

static void print_all(const json_t *texts, FILE *out, bool colour, enum cli_style style)
{
    const json_t *item;
    size_t i;

    json_array_foreach (texts, i, item)
        cli_print_line(out, colour, style, xstrdup(json_string_value(item) ?: "?"));
}

/* ---- lockdown ----------------------------------------------------------------------------------------- */

static void print_not_cut(const json_t *container, FILE *out, bool colour)
{
    const char *why = cli_text_of(container, "not_cut"), *instead = cli_text_of(container, "instead");

    if (!why)
        return;
    cli_print_line(out, colour, STYLE_BAD,
                   xasprintf("NOT CUT OFF: %s %s", cli_text_of(container, "name") ?: "?", why));
    cli_print_line(out, false, STYLE_NONE, xasprintf("  %s", instead ?: ""));
}

static void print_cut(const json_t *container, bool dry_run, FILE *out, bool colour)
{
    const char *name = cli_text_of(container, "name") ?: "?";
    bool runs = json_is_true(json_object_get(container, "running"));
    _cleanup_free_ char *others = joined(json_object_get(container, "shares_network_with"));

    if (!cli_text_of(container, "not_cut"))
        cli_print_line(out, colour, dry_run ? STYLE_NONE : STYLE_GOOD,
                       xasprintf("%s %s%s", name, dry_run ? "would be cut off" : "is cut off",
                                 runs ? "" : ", and does not run: it will be from its start"));
    if (json_is_true(json_object_get(container, "lookups_pass")))
        cli_print_line(
            out, colour, STYLE_WARN,
            xstrdup(
                "  what is left: the Docker Engine sends its name lookups on, from the host, and a lookup can "
                "carry data; `docker pause` ends that"));
    if (cli_text_of(container, "caution"))
        cli_print_line(out, colour, STYLE_WARN,
                       xasprintf("  %s %s", name, cli_text_of(container, "caution")));
    if (others)
        cli_print_line(
            out, false, STYLE_NONE,
            xasprintf("  with it %s, which share%s its network", others, strchr(others, ',') ? "" : "s"));
}

static void add_number(struct cli_table *table, const json_t *number, bool is_time)
{
    _cleanup_free_ char *text = !json_is_integer(number) ? xstrdup("")
                                : is_time ? duration_text((uint64_t)json_integer_value(number) * USEC)
                                          : xasprintf("%lld", (long long)json_integer_value(number));

    cli_table_add(table, STYLE_NONE, text);
}

static void print_connections(const json_t *result, bool dry_run, FILE *out, bool colour)
{
    const json_t *connections = json_object_get(result, "connections"), *item;
    _cleanup_(cli_table_freep) struct cli_table *table = cli_table_new(5);
    long long n = (long long)json_array_size(connections), more = cli_number_of(result, "more");
    static const char *const heads[] = {"FROM", "TO", "PORT", "BYTES", "AGE"};
    size_t i;

    if (n == 0) {
        cli_print_line(out, false, STYLE_NONE, xstrdup("No connection was open."));
        return;
    }
    cli_print_line(out, colour, STYLE_HEAD,
                   xasprintf("%lld connection%s %s:", n + more, n + more == 1 ? "" : "s",
                             dry_run         ? "would be cut"
                             : n + more == 1 ? "was cut"
                                             : "were cut"));
    for (i = 0; i < 5; i++)
        cli_table_add(table, STYLE_DIM, heads[i]);
    json_array_foreach (connections, i, item) {
        cli_table_add(table, STYLE_NONE, cli_text_of(item, "from"));
        cli_table_add(table, STYLE_NONE, cli_text_of(item, "to"));
        cli_table_add(table, STYLE_NONE, cli_text_of(item, "port"));
        add_number(table, json_object_get(item, "bytes"), false);
        add_number(table, json_object_get(item, "age"), true);
    }
    cli_table_print(table, out, colour);
    if (more)
        cli_print_line(out, false, STYLE_NONE, xasprintf("  and %lld more", more));
}

static void print_unnamed(const json_t *list, bool dry_run, FILE *out, bool colour)
{
    const json_t *item;
    size_t i;

    json_array_foreach (list, i, item)
        cli_print_line(out, colour, dry_run ? STYLE_NONE : STYLE_GOOD,
                       xasprintf("%s %s, whoever has it", json_string_value(item) ?: "?",
                                 dry_run ? "would be cut off" : "is cut off"));
}

static const char *why_without(const json_t *result)
{
    static const char *const reasons[] = {"dead", "hung", "containers_unknown", "kernel"};
    static const char *const texts[] = {
        "cofferdamd does not run",
        "cofferdamd does not answer",
        "cofferdamd does not know the containers yet, as the Docker Engine does not answer it",
        "the kernel refuses cofferdamd its own rules",
    };
    const char *why = cli_text_of(result, "without_daemon");

    for (size_t i = 0; why && i < ARRAY_SIZE(reasons); i++)
        if (strcmp(why, reasons[i]) == 0)
            return texts[i];
    return NULL;
}

/* Said first: it is no matter of what was asked for, and worse. */
static void print_no_rules(const json_t *result, FILE *out, bool colour)
{
    if (why_without(result) && !json_is_true(json_object_get(result, "rules_stand")))
        cli_print_line(
            out, colour, STYLE_BAD,
            xstrdup(
                "NO RULES STAND: cofferdamd's are not in the kernel. Nothing else is denied, and a container that "
                "is restarted escapes until cofferdamd runs: systemctl start cofferdamd"));
}

static void print_without(const json_t *result, bool dry_run, FILE *out, bool colour)
{
    const char *why = why_without(result);

    if (!why)
        return;
    cli_print_line(out, colour, STYLE_WARN,
                   xasprintf("%s: this %s without it, by tables of its own (" LOCK_TABLE_NAME
                             "), which it takes over when it "
                             "is back.",
                             why, dry_run ? "would be cut" : "was cut"));
    if (json_is_true(json_object_get(result, "rules_stand")))
        cli_print_line(
            out, false, STYLE_NONE,
            xstrdup(
                "  Until then its rules stand as they were: they deny a container that is restarted, and what "
                "--allow excepts passes only where they let it."));
}

void lockdown_print(const json_t *result, int exit_status, FILE *out, bool colour)
{
    const json_t *containers = json_object_get(result, "containers"), *item;
    bool dry_run = json_is_true(json_object_get(result, "dry_run"));
    long long took = cli_number_of(result, "took_usec");
    size_t i;

    print_no_rules(result, out, colour);
    lockdown_print_sockets(containers, out, colour);
    json_array_foreach (containers, i, item)
        print_not_cut(item, out, colour);
    lockdown_print_shared(containers, out, colour);
    print_all(json_object_get(result, "problems"), out, colour, STYLE_BAD);
    json_array_foreach (containers, i, item)
        print_cut(item, dry_run, out, colour);
    print_unnamed(json_object_get(result, "unnamed"), dry_run, out, colour);
    if (json_array_size(containers) + json_array_size(json_object_get(result, "unnamed")) == 0)
        cli_print_line(out, colour, STYLE_WARN, xstrdup("No container that is known now is meant."));
    print_connections(result, dry_run, out, colour);
    lockdown_print_evidence(result, out, colour);
    if (dry_run)
        cli_print_line(out, false, STYLE_NONE, xstrdup("This was a dry run: nothing was changed."));
    else if (exit_status == STATUS_OK && took > 0)
        cli_print_line(
            out, false, STYLE_NONE,
            xasprintf("The rules stood after %lld.%lld ms; no connection is left, and the kernel was read "
                      "back.",
                      took / 1000, took % 1000 / 100));
    else if (exit_status == STATUS_OK)
        cli_print_line(out, false, STYLE_NONE, xstrdup("The kernel was read back and holds it."));
    print_without(result, dry_run, out, colour);
}

/* ---- the list ----------------------------------------------------------------------------------------- */

static void print_lockdown(const json_t *lock, FILE *out, bool colour)
{
    const char *direction = cli_text_of(lock, "direction") ?: "both";
    _cleanup_free_ char *reason = text_escape(cli_text_of(lock, "reason") ?: "no reason given", false);
    const char *since = cli_text_of(lock, "since") ?: "?", *until = cli_text_of(lock, "until");
    _cleanup_free_ char *allow = joined(json_object_get(lock, "allow"));
    _cleanup_free_ char *meant = joined(json_object_get(lock, "containers"));

    cli_print_line(out, colour, STYLE_BAD,
                   xasprintf("  %s%s", cli_text_of(lock, "text") ?: "?",
                             strcmp(direction, "in") == 0    ? " (connections to it)"
                             : strcmp(direction, "out") == 0 ? " (connections that it opens)"
                                                             : ""));
    cli_print_line(out, false, STYLE_NONE,
                   xasprintf("    since %s by %s%s%s: %s", since, cli_text_of(lock, "by") ?: "?",
                             until ? ", until " : "", until ?: "", reason));
    if (allow)
        cli_print_line(out, false, STYLE_NONE, xasprintf("    except for %s", allow));
    if (cli_text_of(lock, "select") || !meant)
        cli_print_line(out, false, STYLE_NONE, xasprintf("    containers: %s", meant ?: "none now"));
}

bool lockdowns_print(const json_t *lockdowns, FILE *out, bool colour)
{
    const json_t *item;
    size_t i;

    if (json_array_size(lockdowns) == 0)
        return false;
    cli_print_line(out, colour, STYLE_HEAD, xstrdup("Locked down"));
    json_array_foreach (lockdowns, i, item)
        print_lockdown(item, out, colour);
    return true;
}

void lockdowns_print_problems(const json_t *result, FILE *out, bool colour)
{
    print_all(json_object_get(result, "problems"), out, colour, STYLE_BAD);
}

void lock_tables_print(const json_t *result, FILE *out, bool colour)
{
    const char *why = cli_text_of(result, "lock_tables"), *without = why_without(result);

    if (without)
        cli_print_line(
            out, colour, STYLE_WARN,
            xasprintf("%s: this is what it has left on record, and what was done since without it.",
                      without));

    else if (why)
        cli_print_line(
            out, colour, STYLE_WARN,
            xasprintf("The lock tables still stand, made while cofferdamd did not answer: %s", why));
}

/* ---- release ------------------------------------------------------------------------------------------ */

static const char *who_decides(const json_t *result, int exit_status)
{
    if (why_without(result))
        return json_is_true(json_object_get(result, "rules_stand"))
                   ? "; the rules that stand decide again"
                   : "; no rules of cofferdamd stand, and nothing is denied until it runs";
    return exit_status == STATUS_OK ? "; the policies decide again, and the kernel was read back" : "";
}

void release_print(const json_t *result, int exit_status, FILE *out, bool colour)
{
    const json_t *lockdowns = json_object_get(result, "lockdowns");
    _cleanup_free_ char *names = joined(json_object_get(result, "released"));
    const char *why = why_without(result);

    lockdowns_print_problems(result, out, colour);
    if (names)
        cli_print_line(out, colour, STYLE_GOOD,
                       xasprintf("released: %s%s", names, who_decides(result, exit_status)));
    else if (json_array_size(json_object_get(result, "stay_cut")) == 0)
        cli_print_line(out, false, STYLE_NONE, xstrdup("Nothing was locked down."));
    lockdowns_print(lockdowns, out, colour);
    if (why)
        cli_print_line(out, colour, STYLE_WARN,
                       xasprintf("%s: this was done without it, and is on record for it.", why));
}
