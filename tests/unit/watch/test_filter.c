/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which records a filter means: each field, several of them, and their negation. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "watch/filter.h"
#include "watch/record.h"

#define WEB_ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DB_ID "dbdbdbdb89abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* shop/web asks shop/db */
#define WEB_TO_DB                                                                                            \
    "{'network': {'transport': 'tcp', 'iana_number': '6'}, 'source': {'ip': '10.91.0.2', 'port': 41000},"    \
    " 'destination': {'ip': '10.91.0.3', 'port': 5432}, 'event': {'action': 'dropped'},"                     \
    " 'cofferdam': {'verdict': 'deny', 'direction': 'egress',"                                               \
    " 'source': {'kind': 'container', 'container': {'id': '" WEB_ID "', 'name': 'shop-web-1',"               \
    " 'compose': {'project': 'shop', 'service': 'web'}}},"                                                   \
    " 'destination': {'kind': 'container', 'container': {'id': '" DB_ID "', 'name': 'db'}}}}"
#define OUTSIDE_TO_WEB                                                                                       \
    "{'network': {'transport': 'ipv6-icmp', 'iana_number': '58'}, 'source': {'ip': '2001:db8::7'},"          \
    " 'destination': {'ip': 'fd91::2'}, 'cofferdam': {'verdict': 'deny', 'direction': 'ingress',"            \
    " 'icmp': {'type': 128, 'code': 0}, 'source': {'kind': 'outside'},"                                      \
    " 'destination': {'kind': 'container', 'container': {'id': '" WEB_ID "', 'name': 'shop-web-1'}}}}"
#define WEB_TO_HOST                                                                                          \
    "{'network': {'transport': 'udp', 'iana_number': '17'}, 'source': {'ip': '10.91.0.2'},"                  \
    " 'destination': {'ip': '10.91.0.1', 'port': 53}, 'event': {'action': '%s'},"                            \
    " 'cofferdam': {'verdict': 'allow', 'egress': {}, 'destination': {'kind': 'host'},"                      \
    " 'source': {'kind': 'container', 'container': {'name': 'shop-web-1'}}}}"
#define ODD "{'cofferdam': 7, 'source': [], 'network': {'transport': 5}, 'destination': {'port': '80'}}"

static json_t *record_of(const char *text)
{
    _cleanup_free_ char *json = xstrdup(text);
    json_t *record;

    for (char *c = json; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    record = json_loads(json, 0, NULL);
    assert_non_null(record);
    return record;
}

/* "from=web !to=db allowed" */
static json_t *request_of(const char *words)
{
    _cleanup_free_ char *copy = xstrdup(words);
    json_t *list = json_array(), *request = json_pack("{s:o}", "filters", list);
    char *save, *word = strtok_r(copy, " ", &save);

    for (; word; word = strtok_r(NULL, " ", &save)) {
        bool negated = *word == '!';
        char *equals = strchr(word, '=');

        if (!equals) {
            json_object_set_new(request, word, json_true());
            continue;
        }
        *equals = '\0';
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:b}", "field", word + negated, "value", equals + 1, "not", negated));
    }
    return request;
}

static struct watch_filter *filter_of(const char *words)
{
    struct watch_filter *filter = NULL;
    _cleanup_diags_ struct diags diags = {0};
    json_t *request = request_of(words);

    if (watch_filter_from_json(request, &filter, &diags) < 0)
        fail_msg("%s: %s", words, diags.v[0].message);
    assert_int_equal(diags.n, 0);
    json_decref(request);
    return filter;
}

