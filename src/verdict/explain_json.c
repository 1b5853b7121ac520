/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "verdict/explain_json.h"

#include "inventory/json.h"
#include "near.h"

static const char *verdict_name(enum verdict verdict)
{
    return verdict == VERDICT_ALLOW ? "allowed" : "denied";
}

static const char *party_kind_name(enum party_kind kind)
{
    switch (kind) {
    case PARTY_ENDPOINT:
        return "container";
    case PARTY_HOST:
        return "host";
    case PARTY_OUTSIDE:
        return "outside";
    }
    return "";
}

static json_t *party_to_json(const struct explain_party *party)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:o}", "kind", party_kind_name(party->kind), "text",
                     json_text_or_null(party->label), "name",
                     json_text_or_null(party->container ? party->container->name : NULL), "id",
                     json_text_or_null(party->container ? party->container->id : NULL), "note",
                     json_text_or_null(party->note));
}

static json_t *near_to_json(const struct explanation *x, const struct explain_way *way,
                            enum direction direction)
{
    _cleanup_(near_rules_clear) struct near_rules near = {};
    json_t *list = json_array();

    near_rules_find(x, way, direction, &near);
    for (size_t i = 0; i < near.n; i++) {
        const struct near_rule *rule = &near.v[i];
        _cleanup_free_ char *name = rule_text(rule->policy, direction, rule->rule);
        _cleanup_free_ char *text = near_rule_text(rule, direction);
        const char *file = rule->rule->pos.file;

        json_array_append_new(list,
                              json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "why", near_miss_name(rule->miss),
                                        "policy", json_text_or_null(rule->policy->name), "rule",
                                        json_text_or_null(name), "file", json_text_or_null(file), "line",
                                        file ? json_integer(rule->rule->pos.line) : json_null(), "text",
                                        json_text_or_null(text)));
    }
    return list;
}

static json_t *side_to_json(const struct explanation *x, const struct explain_way *way,
                            enum direction direction)
{
    const struct side_verdict *side = direction == EGRESS ? &way->decision.egress : &way->decision.ingress;

    if (side->reason == REASON_NOT_SUBJECT)
        return json_null();
    _cleanup_free_ char *reason = explain_side_text(x, way, direction);
    _cleanup_free_ char *rule = side->rule ? rule_text(side->policy, direction, side->rule) : NULL;
    const char *file = side->rule ? side->rule->pos.file : NULL;
    return json_pack("{s:s, s:o, s:o, s:s, s:o, s:o, s:o, s:o}", "verdict", verdict_name(side->verdict),
                     "reason", json_text_or_null(reason), "policy",
                     json_text_or_null(side->policy ? side->policy->name : NULL), "direction",
                     direction_name(direction), "rule", json_text_or_null(rule), "file",
                     json_text_or_null(file), "line", file ? json_integer(side->rule->pos.line) : json_null(),
                     "near", near_to_json(x, way, direction));
}

static json_t *published_to_json(const struct explanation *x)
{
    const struct published_port *port = x->published;
    char address[IP_TEXT_MAX];

    if (!port)
        return json_null();
    return json_pack("{s:o, s:s, s:i, s:i, s:s, s:b}", "container", json_text_or_null(x->publisher->name),
                     "address", ip_format(port->address, address), "port", port->outer, "container_port",
                     port->inner, "protocol", transport_name(port->kind), "followed", x->followed);
}

static json_t *network_to_json(const struct network *network)
{
    return json_text_or_null(network ? network->name : NULL);
}

static json_t *way_to_json(const struct explanation *x, const struct explain_way *way)
{
    return json_pack("{s:o, s:o, s:s, s:s, s:b, s:o, s:o}", "from_network",
                     network_to_json(way->network_from), "to_network", network_to_json(way->network_to),
                     "family", way->family == IP4 ? "ipv4" : "ipv6", "verdict",
                     verdict_name(way->decision.verdict), "docker_blocks", way->docker_blocks, "egress",
                     side_to_json(x, way, EGRESS), "ingress", side_to_json(x, way, INGRESS));
}

json_t *explanation_to_json(const struct explanation *x)
{
    _cleanup_free_ char *text = explanation_text(x);
    json_t *paths = json_array(), *ports = x->any_port ? json_array() : json_null();

    for (size_t i = 0; i < x->n_ways; i++)
        json_array_append_new(paths, way_to_json(x, &x->ways[i]));
    for (size_t i = 0; x->any_port && i < x->allowed_ports.n; i++)
        json_array_append_new(ports, json_string(x->allowed_ports.v[i]));
    return json_pack("{s:s, s:s, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "format_version", "1.0",
                     "verdict", verdict_name(x->verdict), "enforced",
                     x->state != EXPLAIN_UNENFORCED && !x->unenforced_network, "docker_blocks",
                     x->docker_blocks && x->n_ways > 0, "from", party_to_json(&x->from), "to",
                     party_to_json(&x->to), "port", json_text_or_null(x->port), "published",
                     published_to_json(x), "allowed_ports", ports, "paths", paths, "text",
                     json_text_or_null(text), "hint", json_text_or_null(x->hint));
}
