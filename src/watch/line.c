/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch/line.h"

#include <stdbool.h>
#include <string.h>

#include "policy/parse.h"
#include "util/addr.h"
#include "util/duration.h"
#include "util/mem.h"

#define SECOND_NSEC 1000000000ull

/* ---- the ends ----------------------------------------------------------------------------------------- */

static char *address_text(const json_t *record, const char *key)
{
    const json_t *end = json_object_get(record, key);
    const char *text = record_text(end, "ip");

    if (!*text)
        text = record_text(end, "mac");
    return *text ? xasprintf(strchr(text, ':') ? "[%s]" : "%s", text) : xstrdup("?");
}

/* key: "source" or "destination" */
static char *end_text(const json_t *record, const char *key)
{
    const json_t *end = json_object_get(record_at(record, "cofferdam"), key);
    const char *name = record_text(end, "container.name"), *id = record_text(end, "container.id");

    if (*name || *id)
        return xstrdup(*name ? name : id);
    return strcmp(record_text(end, "kind"), "host") == 0 ? xstrdup("host") : address_text(record, key);
}

static char *destination_text(const json_t *record)
{
    const json_t *port = record_at(record, "destination.port");
    _cleanup_free_ char *end = end_text(record, "destination");

    return json_is_integer(port) ? xasprintf("%s:%lld", end, (long long)json_integer_value(port))
                                 : STEAL(end);
}

/* ---- the protocol ------------------------------------------------------------------------------------- */

static char *icmp_text(const json_t *record, bool six)
{
    const json_t *json = record_at(record, "cofferdam.icmp.type");
    json_int_t type = json_integer_value(json);
    const char *name, *why;

    for (size_t i = 0; json_is_integer(json) && (name = icmp_type_name(i)); i++) {
        _cleanup_free_ char *text = xasprintf("icmp/%s", name);
        struct port port;

        if (port_parse(text, &port, &why) == 0 && type == (six ? port.icmp6_type : port.icmp4_type))
            return STEAL(text);
    }
    return json_is_integer(json) ? xasprintf("icmp/%lld", (long long)type) : xstrdup("icmp");
}

static char *protocol_text(const json_t *record)
{
    const char *transport = record_text(record, "network.transport");
    const char *number = record_text(record, "network.iana_number"),
               *type = record_text(record, "network.type");

    if (strcmp(transport, "icmp") == 0 || strcmp(transport, "ipv6-icmp") == 0)
        return icmp_text(record, strcmp(transport, "icmp") != 0);
    if (*transport)
        return xstrdup(transport);
    return *number ? xasprintf("protocol-%s", number) : xstrdup(*type ? type : "?");
}

/* ---- why ---------------------------------------------------------------------------------------------- */

static char *policies_text(const json_t *list, const char *none)
{
    const json_t *item;
    char *text = NULL;
    size_t i;

    json_array_foreach (list, i, item) {
        const char *name = json_string_value(item);
        char *longer = xasprintf("%s%s%s",
                                 text                        ? text
                                 : json_array_size(list) > 1 ? "policies "
                                                             : "policy ",
                                 text ? ", " : "", name ? name : "?");

        free(text);
        text = longer;
    }
    return text ? text : xstrdup(none);
}

/* A rule that decides, or that there was none. */
static char *decision_text(const json_t *record)
{
    const char *name = record_text(record, "rule.name"), *policy = record_text(record, "rule.ruleset");

    if (*policy)
        return xasprintf("%s (policy %s)", name, policy);
    _cleanup_free_ char *policies = policies_text(record_at(record, "cofferdam.policies"), "no policy");
    return xasprintf("%s (%s)", name, policies);
}

/* Of what was allowed, one side: "egress", "ingress". NULL: its end is nobody whom policies are about. */
static char *side_text(const json_t *record, const char *way)
{
    const json_t *side = json_object_get(record_at(record, "cofferdam"), way);

    if (!side)
        return NULL;
    if (!*record_text(side, "rule"))
        return xstrdup(record_text(side, "reason"));
    return xasprintf("%s (policy %s)", record_text(side, "rule"), record_text(side, "policy"));
}