static void each_field(void **state)
{
    static const struct {
        const char *words;
        bool matches;
    } cases[] = {
        {"", true},
        {"from=shop-web-1", true},
        {"from=db", false},
        {"to=db", true},
        {"to=shop-web-1", false},
        {"container=db", true},
        {"container=shop-web-1", true},
        {"container=web", false},
        {"container=shop-*", true},
        {"container=?b", true},
        {"from=" WEB_ID, true},
        {"from=0123456789ab", true},
        {"from=0123", true},
        {"from=012", false},
        {"from=1234", false},
        {"to=dbdb", true},
        {"from=shop/web", true},
        {"from=shop/*", true},
        {"from=shop/db", false},
        {"from=*/web", true},
        {"to=*/*", false},
        {"to=10.91.0.3", true},
        {"to=10.91.0.0/24", true},
        {"from=10.92.0.0/16", false},
        {"from=fd91::/64", false},
        {"container=10.91.0.3", true},
        {"from=outside", false},
        {"to=host", false},
        {"verdict=denied", true},
        {"verdict=allowed", false},
        {"verdict=audited", false},
        {"port=5432", true},
        {"port=5432/tcp", true},
        {"port=5432/udp", false},
        {"port=5000-6000", true},
        {"port=1-5431/tcp", false},
        {"port=41000", false},
        {"port=icmp", false},
        {"port=tcp", true},
        {"protocol=tcp", true},
        {"protocol=6", true},
        {"protocol=udp", false},
        {"direction=egress", true},
        {"direction=ingress", false},
    };
    json_t *record = record_of(WEB_TO_DB);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_(watch_filter_freep) struct watch_filter *filter = filter_of(cases[i].words);
        _cleanup_free_ char *not = xasprintf("!%s", cases[i].words);

        if (watch_filter_matches(filter, record) != cases[i].matches)
            fail_msg("%s", cases[i].words);
        if (!*cases[i].words)
            continue;
        _cleanup_(watch_filter_freep) struct watch_filter *negated = filter_of(not );
        if (watch_filter_matches(negated, record) == cases[i].matches)
            fail_msg("%s", not );
    }
    json_decref(record);
}

static void others(void **state)
{
    static const struct {
        const char *record, *words;
        bool matches;
    } cases[] = {
        {OUTSIDE_TO_WEB, "from=outside", true},
        {OUTSIDE_TO_WEB, "from=2001:db8::/32", true},
        {OUTSIDE_TO_WEB, "container=outside", true},
        {OUTSIDE_TO_WEB, "container=host", false},
        {OUTSIDE_TO_WEB, "protocol=icmp", true},
        {OUTSIDE_TO_WEB, "protocol=58", true},
        {OUTSIDE_TO_WEB, "port=icmp", true},
        {OUTSIDE_TO_WEB, "port=icmp/echo-request", true},
        {OUTSIDE_TO_WEB, "port=icmp/echo-reply", false},
        {OUTSIDE_TO_WEB, "port=80", false},
        {OUTSIDE_TO_WEB, "direction=ingress", true},
        {OUTSIDE_TO_WEB, "to=shop/*", false},
        {ODD, "", true},
        {ODD, "verdict=denied", true},
        {ODD, "port=80", false},
        {ODD, "from=outside", false},
        {ODD, "from=*", false},
        {ODD, "from=0.0.0.0/0", false},
        {ODD, "protocol=tcp", false},
        {ODD, "direction=egress", false},
        {"7", "from=web", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_(watch_filter_freep) struct watch_filter *filter = filter_of(cases[i].words);
        json_t *record = json_loads("7", JSON_DECODE_ANY, NULL);

        if (strcmp(cases[i].record, "7") != 0) {
            json_decref(record);
            record = record_of(cases[i].record);
        }
        if (watch_filter_matches(filter, record) != cases[i].matches)
            fail_msg("%s", cases[i].words);
        json_decref(record);
    }
}

/* One of each field's values, all fields, nothing that is negated. */
static void together(void **state)
{
    static const struct {
        const char *words;
        bool matches;
    } cases[] = {
        {"from=nobody from=shop-web-1", true},
        {"from=nobody from=nobody-else", false},
        {"from=shop-web-1 to=nobody", false},
        {"from=shop-web-1 to=nobody to=db port=80 port=5432", true},
        {"!from=nobody !from=nobody-else", true},
        {"!from=nobody !from=shop-web-1", false},
        {"from=shop-* !to=db", false},
        {"container=db !from=db", true},
        {"!verdict=denied", false},
    };
    json_t *record = record_of(WEB_TO_DB);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_(watch_filter_freep) struct watch_filter *filter = filter_of(cases[i].words);

        if (watch_filter_matches(filter, record) != cases[i].matches)
            fail_msg("%s", cases[i].words);
    }
    json_decref(record);
}

