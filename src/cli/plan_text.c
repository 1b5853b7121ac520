// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The document of the verb "plan" as a person wants it: a summary on one line first and last, and what changes between;
 * what stays as it is is only counted. All names may be a stranger's.
 */
#include <string.h>

#include "cli/cli.h"
#include "util/text.h"

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key)) ?: "?";
}

static const char *plural(long long n)
{
    return n == 1 ? "" : "s";
}

static void print_head(FILE *out, bool colour, char *title /* freed */)
{
    fputc('\n', out);
    cli_print_line(out, colour, STYLE_HEAD, title);
}

/* ---- the summary -------------------------------------------------------------------------------------- */

/* Parts with commas between them; n 0: there is nothing to say. */
static void add_part(char **line, long long n, char *part /* freed */)
{
    char *longer = NULL;

    if (n)
        longer = *line ? xasprintf("%s, %s", *line, part) : xstrdup(part);
    free(part);
    if (!longer)
        return;
    free(*line);
    *line = longer;
}

static void add_policies(char **line, const json_t *summary, const char *key, const char *what)
{
    long long n = cli_number_of(summary, key);

    add_part(line, n, xasprintf("%lld polic%s %s", n, n == 1 ? "y" : "ies", what));
}

static void add_rules(char **line, const json_t *summary)
{
    long long added = cli_number_of(summary, "rules_added"),
              removed = cli_number_of(summary, "rules_removed"),
              moved = cli_number_of(summary, "rules_reordered");

    add_part(line, added, xasprintf("%lld rule%s +", added, plural(added)));
    if (added)
        add_part(line, removed, xasprintf("%lld -", removed));
    else
        add_part(line, removed, xasprintf("%lld rule%s -", removed, plural(removed)));
    add_part(line, moved, xasprintf("%lld chain%s in another order", moved, plural(moved)));
}

static void add_connections(char **line, const json_t *summary)
{
    long long allowed = cli_number_of(summary, "connections_allowed"),
              denied = cli_number_of(summary, "connections_denied");

    add_part(line, allowed, xasprintf("%lld connection%s allowed", allowed, plural(allowed)));
    if (allowed)
        add_part(line, denied, xasprintf("%lld denied", denied));
    else
        add_part(line, denied, xasprintf("%lld connection%s denied", denied, plural(denied)));
}

/* An answer that does not say so is not one that nothing changes. */
static bool has_changes(const json_t *result)
{
    return !json_is_false(json_object_get(result, "changes"));
}

/* Of what is recorded, the lines that these policies are to blame for. */
static long long count_newly_denied(const json_t *result)
{
    const json_t *line;
    long long n = 0;
    size_t i;

    json_array_foreach (json_object_get(json_object_get(result, "recorded"), "denied"), i, line)
        n += strcmp(text_of(line, "in_force"), "allowed") == 0;
    return n;
}

char *plan_summary(const json_t *result)
{
    const json_t *summary = json_object_get(result, "summary");
    long long cut = cli_number_of(summary, "live_connections_cut"), errors = cli_number_of(summary, "errors"),
              warnings = cli_number_of(summary, "warnings"), recorded = count_newly_denied(result);
    bool changes = has_changes(result);
    _cleanup_free_ char *line = NULL, *problems = NULL;

    add_policies(&line, summary, "policies_added", "added");
    add_policies(&line, summary, "policies_changed", "changed");
    add_policies(&line, summary, "policies_removed", "removed");
    add_connections(&line, summary);
    add_part(&line, cut, xasprintf("%lld live connection%s cut", cut, plural(cut)));
    add_part(&line, recorded, xasprintf("%lld recorded connection%s denied", recorded, plural(recorded)));
    add_rules(&line, summary);
    add_part(&problems, errors, xasprintf("%lld error%s", errors, plural(errors)));
    add_part(&problems, warnings, xasprintf("%lld warning%s", warnings, plural(warnings)));
    return xasprintf("%s%s%s%s", changes ? "Plan: " : "No changes.",
                     !changes ? ""
                     : line   ? line
                              : "what stands in the kernel is put in order",
                     problems ? (changes ? "; " : " ") : "", problems ?: "");
}

static void print_summary(const json_t *result, FILE *out, bool colour)
{
    bool errors = cli_number_of(json_object_get(result, "summary"), "errors") > 0;

    cli_print_line(out, colour, errors ? STYLE_BAD : STYLE_HEAD, plan_summary(result));
}

/* ---- policies ----------------------------------------------------------------------------------------- */

struct mark {
    const char *word, *sign;
    enum cli_style style;
};

static const struct mark *mark_of(const char *word)
{
    static const struct mark marks[] = {
        {"added", "+", STYLE_GOOD}, {"changed", "~", STYLE_WARN}, {"removed", "-", STYLE_BAD},
        {"+", "+", STYLE_GOOD},     {"-", "-", STYLE_BAD},        {"~", "~", STYLE_WARN},
        {NULL, "?", STYLE_WARN},
    };
    size_t i = 0;

    while (marks[i].word && strcmp(marks[i].word, word) != 0)
        i++;
    return &marks[i];
}

