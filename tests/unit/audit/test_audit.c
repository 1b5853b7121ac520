/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The audit log's lines: what is in them, that they stay lines whatever strangers write, and how many refusals there are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "audit/audit.h"
#include "util/mem.h"

static const struct who ann = {.known = true,
                               .pid = 7,
                               .has_login = true,
                               .login_uid = 1000,
                               .user = (char *)"root",
                               .login_user = (char *)"ann",
                               .command = (char *)"cofferdam lockdown web"};

static json_t *parse(const char *text)
{
    json_t *value = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

    assert_non_null(value);
    return value;
}

static const char *text_in(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static json_int_t number_in(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static json_t *entry_of(const char *action, const char *request, const char *answer, const char *lockdowns)
{
    struct audit_facts facts = {.action = action,
                                .program = "cofferdamd",
                                .id = "0123456789abcdef",
                                .time = 1795251845000042,
                                .duration = 1234,
                                .who = &ann,
                                .request = request ? parse(request) : NULL,
                                .answer = parse(answer),
                                .lockdowns = lockdowns ? parse(lockdowns) : NULL,
                                .has_generation = true,
                                .generation = UINT32_MAX};
    json_t *entry = audit_entry(&facts);

    json_decref((json_t *)facts.request);
    json_decref((json_t *)facts.answer);
    json_decref((json_t *)facts.lockdowns);
    return entry;
}

static void test_lockdown(void **state)
{
    json_t *entry = entry_of(
        "lockdown",
        "{\"verb\": \"lockdown\", \"containers\": [\"web\"], \"reason\": \"odd\", \"for\": 60, \"request\": \"ab\","
        " \"files\": [{\"path\": \"a\"}], \"listening\": {}}",
        "{\"ok\": true, \"exit\": 0, \"result\": {\"containers\": [{\"name\": \"web\", \"id\": \"c0ffee\", \"not_cut\": "
        "null}], \"connections\": [{\"from\": \"web\", \"to\": \"db\", \"port\": \"5432/tcp\", \"bytes\": 42, \"age\": 1}], "
        "\"more\": 2, \"problems\": [\"p\"]}}",
        NULL);
    const json_t *target = json_array_get(json_object_get(entry, "targets"), 0),
                 *connection = json_array_get(json_object_get(entry, "connections"), 0),
                 *request = json_object_get(entry, "request");

    (void)state;
    assert_string_equal(text_in(entry, "time"), "2026-11-21T09:04:05.000042Z");
    assert_string_equal(text_in(entry, "action"), "lockdown");
    assert_string_equal(text_in(entry, "result"), "ok");
    assert_int_equal(number_in(entry, "uid"), 0);
    assert_int_equal(number_in(entry, "login_uid"), 1000);
    assert_int_equal(number_in(entry, "pid"), 7);
    assert_string_equal(text_in(entry, "command"), "cofferdam lockdown web");
    assert_string_equal(text_in(entry, "reason"), "odd");
    assert_string_equal(text_in(entry, "request_id"), "ab");
    assert_int_equal(json_object_size(request), 2);
    assert_int_equal(number_in(request, "for"), 60);
    assert_string_equal(json_string_value(json_array_get(json_object_get(request, "containers"), 0)), "web");
    assert_string_equal(text_in(target, "name"), "web");
    assert_string_equal(text_in(target, "id"), "c0ffee");
    assert_int_equal(number_in(entry, "connections_cut"), 3);
    assert_string_equal(text_in(connection, "port"), "5432/tcp");
    assert_int_equal(number_in(connection, "bytes"), 42);
    assert_int_equal(number_in(entry, "generation"), UINT32_MAX);
    assert_int_equal(number_in(entry, "duration_us"), 1234);

    _cleanup_free_ char *text = audit_text(entry);
    assert_string_equal(
        text, "lockdown of web by ann as root, process 7 (cofferdam lockdown web): done; 3 connections "
              "cut; reason: odd");
    assert_int_equal(audit_priority(entry), LOG_NOTICE);
    json_decref(entry);
}

static void test_release_knows_the_ids(void **state)
{
    json_t *entry =
        entry_of("release", "{\"verb\": \"release\", \"all\": true}",
                 "{\"ok\": true, \"exit\": 1, \"result\": {\"released\": [\"web\", \"name=x*\", "
                 "\"10.1.2.3\", \"new\"]}}",
                 "[{\"text\": \"web\", \"name\": \"web\", \"id\": \"c0ffee\", \"select\": null},"
                 " {\"text\": \"stays\", \"name\": \"stays\", \"id\": \"1\", \"select\": null},"
                 " {\"text\": \"name=x*\", \"name\": null, \"id\": null, \"select\": \"name=x*\"},"
                 " {\"text\": \"10.1.2.3\", \"name\": null, \"id\": null, \"select\": null}]");
    const json_t *targets = json_object_get(entry, "targets");

    (void)state;
    assert_string_equal(text_in(entry, "result"), "failed"); /* as it may not survive a restart, say */
    assert_int_equal(json_array_size(targets), 4);
    assert_string_equal(text_in(json_array_get(targets, 0), "id"), "c0ffee");
    assert_string_equal(text_in(json_array_get(targets, 1), "select"), "name=x*");
    assert_string_equal(text_in(json_array_get(targets, 2), "name"), "10.1.2.3");
    assert_string_equal(text_in(json_array_get(targets, 3), "name"), "new");
    assert_true(json_is_true(json_object_get(json_object_get(entry, "request"), "all")));
    json_decref(entry);
}

static void assert_begins(const char *request, const char *answer, const char *wanted)
{
    json_t *entry = entry_of("lockdown", request, answer, NULL);
    _cleanup_free_ char *text = audit_text(entry);

    assert_memory_equal(text, wanted, strlen(wanted));
    json_decref(entry);
}

static void test_the_text_names_some(void **state)
{
    (void)state;
    assert_begins("{\"containers\": [\"no\"], \"select\": [\"a=b\"]}", "{\"ok\": false, \"exit\": 1}",
                  "lockdown of no, a=b by ann");
    assert_begins(
        "{\"select\": [\"all\"]}",
        "{\"ok\": true, \"exit\": 0, \"result\": {\"containers\": [{\"name\": \"1\"}, {\"name\": \"2\"}, {\"name\": "
        "\"3\"}, {\"id\": \"4\"}, {\"name\": \"5\"}, {\"name\": \"6\"}, {\"name\": \"7\"}]}}",
        "lockdown of 1, 2, 3, 4, 5 and 2 more by ann");
    assert_begins("{}", "{\"ok\": false, \"exit\": 64}", "lockdown by ann as root, process 7 (");
}

static void test_an_error_with_its_places(void **state)
{
    json_t *entry =
        entry_of("apply", "{\"verb\": \"apply\", \"only\": \"abc\", \"comment\": \"why\"}",
                 "{\"ok\": false, \"exit\": 1, \"error\": \"not loaded\", \"help\": null, \"diagnostics\": "
                 "[{\"file\": \"a.yaml\", \"line\": 3, \"message\": \"bad\"}, {\"file\": null, \"message\": "
                 "\"worse\"}]}",
                 NULL);
    const json_t *problems = json_object_get(entry, "problems");
    _cleanup_free_ char *text = audit_text(entry);

    (void)state;
    assert_string_equal(text_in(entry, "result"), "failed");
    assert_int_equal(number_in(entry, "exit"), 1);
    assert_string_equal(text_in(entry, "reason"), "why");
    assert_string_equal(text_in(entry, "plan_id"), "abc");
    assert_string_equal(json_string_value(json_array_get(problems, 0)), "a.yaml:3: bad");
    assert_string_equal(json_string_value(json_array_get(problems, 1)), "worse");
    assert_non_null(strstr(text, ": failed: not loaded; reason: why"));
    assert_int_equal(audit_priority(entry), LOG_WARNING);
    json_decref(entry);
}

static void assert_one_line(const char *line)
{
    size_t len = strlen(line);
    json_t *read = parse(line);

    assert_true(len <= AUDIT_LINE_MAX);
    assert_int_equal(line[len - 1], '\n');
    for (size_t i = 0; i + 1 < len; i++)
        assert_true(isprint((unsigned char)line[i]));
    json_decref(read);
}

static void test_hostile_texts(void **state)
{
    static const char hostile[] = "\n{\"action\":\"forged\"}\r\x1b[2J\x7f\xe2\x80\xae\"\\";
    json_t *request = json_pack("{s:s, s:s}", "verb", "lockdown", "reason", hostile);
    json_t *answer = json_pack("{s:b, s:i, s:{s:[{s:s, s:s}]}}", "ok", 1, "exit", 0, "result", "containers",
                               "name", hostile, "id", hostile);
    const struct who who = {.known = true, .command = (char *)"\xff\n\x01"};
    struct audit_facts facts = {
        .action = "lockdown", .id = "0", .who = &who, .request = request, .answer = answer};
    json_t *entry = audit_entry(&facts);
    _cleanup_free_ char *line = audit_line(entry), *text = audit_text(entry);

    (void)state;
    assert_int_equal(strcspn(line, "\n"), strlen(line) - 1);
    for (size_t i = 0; text[i]; i++)
        assert_true(isprint((unsigned char)text[i]));
    json_t *read = parse(line);
    assert_string_equal(text_in(read, "reason"), hostile);
    assert_string_equal(text_in(read, "action"), "lockdown");
    json_decref(read);
    json_decref(entry);
    json_decref(request);
    json_decref(answer);
}

static json_t *many(size_t n, size_t len)
{
    _cleanup_free_ char *text = xcalloc(len + 1, 1);
    json_t *list = json_array();

    memset(text, 1, len); /* \u0001: six bytes for one */
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_string(text));
    return list;
}

static void test_much(void **state)
{
    static const size_t sizes[] = {0, 1, 99, 100, 101, 400};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        json_t *texts = many(sizes[i], 3000), *containers = json_array(), *text = json_string("");
        for (size_t j = 0; j < sizes[i]; j++)
            json_array_append_new(containers, json_pack("{s:O, s:O}", "name", json_array_get(texts, j), "id",
                                                        json_array_get(texts, j)));
        json_t *request = json_pack("{s:O, s:O, s:O}", "select", texts, "reason",
                                    sizes[i] ? json_array_get(texts, 0) : text, "a", texts);
        json_t *answer = json_pack("{s:b, s:i, s:{s:O, s:O, s:O}}", "ok", 1, "exit", 0, "result",
                                   "containers", containers, "problems", texts, "connections", containers);
        struct audit_facts facts = {.action = "lockdown", .id = "0", .request = request, .answer = answer};
        json_t *entry = audit_entry(&facts);
        _cleanup_free_ char *line = audit_line(entry);

        assert_one_line(line);
        json_t *read = parse(line);
        assert_int_equal(json_is_true(json_object_get(read, "truncated")), sizes[i] > 1);
        assert_int_equal(number_in(read, "connections_cut"), sizes[i]);
        assert_int_equal(number_in(read, "targets_more"), sizes[i] > 100 ? sizes[i] - 100 : 0);
        json_decref(read);
        json_decref(entry);
        json_decref(request);
        json_decref(answer);
        json_decref(texts);
        json_decref(containers);
        json_decref(text);
    }
}