static void allowed_only_where_asked_for(void **state)
{
    static const struct {
        const char *words;
        bool wants, allowed, audited, denied;
    } cases[] = {
        {"", false, false, true, true},
        {"allowed", true, true, true, true},
        {"verdict=denied", false, false, false, true},
        {"verdict=allowed", true, true, false, false},
        {"verdict=audited", false, false, true, false},
        {"verdict=allowed verdict=denied", true, true, false, true},
        {"!verdict=allowed", false, false, true, true},
        {"allowed !verdict=audited", true, true, false, true},
        {"allowed direction=egress", true, true, true, true},
        {"allowed direction=ingress", true, false, false, false},
        {"allowed to=host protocol=udp", true, true, true, false},
    };
    _cleanup_free_ char *allow = xasprintf(WEB_TO_HOST, "allowed"),
                        *audit = xasprintf(WEB_TO_HOST, "audited");
    json_t *allowed = record_of(allow), *audited = record_of(audit), *denied = record_of(WEB_TO_DB);

    (void)state;
    assert_int_equal(record_verdict(allowed), RECORD_ALLOWED);
    assert_int_equal(record_verdict(audited), RECORD_AUDITED);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_(watch_filter_freep) struct watch_filter *filter = filter_of(cases[i].words);

        if (watch_filter_wants_allowed(filter) != cases[i].wants ||
            watch_filter_matches(filter, allowed) != cases[i].allowed ||
            watch_filter_matches(filter, audited) != cases[i].audited ||
            watch_filter_matches(filter, denied) != cases[i].denied)
            fail_msg("%s", cases[i].words);
    }
    json_decref(allowed);
    json_decref(audited);
    json_decref(denied);
}

static void bad_values(void **state)
{
    static const struct {
        const char *words, *says, *helps;
    } cases[] = {
        {"from=10.91.0.3/24", "bits of it are set", "10.91.0.0/24"},
        {"from=10.91.0.300", "no address", "10.0.0.7"},
        {"to=fd91::x", "no address", "fd00::7"},
        {"container=we$b", "no container has such a name", "PROJECT/SERVICE"},
        {"container=", "a value is missing", NULL},
        {"verdict=denid", "denied, allowed and audited", "did you mean 'denied'?"},
        {"verdict=DENIED", "denied, allowed and audited", "did you mean 'denied'?"},
        {"port=0", "from 1 to 65535", "5432/tcp"},
        {"port=90-80", "backwards", "9000-9010/udp"},
        {"port=80/tpc", "must be tcp, udp or sctp", "5432/tcp"},
        {"protocol=tpc", "the protocols are", "did you mean 'tcp'?"},
        {"protocol=256", "the protocols are", NULL},
        {"direction=in", "egress and ingress", NULL},
        {"colour=red", "known \"field\"", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct watch_filter *filter = NULL;
        _cleanup_diags_ struct diags diags = {0};
        json_t *request = request_of(cases[i].words);

        if (watch_filter_from_json(request, &filter, &diags) != -EINVAL)
            fail_msg("%s", cases[i].words);
        assert_null(filter);
        assert_int_equal(diags.n, 1);
        if (!strstr(diags.v[0].message, cases[i].says) ||
            (cases[i].helps && (!diags.v[0].help || !strstr(diags.v[0].help, cases[i].helps))))
            fail_msg("%s: %s; %s", cases[i].words, diags.v[0].message,
                     diags.v[0].help ? diags.v[0].help : "-");
        json_decref(request);
    }
}

static void too_many(void **state)
{
    json_t *list = json_array(), *request = json_pack("{s:o}", "filters", list);
    struct watch_filter *filter = NULL;
    _cleanup_diags_ struct diags diags = {0};

    (void)state;
    for (size_t i = 0; i <= WATCH_FILTERS_MAX; i++)
        json_array_append_new(list, json_pack("{s:s, s:s}", "field", "from", "value", "web"));
    assert_int_equal(watch_filter_from_json(request, &filter, &diags), -EINVAL);
    json_array_remove(list, 0);
    diags_clear(&diags);
    assert_int_equal(watch_filter_from_json(request, &filter, &diags), 0);
    watch_filter_free(filter);
    json_decref(request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_field), cmocka_unit_test(others),
        cmocka_unit_test(together),   cmocka_unit_test(bad_values),
        cmocka_unit_test(too_many),   cmocka_unit_test(allowed_only_where_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
