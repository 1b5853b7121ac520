/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `cofferdam status --rules` prints: how often each rule of the policies has let something pass. */
#include <string.h>

#include "cli/cli.h"
#include "util/utc.h"

#define MINUTE 60ull
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key)) ?: "";
}

static bool is_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

static uint64_t time_of(const json_t *object, const char *key)
{
    uint64_t seconds = 0;

    (void)utc_parse(text_of(object, key), &seconds);
    return seconds;
}

/* The two largest units: "3d4h", "5m10s", "12s". */
static char *span_text(uint64_t seconds)
{
    static const struct {
        uint64_t length;
        char letter;
    } units[] = {{DAY, 'd'}, {HOUR, 'h'}, {MINUTE, 'm'}, {1, 's'}};
    size_t i = 0;

    while (i + 2 < ARRAY_SIZE(units) && seconds < units[i].length)
        i++;
    uint64_t first = seconds / units[i].length, second = seconds % units[i].length / units[i + 1].length;
    if (first == 0)
        return xasprintf("%llu%c", (unsigned long long)second, units[i + 1].letter);
    if (second == 0)
        return xasprintf("%llu%c", (unsigned long long)first, units[i].letter);
    return xasprintf("%llu%c%llu%c", (unsigned long long)first, units[i].letter, (unsigned long long)second,
                     units[i + 1].letter);
}

/* "ingress 1", or its own name behind the direction. The caller frees it. */
static char *rule_word(const json_t *rule)
{
    const char *name = text_of(rule, "name"), *direction = text_of(rule, "direction");
    const char *deny = is_true(rule, "deny") ? "deny " : "";

    return *name ? xasprintf("%s%s %s", deny, direction, name)
                 : xasprintf("%s%s %lld", deny, direction,
                             (long long)json_integer_value(json_object_get(rule, "index")));
}

static char *last_text(const json_t *rule, uint64_t now)
{
    uint64_t last = time_of(rule, "last_hit"), since = time_of(rule, "since");
    _cleanup_free_ char *span =
        span_text(last ? now - (last < now ? last : now) : now - (since < now ? since : now));

    if (is_true(rule, "staged") && !last)
        return xstrdup("-");
    return last ? xasprintf("%s ago", span) : xasprintf("never in %s", span);
}

static const char *note_of(const json_t *rule)
{
    if (is_true(rule, "staged"))
        return "its policy is staged: not in the kernel";
    if (is_true(rule, "deny"))
        return json_integer_value(json_object_get(rule, "denied")) ? "denied, of what the log tells" : "";
    if (json_integer_value(json_object_get(rule, "kernel_rules")) == 0)
        return "no container has it";
    return is_true(rule, "shared") ? "shared with other rules of its policy" : "";
}

static size_t widest(const json_t *list, const char *key)
{
    size_t width = 0, i;
    json_t *rule;

    json_array_foreach (list, i, rule) {
        int len = snprintf(NULL, 0, "%lld", (long long)json_integer_value(json_object_get(rule, key)));

        width = (size_t)len > width ? (size_t)len : width;
    }
    return width;
}

static void add_number(struct cli_table *table, const json_t *rule, const char *key, size_t width)
{
    _cleanup_free_ char *text =
        xasprintf("%*lld", (int)width, (long long)json_integer_value(json_object_get(rule, key)));

    cli_table_add(table, STYLE_NONE, text);
}

static void add_rule(struct cli_table *table, const json_t *list, size_t i, uint64_t now)
{
    const json_t *rule = json_array_get(list, i), *before = i ? json_array_get(list, i - 1) : NULL;
    bool same = before && strcmp(text_of(before, "policy"), text_of(rule, "policy")) == 0;
    bool deny = is_true(rule, "deny");
    _cleanup_free_ char *word = rule_word(rule), *last = last_text(rule, now);
    size_t hits = widest(list, "hits"), denied = widest(list, "denied");

    cli_table_add(table, STYLE_HEAD, same ? NULL : text_of(rule, "policy"));
    cli_table_add(table, STYLE_NONE, word);
    add_number(table, rule, deny ? "denied" : "hits", hits > denied ? hits : denied);
    if (deny)
        cli_table_add(table, STYLE_DIM, "-");
    else
        add_number(table, rule, "bytes", widest(list, "bytes"));
    cli_table_add(table, is_true(rule, "unused") ? STYLE_WARN : STYLE_NONE, last);
    cli_table_add(table, STYLE_DIM, note_of(rule));
}

static size_t count_unused(const json_t *list)
{
    size_t n = 0, i;
    json_t *rule;

    json_array_foreach (list, i, rule)
        n += is_true(rule, "unused");
    return n;
}

void rules_print(const json_t *result, FILE *out, bool colour)
{
    static const char *const heads[] = {"POLICY", "RULE", "HITS", "BYTES", "LAST HIT", ""};
    const json_t *rules = json_object_get(result, "rules"), *list = json_object_get(rules, "list");
    _cleanup_(cli_table_freep) struct cli_table *table = cli_table_new(ARRAY_SIZE(heads));
    const char *error = text_of(rules, "error");
    size_t unused = count_unused(list);

    for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
        cli_table_add(table, STYLE_DIM, heads[i]);
    for (size_t i = 0; i < json_array_size(list); i++)
        add_rule(table, list, i, time_of(rules, "now"));
    if (json_array_size(list))
        cli_table_print(table, out, colour);
    else
        fputs("  no rules: no policies are in force\n", out);
    fputs("\nA hit is a packet that begins a connection, and BYTES are of these packets; what belongs to a\n"
          "connection that stands meets no rule.\n",
          out);
    if (unused)
        fprintf(out, "%zu rule%s let nothing pass for a day or longer; another rule may let pass the same.\n",
                unused, unused == 1 ? " has" : "s have");
    if (*error) {
        cli_print_styled(out, colour, STYLE_BAD, error);
        fputc('\n', out);
    }
}
