// SPDX-License-Identifier: GPL-2.0-or-later
/* What a learning counts, how it is kept on disk, and that it has an end. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "learn/learn_state.h"
#include "learn/propose.h"

#define SINCE 1795255200u /* 2026-11-21T10:00:00Z */

static void add_container(struct inventory *inventory, const char *name, const char *service)
{
    struct container *container = container_new();

    container->id = xasprintf("%s-id", name);
    container->name = xstrdup(name);
    container->running = container->labels_known = true;
    *ARRAY_ADD(container->labels, container->n_labels) =
        (struct label){xstrdup("com.docker.compose.project"), xstrdup("shop"), false};
    *ARRAY_ADD(container->labels, container->n_labels) =
        (struct label){xstrdup("com.docker.compose.service"), xstrdup(service), false};
    labels_sort(container->labels, container->n_labels);
    inventory_put_container(inventory, container);
}

static struct inventory *make_inventory(void)
{
    struct inventory *inventory = inventory_new();

    add_container(inventory, "shop-web-1", "web");
    add_container(inventory, "shop-db-1", "db");
    return inventory;
}

static struct learning *make_learning(const char *select)
{
    struct learning *learning = learning_new();
    struct lock *target = lock_new();
    const char *why;

    assert_int_equal(lock_select(target, select, &why), 0);
    learning_add(learning, target);
    learning_settle(learning);
    learning->since = learning->new_at = SINCE;
    return learning;
}

/* start: "10:00:05"; NULL: it has just opened. */
static json_t *make_record(const char *from, const char *to, int port, const char *verdict, const char *start,
                           int count)
{
    _cleanup_free_ char *from_id = xasprintf("%s-id", from), *to_id = xasprintf("%s-id", to);
    _cleanup_free_ char *at = xasprintf("2026-11-21T%s.250000Z", start ? start : "");
    json_t *record = json_pack(
        "{s:{s:s}, s:{s:s, s:i}, s:{s:s}, s:{s:s, s:s, s:i, s:{s:s, s:{s:s, s:s}}, s:{s:s, s:{s:s, s:s}}}}",
        "source", "ip", "10.0.0.2", "destination", "ip", "10.0.0.3", "port", port, "network", "iana_number",
        "6", "cofferdam", "verdict", verdict, "point", "egress", "count", count, "source", "kind",
        "container", "container", "id", from_id, "name", from, "destination", "kind", "container",
        "container", "id", to_id, "name", to);

    assert_non_null(record);
    if (start)
        json_object_set_new(record, "event", json_pack("{s:s, s:s}", "start", at, "end", at));
    return record;
}

static bool give(struct learning *learning, const struct inventory *inventory, json_t *record, bool final,
                 uint64_t now)
{
    bool meant = learning_record(learning, record, final, inventory, now);

    json_decref(record);
    return meant;
}

static void a_record_counts_once(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = make_inventory();
    _cleanup_(learning_freep) struct learning *learning = make_learning("compose=shop/web");

    (void)state;
    assert_true(give(learning, inventory, make_record("shop-web-1", "shop-db-1", 5432, "allow", NULL, 1),
                     false, SINCE + 5));
    assert_int_equal(HASH_COUNT(learning->observations), 1);
    assert_int_equal(learning->observations->allowed, 1);
    assert_int_equal(learning->new_at, SINCE + 5);
    assert_true(give(learning, inventory,
                     make_record("shop-web-1", "shop-db-1", 5432, "allow", "10:00:05", 7), true, SINCE + 60));
    assert_int_equal(HASH_COUNT(learning->observations), 1);
    assert_int_equal(learning->observations->allowed, 7);
    assert_int_equal(learning->observations->first, SINCE + 5);
    assert_int_equal(learning->new_at, SINCE + 5);
}

/* It was open already when the learning began. */
static void what_was_open_counts_when_it_ends(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = make_inventory();
    _cleanup_(learning_freep) struct learning *learning = make_learning("compose=shop/web");

    (void)state;
    give(learning, inventory, make_record("shop-web-1", "shop-db-1", 5432, "allow", "09:59:30", 7), true,
         SINCE + 20);
    assert_int_equal(learning->observations->allowed, 7);
    assert_int_equal(learning->observations->first, SINCE);
}

static void others_are_left_alone(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = make_inventory();
    _cleanup_(learning_freep) struct learning *learning = make_learning("compose=blog");
    json_t *record;

    (void)state;
    assert_false(give(learning, inventory, make_record("shop-web-1", "shop-db-1", 5432, "allow", NULL, 1),
                      false, SINCE));
    assert_int_equal(HASH_COUNT(learning->observations), 0);
    record = json_object();
    assert_false(give(learning, inventory, record, true, SINCE));
    assert_false(
        give(learning, inventory, make_record("shop-web-1", "shop-db-1", 1, "odd", NULL, 1), false, SINCE));
}

