/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The document of the verb "status" as a person wants it: daemon and Engine, networks, containers, problems
 * last.
 */
#include <string.h>

#include "cli/cli.h"
#include "util/text.h"

static bool is_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

static void print_head(FILE *out, bool colour, const char *title)
{
    fputc('\n', out);
    cli_print_styled(out, colour, STYLE_HEAD, title);
    fputc('\n', out);
}

static void print_trial(const json_t *trial, FILE *out, bool colour)
{
    const json_t *change = json_object_get(trial, "change");
    const char *until = cli_text_of(trial, "until") ?: "", *comment = cli_text_of(change, "comment"),
               *by = cli_text_of(trial, "by");
    _cleanup_free_ char *said = comment ? text_escape(comment, false) : NULL;

    if (!json_is_object(trial))
        return;
    if (is_true(trial, "ending"))
        cli_print_line(out, colour, STYLE_BAD,
                       xstrdup("The trial of policies is over: those before it are being brought back"));
    else
        cli_print_line(out, colour, STYLE_WARN,
                       xasprintf("The policies are on trial %s, begun by %s%s%s\n"
                                 "`cofferdam confirm` keeps them; `cofferdam rollback` goes back now",
                                 until, by ?: "?", said ? ": " : "", said ?: ""));
}

static const char *held_text(const char *reason)
{
    if (reason && strcmp(reason, "rollback") == 0)
        return "rolled back to";
    if (reason && strcmp(reason, "expired") == 0)
        return "as the last trial was not confirmed";
    return "as a trial of newer ones did not end";
}

static void print_held(const json_t *daemon, FILE *out, bool colour)
{
    const json_t *held = json_object_get(daemon, "held");
    long long number = json_integer_value(json_object_get(held, "number"));
    _cleanup_free_ char *which = number ? xasprintf("those of #%lld", number) : xstrdup("older ones");

    if (json_is_object(held))
        cli_print_line(out, colour, STYLE_WARN,
                       xasprintf("The policies in force are %s, %s (%s);\n"
                                 "the files in %s are not in force until `cofferdam apply`",
                                 which, held_text(cli_text_of(held, "reason")),
                                 cli_text_of(held, "since") ?: "?",
                                 cli_text_of(daemon, "policies_dir") ?: "?"));
}

static void print_daemon(const json_t *daemon, FILE *out, bool colour)
{
    const char *error = cli_text_of(daemon, "last_load_error"), *mode = cli_text_of(daemon, "default_mode");
    const char *loaded = cli_text_of(daemon, "policies_loaded");
    long long n_policies = json_integer_value(json_object_get(daemon, "policies"));

    cli_print_line(out, false, STYLE_NONE,
                   xasprintf("cofferdamd %s, pid %lld, since %s", cli_text_of(daemon, "version") ?: "?",
                             (long long)json_integer_value(json_object_get(daemon, "pid")),
                             cli_text_of(daemon, "started") ?: "?"));
    cli_print_line(out, false, STYLE_NONE,
                   xasprintf("%lld polic%s from %s%s%s", n_policies, n_policies == 1 ? "y" : "ies",
                             cli_text_of(daemon, "policies_dir") ?: "?", loaded ? ", loaded " : "",
                             loaded ?: ""));
    if (json_is_false(json_object_get(daemon, "policies_in_force")))
        cli_print_line(out, colour, STYLE_WARN,
                       xstrdup("Their rules are not in the kernel yet: what stands there stays"));
    if (mode && strcmp(mode, "audit") == 0)
        cli_print_line(
            out, colour, STYLE_WARN,
            xstrdup("default_mode is audit: containers that no policy selects are not restricted"));
    if (error) {
        cli_print_line(
            out, colour, STYLE_BAD,
            xstrdup(is_true(daemon, "policies_kept")
                        ? "The policy files had errors at the start; the last set without errors is in force:"
                        : "The last load failed; the policies before it are in force:"));
        cli_print_line(out, false, STYLE_NONE, xstrdup(error));
    }
}

/* A daemon of another version may not say it. */
static void print_tables(const json_t *tables, FILE *out, bool colour)
{
    const char *reason = cli_text_of(tables, "reason");

    if (is_true(tables, "protected"))
        cli_print_line(
            out, false, STYLE_NONE,
            xasprintf("Tables in the kernel protected: owner and persist, %s",
                      is_true(tables, "kept") ? "kept by the service manager" : "while the daemon runs"));
    else if (json_is_object(tables))
        cli_print_line(out, colour, STYLE_WARN,
                       xasprintf("Tables in the kernel not protected%s%s", reason ? ": " : "", reason ?: ""));
}

/* Only where there is something to see to. */
static void print_log(const json_t *log, FILE *out, bool colour)
{
    const char *error = cli_text_of(log, "error");
    long long lost = json_integer_value(json_object_get(log, "lost"));

    if (error)
        cli_print_line(out, colour, STYLE_BAD, xasprintf("Not everything is logged: %s", error));
    if (lost > 0)
        cli_print_line(out, colour, STYLE_WARN,
                       xasprintf("%lld connection%s could not be logged", lost, lost == 1 ? "" : "s"));
}

