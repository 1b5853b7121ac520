/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Labels that containers are given: what is saved of them is read again, or refused; whose they are, and for how long. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "brain_private.h"
#include "daemon/label_state.h"
#include "inventory/match.h"
#include "world.h"

static const char quarantine[] = "policy: open\nselect: {all: true}\ningress: [{}]\negress: [{}]\n---\n"
                                 "policy: quarantine\nselect: {labels: {quarantine: \"yes\"}}\n"
                                 "ingress: [{deny: true}]\negress: [{deny: true}]\n";

static struct given_label *add(struct given_labels *list, const char *id, const char *name, const char *key,
                               const char *value)
{
    struct given_label *label = ARRAY_ADD(list->v, list->n);

    label->whom = lock_new();
    label->whom->id = xstrdup(id);
    label->whom->name = xstrdup_null(name);
    label->key = xstrdup(key);
    label->value = xstrdup(value);
    label->since = 1700000000;
    return label;
}

/* ---- the file ----------------------------------------------------------------------------------------- */

static struct given_labels *some_labels(void)
{
    struct given_labels *list = given_labels_new();
    struct given_label *label = add(list, "c0ffee", "web", "quarantine", "yes \"\\ü");

    label->whom->project = xstrdup("shop");
    label->whom->service = xstrdup("web");
    label->whom->number = xstrdup("1");
    label->follow = true;
    label->reason = xstrdup("it looks\nodd");
    label->who = (struct who){.known = true, .uid = 0, .pid = 77, .user = xstrdup("root")};
    add(list, "decaf", NULL, "tier", "")->ended = 1700000009;
    return list;
}

static void what_is_written_is_read_again(void **state)
{
    _cleanup_(given_labels_freep) struct given_labels *list = some_labels(), *read = NULL;
    _cleanup_free_ char *text = label_state_format(list), *again = NULL, *none = label_state_format(NULL);

    (void)state;
    assert_int_equal(label_state_parse(text, strlen(text), &read), 0);
    again = label_state_format(read);
    assert_string_equal(again, text);
    assert_int_equal(read->n, 2);
    assert_true(read->v[0].follow && !read->v[1].follow);
    assert_string_equal(read->v[0].value, "yes \"\\ü");
    assert_int_equal(read->v[0].who.pid, 77);
    assert_int_equal(read->v[1].ended, 1700000009);
    read = given_labels_free(read);
    assert_int_equal(label_state_parse(none, strlen(none), &read), 0);
    assert_int_equal(read->n, 0);
}

static void what_is_damaged_is_refused(void **state)
{
    _cleanup_(given_labels_freep) struct given_labels *list = some_labels();
    _cleanup_free_ char *text = label_state_format(list);
    size_t len = strlen(text), refused = 0, tried = 0;

    (void)state;
    for (size_t i = 0; i < len; i++) {
        struct given_labels *read = NULL;
        char was = text[i];

        if (was == ' ' || was == '\n') /* between the words */
            continue;
        text[i] ^= 1;
        tried++;
        refused += label_state_parse(text, len, &read) == -EBADMSG && !read;
        given_labels_free(read);
        text[i] = was;
    }
    assert_int_equal(refused, tried);
    for (size_t i = 0; i + 2 < len; i++) {
        struct given_labels *read = NULL;
        assert_int_equal(label_state_parse(text, i, &read), -EBADMSG);
    }
}

static void what_may_be_given(void **state)
{
    static const char *const good[] = {"quarantine", "org.example/tier",   "größe", "a b",
                                       "-",          "com.docker.composed"};
    static const char *const bad[] = {"",
                                      "a=b",
                                      "a\nb",
                                      "\xff",
                                      "\x1b[2J",
                                      "a\u202eb",
                                      "com.docker.compose.project",
                                      "com.docker.compose.x"};
    char longest[LABEL_VALUE_MAX + 2];
    const char *why;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_int_equal(label_key_check(good[i], &why), 0);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(label_key_check(bad[i], &why), -EINVAL);
        assert_non_null(why);
    }
    memset(longest, 'x', sizeof(longest));
    longest[LABEL_KEY_MAX + 1] = '\0';
    assert_int_equal(label_key_check(longest, &why), -EINVAL);
    longest[LABEL_KEY_MAX] = '\0';
    assert_int_equal(label_key_check(longest, &why), 0);
    memset(longest, 'x', sizeof(longest));
    longest[LABEL_VALUE_MAX + 1] = '\0';
    assert_int_equal(label_value_check(longest, &why), -EINVAL);
    longest[LABEL_VALUE_MAX] = '\0';
    assert_int_equal(label_value_check(longest, &why), 0);
    assert_int_equal(label_value_check("", &why), 0);
    assert_int_equal(label_value_check("a\tb", &why), -EINVAL);
}

/* ---- whose they are ----------------------------------------------------------------------------------- */

static struct container *container(const char *id, const char *name, const char *number, bool from_image)
{
    struct container *container = container_new();
    const char *const labels[][2] = {{"com.docker.compose.container-number", number},
                                     {"com.docker.compose.project", "shop"},
                                     {"com.docker.compose.service", "web"},
                                     {"tier", "docker"}};

