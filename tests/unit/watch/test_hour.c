/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What was denied within the last hour, minute by minute. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "util/utc.h"
#include "watch/hour.h"

#define MINUTE 60000000ull
#define NOON (1763640000ull * 1000000) /* 2025-11-20T12:00:00Z */

struct made {
    const char *verdict, *direction, *from, *to, *reason;
    unsigned port, count;
    uint64_t at;
};

static const struct made plain = {.verdict = "deny",
                                  .direction = "egress",
                                  .from = "web",
                                  .to = "db",
                                  .reason = "no rule",
                                  .port = 5432,
                                  .count = 3,
                                  .at = NOON};

/* A container by its name, of which its ID is made, or host, or an address outside. */
static json_t *end_json(const char *name)
{
    if (strcmp(name, "host") == 0)
        return json_pack("{s:s}", "kind", "host");
    if (strchr(name, '.'))
        return json_pack("{s:s}", "kind", "outside");
    return json_pack("{s:s, s:{s:s, s:s+}}", "kind", "container", "container", "name", name, "id", "id-",
                     name);
}

static bool add(struct denied_hour *hour, const struct made *made, uint64_t now)
{
    _cleanup_free_ char *end = utc_text(made->at / 1000000);
    json_t *record =
        json_pack("{s:{s:s}, s:{s:s, s:i}, s:{s:s}, s:{s:s, s:s}, s:{s:s, s:s, s:i, s:o, s:o}}", "source",
                  "ip", made->from, "destination", "ip", made->to, "port", (int)made->port, "network",
                  "transport", "tcp", "event", "end", end, "reason", made->reason, "cofferdam", "verdict",
                  made->verdict, "direction", made->direction, "count", (int)made->count, "source",
                  end_json(made->from), "destination", end_json(made->to));
    bool added = denied_hour_add(hour, record, now);

    json_decref(record);
    return added;
}

static json_int_t number(const json_t *object, const char *key)
{
    assert_true(json_is_integer(json_object_get(object, key)));
    return json_integer_value(json_object_get(object, key));
}

static const json_t *subject(const json_t *told, size_t i)
{
    return json_array_get(json_object_get(told, "containers"), i);
}

static void assert_text(const json_t *object, const char *key, const char *expected)
{
    const char *text = json_string_value(json_object_get(object, key));

    if (expected)
        assert_string_equal(text ?: "(null)", expected);
    else
        assert_true(json_is_null(json_object_get(object, key)));
}

static void assert_sums(const struct denied_hour *hour, uint64_t now, json_int_t connections,
                        json_int_t packets)
{
    json_t *told = denied_hour_to_json(hour, now, 0);

    assert_int_equal(number(told, "connections"), connections);
    assert_int_equal(number(told, "packets"), packets);
    json_decref(told);
}

static void each_container_by_itself(void **state)
{
    _cleanup_(denied_hour_freep) struct denied_hour *hour = denied_hour_new();
    struct made made = plain, in = plain, host = plain, allowed = plain;

    (void)state;
    assert_true(add(hour, &made, NOON));
    made.port = 80;
    made.count = 10;
    made.reason = "rule x";
    made.at = NOON + 90 * 1000000;
    assert_true(add(hour, &made, NOON + 2 * MINUTE));
    in.direction = "ingress";
    in.from = "203.0.113.7";
    in.to = "web";
    in.count = 100;
    assert_true(add(hour, &in, NOON));
    host.from = "host";
    assert_true(add(hour, &host, NOON));
    allowed.verdict = "allow";
    assert_false(add(hour, &allowed, NOON));

    json_t *told = denied_hour_to_json(hour, NOON + 2 * MINUTE, NOON - MINUTE);
    assert_int_equal(json_array_size(json_object_get(told, "containers")), 3);
    assert_int_equal(number(told, "connections"), 4);
    assert_int_equal(number(told, "packets"), 116);
    assert_true(json_is_false(json_object_get(told, "whole_hour")));
    assert_text(told, "since", "2025-11-20T11:59:00Z");

    const json_t *first = subject(told, 0), *second = subject(told, 1), *third = subject(told, 2);
    assert_text(first, "name", "web"); /* what is most comes first */
    assert_text(first, "id", "id-web");
    assert_text(first, "direction", "ingress");
    assert_text(json_object_get(first, "most"), "peer", "203.0.113.7");
    assert_text(second, "direction", "egress");
    assert_int_equal(number(second, "connections"), 2);
    assert_int_equal(number(second, "packets"), 13);
    assert_text(second, "last", "2025-11-20T12:01:30Z");
    const json_t *most = json_object_get(second, "most");
    assert_text(most, "peer", "db");
    assert_text(most, "port", "80/tcp");
    assert_text(most, "reason", "rule x");
    assert_int_equal(number(most, "packets"), 10);
    assert_text(third, "name", NULL);
    assert_text(third, "id", NULL);
    assert_text(third, "kind", "host");
    json_decref(told);
}

static void minutes_go_out_of_sight(void **state)
{
    _cleanup_(denied_hour_freep) struct denied_hour *hour = denied_hour_new();
    struct made made = plain;

    (void)state;
    for (unsigned minute = 0; minute < 200; minute++) {
        made.at = NOON + minute * MINUTE;
        assert_true(add(hour, &made, made.at));
        assert_sums(hour, made.at, minute < 60 ? minute + 1 : 60, 3 * (minute < 60 ? minute + 1 : 60));
    }
    assert_sums(hour, made.at + 30 * MINUTE, 30, 90);
    assert_sums(hour, made.at + 59 * MINUTE, 1, 3);
    assert_sums(hour, made.at + 60 * MINUTE, 0, 0);
    assert_sums(hour, made.at + 90 * MINUTE, 0, 0);

    json_t *told = denied_hour_to_json(hour, made.at + 60 * MINUTE, NOON);
    assert_int_equal(json_array_size(json_object_get(told, "containers")), 0);
    assert_true(json_is_true(json_object_get(told, "whole_hour")));
    json_decref(told);
}

