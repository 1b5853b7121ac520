// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a proposal comes to, by its text: it is parsed as the daemon would do, enforced in memory, and asked about each
 * observation by the evaluator; and what else its rules match is told.
 */
#include <netinet/in.h>
#include <string.h>

#include "inventory/match.h"
#include "policy/parse.h"
#include "propose.h"
#include "verdict/verdict.h"

#define COMPOSE_PROJECT "com.docker.compose.project"
#define COMPOSE_SERVICE "com.docker.compose.service"
#define DNS_PORT 53

/* NULL: the text has mistakes, which none of ours may have. */
static struct policy_set *parse(const char *body)
{
    _cleanup_(policy_set_freep) struct policy_set *set = policy_set_new();
    _cleanup_diags_ struct diags diags = {0};

    if (policy_parse(set, "learned", body, strlen(body), &diags) < 0 || policy_set_finish(set, &diags) < 0)
        return NULL;
    for (size_t i = 0; i < set->n_policies; i++)
        set->policies[i].mode = MODE_ENFORCE;
    return STEAL(set);
}

/* ---- what was seen ------------------------------------------------------------------------------------ */

static const struct container *find_named(const struct inventory *inventory, const struct learn_names *names)
{
    const struct container *container;

    for (size_t i = 0; i < names->n; i++)
        if (inventory_find(inventory, names->v[i], &container) == 0)
            return container;
    return NULL;
}

static void give_label(struct container *container, const char *key, const char *value)
{
    *ARRAY_ADD(container->labels, container->n_labels) =
        (struct label){.key = xstrdup(key), .value = xstrdup(value)};
    labels_sort(container->labels, container->n_labels);
}

/* A label that was selected by a glob has the value that the container has. */
static const char *label_value(const struct proposal_context *context, const struct learn_who *who,
                               const struct learn_names *names)
{
    const struct container *container = find_named(context->inventory, names);
    const char *value = container ? container_label(container, who->first) : NULL;

    return value ? value : who->second;
}

/* One like those that were seen: they themselves may be gone. */
static struct container *like(const struct proposal_context *context, const struct learn_who *who,
                              const struct learn_names *names)
{
    struct container *container = container_new();
    struct endpoint *endpoint = ARRAY_ADD(container->endpoints, container->n_endpoints);

    container->id = xstrdup("learned");
    container->name = xstrdup(names->n > 0 ? names->v[0] : who->first ? who->first : "learned");
    container->running = container->labels_known = container->dns_known = true;
    endpoint->network_id = xstrdup("learned");
    endpoint->network_name = xstrdup("learned");
    endpoint->id = xstrdup("learned");
    if (who->kind == LEARN_COMPOSE) {
        give_label(container, COMPOSE_PROJECT, who->first);
        give_label(container, COMPOSE_SERVICE, who->second);
    } else if (who->kind == LEARN_LABEL) {
        give_label(container, who->first, label_value(context, who, names));
    }
    return container;
}

static bool is_container(const struct learn_who *who)
{
    return who->kind == LEARN_COMPOSE || who->kind == LEARN_LABEL || who->kind == LEARN_NAME;
}

static struct party party_of(const struct observation *o, const struct container *peer)
{
    struct party party = {.kind = PARTY_OUTSIDE, .ip = o->ip, .has_ip = o->has_ip};

    if (peer) {
        party.kind = PARTY_ENDPOINT;
        party.container = peer;
        party.endpoint = &peer->endpoints[0];
    } else if (o->peer.kind == LEARN_HOST) {
        party.kind = PARTY_HOST;
    }
    return party;
}

static enum ip_family family_of(const struct observation *o)
{
    if (o->has_ip)
        return o->ip.family;
    return o->proto == IPPROTO_ICMPV6 ? IP6 : IP4;
}

/* An observation as the evaluator has it. */
struct question {
    struct container *subject, *other; /* other: or NULL */
    struct party mine, peer;
    struct traffic traffic;
};

static struct question question_of(const struct proposal_context *context, const struct observation *o)
{
    struct question question = {.subject = like(context, &o->subject, &o->subjects)};

    if (is_container(&o->peer))
        question.other = like(context, &o->peer, &o->peers);
    if (o->peer.kind == LEARN_RESOLVER && o->has_ip)
        *ARRAY_ADD(question.subject->dns, question.subject->n_dns) = o->ip;
    question.mine = (struct party){
        .kind = PARTY_ENDPOINT, .container = question.subject, .endpoint = &question.subject->endpoints[0]};
    question.peer = party_of(o, question.other);
    question.traffic = (struct traffic){.family = family_of(o), .proto = o->proto, .port = o->first_port};
    return question;
}