    container->id = xstrdup(id);
    container->name = xstrdup(name);
    container->labels_known = true;
    for (size_t i = 0; number && i < ARRAY_SIZE(labels); i++)
        *ARRAY_ADD(container->labels, container->n_labels) =
            (struct label){xstrdup(labels[i][0]), xstrdup(labels[i][1]), from_image};
    return container;
}

static void who_has_them(void **state)
{
    _cleanup_(container_freep) struct container *web = container("aa", "web", NULL, false),
                                                *next = container("bb", "web", NULL, false);
    _cleanup_(given_labels_freep) struct given_labels *list = given_labels_new();

    (void)state;
    add(list, "aa", "web", "quarantine", "yes");
    assert_true(labels_overlay(list, web));
    assert_false(labels_overlay(list, web));
    assert_string_equal(container_label(web, "quarantine"), "yes");
    assert_false(labels_overlay(list, next));
    assert_false(label_was_of_former(&list->v[0], next));
    list->v[0].ended = 1;
    assert_true(label_was_of_former(&list->v[0], next));
    list->v[0].ended = 0;
    list->v[0].follow = true;
    assert_true(labels_overlay(list, next));
    assert_string_equal(container_label(next, "quarantine"), "yes");
    /* its own come first, and then the latest */
    add(list, "bb", "web", "quarantine", "first");
    add(list, "bb", "web", "quarantine", "no");
    add(list, "aa", "web", "quarantine", "again")->follow = true;
    labels_overlay(list, next);
    assert_string_equal(container_label(next, "quarantine"), "no");
    assert_int_equal(next->n_overlay, 1);
    assert_true(labels_overlay(NULL, next));
    assert_null(container_label(next, "quarantine"));
}

/* For what a label grants, an image must not take another's place. */
static void an_image_is_nobodys_successor(void **state)
{
    _cleanup_(container_freep) struct container *own = container("bb", "x", "1", false),
                                                *second = container("cc", "y", "2", false),
                                                *liar = container("dd", "z", "1", true),
                                                *first = container("aa", "shop-web-1", "1", false);
    _cleanup_(given_labels_freep) struct given_labels *list = given_labels_new();
    struct given_label *label = add(list, "aa", NULL, "tier", "front");

    (void)state;
    lock_free(label->whom);
    label->whom = lock_new();
    lock_name(label->whom, first);
    label->follow = true;
    labels_overlay(list, own);
    assert_string_equal(container_label(own, "tier"), "front"); /* before Docker's */
    labels_overlay(list, second);
    assert_string_equal(container_label(second, "tier"), "docker");
    labels_overlay(list, liar);
    assert_null(container_label(liar, "tier"));
    /* nor is it anybody's predecessor */
    _cleanup_(lock_freep) struct lock *whom = label_whom(liar), *by_compose = label_whom(first);
    assert_null(whom->project);
    assert_string_equal(by_compose->number, "1");
    own->labels_known = false;
    labels_overlay(list, own);
    assert_null(container_label(own, "tier"));
}

static void count(const struct given_label *label, void *userdata)
{
    (void)label;
    ++*(size_t *)userdata;
}

static void how_long_they_live(void **state)
{
    _cleanup_(inventory_freep) struct inventory *inventory = inventory_new();
    _cleanup_(given_labels_freep) struct given_labels *list = given_labels_new();
    size_t n = 0;

    (void)state;
    inventory_put_container(inventory, container("aa", "web", NULL, false));
    add(list, "aa", "web", "a", "1");
    add(list, "bb", "db", "a", "1");
    add(list, "cc", "db", "a", "1")->follow = true;
    assert_false(labels_are_settled(list, inventory));
    labels_settle(list, inventory, 1000, count, &n);
    assert_int_equal(n, 1);
    assert_int_equal(list->v[1].ended, 1000);
    assert_true(labels_are_settled(list, inventory));
    labels_settle(list, inventory, 1001, count, &n);
    assert_int_equal(n, 1);
    /* it was only away */
    inventory_put_container(inventory, container("bb", "db", NULL, false));
    labels_settle(list, inventory, 1002, count, &n);
    assert_int_equal(list->v[1].ended, 0);
    for (size_t i = 0; i < LABELS_ENDED_MAX + 5; i++) {
        _cleanup_free_ char *id = xasprintf("gone%zu", i);

        add(list, id, "x", "a", "1");
        labels_settle(list, inventory, 2000 + i, count, &n);
    }
    assert_int_equal(list->n, 3 + LABELS_ENDED_MAX);
    assert_int_equal(list->v[3].ended, 2005);
}

static void policies_that_ask(void **state)
{
    struct policy_set *set = world_policies(
        "policy: a\nselect: {labels: {one: \"*\"}}\ningress: [{from: [{labels: {two: x}}, {same: three}]}]\n");

    (void)state;
    assert_true(policies_ask_label(set, "one") && policies_ask_label(set, "two") &&
                policies_ask_label(set, "three"));
    assert_false(policies_ask_label(set, "four"));
    policy_set_free(set);
}

