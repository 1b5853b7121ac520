/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What lines of the log of verdicts come to. What the policies say of them is in tests/golden/plan. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "plan/recorded.h"
#include "util/utc.h"

#define WEB "{\"kind\":\"container\",\"network\":\"front\",\"container\":{\"id\":\"aa\",\"name\":\"web\"}}"
#define WEB_LATER                                                                                            \
    "{\"kind\":\"container\",\"network\":\"front\",\"container\":{\"id\":\"aa\",\"name\":\"www\"}}"
#define WEB_BACK                                                                                             \
    "{\"kind\":\"container\",\"network\":\"back\",\"container\":{\"id\":\"aa\",\"name\":\"web\"}}"
#define DB "{\"kind\":\"container\",\"network\":\"front\",\"container\":{\"id\":\"bb\",\"name\":\"db\"}}"
#define OUTSIDE "{\"kind\":\"outside\"}"
#define UNKNOWN "{\"kind\":\"unknown\"}"

/* One record; each part may be another. */
struct made {
    const char *verdict, *point, *from, *to, *from_ip, *to_ip, *rest, *at, *end;
    int count;
};

static const struct made plain = {.verdict = "allow",
                                  .from = WEB,
                                  .to = DB,
                                  .from_ip = "172.18.0.2",
                                  .to_ip = "172.18.0.3",
                                  .rest = "\"port\":5432",
                                  .at = "2026-11-20T10:00:00.000001Z",
                                  .end = "2026-11-20T10:00:05.5Z",
                                  .count = 3};

static void add(struct recorded_log *log, const struct made *made)
{
    _cleanup_free_ char *line = xasprintf(
        "{\"@timestamp\":\"%s\",\"event\":{\"end\":\"%s\"},\"source\":{\"ip\":\"%s\"},\"destination\":{\"ip\":\"%s\"%s%s},"
        "\"network\":{\"iana_number\":\"%s\"},\"cofferdam\":{\"verdict\":\"%s\",\"point\":\"%s\",\"count\":%d,"
        "\"icmp\":{\"type\":8},\"source\":%s,\"destination\":%s}}\n",
        made->at, made->end, made->from_ip, made->to_ip, *made->rest ? "," : "", made->rest,
        *made->rest ? "6" : "1", made->verdict, made->point ?: "", made->count, made->from, made->to);

    recorded_log_line(log, line, strlen(line));
}

static void what_is_alike_is_one(void **state)
{
    _cleanup_(recorded_log_freep) struct recorded_log *log = recorded_log_new(0);
    struct made later = plain, other = plain;

    (void)state;
    later.from = WEB_LATER;
    later.at = "2026-11-20T09:00:00Z";
    later.end = "2026-11-20T11:00:00Z";
    later.count = 4;
    other.rest = "\"port\":80";
    add(log, &plain);
    add(log, &later);
    add(log, &other);
    assert_int_equal(HASH_COUNT(log->v), 2);
    assert_int_equal(log->v->count, 7);
    assert_int_equal(log->v->last - log->v->first, 2ull * 3600 * 1000000);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(log->v->from.facts, "container"), "name")), "www");
    assert_int_equal(log->passed, 3);
    assert_int_equal(log->first, log->v->first);
    assert_int_equal(log->last, log->v->last);
    other.verdict = "deny";
    other.point = "ingress";
    add(log, &other); /* what passed once and was denied another time is both */
    other = plain;
    other.from = WEB_BACK; /* on another network other policies may select it */
    add(log, &other);
    other = plain;
    other.rest = ""; /* ICMP */
    add(log, &other);
    assert_int_equal(HASH_COUNT(log->v), 5);
    assert_int_equal(log->denied, 1);
}

static void what_is_told_twice_counts_once(void **state)
{
    _cleanup_(recorded_log_freep) struct recorded_log *log = recorded_log_new(0);
    struct made made = plain;

    (void)state;
    made.count = 1;
    add(log, &made); /* it was opened */
    made.count = 9;
    add(log, &made); /* it has ended */
    assert_int_equal(log->v->count, 9);
    made.at = "2026-11-20T10:00:07Z";
    add(log, &made);
    assert_int_equal(log->v->count, 18);
}

static void what_policies_do_not_decide(void **state)
{
    static const char *const points[] = {"unknown",  "locked", "spoofed", "invalid",
                                         "protocol", "stray",  "",        "new-one"};
    _cleanup_(recorded_log_freep) struct recorded_log *log = recorded_log_new(0);
    struct made made = plain;

    (void)state;
    made.verdict = "deny";
    for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
        made.point = points[i];
        add(log, &made);
    }
    made = plain;
    made.from = made.to = OUTSIDE;
    add(log, &made);
    made.from = UNKNOWN;
    made.to = DB;
    add(log, &made);
    assert_int_equal(log->other, ARRAY_SIZE(points) + 2);
    assert_null(log->v);
    assert_int_equal(log->damaged, 0);
}

static void line(struct recorded_log *log, const char *text)
{
    recorded_log_line(log, text, strlen(text));
}

