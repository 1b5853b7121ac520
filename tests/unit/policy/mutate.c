/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Good files, damaged in every way that chance thinks of; the same way in each run. Whatever comes out, the
 * parser must end, must say in what it returns whether it found errors, and must keep to its limits. Built
 * with sanitizers, this also shows that it reads and frees only what is its own.
 */
#include "helpers.h"

#include "policy/settings.h"

#define ROUNDS 6000
#define MUTATED_MAX 4096

static const char policy_seed[] =
    "policy: shop-db\nversion: 1\ndescription: The shop's database\nmode: enforce\nreject: true\nselect:\n"
    "  compose: shop/db\n  labels: {role: db, tier: \"*\", old: null}\ningress:\n  - from:\n      - compose: "
    "shop/web\n"
    "      - same: com.docker.compose.project\n      - cidr: 10.20.0.0/16\n        except: [10.20.99.0/24]\n"
    "      - host\n    ports: [5432/tcp, 9000-9010/udp]\negress:\n  - to: [internet]\n    ports: [443/tcp, "
    "icmp]\n"
    "  - name: no-metadata\n    deny: true\n    to: [{cidr: 169.254.169.254/32}]\n---\nexpect: the shop "
    "works\nallowed:\n"
    "  - from: {compose: shop/web}\n    to: {compose: shop/db}\n    ports: [5432/tcp]\ndenied:\n"
    "  - from: {compose: shop/db}\n    to: internet\n";
static const char forms_seed[] =
    "# a comment\n%YAML 1.1\n--- # one\n\"policy\": 'a'\nselect: {name: \"[!a-c]*\\u00e4\", image: 'x''y', "
    "network: n}\n...\n---\n"
    "policy: b\nselect: {all: true}\negress:\n- {to: [dns, any, {cidr: '::/0', except: "
    "['2001:db8::/32']}]}\n- {}\n"
    "description: |-\n  one\n  two ä\n";
static const char settings_seed[] =
    "docker: unix:///run/docker.sock\nnetworks:\n  managed: [a, b]\n  unmanaged: [c]\ndefault_mode: audit\n"
    "log: {group: 5, rate: 10}\nimage_labels: trust\nmark: 0x40\n";
static const char *const seeds[] = {policy_seed, forms_seed, settings_seed};

static const char *const snippets[] = {
    "*",
    "&a ",
    "!!x ",
    "<<: ",
    "[",
    "]",
    "{",
    "}",
    "---\n",
    "...\n",
    "\n",
    "\t",
    ": ",
    "- ",
    "? ",
    "\"",
    "'",
    "|\n",
    ">",
    "#",
    "\\",
    "%TAG",
    "\xef\xbb\xbf",
    "\xff",
    "\xc3",
    "null",
    "~",
    "0",
    "true",
    "/tcp",
    "\xe2\x80\xae",
    "\r\n",
    ",",
    "65536/tcp",
    "10.0.0.1/8",
};

/* xorshift: the same numbers everywhere */
static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static size_t insert(char *text, size_t len, size_t at, const char *what, size_t what_len)
{
    if (len + what_len > MUTATED_MAX)
        return len;
    memmove(text + at + what_len, text + at, len - at);
    memcpy(text + at, what, what_len);
    return len + what_len;
}

static size_t mutate(char *text, size_t len, uint32_t *seed)
{
    size_t at = next_random(seed) % (len + 1), count = next_random(seed) % 12 + 1;
    const char *snippet = snippets[next_random(seed) % ARRAY_SIZE(snippets)];
    char copy[16];

    switch (next_random(seed) % 5) {
    case 0: /* another byte */
        if (at < len)
            text[at] = (char)next_random(seed);
        return len;
    case 1: /* something out */
        count = at + count > len ? len - at : count;
        memmove(text + at, text + at + count, len - at - count);
        return len - count;
    case 2: /* something of itself in again */
        count = at + count > len ? len - at : count;
        memcpy(copy, text + at, count);
        return insert(text, len, next_random(seed) % (len + 1), copy, count);
    case 3: /* cut off */
        return next_random(seed) % 8 ? len : at;
    default: /* something with a meaning in YAML */
        return insert(text, len, at, snippet, strlen(snippet));
    }
}

static void check_diags(const struct diags *diags, int r)
{
    assert_true(r == 0 || r == -EBADMSG);
    assert_int_equal(r<0, diags->n_errors> 0);
    assert_true(diags->n_errors <= 101);
    for (size_t i = 0; i < diags->n; i++) {
        assert_non_null(diags->v[i].code);
        assert_non_null(diags->v[i].message);
        assert_true(diags->v[i].width >= 1);
        if (diags->v[i].source_line)
            assert_true(diags->v[i].column >= 1);
    }
}

static void parse_as_policy(const char *text, size_t len)
{
    _cleanup_(policy_set_freep) struct policy_set *set = policy_set_new();
    _cleanup_diags_ struct diags diags = {0};
    int r = policy_parse(set, "f", text, len, &diags);

    check_diags(&diags, r);
    assert_int_equal(policy_set_finish(set, &diags), 0);
    for (size_t i = 0; i < set->n_policies; i++) {
        _cleanup_free_ char *select = selector_text(&set->policies[i].select);

        assert_string_not_equal(select, "");
        assert_string_not_equal(set->policies[i].name, "");
    }
}

static void parse_as_settings(const char *text, size_t len)
{
    _cleanup_(settings_freep) struct settings *settings = settings_new();
    _cleanup_diags_ struct diags diags = {0};
    int r = settings_parse(settings, "f", text, len, &diags);

    check_diags(&diags, r);
    assert_non_null(settings->policies);
    assert_non_null(settings->control);
}

static void test_mutations(void **state)
{
    uint32_t seed = 0x2545f491;
    char text[MUTATED_MAX + 1];

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        const char *from = seeds[round % (int)ARRAY_SIZE(seeds)];
        size_t len = strlen(from), changes = next_random(&seed) % 6 + 1;
        char *exact;

        memcpy(text, from, len);
        for (size_t i = 0; i < changes; i++)
            len = mutate(text, len, &seed);
        /* Without a byte to spare, so that reading past the end shows. */
        exact = xcalloc(len, 1);
        memcpy(exact, text, len);
        parse_as_policy(exact, len);
        parse_as_settings(exact, len);
        free(exact);
    }
}

/* Cut off anywhere: the state of a file that is just being written. */
static void test_prefixes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(seeds); i++) {
        for (size_t len = 0; len <= strlen(seeds[i]); len++) {
            char *exact = xcalloc(len, 1);

            memcpy(exact, seeds[i], len);
            parse_as_policy(exact, len);
            parse_as_settings(exact, len);
            free(exact);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_prefixes),
    };

    return cmocka_run_group_tests_name("policy mutations", tests, NULL, NULL);
}
