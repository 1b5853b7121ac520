/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The text of `cofferdam plan`, from documents as the daemon makes them and as it should not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "cli/cli.h"

static const char everything[] =
    "{'changes': true, 'plan_id': '00', 'summary': {"
    "  'policies_added': 1, 'policies_changed': 2, 'policies_removed': 1, 'policies_same': 7,"
    "  'connections_allowed': 1, 'connections_denied': 2, 'live_connections_cut': 4,"
    "  'rules_added': 2, 'rules_removed': 1, 'rules_reordered': 1, 'errors': 1, 'warnings': 1},"
    " 'policies': ["
    "  {'name': 'a', 'change': 'added', 'mode': 'audit', 'old_mode': null, 'place': {'file': 'p/a.yaml', 'line': 3},"
    "   'old_place': null},"
    "  {'name': 'shop-db', 'change': 'changed', 'mode': 'enforce', 'old_mode': 'audit',"
    "   'place': {'file': 'p/shop.yaml', 'line': 12}, 'old_place': {'file': '/etc/x.yaml', 'line': 2}},"
    "  {'name': 'old', 'change': 'removed', 'mode': null, 'old_mode': 'enforce', 'place': null,"
    "   'old_place': {'file': '/etc/x.yaml', 'line': 9}}],"
    " 'connections': [],"
    " 'live_connections': {'known': true, 'more': 1, 'cut': ["
    "  {'from': 'web', 'to': 'db', 'port': '5432/tcp', 'via': null, 'from_port': 1},"
    "  {'from': 'web', 'to': 'db', 'port': '5432/tcp', 'via': null, 'from_port': 2},"
    "  {'from': '192.0.2.7', 'to': 'web', 'port': '80/tcp', 'via': '203.0.113.1:8080', 'from_port': 2}]},"
    " 'rules': {'operations': 5, 'replaced': false, 'validated': true, 'more': 6, 'lines': ["
    "  {'change': '+', 'table': 'inet cofferdam', 'kind': 'chain', 'name': 'z', 'text': 'chain z'},"
    "  {'change': '+', 'table': 'inet cofferdam', 'kind': 'rule', 'name': 'z', 'text': 'accept'},"
    "  {'change': '-', 'table': 'inet cofferdam', 'kind': 'element', 'name': 's', 'text': '10.0.0.1'},"
    "  {'change': '~', 'table': 'bridge cofferdam', 'kind': 'table', 'name': 'cofferdam', 'text': 'odd'}]},"
    " 'problems': [{'level': 'warning', 'message': 'web is not enforced'},"
    "  {'level': 'error', 'code': 'C070', 'file': 'p/a.yaml', 'line': 3, 'column': 1, 'width': 1, 'message': 'no'}]}";

#define SUMMARY                                                                                                       \
    "Plan: 1 policy added, 2 policies changed, 1 policy removed, 1 connection allowed, 2 denied, 4 live connections " \
    "cut, 2 rules +, 1 -, 1 chain in another order; 1 error, 1 warning\n"
#define CONNECTIONS                                                                                          \
    "\nConnections\n"                                                                                        \
    "  + web -> db  80/tcp  denied -> allowed\n"                                                             \
    "  - x -> y\n"                                                                                           \
    "    and 3 more\n"

static const char expected[] = SUMMARY "\nPolicies (7 unchanged)\n"
                                       "  +  a        mode: audit             p/a.yaml:3\n"
                                       "  ~  shop-db  mode: audit -> enforce  p/shop.yaml:12\n"
                                       "  -  old                              was /etc/x.yaml:9\n" CONNECTIONS
                                       "\nLive connections that would be cut\n"
                                       "  -  web -> db         5432/tcp  2 connections\n"
                                       "  -  192.0.2.7 -> web  80/tcp    by way of 203.0.113.1:8080\n"
                                       "  and 1 more\n"
                                       "\nRules (the kernel would take them)\n"
                                       "  table inet cofferdam, chain z\n"
                                       "    + chain z\n"
                                       "    + accept\n"
                                       "  table inet cofferdam, set s\n"
                                       "    - 10.0.0.1\n"
                                       "  table bridge cofferdam\n"
                                       "    ~ odd\n"
                                       "    and 6 more\n"
                                       "\nProblems\n"
                                       "warning: web is not enforced\n"
                                       "p/a.yaml:3:1: error[C070]: no\n"
                                       "\nTo apply just this: cofferdam apply --only 00\n"
                                       "\n" SUMMARY;