static void damaged_lines_are_counted(void **state)
{
    static const char *const verdicts[] = {"maybe", "", "allowed"};
    _cleanup_(recorded_log_freep) struct recorded_log *log = recorded_log_new(0);
    _cleanup_free_ char *longest = xcalloc(RECORDED_LINE_MAX + 2, 1);
    struct made made = plain;
    size_t n = 0;

    (void)state;
    line(log, "");
    line(log, "  \r\n");
    assert_int_equal(log->damaged, n);
    line(log, "{\"@timestamp\": \"2026-11");
    line(log, "[]");
    line(log, "\"text\"");
    line(log, "{}");
    recorded_log_line(log, "{}\0{}", 5);
    memset(longest, ' ', RECORDED_LINE_MAX + 1);
    longest[RECORDED_LINE_MAX] = '{';
    line(log, longest);
    assert_int_equal(log->damaged, n += 6);
    for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++) {
        made.verdict = verdicts[i];
        add(log, &made);
    }
    assert_int_equal(log->damaged, n += 3);
    made = plain;
    made.count = 0;
    add(log, &made);
    made.count = -7;
    add(log, &made);
    made = plain;
    made.to_ip = "fd00::1"; /* of two families */
    add(log, &made);
    made.to_ip = "somewhere";
    add(log, &made);
    made = plain;
    made.rest = "\"port\":65536";
    add(log, &made);
    made = plain;
    made.from = "{\"kind\":\"container\",\"network\":\"front\"}";
    add(log, &made);
    made.from = "{\"kind\":\"martian\"}";
    add(log, &made);
    made = plain;
    made.at = "yesterday";
    add(log, &made);
    assert_int_equal(log->damaged, n += 8);
    assert_null(log->v);
    add(log, &plain); /* and it goes on */
    assert_int_equal(HASH_COUNT(log->v), 1);
}

static void what_is_older_is_left_out(void **state)
{
    uint64_t at;

    (void)state;
    assert_int_equal(utc_parse_usec("2026-11-20T10:00:05.5Z", &at), 0);
    for (int i = 0; i < 2; i++) { /* what ended in time counts, though it began before that */
        _cleanup_(recorded_log_freep) struct recorded_log *log = recorded_log_new(at + (unsigned)i);

        add(log, &plain);
        assert_int_equal(log->older, i);
        assert_int_equal(log->passed, 1 - i);
        assert_int_equal(log->first != 0, 1 - i);
    }
}

static void there_is_an_end_to_it(void **state)
{
    _cleanup_(recorded_log_freep) struct recorded_log *log = recorded_log_new(0);
    struct made made = plain;

    (void)state;
    made.to = OUTSIDE;
    for (unsigned i = 0; i < RECORDED_MAX + 7; i++) {
        struct ip ip = {.num = 0x01000000u + i, .family = IP4};
        char text[IP_TEXT_MAX];

        made.to_ip = ip_format(ip, text);
        add(log, &made);
    }
    assert_int_equal(HASH_COUNT(log->v), RECORDED_MAX);
    assert_int_equal(log->more, 7);
    made.to_ip = "1.0.0.0";
    add(log, &made); /* for what is known there is room */
    assert_int_equal(log->more, 7);
}

static void as_json_and_back(void **state)
{
    _cleanup_(recorded_log_freep) struct recorded_log *log = recorded_log_new(17), *copy = NULL;
    struct made made = plain;
    json_t *json, *again;

    (void)state;
    recorded_log_source(log, "/var/log/x");
    add(log, &made);
    made.verdict = "deny";
    made.point = "host-ingress";
    made.from = "{\"kind\":\"host\"}";
    add(log, &made);
    made.rest = "";
    add(log, &made);
    made.point = "locked";
    add(log, &made);
    line(log, "?");
    log->more = 5;
    json = recorded_log_to_json(log);
    copy = recorded_log_from_json(json);
    assert_non_null(copy);
    again = recorded_log_to_json(copy);
    assert_true(json_equal(json, again));
    assert_int_equal(HASH_COUNT(copy->v), 3);
    assert_int_equal(copy->other + copy->damaged, 2);
    json_decref(again);

    /* What is not that is refused. */
    json_array_append_new(json_object_get(json, "connections"), json_object());
    assert_null(recorded_log_from_json(json));
    json_array_remove(json_object_get(json, "connections"), 3);
    json_object_set_new(json, "more", json_integer(-1));
    assert_null(recorded_log_from_json(json));
    json_object_set_new(json, "more", json_integer(1));
    json_object_set_new(json, "sources", json_string("x"));
    assert_null(recorded_log_from_json(json));
    json_decref(json);
    assert_null(recorded_log_from_json(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_alike_is_one),
        cmocka_unit_test(what_is_told_twice_counts_once),
        cmocka_unit_test(what_policies_do_not_decide),
        cmocka_unit_test(damaged_lines_are_counted),
        cmocka_unit_test(what_is_older_is_left_out),
        cmocka_unit_test(there_is_an_end_to_it),
        cmocka_unit_test(as_json_and_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