static void print_engine(const json_t *engine, FILE *out, bool colour)
{
    const char *socket = cli_text_of(engine, "socket") ?: "?", *error = cli_text_of(engine, "error");

    if (is_true(engine, "connected"))
        cli_print_line(out, false, STYLE_NONE,
                       xasprintf("Docker Engine %s (API %s) at %s", cli_text_of(engine, "version") ?: "?",
                                 cli_text_of(engine, "api") ?: "?", socket));
    else
        cli_print_line(
            out, colour, STYLE_BAD,
            xasprintf("No connection to the Docker Engine at %s%s%s; the rules in the kernel stay in force",
                      socket, error ? ": " : "", error ?: ""));
}

/* "enforced", or "not managed: why", "not enforced: why". */
static void add_state(struct cli_table *table, const json_t *object, bool managed)
{
    const char *reason = cli_text_of(object, "reason");
    const char *state = managed ? "not enforced" : "not managed";

    if (is_true(object, "enforced")) {
        cli_table_add(table, STYLE_GOOD, "enforced");
        return;
    }
    _cleanup_free_ char *text = xasprintf("%s%s%s", state, reason ? ": " : "", reason ?: "");
    cli_table_add(table, managed ? STYLE_BAD : STYLE_DIM, text);
}

/* Docker's own networks that are none: a container on them shows it in its own line. */
static bool is_no_network(const json_t *network)
{
    const char *name = cli_text_of(network, "name");

    return !cli_text_of(network, "bridge") && name &&
           (strcmp(name, "host") == 0 || strcmp(name, "none") == 0);
}

static void print_networks(const json_t *networks, const char *none, FILE *out, bool colour)
{
    _cleanup_(cli_table_freep) struct cli_table *table = cli_table_new(3);
    size_t i;
    json_t *network;

    print_head(out, colour, "Networks");
    if (json_array_size(networks) == 0)
        fprintf(out, "  %s\n", none);
    json_array_foreach (networks, i, network) {
        if (is_no_network(network))
            continue;
        cli_table_add(table, STYLE_NONE, cli_text_of(network, "name"));
        cli_table_add(table, STYLE_DIM, cli_text_of(network, "bridge") ?: "-");
        add_state(table, network, is_true(network, "managed"));
    }
    cli_table_print(table, out, colour);
}

/* "shop-web, trial (audit)"; "-" when no policy selects it. */
static char *policies_text(const json_t *policies)
{
    char *text = NULL;
    size_t len, i;
    json_t *policy;
    FILE *list = open_memstream(&text, &len);

    if (!list)
        return xstrdup("");
    json_array_foreach (policies, i, policy) {
        const char *mode = cli_text_of(policy, "mode");
        fprintf(list, "%s%s%s", i ? ", " : "", cli_text_of(policy, "name") ?: "?",
                mode && strcmp(mode, "audit") == 0 ? " (audit)" : "");
    }
    if (json_array_size(policies) == 0)
        fputc('-', list);
    fclose(list);
    return text;
}

static char *addresses_text(const json_t *endpoint)
{
    const char *ipv4 = cli_text_of(endpoint, "ipv4"), *ipv6 = cli_text_of(endpoint, "ipv6");
    const char *reason = cli_text_of(endpoint, "reason");

    if (!ipv4 && !ipv6)
        return xstrdup(reason ?: "-");
    return xasprintf("%s%s%s%s%s", ipv4 ?: "", ipv4 && ipv6 ? " " : "", ipv6 ?: "", reason ? ": " : "",
                     reason ?: "");
}

static void add_endpoint(struct cli_table *table, const json_t *endpoint)
{
    _cleanup_free_ char *addresses = endpoint ? addresses_text(endpoint) : NULL;

    cli_table_add(table, STYLE_NONE, endpoint ? cli_text_of(endpoint, "network") : "-");
    cli_table_add(table, STYLE_DIM, addresses ?: "-");
}

static void add_container(struct cli_table *table, const json_t *container)
{
    const json_t *endpoints = json_object_get(container, "endpoints");
    _cleanup_free_ char *policies = policies_text(json_object_get(container, "policies"));
    bool none = strcmp(policies, "-") == 0;

    cli_table_add(table, STYLE_HEAD, cli_text_of(container, "name"));
    cli_table_add(table, none ? STYLE_WARN : STYLE_NONE, policies);
    add_endpoint(table, json_array_get(endpoints, 0));
    if (is_true(container, "running"))
        add_state(table, container, true);
    else
        cli_table_add(table, STYLE_DIM, "stopped");
    for (size_t i = 1; i < json_array_size(endpoints); i++) {
        cli_table_add(table, STYLE_NONE, NULL);
        cli_table_add(table, STYLE_NONE, NULL);
        add_endpoint(table, json_array_get(endpoints, i));
        cli_table_add(table, STYLE_NONE, NULL);
    }
}

