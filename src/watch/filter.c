/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch/filter.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "inventory/match.h"
#include "policy/parse.h"
#include "util/addr.h"
#include "util/text.h"
#include "watch/record.h"

#define VALUE_MAX 256 /* bytes */

enum field {
    FIELD_FROM,
    FIELD_TO,
    FIELD_CONTAINER,
    FIELD_VERDICT,
    FIELD_PORT,
    FIELD_PROTOCOL,
    FIELD_DIRECTION,
    FIELDS
};

static const char *const field_names[] = {"from", "to",       "container", "verdict",
                                          "port", "protocol", "direction", NULL};
static const char *const kind_words[] = {"host", "outside", "unknown", NULL};
static const char *const protocol_words[] = {"tcp", "udp", "sctp", "icmp", "arp", NULL};
static const char *const direction_words[] = {"egress", "ingress", NULL};

struct test {
    enum field field;
    bool negated;
    char *text; /* a word, or a glob */
    bool is_word, is_address, any_protocol;
    struct cidr block;
    struct port port;
    enum record_verdict verdict;
};

struct watch_filter {
    struct test *tests;
    size_t n_tests;
    bool allowed;
};

struct watch_filter *watch_filter_free(struct watch_filter *filter)
{
    if (!filter)
        return NULL;
    for (size_t i = 0; i < filter->n_tests; i++)
        free(filter->tests[i].text);
    free(filter->tests);
    free(filter);
    return NULL;
}

/* ---- what is meant ------------------------------------------------------------------------------------ */

static bool is_one_of(const char *const *words, const char *text)
{
    for (; *words; words++)
        if (strcmp(*words, text) == 0)
            return true;
    return false;
}

static int refuse(struct diags *diags, const struct test *test, const char *value, const char *what,
                  const char *help)
{
    struct diag *diag =
        diag_add(diags, DIAG_ERROR, NULL, NULL, "--%s '%s': %s", field_names[test->field], value, what);

    if (help)
        diag_help(diag, "%s", help);
    return -EINVAL;
}

static int refuse_word(struct diags *diags, const struct test *test, const char *value, const char *what,
                       const char *const *words)
{
    const char *nearest = nearest_word(value, words);
    _cleanup_free_ char *help = nearest ? xasprintf("did you mean '%s'?", nearest) : NULL;

    return refuse(diags, test, value, what, help);
}

/* Names have neither colons nor begin like "10.0.0.": who writes such a thing means an address. */
static bool looks_like_address(const char *value)
{
    size_t digits = strspn(value, "0123456789");

    return strchr(value, ':') ||
           (digits && value[digits] == '.' && isdigit((unsigned char)value[digits + 1]) &&
            strspn(value, "0123456789./") == strlen(value));
}

static int parse_address(struct test *test, const char *value, struct diags *diags)
{
    char text[CIDR_TEXT_MAX];
    int r = cidr_parse(value, &test->block);

    test->is_address = r == 0;
    if (r == 0 || !looks_like_address(value))
        return 0;
    if (r == -EDOM) {
        _cleanup_free_ char *help = xasprintf("did you mean '%s'?", cidr_format(&test->block, text));

        return refuse(diags, test, value, "bits of it are set behind its length", help);
    }
    return refuse(diags, test, value, "this is no address",
                  "write it as 10.0.0.7, 10.0.0.0/8, fd00::7 or fd00::/8");
}

static int parse_end(struct test *test, const char *value, struct diags *diags)
{
    int r = parse_address(test, value, diags);

    if (r < 0 || test->is_address)
        return r;
    for (const char *c = value; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("_.-/*?[]!", *c))
            return refuse(
                diags, test, value, "no container has such a name",
                "write a name or glob (web, 'db-*'), an ID, PROJECT/SERVICE, host, outside, or an address");
    test->is_word = is_one_of(kind_words, value);
    return 0;
}

