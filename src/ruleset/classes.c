// SPDX-License-Identifier: GPL-2.0-or-later
#include "classes.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "build.h"
#include "deny_log.h"
#include "inventory/match.h"
#include "names.h"
#include "util/mem.h"

/* ---- peer sets ---------------------------------------------------------------------------------------- */

bool expression_matches(const struct peer_expression *who, const struct container *container,
                        const struct endpoint *endpoint)
{
    for (size_t i = 0; i < who->n_with; i++) {
        if (!selector_matches(who->with[i], container, endpoint))
            return false;
    }
    for (size_t i = 0; i < who->n_without; i++) {
        if (selector_matches(who->without[i], container, endpoint))
            return false;
    }
    return true;
}

static const struct selector *selector_keep(const struct selector *selector)
{
    struct selector *copy = xnew(struct selector);

    *copy = selector_copy(selector);
    return copy;
}

static void selectors_free(const struct selector **list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        selector_clear((struct selector *)list[i]);
        free((struct selector *)list[i]);
    }
    free(list);
}

struct peer_set *peer_set_free(struct peer_set *set)
{
    if (!set)
        return NULL;
    selectors_free(set->who.with, set->who.n_with);
    selectors_free(set->who.without, set->who.n_without);
    free(set->key);
    free(set);
    return NULL;
}

/*
 * A hash in a name can be made to collide by whoever chooses a label's value, and two selectors must never
 * share a set: a name that is taken is numbered.
 */
static char *free_set_name(const struct ruleset *ruleset, const char *base, char family)
{
    for (unsigned i = 1;; i++) {
        char *name = i == 1 ? xasprintf("%s/%c", base, family) : xasprintf("%s/%u/%c", base, i, family);

        if (!table_set(&ruleset->tables[TABLE_INET], name))
            return name;
        free(name);
    }
}

static struct peer_set *peer_set_new(const struct class_context *context, const struct peer_expression *who)
{
    static const enum key_type keys[IP_FAMILIES] = {KEY_IPV4_ADDR, KEY_IPV6_ADDR};
    struct peer_set *set = xnew(struct peer_set);
    _cleanup_free_ char *base = expression_name(who);

    set->key = expression_key(who);
    for (size_t i = 0; i < who->n_with; i++)
        *ARRAY_ADD(set->who.with, set->who.n_with) = selector_keep(who->with[i]);
    for (size_t i = 0; i < who->n_without; i++)
        *ARRAY_ADD(set->who.without, set->who.n_without) = selector_keep(who->without[i]);
    for (size_t i = 0; i < IP_FAMILIES; i++) {
        _cleanup_free_ char *name = free_set_name(context->ruleset, base, i == IP4 ? '4' : '6');

        set->sets[i] = ruleset_add_set(context->ruleset, TABLE_INET, name, 1, &keys[i]);
        set->sets[i]->origin = expression_text(who);
    }
    return set;
}

/* The one set for this expression, made and filled when it is new. */
static struct peer_set *peer_set_of(const struct class_context *context, const struct peer_expression *who)
{
    _cleanup_free_ char *key = expression_key(who);
    struct peer_set *set;

    HASH_FIND_STR(*context->peer_sets, key, set);
    if (set)
        return set;
    set = peer_set_new(context, who);
    HASH_ADD_KEYPTR(hh, *context->peer_sets, set->key, strlen(set->key), set);
    context->fill(set, context->userdata);
    for (size_t i = 0; context->delta && i < IP_FAMILIES; i++)
        delta_add_set(context->delta, PHASE_PREPARE, TABLE_INET, set->sets[i]);
    return set;
}

/* ---- address sets ------------------------------------------------------------------------------------- */

