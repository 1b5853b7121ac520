/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <time.h>

#include "inventory/match.h"

#define PROJECT "com.docker.compose.project"
#define SERVICE "com.docker.compose.service"

static void test_globs(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        {"db", "db", true},
        {"db", "db2", false},
        {"db", "mydb", false},
        {"", "", true},
        {"", "x", false},
        {"*", "", true},
        {"*", "anything at all", true},
        {"**", "", true},
        {"db-*", "db-", true},
        {"db-*", "db-1", true},
        {"db-*", "db", false},
        {"*-db", "shop-db", true},
        {"*a*b*", "xxaxxbxx", true},
        {"*a*b*", "xxbxxaxx", false},
        /* a slash is a character like others */
        {"*", "registry.example/team/app:1", true},
        {"registry.example/*", "registry.example/team/app:1", true},
        {"*/app:*", "registry.example/team/app:1", true},
        {"a?b", "a/b", true},
        {"a[/]b", "a/b", true},
        {"a[!x]b", "a/b", true},
        /* and so is a leading dot */
        {"*", ".hidden", true},
        {"?hidden", ".hidden", true},
        {"[.]hidden", ".hidden", true},
        {"*", "a/.b", true},
        {"a/*", "a/.b", true},
        /* one character, not none */
        {"db?", "db1", true},
        {"db?", "db", false},
        {"db?", "db12", false},
        {"db[0-9]", "db7", true},
        {"db[0-9]", "dbx", false},
        {"db[!0-9]", "dbx", true},
        {"db[!0-9]", "db7", false},
        {"db[!0-9]", "db", false},
        {"[a-c]", "B", false},
        {"[]x]", "]", true},
        {"[", "[", true},
        {"[ab", "[ab", true},
        {"[ab", "a", false},
        /* a backslash takes the meaning from what follows */
        {"\\*", "*", true},
        {"\\*", "x", false},
        {"a\\?", "a?", true},
        {"a\\?", "ab", false},
        {"\\[a]", "[a]", true},
        {"\\[a]", "a", false},
        {"\\\\", "\\", true},
        {"a\\b", "ab", true},
        {"a\\b", "a\\b", false},
        {"db\\", "db", false},
        /* metacharacters of a hostile text mean nothing */
        {"db", "*", false},
        {"db", "d?", false},
        {"db", "[d]b", false},
        {"[*]", "*", true},
        {"[*]", "x", false},
        /* no letter case is folded */
        {"DB", "db", false},
        {"caf*", "caf\xc3\xa9", true},
        {"caf\xc3\xa9", "caf\xc3\xa9", true},
        /* not even text */
        {"*", "\xff\xfe\x80", true},
        {"a*", "\xff", false},
        /* extended globs of bash are none of ours */
        {"@(a|b)", "a", false},
        {"{a,b}", "a", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (glob_match(cases[i].pattern, cases[i].text) != cases[i].matches)
            fail_msg("glob %s, text %s: should %smatch", cases[i].pattern, cases[i].text,
                     cases[i].matches ? "" : "not ");
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Many stars and a text made to go wrong late: neither time nor stack may explode. */
static void test_hostile_text(void **state)
{
    size_t len = 1024 * 1024;
    _cleanup_free_ char *text = xcalloc(len + 1, 1);
    double before = seconds();

    (void)state;
    memset(text, 'a', len);
    assert_false(glob_match("*a*a*a*a*a*a*a*a*a*a*a*a*b", text));
    assert_false(glob_match("*[a-z]*[a-z]*[a-z]*[a-z]*?*?*?*b", text));
    assert_true(glob_match("*a*a*a*a*a*a*a*a*a*a*a*a*", text));
    memset(text, '[', len);
    assert_false(glob_match("*[[]*[[]*b", text));
    memset(text, '*', len);
    assert_false(glob_match("*?*?*?*?*?*b", text));
    if (seconds() - before > 20)
        fail_msg("matching took %.1f s", seconds() - before);
}

static struct label labels[] = {
    {.key = (char *)PROJECT, .value = (char *)"shop"},
    {.key = (char *)SERVICE, .value = (char *)"db"},
    {.key = (char *)"empty", .value = (char *)""},
    {.key = (char *)"role", .value = (char *)"db-main"},
    {.key = (char *)"vendor", .value = (char *)"acme", .from_image = true},
};

static const struct container db = {
    .id = (char *)"0123",
    .name = (char *)"shop-db-1",
    .image = (char *)"registry.example/postgres:16",
    .running = true,
    .labels_known = true,
    .labels = labels,
    .n_labels = ARRAY_SIZE(labels),
};

static const struct endpoint front = {.network_id = (char *)"f", .network_name = (char *)"front"};
static const struct endpoint back = {.network_id = (char *)"b", .network_name = (char *)"back"};

static bool matches(struct selector selector)
{
    return selector_matches(&selector, &db, &front);
}

static bool matches_label(const char *key, const char *value, bool literal)
{
    struct label_match match = {.key = (char *)key, .value = (char *)value, .literal = literal};

    return matches((struct selector){.labels = &match, .n_labels = 1});
}

static void test_parts(void **state)
{
    (void)state;
    assert_true(matches((struct selector){.all = true}));
    assert_true(matches((struct selector){.name = (char *)"shop-*"}));
    assert_false(matches((struct selector){.name = (char *)"web-*"}));
    assert_true(matches((struct selector){.image = (char *)"*postgres:*"}));
    assert_false(matches((struct selector){.image = (char *)"postgres:*"}));
    assert_true(matches((struct selector){.network = (char *)"front"}));
    assert_false(matches((struct selector){.network = (char *)"fron?"}));
    assert_false(matches((struct selector){.network = (char *)"*"}));
}

/* The parser refuses it; should one get through all the same, it must not stand for everybody. */
static void test_empty_selector(void **state)
{
    (void)state;
    assert_false(matches((struct selector){.all = false}));
}

static void test_compose(void **state)
{
    (void)state;
    assert_true(matches((struct selector){.compose_project = (char *)"shop"}));
    assert_true(
        matches((struct selector){.compose_project = (char *)"shop", .compose_service = (char *)"db"}));
    assert_false(
        matches((struct selector){.compose_project = (char *)"shop", .compose_service = (char *)"web"}));
    assert_false(matches((struct selector){.compose_project = (char *)"sho?"}));
    assert_false(matches((struct selector){.compose_project = (char *)"*"}));
    assert_false(matches((struct selector){.compose_project = (char *)"Shop"}));
}

static void test_labels(void **state)
{
    (void)state;
    assert_true(matches_label("role", "db-main", false));
    assert_true(matches_label("role", "db-*", false));
    assert_true(matches_label("role", "*", false));
    assert_false(matches_label("role", "web", false));
    assert_false(matches_label("role", NULL, false));
    assert_false(matches_label("absent", "*", false));
    assert_true(matches_label("absent", NULL, false));
    assert_true(matches_label("empty", "", false));
    assert_true(matches_label("empty", "*", false));
    assert_false(matches_label("empty", NULL, false));
    assert_false(matches_label("ro*", "*", false));
}

static void test_literal_label(void **state)
{
    (void)state;
    assert_true(matches_label("role", "db-main", true));
    assert_false(matches_label("role", "db-*", true));
    assert_false(matches_label("role", "*", true));
}

/* What an image's author wrote neither selects the container nor keeps it from being selected. */
static void test_image_label(void **state)
{
    (void)state;
    assert_false(matches_label("vendor", "acme", false));
    assert_false(matches_label("vendor", "*", false));
    assert_true(matches_label("vendor", NULL, false));
}

static void test_labels_unknown(void **state)
{
    struct label_match role = {.key = (char *)"role", .value = (char *)"*"};
    struct label_match none = {.key = (char *)"absent"};
    struct selector has = {.labels = &role, .n_labels = 1}, has_not = {.labels = &none, .n_labels = 1};
    struct selector compose = {.compose_project = (char *)"shop"}, name = {.name = (char *)"shop-db-1"};
    struct container early = db;

    (void)state;
    early.labels_known = false;
    assert_false(selector_matches(&has, &early, &front));
    assert_false(selector_matches(&has_not, &early, &front));
    assert_false(selector_matches(&compose, &early, &front));
    assert_true(selector_matches(&name, &early, &front));
}

/* They count whatever is known of the image, and before Docker's; who has one does not have none. */
static void test_overlay(void **state)
{
    struct label_match role = {.key = (char *)"role", .value = (char *)"db-*"},
                       no_role = {.key = (char *)"role"},
                       vendor = {.key = (char *)"vendor", .value = (char *)"acme"};
    struct label overlay[] = {{.key = (char *)"role", .value = (char *)"quarantined"},
                              {.key = (char *)"vendor", .value = (char *)"acme"}};
    struct selector has = {.labels = &role, .n_labels = 1}, has_not = {.labels = &no_role, .n_labels = 1},
                    by_image = {.labels = &vendor, .n_labels = 1};
    struct container given = db;

    (void)state;
    assert_true(selector_matches(&has, &given, &front));
    assert_false(selector_matches(&by_image, &given, &front));
    given.overlay = overlay;
    given.n_overlay = ARRAY_SIZE(overlay);
    for (int known = 0; known < 2; known++) {
        given.labels_known = known;
        assert_false(selector_matches(&has, &given, &front));
        assert_false(selector_matches(&has_not, &given, &front));
        assert_true(selector_matches(&by_image, &given, &front));
        role.value = (char *)"quarantined";
        assert_true(selector_matches(&has, &given, &front));
        role.value = (char *)"db-*";
    }
}

static void test_and(void **state)
{
    struct label_match match[] = {
        {.key = (char *)"role", .value = (char *)"db-*"},
        {.key = (char *)"empty", .value = (char *)""},
    };
    struct selector selector = {
        .compose_project = (char *)"shop",
        .name = (char *)"*-1",
        .image = (char *)"*:16",
        .network = (char *)"front",
        .labels = match,
        .n_labels = ARRAY_SIZE(match),
    };

    (void)state;
    assert_true(selector_matches(&selector, &db, &front));
    assert_false(selector_matches(&selector, &db, &back));
    assert_false(selector_matches(&selector, &db, NULL));
    match[1].value = (char *)"x";
    assert_false(selector_matches(&selector, &db, &front));
    match[1].value = (char *)"";
    selector.image = (char *)"*:15";
    assert_false(selector_matches(&selector, &db, &front));
}

/* `all` besides other parts takes nothing away from them. */
static void test_all_and_more(void **state)
{
    (void)state;
    assert_false(matches((struct selector){.all = true, .name = (char *)"web"}));
    assert_true(matches((struct selector){.all = true, .network = (char *)"front"}));
}

static void test_nothing_known(void **state)
{
    struct selector name = {.name = (char *)"*"}, image = {.image = (char *)"*"}, all = {.all = true};
    struct container bare = {.id = (char *)"0123"};

    (void)state;
    assert_false(selector_matches(&name, &bare, NULL));
    assert_false(selector_matches(&image, &bare, NULL));
    assert_true(selector_matches(&all, &bare, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_globs),
        cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_empty_selector),
        cmocka_unit_test(test_compose),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_literal_label),
        cmocka_unit_test(test_image_label),
        cmocka_unit_test(test_labels_unknown),
        cmocka_unit_test(test_overlay),
        cmocka_unit_test(test_and),
        cmocka_unit_test(test_all_and_more),
        cmocka_unit_test(test_nothing_known),
    };

    return cmocka_run_group_tests_name("inventory-match", tests, NULL, NULL);
}