static int parse_verdict(struct test *test, const char *value, struct diags *diags)
{
    const char *names[RECORD_VERDICTS + 1] = {0};

    for (enum record_verdict v = RECORD_DENIED; v < RECORD_VERDICTS; v++) {
        names[v] = record_verdict_name(v);
        test->verdict = v;
        if (strcmp(names[v], value) == 0)
            return 0;
    }
    return refuse_word(diags, test, value, "the verdicts are denied, allowed and audited", names);
}

static int parse_port(struct test *test, const char *value, struct diags *diags)
{
    const char *why = NULL;
    _cleanup_free_ char *text = NULL;

    test->any_protocol = strspn(value, "0123456789-") == strlen(value);
    text = xasprintf("%s%s", value, test->any_protocol ? "/tcp" : "");
    if (port_parse(text, &test->port, &why) == 0)
        return 0;
    return refuse(diags, test, value, why, "write it as 5432, 5432/tcp, 9000-9010/udp or icmp/echo-request");
}

static int parse_protocol(struct test *test, const char *value, struct diags *diags)
{
    char *end;
    long number = strtol(value, &end, 10);

    if (is_one_of(protocol_words, value) || (isdigit((unsigned char)*value) && !*end && number <= 255))
        return 0;
    return refuse_word(diags, test, value,
                       "the protocols are tcp, udp, sctp, icmp, arp, or a number up to 255", protocol_words);
}

static int parse_direction(struct test *test, const char *value, struct diags *diags)
{
    if (is_one_of(direction_words, value))
        return 0;
    return refuse_word(diags, test, value, "the directions are egress and ingress", direction_words);
}

static int parse_value(struct test *test, const char *value, struct diags *diags)
{
    if (!*value || strlen(value) > VALUE_MAX)
        return refuse(diags, test, *value ? "..." : "", *value ? "this is too long" : "a value is missing",
                      NULL);
    test->text = xstrdup(value);
    switch (test->field) {
    case FIELD_FROM:
    case FIELD_TO:
    case FIELD_CONTAINER:
        return parse_end(test, value, diags);
    case FIELD_VERDICT:
        return parse_verdict(test, value, diags);
    case FIELD_PORT:
        return parse_port(test, value, diags);
    case FIELD_PROTOCOL:
        return parse_protocol(test, value, diags);
    case FIELD_DIRECTION:
        return parse_direction(test, value, diags);
    case FIELDS:
        break;
    }
    return -EINVAL;
}

static int add_test(struct watch_filter *filter, const json_t *json, struct diags *diags)
{
    const char *name = json_string_value(json_object_get(json, "field"));
    const char *value = json_string_value(json_object_get(json, "value"));
    size_t field = 0;

    while (name && field < FIELDS && strcmp(field_names[field], name) != 0)
        field++;
    if (!name || !value || field == FIELDS || filter->n_tests == WATCH_FILTERS_MAX) {
        diag_add(diags, DIAG_ERROR, NULL, NULL,
                 filter->n_tests == WATCH_FILTERS_MAX ? "these are too many filters"
                                                      : "a filter needs a known \"field\", and a \"value\"");
        return -EINVAL;
    }
    struct test *test = ARRAY_ADD(filter->tests, filter->n_tests);
    *test = (struct test){.field = (enum field)field, .negated = json_is_true(json_object_get(json, "not"))};
    return parse_value(test, value, diags);
}

int watch_filter_from_json(const json_t *request, struct watch_filter **ret, struct diags *diags)
{
    _cleanup_(watch_filter_freep) struct watch_filter *filter = xnew(struct watch_filter);
    const json_t *list = json_object_get(request, "filters"), *json;
    size_t i;
    int r = 0;

    json_array_foreach (list, i, json) {
        if (r == 0)
            r = add_test(filter, json, diags);
    }
    if (r < 0)
        return r;
    filter->allowed = json_is_true(json_object_get(request, "allowed"));
    for (i = 0; i < filter->n_tests; i++)
        if (filter->tests[i].field == FIELD_VERDICT && !filter->tests[i].negated &&
            filter->tests[i].verdict == RECORD_ALLOWED)
            filter->allowed = true;
    *ret = STEAL(filter);
    return 0;
}

bool watch_filter_wants_allowed(const struct watch_filter *filter)
{
    return filter->allowed;
}

