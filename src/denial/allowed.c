// SPDX-License-Identifier: GPL-2.0-or-later
/* Connections that were allowed: which are ours to tell of, and what let them pass. */
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include "denial/allowed.h"
#include "judge_private.h"

/* ---- from the kernel's table --------------------------------------------------------------------------- */

static bool is_host(const struct inventory *inventory, struct ip ip)
{
    for (size_t i = 0; i < inventory->n_host_addresses; i++)
        if (ip_equal(inventory->host_addresses[i], ip))
            return true;
    return false;
}

static bool is_in(const struct network *network, struct ip ip)
{
    for (size_t i = 0; network->managed && i < network->n_subnets; i++)
        if (cidr_contains(&network->subnets[i], ip))
            return true;
    return false;
}

/* Some container's, whether it is known yet or not. */
static bool is_ours(const struct inventory *inventory, struct ip ip)
{
    for (const struct network *network = inventory->networks; network; network = network->hh.next)
        if (is_in(network, ip))
            return !is_host(inventory, ip);
    return false;
}

bool allowed_packet(const struct inventory *inventory, const struct flow *flow, struct denied_packet *ret)
{
    bool icmp = flow->proto == IPPROTO_ICMP || flow->proto == IPPROTO_ICMPV6;
    struct ip source = flow->original.source, destination = flow->reply.source;
    bool from_us, to_us;

    if (!flow_in_default_zone(flow))
        return false;
    from_us = is_ours(inventory, source);
    to_us = is_ours(inventory, destination);
    if (!from_us && !to_us)
        return false;
    *ret = (struct denied_packet){
        .allowed = true,
        .counts_for_destination = !from_us && !is_host(inventory, source),
        .ether_type = flow->family == IP4 ? ETH_P_IP : ETH_P_IPV6,
        .has_ip = true,
        .source = source,
        .destination = destination,
        .has_proto = true,
        .proto = flow->proto,
        .has_head = icmp,
        .head = {flow->icmp_type, flow->icmp_code},
        .has_ports = proto_has_ports(flow->proto) && flow->has_ports,
        .source_port = flow->original.source_port,
        .destination_port = flow->reply.source_port,
    };
    return true;
}

/* ---- what let it pass ---------------------------------------------------------------------------------- */

static const enum direction in_order[DIRECTIONS] = {EGRESS, INGRESS}; /* as a packet meets them */

static const struct end *side_end(const struct judged *judged, enum direction direction)
{
    return direction == EGRESS ? &judged->source : &judged->destination;
}

/* Do policies of this end have a say? */
static bool has_say(const struct judged *judged, enum direction direction)
{
    const struct end *end = side_end(judged, direction);

    return end->container && end->managed;
}

void judge_sides(struct judged *judged)
{
    const struct denial_context *context = judged->context;
    const struct party from = judge_party(&judged->source), to = judge_party(&judged->destination);
    const struct traffic traffic = judge_traffic(judged->packet);
    struct connection_verdict verdict = evaluate(&context->with, &from, &to, &traffic);

    judged->direction = has_say(judged, EGRESS) || !has_say(judged, INGRESS) ? EGRESS : INGRESS;
    judged->subject = side_end(judged, judged->direction);
    judged->by_policy = true;
    judged->sides[EGRESS].verdict = verdict.egress;
    judged->sides[INGRESS].verdict = verdict.ingress;
    for (enum direction direction = 0; direction < DIRECTIONS; direction++)
        if (has_say(judged, direction))
            judged->sides[direction].fate =
                lock_end_fate(context->locks, context->with.inventory, direction,
                              direction == EGRESS ? &from : &to, direction == EGRESS ? &to : &from, &traffic);
    judged->side = judged->sides[judged->direction].verdict;
}

static bool has_rule(const struct judged *judged, enum direction direction)
{
    const struct side_verdict *side = &judged->sides[direction].verdict;

    return has_say(judged, direction) && judged->sides[direction].fate == LOCK_SILENT &&
           side->reason == REASON_RULE && side->rule;
}