/* ---- the brain ---------------------------------------------------------------------------------------- */

static struct world *started(int *ret_network)
{
    struct world *world = world_new(quarantine, NULL);

    *ret_network = world_add_network(world, "backend", "br-backend");
    world_pump(world);
    assert_true(world->ready);
    return world;
}

static struct given_labels *quarantined(const char *id, bool follow)
{
    struct given_labels *list = given_labels_new();

    add(list, id, "web", "quarantine", "yes")->follow = follow;
    return list;
}

static bool is_selected(const struct world *world, int number)
{
    return selector_means(&brain_policies(world->brain)->policies[1].select, world_known(world, number));
}

static void a_label_is_only_elements(void **state)
{
    int network;
    struct world *world = started(&network);
    int web = world_add_container(world, "web", network),
        other = world_add_container(world, "other", network);

    (void)state;
    world_start(world, web, network, "172.18.0.2");
    world_start(world, other, network, "172.18.0.3");
    size_t applied = world->n_applied[APPLY_ELEMENTS], full = world->n_applied[APPLY_FULL],
           flows = world->n_flows;
    brain_set_labels(world->brain, quarantined(world->containers[web].id, false), world->now);
    world_pump(world);
    assert_true(is_selected(world, web));
    assert_false(is_selected(world, other));
    assert_int_equal(world->n_applied[APPLY_ELEMENTS], applied + 1);
    assert_int_equal(world->n_applied[APPLY_FULL], full);
    assert_int_equal(world->n_flows, flows + 1);
    assert_true(brain_flows_settled(world->brain));
    world_check_fresh(world, false);
    /* whatever is told of it again */
    world_container_event(world, DOCKER_RENAME, web);
    world_pump(world);
    world_wait(world, 200 * SEC);
    assert_true(is_selected(world, web));
    brain_set_labels(world->brain, NULL, world->now);
    world_pump(world);
    assert_false(is_selected(world, web));
    world_check_fresh(world, false);
    world_free(world);
}

static void who_comes_anew_has_what_follows(void **state)
{
    int network;
    struct world *world = started(&network);
    int web = world_add_container(world, "web", network), again;
    int endpoint = world_start(world, web, network, "172.18.0.2");
    _cleanup_free_ char *id = xstrdup(world->containers[web].id);

    (void)state;
    brain_set_labels(world->brain, quarantined(id, true), world->now);
    world_stop(world, endpoint);
    world->containers[web].exists = false;
    world_container_event(world, DOCKER_DESTROY, web);
    world_pump(world);
    again = world_add_container(world, "web", network);
    world_start(world, again, network, "172.18.0.4");
    assert_true(is_selected(world, again));
    brain_set_labels(world->brain, quarantined(id, false), world->now);
    world_pump(world);
    assert_false(is_selected(world, again));
    world_check_fresh(world, false);
    world_free(world);
}

static bool is_locked(const struct world *world, const char *text)
{
    struct ip ip;

    assert_int_equal(ip_parse(text, &ip), 0);
    return ruleset_has_locked(world->kernel, ip);
}

static void where_they_are_lost_all_are_locked_down(void **state)
{
    int network;
    struct world *world = started(&network);

    (void)state;
    world->brain->labels_lost = 1700000000;
    brain_set_locks(world->brain, NULL, world->now);
    world_start(world, world_add_container(world, "web", network), network, "172.18.0.2");
    assert_true(is_locked(world, "172.18.0.2"));
    /* no other list of lockdowns changes that */
    brain_set_locks(world->brain, lock_list_new(), world->now);
    world_pump(world);
    assert_true(is_locked(world, "172.18.0.2"));
    assert_int_equal(brain_locks(world->brain)->n, 1);
    assert_true(is_label_hold(brain_locks(world->brain)->v[0]));
    brain_forget_lost_labels(world->brain, world->now);
    world_pump(world);
    assert_false(is_locked(world, "172.18.0.2"));
    assert_true(world_address_live(world, "172.18.0.2"));
    assert_int_equal(brain_locks(world->brain)->n, 0);
    /* one that was saved meanwhile */
    world->brain->labels_lost = 1;
    struct lock_list *saved = brain_hold_for_labels(world->brain, NULL);
    world->brain->labels_lost = 0;
    brain_set_locks(world->brain, saved, world->now);
    assert_int_equal(brain_locks(world->brain)->n, 0);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(what_is_damaged_is_refused),
        cmocka_unit_test(what_may_be_given),
        cmocka_unit_test(who_has_them),
        cmocka_unit_test(an_image_is_nobodys_successor),
        cmocka_unit_test(how_long_they_live),
        cmocka_unit_test(policies_that_ask),
        cmocka_unit_test(a_label_is_only_elements),
        cmocka_unit_test(who_comes_anew_has_what_follows),
        cmocka_unit_test(where_they_are_lost_all_are_locked_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