/* JSON with single quotes, for the sake of the reader. */
static json_t *load(const char *text)
{
    _cleanup_free_ char *quoted = xstrdup(text);
    json_error_t error;

    for (char *c = quoted; *c; c++)
        *c = *c == '\'' ? '"' : *c == '\n' ? ' ' : *c;
    json_t *json = json_loads(quoted, 0, &error);
    if (!json)
        fail_msg("%s at %d", error.text, error.position);
    return json;
}

static char *printed(json_t *result /* stolen */, const struct cli_options *options, bool colour)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    plan_print(result, options, out, colour);
    fclose(out);
    json_decref(result);
    return text;
}

static void assert_printed(json_t *result, const struct cli_options *options, const char *text)
{
    _cleanup_free_ char *is = printed(result, options, false);

    assert_string_equal(is, text);
}

static json_t *document(void)
{
    json_t *result = load(everything);

    json_object_set_new(result, "connections_text",
                        json_string("+ web -> db  80/tcp  denied -> allowed\n- x -> y\n  and 3 more\n"));
    return result;
}

static void all_of_it(void **state)
{
    (void)state;
    assert_printed(document(), &(struct cli_options){0}, expected);
    assert_printed(document(), &(struct cli_options){.brief = true}, SUMMARY CONNECTIONS);
    _cleanup_free_ char *colour = printed(document(), &(struct cli_options){0}, true);
    assert_non_null(strstr(colour, "\033[32m  + web -> db"));
    assert_non_null(strstr(colour, "\033[1;31m    - 10.0.0.1"));
}

static char *markdown(json_t *result /* taken over */, bool brief)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    plan_print_markdown(result, &(struct cli_options){.brief = brief}, out);
    fclose(out);
    json_decref(result);
    return text;
}

static void as_markdown(void **state)
{
    static const char connections[] = "\n### Connections\n\n```diff\n"
                                      "+ web -> db  80/tcp  denied -> allowed\n- x -> y\n  and 3 more\n```\n";
    _cleanup_free_ char *text = markdown(document(), false), *brief = markdown(document(), true);
    _cleanup_free_ char *summary = xstrndup(SUMMARY, strlen(SUMMARY) - 1),
                        *expected_brief = xasprintf("**%s**\n%s", summary, connections);

    (void)state;
    assert_string_equal(brief, expected_brief);
    assert_memory_equal(text, brief, strlen(summary) + 5);
    assert_non_null(strstr(text, connections));
    assert_non_null(strstr(text, "\n### Policies (7 unchanged)\n\n```diff\n"
                                 "+  a        mode: audit             p/a.yaml:3\n"));
    assert_non_null(strstr(text, "\n### Live connections that would be cut\n\n```diff\n"
                                 "-  web -> db         5432/tcp  2 connections\n"
                                 "-  192.0.2.7 -> web  80/tcp    by way of 203.0.113.1:8080\n"
                                 "and 1 more\n```\n"));
    assert_non_null(strstr(text,
                           "\n<details><summary>Rules (the kernel would take them)</summary>\n\n```diff\n"
                           "@@ table inet cofferdam, chain z @@\n+ chain z\n+ accept\n"));
    assert_non_null(strstr(text, "and 6 more\n```\n\n</details>\n"));
    assert_non_null(strstr(text, "\n### Problems\n\n```diff\nwarning: web is not enforced\n"));
    assert_non_null(strstr(text, "\n\nTo apply just this: `cofferdam apply --only 00`\n"));
}

