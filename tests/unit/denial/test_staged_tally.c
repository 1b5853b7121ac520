// SPDX-License-Identifier: GPL-2.0-or-later
/* What was seen, put together per staged policy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "denial/staged.h"
#include "denial/staged_tally.h"

#define NOW "2026-11-21T08:00:00Z"

/* who: the names of the ends; would: "deny" or "allow"; by: the items that would change it, space between. */
static json_t *make(const char *from, const char *to, int port, const char *verdict, const char *would,
                    const char *by, int count)
{
    _cleanup_free_ char *copy = xstrdup(by), *id = xasprintf("%s-id", from);
    json_t *list = json_array(), *record;
    char *rest = copy;

    for (const char *item; (item = strsep(&rest, " "));)
        if (*item)
            json_array_append_new(list, json_string(item));
    record = json_pack(
        "{s:{s:s, s:i, s:{s:s, s:{s:s, s:s}}, s:{s:s, s:{s:s}}, s:{s:s, s:s, s:s, s:o}}, s:{s:s, s:i}, "
        "s:{s:s}, s:{s:s, s:s}}",
        "cofferdam", "verdict", verdict, "count", count, "source", "kind", "container", "container", "name",
        from, "id", id, "destination", "kind", "container", "container", "name", to, "staged", "verdict",
        would, "direction", "egress", "reason", "why", "changed_by", list, "destination", "ip", "10.0.0.1",
        "port", port, "network", "transport", "tcp", "event", "start", NOW, "end", NOW);
    assert_non_null(record);
    return record;
}

static void add(struct staged_tally *tally, json_t *record /* taken over */, bool final)
{
    staged_tally_add(tally, record, final);
    json_decref(record);
}

static void assert_item(const struct staged_tally *tally, const char *item, const char *expected)
{
    json_t *json = staged_tally_item(tally, item);
    _cleanup_free_ char *text = json_dumps(json, JSON_COMPACT);

    assert_string_equal(text, expected);
    json_decref(json);
}

static json_int_t number(const struct staged_tally *tally, const char *item, const char *key)
{
    json_t *json = staged_tally_item(tally, item);
    json_int_t n = strcmp(key, "rows") == 0 ? (json_int_t)json_array_size(json_object_get(json, key))
                                            : json_integer_value(json_object_get(json, key));

    json_decref(json);
    return n;
}

#define NOTHING "{\"connections\":0,\"left_out\":0,\"rows\":[]}"

static void nothing_seen(void **state)
{
    _cleanup_(staged_tally_freep) struct staged_tally *tally = staged_tally_new();
    json_t *record = json_pack("{s:{s:s}}", "cofferdam", "verdict", "deny");

    (void)state;
    assert_item(tally, NULL, NOTHING);
    add(tally, record, true);
    assert_int_equal(staged_tally_seen(tally), 0);
    add(tally, make("web", "db", 80, "allow", "allow", "", 3), true);
    assert_int_equal(staged_tally_seen(tally), 1);
    assert_item(tally, NULL, NOTHING);
    assert_item(tally, "shop", NOTHING);
}

static void put_together(void **state)
{
    _cleanup_(staged_tally_freep) struct staged_tally *tally = staged_tally_new();

    (void)state;
    add(tally, make("web", "db", 80, "allow", "deny", "shop", 1), false);
    add(tally, make("web", "db", 80, "allow", "deny", "shop", 5), true);
    add(tally, make("web", "db", 80, "allow", "deny", "shop " STAGED_DEFAULT_MODE, 2), true);
    add(tally, make("web", "db", 22, "deny", "allow", "shop", 4), true);
    assert_item(
        tally, "shop",
        "{\"connections\":11,\"left_out\":0,\"rows\":[{\"change\":\"deny\",\"from\":\"web\",\"to\":\"db\","
        "\"port\":\"80/tcp\",\"count\":7,\"first\":\"" NOW "\",\"last\":\"" NOW "\",\"direction\":null,"
        "\"reason\":null,\"reference\":null},{\"change\":\"allow\",\"from\":\"web\",\"to\":\"db\",\"port\":"
        "\"22/tcp\",\"count\":4,\"first\":\"" NOW "\",\"last\":\"" NOW
        "\",\"direction\":null,\"reason\":null,"
        "\"reference\":null}]}");
    assert_int_equal(number(tally, STAGED_DEFAULT_MODE, "connections"), 2);
    assert_int_equal(number(tally, NULL, "connections"), 11);
    assert_int_equal(number(tally, "other", "connections"), 0);
}

/* As soon as it is seen; and it does not count twice. */
static void what_is_open_counts(void **state)
{
    _cleanup_(staged_tally_freep) struct staged_tally *tally = staged_tally_new();

    (void)state;
    add(tally, make("web", "db", 80, "allow", "deny", "shop", 1), false);
    assert_int_equal(number(tally, "shop", "connections"), 1);
    add(tally, make("web", "db", 80, "allow", "deny", "shop", 1), true);
    assert_int_equal(number(tally, "shop", "connections"), 1);
}

/* Alone, a policy would deny what another one allows when all are enforced. */
static void one_alone_and_all(void **state)
{
    _cleanup_(staged_tally_freep) struct staged_tally *tally = staged_tally_new();

    (void)state;
    add(tally, make("web", "db", 80, "allow", "allow", "shop", 1), true);
    assert_int_equal(number(tally, "shop", "connections"), 1);
    assert_item(tally, NULL, NOTHING);
}

static void many_rows_of_one_keep_nobody_out(void **state)
{
    _cleanup_(staged_tally_freep) struct staged_tally *tally = staged_tally_new();

    (void)state;
    for (int port = 1; port <= STAGED_ROWS_MAX; port++) /* two rows each */
        add(tally, make("scan", "db", port, "allow", "deny", "shop", 2), true);
    assert_int_equal(number(tally, "shop", "rows") + number(tally, NULL, "rows"), STAGED_ROWS_MAX);
    assert_int_equal(2 * number(tally, "shop", "rows") + number(tally, "shop", "left_out"),
                     2 * STAGED_ROWS_MAX);
    for (int port = 1; port <= 100; port++)
        add(tally, make("web", "db", port, "allow", "deny", "quiet", 1), true);
    assert_int_equal(number(tally, "quiet", "rows"), 100);
    assert_int_equal(number(tally, "quiet", "left_out"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_seen),
        cmocka_unit_test(put_together),
        cmocka_unit_test(what_is_open_counts),
        cmocka_unit_test(one_alone_and_all),
        cmocka_unit_test(many_rows_of_one_keep_nobody_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