/* A container that is gone is known by its record. */
static void a_container_that_is_gone(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = inventory_new();
    _cleanup_(learning_freep) struct learning *learning = make_learning("name=job-*");

    (void)state;
    assert_true(give(learning, inventory, make_record("job-7", "db", 5432, "allow", NULL, 1), false, SINCE));
    assert_string_equal(learning->observations->subject.first, "job-*");
    assert_string_equal(learning->observations->subjects.v[0], "job-7");
}

/* A service's label that could write into the file is no name. */
static void labels_that_play_tricks(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = inventory_new();
    _cleanup_(learning_freep) struct learning *learning = make_learning("all");

    (void)state;
    add_container(inventory, "evil", "web'}\n  - from: [any]\n#");
    give(learning, inventory, make_record("evil", "evil", 1, "allow", NULL, 1), false, SINCE);
    assert_int_equal(learning->observations->subject.kind, LEARN_NAME);
    const struct proposal_context context = {.learning = learning, .inventory = inventory, .now = SINCE};
    _cleanup_(proposal_freep) struct proposal *proposal = proposal_new(&context);
    assert_null(strstr(proposal->text, "[any]"));
    assert_int_equal(proposal->allowed, 2);
}

static void too_many_kinds(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = inventory_new();
    _cleanup_(learning_freep) struct learning *learning = make_learning("all");

    (void)state;
    for (int i = 0; i < LEARN_OBSERVATIONS_MAX / 2 + 10; i++) {
        _cleanup_free_ char *name = xasprintf("c%d", i);

        give(learning, inventory, make_record(name, "db", 5432, "allow", NULL, 1), false, SINCE);
    }
    assert_int_equal(HASH_COUNT(learning->observations), LEARN_OBSERVATIONS_MAX);
    assert_int_equal(learning->left_out, 20);
    const struct proposal_context context = {.learning = learning, .inventory = inventory, .now = SINCE};
    _cleanup_(proposal_freep) struct proposal *proposal = proposal_new(&context);
    assert_non_null(strstr(proposal->text, "20 more were left out"));
}

static struct learnings *make_list(void)
{
    _cleanup_(inventory_freep) struct inventory *inventory = make_inventory();
    struct learnings *list = learnings_new();
    struct learning *learning = make_learning("compose=shop/web");

    learning->until = SINCE + 1000;
    learning->by = xstrdup("root");
    give(learning, inventory, make_record("shop-web-1", "shop-db-1", 5432, "deny", NULL, 1), false, SINCE);
    learnings_add(list, learning);
    return list;
}

static void the_state_survives(void **state)
{
    _cleanup_(learnings_freep) struct learnings *list = make_list(), *again = NULL;
    _cleanup_free_ char *text = learn_state_format(list, SINCE + 100), *copy = NULL;

    (void)state;
    assert_int_equal(learn_state_parse(text, strlen(text), SINCE + 160, &again), 0);
    assert_int_equal(again->n, 1);
    assert_int_equal(again->v[0]->blind, 60);
    assert_non_null(learnings_find(again, "compose=shop/web"));
    assert_null(learnings_find(again, "compose=shop"));
    assert_int_equal(again->v[0]->observations->denied, 1);
    again->v[0]->blind = 0;
    copy = learn_state_format(again, SINCE + 100);
    assert_string_equal(copy, text);
    /* Of what is after its end nobody was to see anything. */
    again = learnings_free(again);
    assert_int_equal(learn_state_parse(text, strlen(text), SINCE + 90000, &again), 0);
    assert_int_equal(again->v[0]->blind, 900);
    assert_false(learning_runs(again->v[0], SINCE + 90000));
}

/* Whatever byte is another, it is the same list or none. */
static void a_damaged_state_is_refused(void **state)
{
    _cleanup_(learnings_freep) struct learnings *list = make_list();
    _cleanup_free_ char *text = learn_state_format(list, SINCE);
    size_t len = strlen(text), accepted = 0;

    (void)state;
    for (size_t i = 0; i < len; i++) {
        struct learnings *again = NULL;

        text[i] ^= 1;
        accepted += learn_state_parse(text, len, SINCE, &again) == 0;
        learnings_free(again);
        text[i] ^= 1;
    }
    /* Only the digits of when it was saved, and the line end, are not in the sum. */
    assert_in_range(accepted, 0, 11);
    for (size_t i = 0; i < len - 1; i++) {
        struct learnings *again = NULL;

        assert_int_equal(learn_state_parse(text, i, SINCE, &again), -EBADMSG);
        assert_null(again);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_counts_once),    cmocka_unit_test(what_was_open_counts_when_it_ends),
        cmocka_unit_test(others_are_left_alone),   cmocka_unit_test(a_container_that_is_gone),
        cmocka_unit_test(labels_that_play_tricks), cmocka_unit_test(too_many_kinds),
        cmocka_unit_test(the_state_survives),      cmocka_unit_test(a_damaged_state_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