static void what_comes_late_counts_where_it_belongs(void **state)
{
    _cleanup_(denied_hour_freep) struct denied_hour *hour = denied_hour_new();
    struct made made = plain;

    (void)state;
    assert_true(add(hour, &made, NOON + 59 * MINUTE));
    made.at = NOON + 60 * MINUTE; /* the same place in the ring */
    assert_true(add(hour, &made, made.at));
    assert_sums(hour, NOON + 60 * MINUTE, 1, 3);
    made.at = NOON; /* too late, and takes nothing away */
    assert_true(add(hour, &made, NOON + 60 * MINUTE));
    assert_sums(hour, NOON + 60 * MINUTE, 1, 3);
    made.at = NOON + 300 * MINUTE; /* the clock was set back since */
    assert_true(add(hour, &made, NOON + 61 * MINUTE));
    assert_sums(hour, NOON + 61 * MINUTE, 2, 6);
}

static void the_most_frequent_is_found_among_many(void **state)
{
    _cleanup_(denied_hour_freep) struct denied_hour *hour = denied_hour_new();
    struct made made = plain, often = plain;
    char to[] = "10.0.0.000";

    (void)state;
    often.to = "backup";
    often.count = 20;
    made.to = to;
    made.count = 1;
    for (unsigned i = 0; i < 200; i++) {
        snprintf(to, sizeof(to), "10.0.0.%u", i);
        assert_true(add(hour, &made, NOON));
        if (i % 20 == 0)
            assert_true(add(hour, &often, NOON));
    }
    json_t *told = denied_hour_to_json(hour, NOON, 0);
    assert_text(json_object_get(subject(told, 0), "most"), "peer", "backup");
    assert_int_equal(number(json_object_get(subject(told, 0), "most"), "packets"), 200);
    assert_int_equal(number(subject(told, 0), "connections"), 210);
    json_decref(told);
}

static void there_is_an_end_to_it(void **state)
{
    _cleanup_(denied_hour_freep) struct denied_hour *hour = denied_hour_new();
    struct made made = plain;
    char from[] = "web-0000";

    (void)state;
    made.from = from;
    for (unsigned i = 0; i < DENIED_HOUR_MAX + 100; i++) {
        snprintf(from, sizeof(from), "web-%u", i);
        made.at = NOON + i * 1000000;
        assert_true(add(hour, &made, made.at));
    }
    json_t *told = denied_hour_to_json(hour, made.at, 0);
    assert_int_equal(json_array_size(json_object_get(told, "containers")), DENIED_HOUR_MAX);
    assert_int_equal(number(json_object_get(told, "others"), "connections"), 100);
    assert_int_equal(number(told, "connections"), DENIED_HOUR_MAX + 100);
    json_decref(told);
    assert_sums(hour, made.at + 60 * MINUTE, 0, 0); /* they go with their minutes */
}

static void a_copy_is_one_of_its_own(void **state)
{
    _cleanup_(denied_hour_freep) struct denied_hour *hour = denied_hour_new(), *copy = NULL;
    struct made made = plain;

    (void)state;
    assert_true(add(hour, &made, NOON));
    copy = denied_hour_copy(hour);
    made.from = "other";
    assert_true(add(copy, &made, NOON));
    assert_true(add(copy, &plain, NOON));
    assert_sums(hour, NOON, 1, 3);
    assert_sums(copy, NOON, 3, 9);
}

static void what_makes_no_sense_is_none(void **state)
{
    static const char *const texts[] = {
        "{}",
        "[]",
        "{\"cofferdam\": {\"verdict\": \"deny\"}}",
        "{\"cofferdam\": {\"verdict\": \"deny\", \"direction\": \"egress\", \"count\": 1, \"source\": {\"kind\": \"host\"}}}",
        "{\"cofferdam\": {\"verdict\": \"deny\", \"direction\": \"egress\", \"count\": 0, \"source\": {\"kind\": \"host\"}},"
        " \"event\": {\"end\": \"2025-11-20T12:00:00Z\"}}",
        "{\"cofferdam\": {\"verdict\": \"deny\", \"direction\": 7, \"count\": 1, \"source\": {\"kind\": \"host\"}},"
        " \"event\": {\"end\": \"2025-11-20T12:00:00Z\"}}"};
    _cleanup_(denied_hour_freep) struct denied_hour *hour = denied_hour_new();

    (void)state;
    assert_false(denied_hour_add(hour, NULL, NOON));
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        json_t *record = json_loads(texts[i], 0, NULL);

        assert_non_null(record);
        assert_false(denied_hour_add(hour, record, NOON));
        json_decref(record);
    }
    assert_sums(hour, NOON, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_container_by_itself),
        cmocka_unit_test(minutes_go_out_of_sight),
        cmocka_unit_test(what_comes_late_counts_where_it_belongs),
        cmocka_unit_test(the_most_frequent_is_found_among_many),
        cmocka_unit_test(there_is_an_end_to_it),
        cmocka_unit_test(a_copy_is_one_of_its_own),
        cmocka_unit_test(what_makes_no_sense_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