static char *allowed_text(const json_t *record)
{
    _cleanup_free_ char *out = side_text(record, "egress"), *in = side_text(record, "ingress");

    if (out && in)
        return xasprintf("%s, %s", out, in);
    return xstrdup(out ? out : in ? in : record_text(record, "event.reason"));
}

/* What would decide it if all that is staged were enforced. */
static char *staged_text(const json_t *record)
{
    const json_t *staged = record_at(record, "cofferdam.staged");
    const char *rule = record_text(staged, "rule");

    if (*rule)
        return xasprintf("%s (staged policy %s)", rule, record_text(staged, "policy"));
    return xstrdup(record_text(staged, "reason"));
}

static char *audited_text(const json_t *record)
{
    _cleanup_free_ char *staged = staged_text(record);

    return xasprintf("would be denied: %s", staged);
}

static char *denied_text(const json_t *record)
{
    const char *reason = record_text(record, "event.reason"),
               *lock = record_text(record, "cofferdam.lockdown");

    if (*record_text(record, "rule.name"))
        return decision_text(record);
    if (*lock)
        return xasprintf("locked down (%s)", lock);
    return xstrdup(*reason ? reason : record_text(record, "cofferdam.point"));
}

static char *why_text(const json_t *record)
{
    switch (record_verdict(record)) {
    case RECORD_DENIED:
        break;
    case RECORD_ALLOWED:
        return allowed_text(record);
    case RECORD_AUDITED:
        return audited_text(record);
    case RECORD_VERDICTS:
        break;
    }
    _cleanup_free_ char *why = denied_text(record), *staged = staged_text(record);
    if (strcmp(record_text(record, "cofferdam.staged.verdict"), "allow") != 0)
        return STEAL(why);
    return xasprintf("%s; would be allowed: %s", why, staged);
}

/* "; 1204 packets in 60s", where there was more than one. */
static char *count_text(const json_t *record)
{
    json_int_t count = json_integer_value(record_at(record, "cofferdam.count"));
    json_int_t nsec = json_integer_value(record_at(record, "event.duration"));
    const char *what = record_verdict(record) == RECORD_DENIED ? "packets" : "connections";

    if (count < 2)
        return xstrdup("");
    if (nsec < (json_int_t)SECOND_NSEC)
        return xasprintf("; %lld %s", (long long)count, what);
    _cleanup_free_ char *span = duration_text((uint64_t)nsec / 1000);
    return xasprintf("; %lld %s in %s", (long long)count, what, span);
}

/* ------------------------------------------------------------------------------------------------------- */

static const char *verdict_word(enum record_verdict verdict)
{
    switch (verdict) {
    case RECORD_DENIED:
        return "DENIED";
    case RECORD_ALLOWED:
        return "ALLOWED";
    case RECORD_AUDITED:
        return "AUDITED";
    case RECORD_VERDICTS:
        break;
    }
    return "?";
}

/* Of what was allowed, the sides that had to allow it. */
static const char *direction_word(const json_t *record)
{
    enum record_verdict verdict = record_verdict(record);
    const json_t *own = record_at(record, "cofferdam");
    const char *text = record_text(own, verdict == RECORD_AUDITED ? "staged.direction" : "direction");

    if (verdict == RECORD_ALLOWED && json_object_get(own, "egress") && json_object_get(own, "ingress"))
        return "both";
    if (strcmp(text, "egress") == 0)
        return "egress";
    return strcmp(text, "ingress") == 0 ? "ingress" : "-";
}

void watch_line_of(const json_t *record, struct watch_line *ret)
{
    _cleanup_free_ char *why = why_text(record), *count = count_text(record);

    *ret = (struct watch_line){
        .from = end_text(record, "source"),
        .to = destination_text(record),
        .protocol = protocol_text(record),
        .verdict = verdict_word(record_verdict(record)),
        .direction = direction_word(record),
        .reason = xasprintf("%s%s", why, count),
    };
}

void watch_line_clear(struct watch_line *line)
{
    free(line->from);
    free(line->to);
    free(line->protocol);
    free(line->reason);
    *line = (struct watch_line){0};
}