static void print_containers(const json_t *containers, const char *none, FILE *out, bool colour)
{
    _cleanup_(cli_table_freep) struct cli_table *table = cli_table_new(5);
    static const char *const heads[] = {"NAME", "POLICIES", "NETWORK", "ADDRESSES", "STATE"};
    size_t i;
    json_t *container;

    print_head(out, colour, "Containers");
    if (json_array_size(containers) == 0) {
        fprintf(out, "  %s\n", none);
        return;
    }
    for (size_t h = 0; h < ARRAY_SIZE(heads); h++)
        cli_table_add(table, STYLE_DIM, heads[h]);
    json_array_foreach (containers, i, container)
        add_container(table, container);
    cli_table_print(table, out, colour);
}

/* Labels of a container that do not count because they only repeat its image's. */
static char *ignored_text(const json_t *container)
{
    const json_t *labels = json_object_get(container, "ignored_labels");
    char *text = NULL;
    size_t len, i;
    json_t *label;

    if (json_array_size(labels) == 0)
        return NULL;
    FILE *list = open_memstream(&text, &len);
    if (!list)
        return NULL;
    fprintf(list,
            "%s: labels that only repeat the image's do not count: ", cli_text_of(container, "name") ?: "?");
    json_array_foreach (labels, i, label)
        fprintf(list, "%s%s", i ? ", " : "", json_string_value(label) ?: "?");
    fclose(list);
    return text;
}

static void print_note(FILE *out, bool *headed, bool colour, char *text /* freed */)
{
    if (text && !*headed)
        print_head(out, colour, "Notes");
    *headed = *headed || text;
    if (text)
        cli_print_line(out, false, STYLE_NONE, xasprintf("  %s", text));
    free(text);
}

/* Those that were given to it; and those that its predecessor had. */
static void print_given_labels(const json_t *container, FILE *out, bool *headed, bool colour)
{
    static const struct {
        const char *key, *what;
    } lists[] = {{"overlay_labels", "label"}, {"ended_labels", "HAS NO LONGER label"}};
    _cleanup_free_ char *name = text_escape(cli_text_of(container, "name") ?: "?", false);

    for (size_t l = 0; l < ARRAY_SIZE(lists); l++) {
        const json_t *labels = json_object_get(container, lists[l].key), *label;
        size_t i;

        json_array_foreach (labels, i, label) {
            _cleanup_free_ char *pair =
                xasprintf("%s=%s", cli_text_of(label, "key") ?: "?", cli_text_of(label, "value") ?: "?");
            _cleanup_free_ char *safe = text_escape(pair, false), *told = given_label_text(label);

            print_note(out, headed, colour,
                       xasprintf("%s: %s %s, %s%s", name, lists[l].what, safe, told,
                                 l ? " (it ended with the container that had this name before)" : ""));
        }
    }
}

static void print_problems(const json_t *result, FILE *out, bool colour)
{
    const json_t *problems = json_object_get(result, "problems"),
                 *containers = json_object_get(result, "containers");
    bool headed = false;
    size_t i;
    json_t *item;

    json_array_foreach (problems, i, item) {
        if (!headed)
            print_head(out, colour, "Problems");
        headed = true;
        cli_print_line(out, colour, STYLE_WARN, xasprintf("  %s", json_string_value(item) ?: "?"));
    }
    headed = false;
    json_array_foreach (containers, i, item) {
        const char *caution = cli_text_of(item, "caution");
        if (caution)
            print_note(out, &headed, colour, xasprintf("%s %s", cli_text_of(item, "name") ?: "?", caution));
        print_note(out, &headed, colour, ignored_text(item));
        print_given_labels(item, out, &headed, colour);
    }
}

void status_print(const json_t *result, int exit_status, FILE *out, bool colour)
{
    const json_t *engine = json_object_get(result, "engine");
    /* Without an answer of the Engine, or as long as not all of it is known, an empty list says nothing. */
    bool complete = exit_status == STATUS_OK && is_true(engine, "connected");
    const char *none = complete ? "none" : "none known";

    if (lockdowns_print(json_object_get(result, "lockdowns"), out, colour))
        fputc('\n', out);
    lock_tables_print(result, out, colour);
    print_daemon(json_object_get(result, "daemon"), out, colour);
    print_trial(json_object_get(json_object_get(result, "daemon"), "trial"), out, colour);
    print_held(json_object_get(result, "daemon"), out, colour);
    print_tables(json_object_get(result, "tables"), out, colour);
    print_log(json_object_get(result, "log"), out, colour);
    print_engine(engine, out, colour);
    if (exit_status != STATUS_OK)
        cli_print_line(out, colour, STYLE_BAD,
                       xstrdup("Not everything is enforced: see the states and problems below"));
    print_networks(json_object_get(result, "networks"), none, out, colour);
    print_containers(json_object_get(result, "containers"), none, out, colour);
    status_print_denied(json_object_get(result, "denied"), out, colour);
    print_problems(result, out, colour);
}