static void question_clear(struct question *question)
{
    container_free(question->subject);
    container_free(question->other);
}
#define _cleanup_question_ _cleanup_(question_clear)

/* The peer's side is its own policies' affair. */
bool proposal_allows(const struct proposal_context *context, const struct policy_set *set,
                     const struct settings *settings, const struct observation *o)
{
    const struct evaluation with = {.policies = set, .inventory = context->inventory, .settings = settings};
    _cleanup_question_ struct question q = question_of(context, o);

    if (o->direction == EGRESS)
        return evaluate(&with, &q.mine, &q.peer, &q.traffic).egress.verdict == VERDICT_ALLOW;
    return evaluate(&with, &q.peer, &q.mine, &q.traffic).ingress.verdict == VERDICT_ALLOW;
}

void proposal_each_rule(const struct proposal_context *context, const struct policy_set *set,
                        const struct observation *o, void (*found)(const struct rule *rule, void *userdata),
                        void *userdata)
{
    const struct evaluation with = {.policies = set, .inventory = context->inventory};
    _cleanup_question_ struct question q = question_of(context, o);
    struct selection selection;

    policies_selecting(&with, q.subject, q.mine.endpoint, &selection);
    for (size_t i = 0; i < selection.n; i++)
        for (size_t j = 0; j < selection.v[i]->n_rules[o->direction]; j++) {
            const struct rule *rule = &selection.v[i]->rules[o->direction][j];

            if (rule_ports_match(rule, &q.traffic) &&
                rule_peers_match(&with, rule, &q.mine, &q.peer, &q.traffic))
                found(rule, userdata);
        }
    free(selection.v);
}

char *observation_text(const struct observation *o)
{
    _cleanup_free_ char *subject = learn_who_text(&o->subject), *peer = learn_who_text(&o->peer);
    _cleanup_free_ char *service = observation_service(o);

    return o->direction == EGRESS ? xasprintf("%s -> %s %s", subject, peer, service)
                                  : xasprintf("%s -> %s %s", peer, subject, service);
}

static void count(const struct proposal_context *context, const struct policy_set *set,
                  struct proposal *proposal)
{
    _cleanup_(settings_freep) struct settings *settings = settings_new();
    const struct observation *o, *next;

    HASH_ITER (hh, context->learning->observations, o, next) {
        const char *danger = observation_danger(o);
        uint64_t weight = o->allowed ? o->allowed : o->denied;

        proposal->kinds++;
        proposal->connections += weight;
        if (danger) {
            _cleanup_free_ char *text = observation_text(o);

            proposal->held++;
            texts_add(&proposal->reasons, xasprintf("%s: %s", text, danger));
        } else if (set && proposal_allows(context, set, settings, o)) {
            proposal->allowed++;
            proposal->connections_allowed += weight;
        }
    }
}

/* ---- what was not ------------------------------------------------------------------------------------- */

static bool has_name(const struct learn_names *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->v[i], name) == 0)
            return true;
    return names->more;
}

static char *ports_text(const struct draft_rule *rule)
{
    char *text = xstrdup("");

    for (size_t i = 0; i < rule->n; i++) {
        _cleanup_free_ char *service = observation_service(rule->v[i]);
        char *longer = xasprintf("%s%s%s", text, i ? ", " : "", service);

        free(text);
        text = longer;
    }
    return text;
}

static void tell(const struct subject *subject, const struct draft_rule *rule, const char *ports,
                 const char *peer, struct proposal *proposal)
{
    _cleanup_free_ char *name = learn_who_text(&subject->who);

    if (rule->direction == EGRESS)
        texts_add(&proposal->unseen, xasprintf("%s -> %s %s", name, peer, ports));
    else
        texts_add(&proposal->unseen, xasprintf("%s -> %s %s", peer, name, ports));
}

static void tell_resolver(const struct subject *subject, const struct draft_rule *rule,
                          struct proposal *proposal)
{
    bool tcp = false, udp = false;

    for (size_t i = 0; i < rule->n; i++) {
        tcp = tcp || rule->v[i]->proto == IPPROTO_TCP;
        udp = udp || rule->v[i]->proto == IPPROTO_UDP;
    }
    if (!tcp)
        tell(subject, rule, "53/tcp", "its name servers", proposal);
    if (!udp)
        tell(subject, rule, "53/udp", "its name servers", proposal);
}