/* "internet/4" for what that word means, else a name made from the content. The caller frees it. */
static char *name_of_ranges(const struct ip_ranges *ranges, enum ip_family family)
{
    struct ip_ranges internet = {0};
    bool same;

    ip_ranges_add_internet(&internet, family);
    same = internet.n == ranges->n && memcmp(internet.v, ranges->v, ranges->n * sizeof(*ranges->v)) == 0;
    ip_ranges_clear(&internet);
    return same ? xstrdup(family == IP4 ? SET_INTERNET4 : SET_INTERNET6) : ranges_name(ranges, family);
}

static bool holds(const struct set *set, const struct ip_ranges *ranges, enum ip_family family)
{
    for (size_t i = 0; i < ranges->n; i++) {
        uint8_t first[KEY_BYTES_MAX], last[KEY_BYTES_MAX];
        const struct element *element;

        ip_to_bytes((struct ip){.num = ranges->v[i].first, .family = family}, first);
        ip_to_bytes((struct ip){.num = ranges->v[i].last, .family = family}, last);
        element = set_find(set, first);
        if (!element || memcmp(element->key_end, last, set->key_len) != 0)
            return false;
    }
    return set_count(set) == ranges->n;
}

/* Immutable and named after its content, so that a set of intervals never changes once rules use it. */
static const char *ranges_set(const struct class_context *context, const struct ip_ranges *ranges,
                              enum ip_family family, const struct grant *grant)
{
    _cleanup_free_ char *name = name_of_ranges(ranges, family);
    struct set *set;

    while ((set = table_set(&context->ruleset->tables[TABLE_INET], name))) {
        char *next;

        if (holds(set, ranges, family))
            return set->name;
        next = xasprintf("%s/other", name); /* another content with the same hash */
        free(name);
        name = next;
    }
    set = ruleset_add_ranges(context->ruleset, name, family, ranges);
    set->origin = rule_text(grant->policy, grant->direction, grant->rule);
    if (context->delta)
        delta_add_set(context->delta, PHASE_PREPARE, TABLE_INET, set);
    return set->name;
}

/* ---- rules -------------------------------------------------------------------------------------------- */

bool dispatch_is_egress(enum dispatch dispatch)
{
    return dispatch == DISPATCH_EGRESS || dispatch == DISPATCH_HOST_EGRESS;
}

static enum field peer_field(const struct writer *writer, enum ip_family family)
{
    if (dispatch_is_egress(writer->dispatch))
        return family == IP4 ? FIELD_IP_DADDR : FIELD_IP6_DADDR;
    return family == IP4 ? FIELD_IP_SADDR : FIELD_IP6_SADDR;
}

static void match_service(struct rule_stmt *rule, const struct service *service)
{
    enum field field;
    uint32_t last = service->last;

    if (service->proto_first == 0 && service->proto_last == UINT8_MAX)
        return;
    if (service->proto_first != service->proto_last) {
        on_range(rule, FIELD_L4PROTO, service->proto_first, service->proto_last);
        return;
    }
    if (service_is_whole(service)) {
        on_value(rule, FIELD_L4PROTO, false, service->proto_first);
        return;
    }
    switch (service->proto_first) {
    case IPPROTO_TCP:
        field = FIELD_TCP_DPORT;
        break;
    case IPPROTO_UDP:
        field = FIELD_UDP_DPORT;
        break;
    case IPPROTO_SCTP:
        field = FIELD_SCTP_DPORT;
        break;
    case IPPROTO_ICMP:
        field = FIELD_ICMP_TYPE;
        last = last > UINT8_MAX ? UINT8_MAX : last;
        break;
    default:
        field = FIELD_ICMPV6_TYPE; /* the only other protocol whose rules can name a part */
        last = last > UINT8_MAX ? UINT8_MAX : last;
        break;
    }
    if (service->first == last)
        on_value(rule, field, false, service->first);
    else
        on_range(rule, field, service->first, last);
}