/* "audit -> enforce", "audit"; NULL where there is nothing out of the ordinary. The caller frees it. */
static char *mode_text(const json_t *policy)
{
    const char *old = json_string_value(json_object_get(policy, "old_mode")),
               *mode = json_string_value(json_object_get(policy, "mode"));

    if (old && mode && strcmp(old, mode) != 0)
        return xasprintf("mode: %s -> %s", old, mode);
    return strcmp(mode ?: old ?: "", "audit") == 0 ? xstrdup("mode: audit") : NULL;
}

static void add_policy(struct cli_table *table, const json_t *policy)
{
    const struct mark *mark = mark_of(text_of(policy, "change"));
    const json_t *now = json_object_get(policy, "place"),
                 *place = json_is_object(now) ? now : json_object_get(policy, "old_place");
    _cleanup_free_ char *mode = mode_text(policy);
    _cleanup_free_ char *where = xasprintf("%s%s:%lld", place == now ? "" : "was ", text_of(place, "file"),
                                           cli_number_of(place, "line"));

    cli_table_add(table, mark->style, mark->sign);
    cli_table_add(table, STYLE_NONE, text_of(policy, "name"));
    cli_table_add(table, STYLE_WARN, mode);
    cli_table_add(table, STYLE_DIM, where);
}

static void print_policies(const json_t *result, FILE *out, bool colour)
{
    const json_t *policies = json_object_get(result, "policies"), *policy;
    _cleanup_(cli_table_freep) struct cli_table *table = cli_table_new(4);
    size_t i;

    if (json_array_size(policies) == 0)
        return;
    print_head(out, colour,
               xasprintf("Policies (%lld unchanged)",
                         cli_number_of(json_object_get(result, "summary"), "policies_same")));
    json_array_foreach (policies, i, policy)
        add_policy(table, policy);
    cli_table_print(table, out, colour);
}

/* ---- connections -------------------------------------------------------------------------------------- */

static enum cli_style style_of(const char *line)
{
    return line[0] == '+' ? STYLE_GOOD : line[0] == '-' ? STYLE_BAD : STYLE_NONE;
}

static void print_changes(const json_t *result, FILE *out, bool colour)
{
    _cleanup_free_ char *text = xstrdup(json_string_value(json_object_get(result, "connections_text")) ?: "");
    char *rest = text, *line;

    if (!*text)
        return;
    print_head(out, colour, xstrdup("Connections"));
    while ((line = strsep(&rest, "\n")))
        if (*line)
            cli_print_line(out, colour, style_of(line), xasprintf("  %s", line));
}

/* No kernel was there to try the rules on. */
static bool is_offline(const json_t *result)
{
    return json_is_null(json_object_get(json_object_get(result, "rules"), "validated"));
}

/* ---- live connections --------------------------------------------------------------------------------- */

static bool same_line(const json_t *a, const json_t *b)
{
    static const char *const keys[] = {"from", "to", "port", "via"};
    bool same = true;

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        same = same && json_equal(json_object_get(a, keys[i]), json_object_get(b, keys[i]));
    return same;
}

static void add_connection(struct cli_table *table, const json_t *flow, size_t n)
{
    const char *via = json_string_value(json_object_get(flow, "via"));
    _cleanup_free_ char *ends = xasprintf("%s -> %s", text_of(flow, "from"), text_of(flow, "to")),
                        *note =
                            xasprintf("%s%s%s", via ? "by way of " : "", via ?: "", via && n > 1 ? ", " : ""),
                        *times = n > 1 ? xasprintf("%s%zu connections", note, n) : xstrdup(note);

    cli_table_add(table, STYLE_BAD, "-");
    cli_table_add(table, STYLE_NONE, ends);
    cli_table_add(table, STYLE_NONE, text_of(flow, "port"));
    cli_table_add(table, STYLE_DIM, times);
}

/* They are sorted: those that differ in the port that they come from alone stand together. */
static void print_connections(const json_t *result, FILE *out, bool colour)
{
    const json_t *live = json_object_get(result, "live_connections"), *cut = json_object_get(live, "cut");
    _cleanup_(cli_table_freep) struct cli_table *table = cli_table_new(4);
    size_t n = json_array_size(cut), next;

    if (n == 0) {
        if (is_offline(result) && cli_number_of(json_object_get(result, "summary"), "connections_denied") > 0)
            print_head(out, colour,
                       xstrdup("Live connections that would be cut: not known, as no daemon was asked"));
        return;
    }
    print_head(out, colour, xstrdup("Live connections that would be cut"));
    for (size_t i = 0; i < n; i = next) {
        next = i + 1;
        while (next < n && same_line(json_array_get(cut, i), json_array_get(cut, next)))
            next++;
        add_connection(table, json_array_get(cut, i), next - i);
    }
    cli_table_print(table, out, colour);
    if (cli_number_of(live, "more") > 0)
        cli_print_line(out, colour, STYLE_DIM, xasprintf("  and %lld more", cli_number_of(live, "more")));
}