/* Containers as they are now, which the peer means as well. */
static void tell_containers(const struct proposal_context *context, const struct subject *subject,
                            const struct draft_rule *rule, const struct selector *selector,
                            struct proposal *proposal)
{
    const struct container *container, *next;
    _cleanup_free_ char *ports = ports_text(rule);

    HASH_ITER (hh, context->inventory->containers, container, next) {
        bool seen = !container->name || !selector_means(selector, container);

        for (size_t i = 0; i < rule->n; i++)
            seen = seen || has_name(&rule->v[i]->peers, container->name);
        if (!seen)
            tell(subject, rule, ports, container->name, proposal);
    }
}

static void tell_rule(const struct proposal_context *context, const struct subject *subject,
                      const struct draft_rule *rule, const struct rule *granted, struct proposal *proposal)
{
    const struct learn_who *peer = &rule->v[0]->peer;
    _cleanup_free_ char *ports = ports_text(rule);
    _cleanup_free_ char *block = NULL;

    switch (peer->kind) {
    case LEARN_COMPOSE:
    case LEARN_LABEL:
    case LEARN_NAME:
        tell_containers(context, subject, rule, &granted->peers[0].selector, proposal);
        break;
    case LEARN_RESOLVER:
        tell_resolver(subject, rule, proposal);
        break;
    case LEARN_BLOCK:
        block = xasprintf("all of %s", peer->first);
        tell(subject, rule, ports, block, proposal);
        break;
    case LEARN_INTERNET:
        tell(subject, rule, ports, "all public addresses", proposal);
        break;
    case LEARN_OUTSIDE:
        tell(subject, rule, ports, "all addresses outside", proposal);
        break;
    case LEARN_HOST:
    case LEARN_ADDRESS:
    case LEARN_ELSEWHERE:
        break;
    }
}

/* Containers that the policy selects, and of which nothing was seen though of others there was. */
static void tell_subjects(const struct proposal_context *context, const struct subject *subject,
                          const struct policy *policy, struct proposal *proposal)
{
    const struct container *container, *next;

    HASH_ITER (hh, context->inventory->containers, container, next) {
        bool seen = subject->n == 0 || !container->name || !selector_means(&policy->select, container);

        for (size_t i = 0; i < subject->n && !seen; i++)
            for (size_t j = 0; j < subject->v[i].n; j++)
                seen = seen || has_name(&subject->v[i].v[j]->subjects, container->name);
        if (!seen)
            texts_add(&proposal->unseen, xasprintf("%s: all of policy %s, as nothing of it was seen",
                                                   container->name, subject->name));
    }
}

static const struct policy *find_policy(const struct policy_set *set, const char *name)
{
    for (size_t i = 0; i < set->n_policies; i++)
        if (strcmp(set->policies[i].name, name) == 0)
            return &set->policies[i];
    return NULL;
}

static void tell_subject(const struct proposal_context *context, const struct subject *subject,
                         const struct policy *policy, struct proposal *proposal)
{
    size_t at[DIRECTIONS] = {0};

    for (size_t i = 0; i < subject->n; i++) {
        const struct draft_rule *rule = &subject->v[i];

        if (!rule->danger && at[rule->direction] < policy->n_rules[rule->direction])
            tell_rule(context, subject, rule, &policy->rules[rule->direction][at[rule->direction]++],
                      proposal);
    }
    tell_subjects(context, subject, policy, proposal);
}

/* Peers that are containers, and no subjects. */
static void find_others(const struct draft *draft, struct proposal *proposal)
{
    for (size_t i = 0; i < draft->n; i++)
        for (size_t j = 0; j < draft->v[i].n; j++) {
            const struct draft_rule *rule = &draft->v[i].v[j];
            const struct learn_who *peer = &rule->v[0]->peer;
            bool watched = rule->danger || !is_container(peer);

            for (size_t k = 0; k < draft->n; k++)
                watched = watched || learn_who_equal(&draft->v[k].who, peer);
            if (!watched)
                texts_add(&proposal->others, learn_who_text(peer));
        }
}

void proposal_check(const struct proposal_context *context, const struct draft *draft, const char *body,
                    struct proposal *proposal)
{
    _cleanup_(policy_set_freep) struct policy_set *set = draft->n > 0 ? parse(body) : NULL;

    count(context, set, proposal);
    find_others(draft, proposal);
    for (size_t i = 0; set && i < draft->n; i++) {
        const struct policy *policy = find_policy(set, draft->v[i].name);

        if (policy)
            tell_subject(context, &draft->v[i], policy, proposal);
    }
}