/* A text is not cut in the middle of a character. */
static void test_long_text(void **state)
{
    _cleanup_free_ char *text = xcalloc(AUDIT_TEXT_MAX + 10, 1);

    (void)state;
    for (size_t shift = 0; shift < 3; shift++) {
        memset(text, 0, AUDIT_TEXT_MAX + 10);
        memset(text, 'x', shift);
        for (size_t i = shift; i + 2 < AUDIT_TEXT_MAX + 9; i += 3)
            memcpy(text + i, "\xe2\x82\xac", 3);
        json_t *answer = json_pack("{s:b, s:i, s:s}", "ok", 0, "exit", 1, "error", text);
        struct audit_facts facts = {.action = "apply", .id = "0", .answer = answer};
        json_t *entry = audit_entry(&facts);
        const char *error = text_in(entry, "error");

        assert_in_range(strlen(error), AUDIT_TEXT_MAX - 2, AUDIT_TEXT_MAX + 3);
        assert_memory_equal(error, text, strlen(error) - 3);
        assert_string_equal(error + strlen(error) - 3, "...");
        json_decref(entry);
        json_decref(answer);
    }
}

static void test_message_ids(void **state)
{
    static const char *const actions[] = {"lockdown", "release",  "lockdown-end", "apply",    "reload",
                                          "confirm",  "rollback", "trial-end",    "teardown", "start",
                                          "stop",     "label",    "other"};
    const char *ids[ARRAY_SIZE(actions) + 1];

    (void)state;
    for (size_t i = 0; i <= ARRAY_SIZE(actions); i++) {
        struct audit_facts facts = {.action = actions[i % ARRAY_SIZE(actions)],
                                    .refused = i == ARRAY_SIZE(actions)};
        json_t *entry = audit_entry(&facts);

        ids[i] = audit_message_id(entry);
        json_decref(entry);
        assert_int_equal(strlen(ids[i]), 32);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(ids[i], ids[j]);
    }
}