/* ICMP belongs to IPv4 and ICMPv6 to IPv6: the other family's rule would say nothing. */
static bool service_has_family(const struct service *service, enum ip_family family)
{
    if (service->proto_first != service->proto_last)
        return true;
    if (service->proto_first == IPPROTO_ICMP)
        return family == IP4;
    return service->proto_first != IPPROTO_ICMPV6 || family == IP6;
}

/* Does any family of this class have the protocol at all? */
static bool is_spoken(const struct writer *writer, const struct service *service)
{
    return (writer->families[IP4] && service_has_family(service, IP4)) ||
           (writer->families[IP6] && service_has_family(service, IP6));
}

static char *rule_origin(const struct grant *grant)
{
    const struct source_pos *pos = &grant->rule->pos;
    _cleanup_free_ char *text = rule_text(grant->policy, grant->direction, grant->rule);

    return xasprintf("%s:%u (policy %s)", pos->file ? pos->file : "?", pos->line, text);
}

/*
 * A rule without a name has only its place in the policy, which may change without the rule: to tell that here would
 * make another rule of it.
 */
static char *rule_comment(const struct grant *grant)
{
    _cleanup_free_ char *text =
        grant->rule->name ? rule_text(grant->policy, grant->direction, grant->rule)
                          : xasprintf("%s %s", grant->policy->name, direction_name(grant->direction));

    return safe_comment(text);
}

/* The exceptions of a lockdown, which a command has made, stand in no file. */
static void add_source(const struct writer *writer, struct rule_stmt *rule, const struct grant *grant)
{
    if (!grant->policy->pos.file)
        return;
    rule->source.policy = ruleset_intern(writer->context->ruleset, grant->policy->name);
    rule->source.direction = grant->direction;
    rule_source_add(&rule->source, grant->rule->index);
    for (size_t i = 0; i < grant->n_also; i++)
        rule_source_add(&rule->source, grant->also[i]->index);
}

static struct rule_stmt *begin_rule(const struct writer *writer, const struct grant *grant,
                                    const struct service *service)
{
    struct rule_stmt *rule = chain_add_rule(writer->chain);

    if (writer->ct_states)
        on_ct(rule, writer->ct_states);
    match_service(rule, service);
    rule->comment = rule_comment(grant);
    rule->origin = rule_origin(grant);
    add_source(writer, rule, grant);
    counted(rule, writer->verdict, NULL);
    return rule;
}

/* Forwarded traffic: a peer is a container exactly when its side of the path is a managed bridge. */
static void match_interface(const struct writer *writer, struct rule_stmt *rule, enum region region)
{
    if (region == REGION_HOST)
        return;
    on_set(rule, dispatch_is_egress(writer->dispatch) ? FIELD_OIFNAME : FIELD_IIFNAME,
           region == REGION_OUTSIDE, SET_BRIDGES);
}

static bool is_everything(const struct ip_ranges *ranges, enum ip_family family)
{
    return ranges->n == 1 && ranges->v[0].first == 0 && ranges->v[0].last == ip_max(family);
}

static void match_ranges(const struct writer *writer, struct rule_stmt *rule, const struct grant *grant,
                         enum ip_family family)
{
    const struct ip_ranges *ranges = &grant->peers.ranges[family];
    struct cidr prefix;

    if (is_everything(ranges, family))
        on_value(rule, FIELD_NFPROTO, false, family == IP4 ? AF_INET : AF_INET6); /* NFPROTO_*: the same */
    else if (ranges->n == 1 && cidr_from_range(family, ranges->v[0], &prefix))
        on_prefix(rule, peer_field(writer, family), prefix);
    else
        on_set(rule, peer_field(writer, family), false, ranges_set(writer->context, ranges, family, grant));
}