/* Whatever stands in it ends no block and begins no line. */
static void markdown_holds(void **state)
{
    (void)state;
    json_t *result =
        json_pack("{s:b, s:s, s:s, s:{s:i, s:b, s:[{s:s, s:s, s:s, s:s, s:s}]}}", "changes", 1, "plan_id",
                  "`\n# not ours", "connections_text", "+ ````` -> ```\n", "rules", "operations", 1,
                  "validated", 1, "lines", "change", "```", "table", "inet cofferdam", "kind", "rule", "name",
                  "c\n```\n", "text", "accept\n```\n</details>");
    _cleanup_free_ char *text = markdown(result, false);
    assert_string_equal(text, "**Plan: what stands in the kernel is put in order**\n"
                              "\n### Connections\n\n``````diff\n+ ````` -> ```\n``````\n"
                              "\n<details><summary>Rules (the kernel would take them)</summary>\n"
                              "\n````diff\n"
                              "@@ table inet cofferdam, chain c\\x0a```\\x0a @@\n"
                              "? accept\\x0a```\\x0a</details>\n````\n"
                              "\n</details>\n");
}

static void nothing(void **state)
{
    (void)state;
    assert_printed(
        load(
            "{'changes': false, 'plan_id': '00', 'summary': {'policies_same': 3}, 'policies': [], 'problems': []}"),
        &(struct cli_options){0}, "No changes.\n");
    assert_printed(load("{'changes': false, 'summary': {'warnings': 1},"
                        " 'problems': [{'level': 'warning', 'message': 'm'}]}"),
                   &(struct cli_options){0},
                   "No changes. 1 warning\n\nProblems\nwarning: m\n\nNo changes. 1 warning\n");
}

/* That nothing changes is said only where the answer says so. */
static void doubtful(void **state)
{
    static const char *const answers[] = {"{}", "{'changes': null}", "{'changes': 0}", "{'changes': true}"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        _cleanup_free_ char *text = printed(load(answers[i]), &(struct cli_options){0}, false);

        assert_null(strstr(text, "No changes"));
    }
    assert_printed(
        load("{'changes': true, 'rules': {'operations': 1, 'replaced': true, 'validated': false}}"),
        &(struct cli_options){.brief = false},
        "Plan: what stands in the kernel is put in order\n"
        "\nRules (the tables are replaced in whole, the kernel would refuse them; --rules lists them)\n"
        "\nPlan: what stands in the kernel is put in order\n");
}

/* Names of containers, and what stands in the kernel, are anybody's. */
static void tricks(void **state)
{
    (void)state;
    json_t *result =
        json_pack("{s:b, s:{s:[{s:s, s:s, s:s, s:n}]}, s:{s:i, s:b, s:[{s:s, s:s, s:s, s:s, s:s}]}}",
                  "changes", 1, "live_connections", "cut", "from", "\033[2Jweb", "to", "a\rb", "port",
                  "1/tcp", "via", "rules", "operations", 1, "validated", 1, "lines", "change", "+", "table",
                  "inet cofferdam", "kind", "rule", "name", "c\t", "text", "accept \n    - \xe2\x80\xae");
    _cleanup_free_ char *text = printed(result, &(struct cli_options){0}, false);
    assert_non_null(strstr(text, "  -  \\x1b[2Jweb -> a\\x0db  1/tcp\n"));
    assert_non_null(strstr(text, "chain c\\x09\n    + accept \\x0a    - \\xe2\\x80\\xae\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it), cmocka_unit_test(as_markdown), cmocka_unit_test(markdown_holds),
        cmocka_unit_test(nothing),   cmocka_unit_test(doubtful),    cmocka_unit_test(tricks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