/* ---- rules -------------------------------------------------------------------------------------------- */

/* The chain or set that a rule or element stands in; what stands in none says itself what it is. */
static char *holder_of(const json_t *line)
{
    _cleanup_free_ char *name = text_escape(text_of(line, "name"), false);
    const char *kind = text_of(line, "kind");
    bool table = strcmp(kind, "table") == 0, chain = strcmp(kind, "chain") == 0 || strcmp(kind, "rule") == 0;

    return xasprintf("  table %s%s%s", text_of(line, "table"),
                     table   ? ""
                     : chain ? ", chain "
                             : ", set ",
                     table ? "" : name);
}

static void print_lines(const json_t *lines, FILE *out, bool colour)
{
    _cleanup_free_ char *holder = NULL;
    const json_t *line;
    size_t i;

    json_array_foreach (lines, i, line) {
        const struct mark *mark = mark_of(text_of(line, "change"));
        _cleanup_free_ char *text = text_escape(text_of(line, "text"), false); /* a line end would make two */
        char *next = holder_of(line);

        if (!holder || strcmp(holder, next) != 0)
            cli_print_line(out, colour, STYLE_DIM, xstrdup(next));
        free(holder);
        holder = next;
        cli_print_line(out, colour, mark->style, xasprintf("    %s %s", mark->sign, text));
    }
}

static void print_rules(const json_t *result, FILE *out, bool colour)
{
    const json_t *rules = json_object_get(result, "rules"), *lines = json_object_get(rules, "lines");
    bool validated = json_is_true(json_object_get(rules, "validated"));

    if (cli_number_of(rules, "operations") == 0)
        return;
    print_head(out, colour,
               xasprintf("Rules (%s%s%s)",
                         json_is_true(json_object_get(rules, "replaced"))
                             ? "the tables are replaced in whole, "
                             : "",
                         is_offline(result) ? "not tried on a kernel"
                         : validated        ? "the kernel would take them"
                                            : "the kernel would refuse them",
                         json_is_array(lines) ? "" : "; --rules lists them"));
    print_lines(lines, out, colour);
    if (cli_number_of(rules, "more") > 0)
        cli_print_line(out, colour, STYLE_DIM, xasprintf("    and %lld more", cli_number_of(rules, "more")));
}

/* ------------------------------------------------------------------------------------------------------- */

static void print_problems(const json_t *result, FILE *out, bool colour)
{
    const json_t *problems = json_object_get(result, "problems");
    _cleanup_diags_ struct diags diags = {};

    if (json_array_size(problems) == 0)
        return;
    print_head(out, colour, xstrdup("Problems"));
    if (diags_from_json(problems, &diags) < 0)
        fputs("what the daemon says of them is not understood: see --json\n", out);
    diags_print(&diags, out, colour);
}

static void print_recorded(const json_t *result, FILE *out, bool colour)
{
    plan_print_recorded(json_object_get(result, "recorded"), out, colour);
}

void plan_print_section(const json_t *result, enum plan_section section, FILE *out, bool colour)
{
    static void (*const print[PLAN_SECTIONS])(const json_t *result, FILE *out, bool colour) = {
        [PLAN_POLICIES] = print_policies, [PLAN_CONNECTIONS] = print_changes,
        [PLAN_LIVE] = print_connections,  [PLAN_RECORDED] = print_recorded,
        [PLAN_RULES] = print_rules,       [PLAN_PROBLEMS] = print_problems,
    };

    print[section](result, out, colour);
}

/* So that nothing else is applied than what is shown here. */
static void print_id(const json_t *result, FILE *out, bool colour)
{
    const char *id = json_string_value(json_object_get(result, "plan_id"));
    _cleanup_free_ char *safe = id ? text_escape(id, false) : NULL;

    if (safe && has_changes(result))
        cli_print_line(out, colour, STYLE_DIM,
                       xasprintf("\nTo apply just this: cofferdam apply --only %s", safe));
}

void plan_print(const json_t *result, const struct cli_options *options, FILE *out, bool colour)
{
    bool last = has_changes(result) || json_array_size(json_object_get(result, "problems")) > 0;

    print_summary(result, out, colour);
    for (enum plan_section section = 0; section < PLAN_SECTIONS; section++)
        if (!options->brief || section == PLAN_CONNECTIONS || section == PLAN_RECORDED)
            plan_print_section(result, section, out, colour);
    if (!options->brief)
        print_id(result, out, colour);
    if (!last || options->brief)
        return;
    fputc('\n', out);
    print_summary(result, out, colour);
}