static void write_family(const struct writer *writer, const struct grant *grant,
                         const struct service *service, enum ip_family family)
{
    const struct peer_block *peers = &grant->peers;
    const struct peer_set *set = NULL;
    struct rule_stmt *rule;

    if (!writer->families[family] || !service_has_family(service, family) ||
        (peers->restricted && peers->ranges[family].n == 0))
        return;
    if (peers->who.n_with + peers->who.n_without)
        set = peer_set_of(writer->context, &peers->who);
    rule = begin_rule(writer, grant, service);
    if (set)
        on_set(rule, peer_field(writer, family), false, set->sets[family]->name);
    if (peers->restricted)
        match_ranges(writer, rule, grant, family);
    if (!set || peers->restricted)
        match_interface(writer, rule, peers->region);
}

static bool is_whole_region(const struct peer_block *peers)
{
    if (peers->who.n_with + peers->who.n_without)
        return false;
    return !peers->restricted ||
           (is_everything(&peers->ranges[IP4], IP4) && is_everything(&peers->ranges[IP6], IP6));
}

static bool same_services(const struct services *a, const struct services *b)
{
    return a->n == b->n && memcmp(a->v, b->v, a->n * sizeof(*a->v)) == 0;
}

/* Every container and everything outside, on the same ports, is one rule that asks for no peer at all: the grant of the
 * other region, or NULL. */
static const struct grant *covered_by(const struct grants *grants, const struct grant *grant,
                                      enum region other_region)
{
    if (!is_whole_region(&grant->peers))
        return NULL;
    for (size_t i = 0; i < grants->n; i++) {
        const struct grant *other = &grants->v[i];

        if (grants_look_alike(other, grant) && other->peers.region == other_region &&
            is_whole_region(&other->peers) && same_services(&other->services, &grant->services))
            return other;
    }
    return NULL;
}

static void write_grant(const struct writer *writer, const struct grants *grants, const struct grant *grant)
{
    static const struct service every_service = {.proto_last = UINT8_MAX, .last = UINT16_MAX};
    enum region region = grant->peers.region;
    const struct grant *outside = NULL;

    if (region == REGION_OUTSIDE && covered_by(grants, grant, REGION_CONTAINERS))
        return;
    if (region == REGION_CONTAINERS)
        outside = covered_by(grants, grant, REGION_OUTSIDE);
    for (size_t i = 0; i < (writer->any_service ? 1 : grant->services.n); i++) {
        const struct service *service = writer->any_service ? &every_service : &grant->services.v[i];

        if (!is_spoken(writer, service))
            continue;
        if (outside) {
            add_source(writer, begin_rule(writer, grant, service), outside);
        } else if (is_whole_region(&grant->peers)) {
            match_interface(writer, begin_rule(writer, grant, service), region);
        } else {
            write_family(writer, grant, service, IP4);
            write_family(writer, grant, service, IP6);
        }
    }
}

static bool needs_reject(const struct subject *subject)
{
    for (size_t i = 0; i < subject->n_policies; i++) {
        if (subject->policies[i]->reject)
            return true;
    }
    return false;
}

/* What no rule allowed. `reject: true` in any policy of the class answers instead of leaving the sender to
 * wait. */
static void write_end(const struct class_context *context, struct chain *chain, const struct subject *subject,
                      enum deny_point point)
{
    bool reject = needs_reject(subject);
    struct rule_stmt *rule;

    if (reject) {
        deny_log_jump(context->ruleset, chain, point);
        rule = chain_add_rule(chain);
        on_value(rule, FIELD_L4PROTO, false, IPPROTO_TCP);
        counted(rule, V_REJECT_TCP_RESET, NULL);
    }
    rule = chain_add_rule(chain);
    denied(rule, point);
    if (reject)
        verdict(rule, V_REJECT_ADMIN, NULL);
}

/* ---- chains ------------------------------------------------------------------------------------------- */

static void chain_content_clear(struct chain *content)
{
    for (size_t i = 0; i < content->n_rules; i++) {
        free(content->rules[i].matches);
        free(content->rules[i].comment);
        free(content->rules[i].origin);
        free(content->rules[i].source.indices);
    }
    free(content->rules);
    *content = (struct chain){0};
}