/* ---- refusals ----------------------------------------------------------------------------------------- */

static void test_refusals(void **state)
{
    struct audit_limit limit = {0};
    uint64_t now = 5;
    uid_t uid = 0;

    (void)state;
    for (unsigned i = 0; i < AUDIT_REFUSALS; i++)
        assert_true(audit_limit_take(&limit, 1000, now));
    for (unsigned i = 0; i < 7; i++)
        assert_false(audit_limit_take(&limit, 1000, now));
    assert_true(audit_limit_take(&limit, 1001, now)); /* another's do not count */
    assert_int_equal(audit_limit_missing(&limit, now + AUDIT_REFUSALS_USEC - 1, &uid), 0);
    assert_int_equal(audit_limit_missing(&limit, now + AUDIT_REFUSALS_USEC, &uid), 7);
    assert_int_equal(uid, 1000);
    assert_int_equal(audit_limit_missing(&limit, now + AUDIT_REFUSALS_USEC, &uid), 0);
    assert_true(audit_limit_take(&limit, 1000, now + AUDIT_REFUSALS_USEC));
}

/* Nobody's are forgotten: all is recorded, or counted. */
static void test_refusals_of_very_many(void **state)
{
    struct audit_limit limit = {0};
    unsigned taken = 0, missing = 0, n = 0;
    uid_t uid;

    (void)state;
    for (uint64_t now = 0; now < 3 * AUDIT_REFUSALS_USEC; now += AUDIT_REFUSALS_USEC / 1000)
        for (uid_t i = 0; i < 100; i++, n++)
            taken += audit_limit_take(&limit, i, now);
    for (unsigned some; (some = audit_limit_missing(&limit, 5 * AUDIT_REFUSALS_USEC, &uid));)
        missing += some;
    assert_int_equal(taken + missing, n);
    assert_true(taken <= 3 * AUDIT_REFUSALS * AUDIT_REFUSERS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lockdown),
        cmocka_unit_test(test_release_knows_the_ids),
        cmocka_unit_test(test_an_error_with_its_places),
        cmocka_unit_test(test_hostile_texts),
        cmocka_unit_test(test_the_text_names_some),
        cmocka_unit_test(test_much),
        cmocka_unit_test(test_long_text),
        cmocka_unit_test(test_message_ids),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_refusals_of_very_many),
    };

    return cmocka_run_group_tests_name("audit", tests, NULL, NULL);
}
