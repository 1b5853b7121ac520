/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "verdict/changes_json.h"

#include "inventory/json.h"

static json_t *members_to_json(const struct change_party *party)
{
    json_t *list = json_array();

    for (size_t i = 0; i < party->n_members; i++) {
        const struct change_member *member = &party->members[i];

        json_array_append_new(list,
                              json_pack("{s:o, s:o, s:o}", "name", json_text_or_null(member->container->name),
                                        "id", json_text_or_null(member->container->id), "network",
                                        json_text_or_null(member->network->name)));
    }
    return list;
}

static json_t *outside_to_json(const struct change_party *party)
{
    json_t *list = json_array();

    for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
        for (size_t i = 0; i < party->outside[family].n; i++) {
            _cleanup_free_ char *text = ip_range_text(family, party->outside[family].v[i]);

            json_array_append_new(list, json_string(text));
        }
    return list;
}

static json_t *party_to_json(const struct change_party *party)
{
    json_t *addresses = json_array();
    char text[IP_TEXT_MAX];

    for (size_t i = 0; i < party->n_host_addresses; i++)
        json_array_append_new(addresses, json_string(ip_format(party->host_addresses[i], text)));
    return json_pack("{s:o, s:o, s:b, s:o, s:o}", "names", texts_to_json(party->names, party->n_names),
                     "containers", members_to_json(party), "host", party->host, "host_addresses", addresses,
                     "outside", outside_to_json(party));
}

static const char *reason_name(enum change_reason reason)
{
    switch (reason) {
    case CHANGE_NONE:
        break;
    case CHANGE_RULE:
        return "rule";
    case CHANGE_RULE_GONE:
        return "rule-gone";
    case CHANGE_SELECTED:
        return "selected";
    case CHANGE_UNSELECTED:
        return "unselected";
    case CHANGE_DEFAULT_MODE:
        return "default-mode";
    }
    return "";
}

/* In which of the two sets the policy is. */
static json_t *set_to_json(enum change_reason reason)
{
    if (reason == CHANGE_DEFAULT_MODE)
        return json_null();
    return json_string(reason == CHANGE_RULE || reason == CHANGE_SELECTED ? "new" : "old");
}

static json_t *cause_to_json(const struct change_cause *cause, enum direction direction)
{
    _cleanup_free_ char *text = change_cause_text(cause, direction);
    _cleanup_free_ char *rule = cause->rule ? rule_text(cause->policy, direction, cause->rule) : NULL;
    const struct source_pos *pos = change_cause_pos(cause);

    return json_pack("{s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:o}", "direction", direction_name(direction),
                     "set", set_to_json(cause->reason), "reason", reason_name(cause->reason), "policy",
                     json_text_or_null(cause->policy ? cause->policy->name : NULL), "rule",
                     json_text_or_null(rule), "file", json_text_or_null(pos ? pos->file : NULL), "line",
                     pos && pos->file ? json_integer(pos->line) : json_null(), "text",
                     json_text_or_null(text));
}

static json_t *change_to_json(const struct change *change)
{
    bool allowed = change->verdict == VERDICT_ALLOW;
    json_t *causes = json_array();

    for (enum direction d = DIRECTIONS; d-- > 0;)
        if (change->causes[d].reason != CHANGE_NONE)
            json_array_append_new(causes, cause_to_json(&change->causes[d], d));
    return json_pack("{s:o, s:o, s:o, s:b, s:o, s:s, s:s, s:b, s:I, s:o}", "from",
                     party_to_json(&change->from), "to", party_to_json(&change->to), "ports",
                     texts_to_json(change->ports, change->n_ports), "every_port", change->all_ports, "family",
                     change->one_family ? json_string(change->family == IP4 ? "ipv4" : "ipv6") : json_null(),
                     "old", allowed ? "denied" : "allowed", "new", allowed ? "allowed" : "denied",
                     "docker_blocks", change->docker_blocks, "pairs", (json_int_t)change->n_pairs, "causes",
                     causes);
}

json_t *changes_to_json(const struct changes *changes)
{
    json_t *list = json_array();

    for (size_t i = 0; i < changes->n; i++)
        json_array_append_new(list, change_to_json(&changes->v[i]));
    return list;
}