/* What stands already may have been made of other rules. */
static void merge_sources(struct chain *chain, const struct chain *content)
{
    for (size_t i = 0; i < chain->n_rules; i++)
        for (size_t j = 0; j < content->rules[i].source.n; j++)
            rule_source_add(&chain->rules[i].source, content->rules[i].source.indices[j]);
}

const struct chain *chain_publish(const struct class_context *context, const struct subject *subject,
                                  const char *word, struct chain *content)
{
    struct chain *chain;

    deny_log_divert(context->ruleset, content);
    _cleanup_free_ char *base = class_chain_name(word, subject, content);

    for (unsigned i = 1;; i++) {
        _cleanup_free_ char *name = i == 1 ? xstrdup(base) : xasprintf("%s/%u", base, i);

        chain = table_chain(&context->ruleset->tables[TABLE_INET], name);
        if (chain && chain_equal(chain, content)) {
            merge_sources(chain, content);
            chain_content_clear(content);
            return chain;
        }
        if (!chain) {
            chain = ruleset_add_chain(context->ruleset, TABLE_INET, name);
            break;
        }
    }
    chain->rules = STEAL(content->rules);
    chain->n_rules = content->n_rules;
    if (context->delta)
        delta_add_chain(context->delta, PHASE_PREPARE, TABLE_INET, chain);
    return chain;
}

static bool belongs(enum region region, enum dispatch dispatch)
{
    bool host = dispatch == DISPATCH_HOST_EGRESS || dispatch == DISPATCH_HOST_INGRESS;

    return host == (region == REGION_HOST);
}

void write_grants(const struct writer *writer, const struct grants *grants)
{
    for (size_t i = 0; i < grants->n; i++) {
        if (belongs(grants->v[i].peers.region, writer->dispatch))
            write_grant(writer, grants, &grants->v[i]);
    }
}

static const struct chain *build_chain(const struct class_context *context, const struct subject *subject,
                                       const struct grants *grants, enum dispatch dispatch)
{
    struct chain content = {0};
    struct writer writer = {.context = context,
                            .chain = &content,
                            .dispatch = dispatch,
                            .verdict = dispatch == DISPATCH_EGRESS ? V_RETURN : V_ACCEPT,
                            .families = subject->families};

    write_grants(&writer, grants);
    if (content.n_rules == 0 && !needs_reject(subject))
        return NULL;
    write_end(context, &content, subject, dispatch_deny_point(dispatch));
    return chain_publish(context, subject, dispatch_word(dispatch), &content);
}

static const struct chain *build_allow_all(const struct class_context *context, const struct subject *subject,
                                           enum dispatch dispatch)
{
    struct chain content = {0};
    struct rule_stmt *rule = chain_add_rule(&content);

    rule->comment = xstrdup("default_mode: audit");
    counted(rule, dispatch == DISPATCH_EGRESS ? V_RETURN : V_ACCEPT, NULL);
    return chain_publish(context, subject, dispatch_word(dispatch), &content);
}

bool class_build(const struct class_context *context, struct subject *subject, bool allow_all,
                 struct class *ret)
{
    struct grants grants[DIRECTIONS] = {0};
    bool fits = true;

    for (size_t direction = 0; direction < DIRECTIONS && fits; direction++)
        fits = grants_of(subject, (enum direction)direction, &grants[direction]) == 0;
    for (size_t i = 0; i < DISPATCHES && fits; i++) {
        enum dispatch dispatch = (enum dispatch)i;

        if (allow_all)
            ret->chains[i] = build_allow_all(context, subject, dispatch);
        else
            ret->chains[i] = build_chain(context, subject,
                                         &grants[dispatch_is_egress(dispatch) ? EGRESS : INGRESS], dispatch);
    }
    ret->too_many_rules = !fits;
    grants_clear(&grants[INGRESS]);
    grants_clear(&grants[EGRESS]);
    return fits;
}