static char *lock_words(const struct judged *judged, enum direction direction)
{
    struct lock_effect effect = lock_effect(judged->context->locks, judged->context->with.inventory,
                                            side_end(judged, direction)->container);

    return xasprintf("an exception of the lockdown of %s", effect.first ? lock_text(effect.first) : "it");
}

static char *side_reason(const struct judged *judged, enum direction direction)
{
    const struct side_verdict *side = &judged->sides[direction].verdict;

    if (judged->sides[direction].fate == LOCK_EXEMPT)
        return lock_words(judged, direction);
    if (has_rule(judged, direction)) {
        _cleanup_free_ char *name = judge_rule_name(side->rule, direction);

        return xasprintf("%s%s of policy %s", side->rule->name ? "rule " : "", name, side->policy->name);
    }
    if (side->reason == REASON_DEFAULT_AUDIT)
        return xstrdup("default_mode: audit");
    return xasprintf("what held then for its %s", direction_name(direction));
}

char *judge_allowed_reason(const struct judged *judged)
{
    char *text = NULL;

    for (size_t i = 0; i < DIRECTIONS; i++) {
        enum direction direction = in_order[i];

        if (!has_say(judged, direction))
            continue;
        _cleanup_free_ char *side = side_reason(judged, direction), *before = text;

        text = before ? xasprintf("%s, %s", before, side) : xstrdup(side);
    }
    return text ? text : xstrdup("what held then");
}

/* ---- the record ---------------------------------------------------------------------------------------- */

static void put_place(json_t *object, const char *rule_key, const char *policy_key,
                      const struct judged *judged, enum direction direction)
{
    const struct side_verdict *side = &judged->sides[direction].verdict;

    if (!has_rule(judged, direction))
        return;
    _cleanup_free_ char *name = judge_rule_name(side->rule, direction);
    _cleanup_free_ char *place =
        xasprintf("%s:%u", side->rule->pos.file ? side->rule->pos.file : "?", side->rule->pos.line);

    judge_put(object, rule_key, name);
    judge_put(object, policy_key, side->policy->name);
    judge_put(object, "reference", place);
}

void judge_put_rule(json_t *rule, const struct judged *judged)
{
    judge_put(rule, "category", direction_name(judged->direction));
    put_place(rule, "name", "ruleset", judged, judged->direction);
}

static bool has_text(const json_t *list, const char *text)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(json_string_value(json_array_get(list, i)), text) == 0)
            return true;
    return false;
}

static void add_policies(json_t *list, const struct judged *judged, enum direction direction)
{
    const struct end *end = side_end(judged, direction);
    struct selection selection = {0};

    policies_selecting(&judged->context->with, end->container, end->endpoint, &selection);
    for (size_t i = 0; i < selection.n; i++)
        if (!has_text(list, selection.v[i]->name))
            json_array_append_new(list, json_string(selection.v[i]->name));
    free(selection.v);
}

json_t *judge_both_policies(const struct judged *judged)
{
    json_t *list = json_array();

    for (size_t i = 0; i < DIRECTIONS; i++)
        if (has_say(judged, in_order[i]))
            add_policies(list, judged, in_order[i]);
    return list;
}

void judge_put_sides(json_t *own, const struct judged *judged)
{
    for (size_t i = 0; i < DIRECTIONS; i++) {
        enum direction direction = in_order[i];

        if (!has_say(judged, direction))
            continue;
        json_t *side = judge_child(own, direction_name(direction)), *policies = json_array();
        _cleanup_free_ char *reason = side_reason(judged, direction);

        add_policies(policies, judged, direction);
        json_object_set_new(side, "policies", policies);
        judge_put(side, "reason", reason);
        put_place(side, "rule", "policy", judged, direction);
    }
}