/* ---- a record ----------------------------------------------------------------------------------------- */

static bool is_beginning_of_id(const char *text, const char *id)
{
    size_t len = strlen(text);

    return len >= WATCH_ID_MIN && strspn(text, "0123456789abcdef") == len && strncmp(text, id, len) == 0;
}

static bool is_container(const struct test *test, const json_t *end)
{
    const json_t *container = record_at(end, "container");
    const char *project = record_text(container, "compose.project");

    if (!container)
        return false;
    if (!strchr(test->text, '/'))
        return glob_match(test->text, record_text(container, "name")) ||
               is_beginning_of_id(test->text, record_text(container, "id"));
    _cleanup_free_ char *service = xasprintf("%s/%s", project, record_text(container, "compose.service"));
    return *project && glob_match(test->text, service);
}

/* key: "source" or "destination" */
static bool is_end(const struct test *test, const json_t *record, const char *key)
{
    const json_t *end = json_object_get(record_at(record, "cofferdam"), key);
    struct ip ip;

    if (test->is_word)
        return strcmp(record_text(end, "kind"), test->text) == 0;
    if (!test->is_address)
        return is_container(test, end);
    return ip_parse(record_text(json_object_get(record, key), "ip"), &ip) == 0 &&
           cidr_contains(&test->block, ip);
}

static bool is_protocol(const char *word, const json_t *record)
{
    const char *transport = record_text(record, "network.transport");

    if (strcmp(word, "icmp") == 0 && strcmp(transport, "ipv6-icmp") == 0)
        return true;
    return strcmp(word, transport) == 0 || strcmp(word, record_text(record, "network.iana_number")) == 0;
}

static bool is_icmp(const struct port *port, const json_t *record)
{
    const json_t *type = record_at(record, "cofferdam.icmp.type");
    bool six = strcmp(record_text(record, "network.transport"), "ipv6-icmp") == 0;

    if (!is_protocol("icmp", record))
        return false;
    return !port->icmp_name ||
           (json_is_integer(type) && json_integer_value(type) == (six ? port->icmp6_type : port->icmp4_type));
}

static bool is_port(const struct test *test, const json_t *record)
{
    const json_t *port = record_at(record, "destination.port");
    json_int_t number = json_integer_value(port);

    if (test->port.kind == PORT_ICMP)
        return is_icmp(&test->port, record);
    return json_is_integer(port) && number >= test->port.first && number <= test->port.last &&
           (test->any_protocol || is_protocol(protocol_words[test->port.kind], record));
}

static bool is_direction(const char *word, const json_t *record)
{
    if (record_verdict(record) == RECORD_DENIED)
        return strcmp(word, record_text(record, "cofferdam.direction")) == 0;
    return json_object_get(record_at(record, "cofferdam"), word);
}

static bool holds(const struct test *test, const json_t *record)
{
    switch (test->field) {
    case FIELD_FROM:
        return is_end(test, record, "source");
    case FIELD_TO:
        return is_end(test, record, "destination");
    case FIELD_CONTAINER:
        return is_end(test, record, "source") || is_end(test, record, "destination");
    case FIELD_VERDICT:
        return record_verdict(record) == test->verdict;
    case FIELD_PORT:
        return is_port(test, record);
    case FIELD_PROTOCOL:
        return is_protocol(test->text, record);
    case FIELD_DIRECTION:
        return is_direction(test->text, record);
    case FIELDS:
        break;
    }
    return false;
}

bool watch_filter_matches(const struct watch_filter *filter, const json_t *record)
{
    bool given[FIELDS] = {0}, found[FIELDS] = {0};

    if (record_verdict(record) == RECORD_ALLOWED && !filter->allowed)
        return false;
    for (size_t i = 0; i < filter->n_tests; i++) {
        const struct test *test = &filter->tests[i];
        bool held = holds(test, record);

        if (test->negated && held)
            return false;
        if (test->negated)
            continue;
        given[test->field] = true;
        found[test->field] = found[test->field] || held;
    }
    for (size_t i = 0; i < FIELDS; i++)
        if (given[i] && !found[i])
            return false;
    return true;
}
