/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lockdown.h"

#include "build.h"
#include "util/mem.h"

#define LOCKED_DOWN "locked down"

static const struct {
    const char *maps[IP_FAMILIES], *chain, *word;
} locks[DISPATCHES] = {
    [DISPATCH_EGRESS] = {{"locked_egress4", "locked_egress6"}, "locked_source", "locked-egress"},
    [DISPATCH_INGRESS] = {{"locked_ingress4", "locked_ingress6"}, "locked_destination", "locked-ingress"},
    [DISPATCH_HOST_EGRESS] = {{"locked_host_egress4", "locked_host_egress6"},
                              "locked_to_host",
                              "locked-host-egress"},
    [DISPATCH_HOST_INGRESS] = {{"locked_host_ingress4", "locked_host_ingress6"},
                               "host_to_locked",
                               "locked-host-ingress"},
};

const char *lock_map_name(enum dispatch dispatch, enum ip_family family)
{
    return locks[dispatch].maps[family];
}

const char *lock_chain_name(enum dispatch dispatch)
{
    return locks[dispatch].chain;
}

/* ---- the fixed part ----------------------------------------------------------------------------------- */

void lockdown_build_bridge_sets(struct ruleset *ruleset)
{
    static const enum key_type pair[] = {KEY_IFNAME, KEY_IFNAME};

    add_set(ruleset, TABLE_BRIDGE, SET_SEALED, KEY_IFNAME);
    add_set(ruleset, TABLE_BRIDGE, SET_RESTRICTED, KEY_IFNAME);
    ruleset_add_set(ruleset, TABLE_BRIDGE, SET_RESTRICTED_PAIRS, ARRAY_SIZE(pair), pair);
}

/* Where those go who are not live and not locked either. */
static const char *otherwise(enum dispatch dispatch, const struct compile_options *options)
{
    if (options->unknown_endpoints == UNKNOWN_INTERNET && dispatch == DISPATCH_EGRESS)
        return "unknown_source";
    if (options->unknown_endpoints == UNKNOWN_INTERNET && dispatch == DISPATCH_INGRESS)
        return "unknown_destination";
    return "not_live";
}

void lockdown_build_inet_sets(struct ruleset *ruleset, const struct compile_options *options)
{
    add_set(ruleset, TABLE_INET, SET_LOCKED4, KEY_IPV4_ADDR);
    add_set(ruleset, TABLE_INET, SET_LOCKED6, KEY_IPV6_ADDR);
    for (size_t i = 0; i < DISPATCHES; i++) {
        const char *target = otherwise((enum dispatch)i, options);

        add_map(ruleset, locks[i].maps[IP4], KEY_IPV4_ADDR, V_GOTO, target);
        add_map(ruleset, locks[i].maps[IP6], KEY_IPV6_ADDR, V_GOTO, target);
    }
}

/* Neighbour discovery is the bridge table's to judge, which knows the ports. */
void lockdown_build(struct ruleset *ruleset)
{
    for (size_t i = 0; i < DISPATCHES; i++) {
        struct chain *chain = ruleset_add_chain(ruleset, TABLE_INET, locks[i].chain);
        struct rule_stmt *rule = chain_add_rule(chain);
        bool source = dispatch_is_egress((enum dispatch)i);

        on_set(rule, FIELD_ICMPV6_TYPE, false, SET_NEIGHBOUR_DISCOVERY);
        verdict(rule, V_GOTO, "not_live");
        for (size_t family = 0; family < IP_FAMILIES; family++)
            vmap(chain_add_rule(chain), source ? source_field(family) : destination_field(family),
                 locks[i].maps[family]);
        verdict(chain_add_rule(chain), V_GOTO, "not_live");
    }
}

void lockdown_refuse(struct chain *chain, enum table_verdict how, const char *target)
{
    for (size_t i = 0; i < 2 * IP_FAMILIES; i++) {
        enum ip_family family = i % IP_FAMILIES ? IP6 : IP4;
        struct rule_stmt *rule = comment(chain_add_rule(chain), LOCKED_DOWN);

        on_set(rule, i < IP_FAMILIES ? source_field(family) : destination_field(family), false,
               family == IP4 ? SET_LOCKED4 : SET_LOCKED6);
        rule->counter = how == V_DROP;
        verdict(rule, how, target);
        rule->deny = DENY_LOCKED;
    }
}

void lockdown_refuse_sealed(struct chain *chain, enum field port)
{
    struct rule_stmt *rule = comment(chain_add_rule(chain), LOCKED_DOWN);

    on_set(rule, port, false, SET_SEALED);
    denied(rule, DENY_LOCKED);
}

/* With the host, which is its router, an endpoint that has exceptions may always speak. */
void lockdown_refuse_neighbours(struct chain *chain)
{
    static const enum field ports[] = {FIELD_IIFNAME, FIELD_OIFNAME};
    struct rule_stmt *rule = chain_add_rule(chain);

    on_set2(rule, FIELD_IIFNAME, FIELD_OIFNAME, SET_RESTRICTED_PAIRS);
    verdict(rule, V_RETURN, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
        rule = comment(chain_add_rule(chain), LOCKED_DOWN);
        on_set(rule, ports[i], false, SET_RESTRICTED);
        denied(rule, DENY_LOCKED);
    }
}

/* ---- a lock's chains ---------------------------------------------------------------------------------- */

/* About a connection that may go on: from routers on the way, too. The state is judged again in the base chain. */
static void return_errors(struct chain *chain)
{
    for (size_t i = 0; i < IP_FAMILIES; i++) {
        struct rule_stmt *rule = chain_add_rule(chain);

        on_ct(rule, CT_RELATED);
        on_set(rule, i == IP4 ? FIELD_ICMP_TYPE : FIELD_ICMPV6_TYPE, false,
               i == IP4 ? SET_ICMP_ERRORS : SET_ICMPV6_ERRORS);
        verdict(rule, V_RETURN, NULL);
    }
}

static void refuse_rest(struct chain *chain)
{
    denied(comment(chain_add_rule(chain), LOCKED_DOWN), DENY_LOCKED);
}

/*
 * The exceptions, for packets of connections that they are about: those that go the way the connection was opened must be
 * for a port that is named; of the others it is enough that the connection stands and who the peer is. NULL: there are
 * none here.
 */
static const struct chain *exceptions_chain(const struct class_context *context,
                                            const struct subject *subject, const struct grants *grants,
                                            enum dispatch dispatch, bool answers)
{
    struct chain content = {0};
    struct writer writer = {.context = context,
                            .chain = &content,
                            .dispatch = dispatch,
                            .verdict = V_RETURN,
                            .families = subject->families,
                            .any_service = answers,
                            .ct_states = answers ? CT_ESTABLISHED | CT_RELATED : 0};

    write_grants(&writer, grants);
    if (content.n_rules == 0)
        return NULL;
    if (!dispatch_is_egress(dispatch))
        return_errors(&content);
    refuse_rest(&content);
    return chain_publish(context, subject, answers ? "exceptions-answers" : "exceptions", &content);
}

/* Packets of connections that the endpoint has opened itself, or others to it. */
static void on_opened(struct chain *chain, enum dispatch dispatch, bool itself, const struct subject *subject,
                      enum table_verdict how, const char *target)
{
    static const enum field ends[2][IP_FAMILIES] = {
        {FIELD_CT_REPLY_IP_SADDR, FIELD_CT_REPLY_IP6_SADDR},
        {FIELD_CT_ORIGINAL_IP_SADDR, FIELD_CT_ORIGINAL_IP6_SADDR},
    };

    for (size_t family = 0; family < IP_FAMILIES; family++) {
        struct rule_stmt *rule;

        if (!subject->families[family])
            continue;
        rule = chain_add_rule(chain);
        on_set2(rule, dispatch_is_egress(dispatch) ? source_field(family) : destination_field(family),
                ends[itself][family], family == IP4 ? SET_SAME4 : SET_SAME6);
        verdict(rule, how, target);
    }
}

static const struct chain *lock_chain(const struct class_context *context, const struct subject *subject,
                                      const struct grants *grants, unsigned cut, enum dispatch dispatch)
{
    struct chain content = {0};

    for (int itself = 0; itself < 2; itself++) {
        bool uncut = !(cut & (itself ? CUT_OUT : CUT_IN));
        bool answers = dispatch_is_egress(dispatch) != (bool)itself;
        const struct chain *exceptions =
            uncut ? NULL
                  : exceptions_chain(context, subject, &grants[itself ? EGRESS : INGRESS], dispatch, answers);

        if (uncut)
            on_opened(&content, dispatch, itself, subject, V_RETURN, NULL);
        else if (exceptions)
            on_opened(&content, dispatch, itself, subject, V_GOTO, exceptions->name);
    }
    refuse_rest(&content);
    return chain_publish(context, subject, locks[dispatch].word, &content);
}

static void build_locks(const struct class_context *context, struct subject *subject, unsigned cut,
                        struct class *class)
{
    struct grants grants[DIRECTIONS] = {0};

    /* Too many to be granted: then all of it is cut. */
    for (size_t direction = 0; direction < DIRECTIONS; direction++)
        (void)grants_of(subject, (enum direction)direction, &grants[direction]);
    for (size_t i = 0; i < DISPATCHES; i++)
        class->locks[i] = lock_chain(context, subject, grants, cut, (enum dispatch)i);
    grants_clear(&grants[INGRESS]);
    grants_clear(&grants[EGRESS]);
}

/* ---- a lock's class ----------------------------------------------------------------------------------- */

bool lock_is_sealed(const struct lock_effect *effect)
{
    return effect->cut == CUT_BOTH && (!effect->exceptions || effect->exceptions->n_allow == 0);
}

char *lock_class_key(const struct lock_effect *effect, const bool *families)
{
    char *text = xasprintf("lock %u%s%s", effect->cut, families[IP4] ? " 4" : "", families[IP6] ? " 6" : "");

    for (size_t i = 0; effect->exceptions && i < effect->exceptions->n_allow; i++) {
        char *longer = xasprintf("%s\n%s", text, effect->exceptions->allow[i]);

        free(text);
        text = longer;
    }
    return text;
}

static void name_peers(struct class *class, const struct policy *policy)
{
    for (size_t direction = 0; direction < DIRECTIONS; direction++)
        for (size_t i = 0; i < policy->n_rules[direction]; i++) {
            const struct peer *peer = &policy->rules[direction][i].peers[0];

            if (peer->kind == PEER_SELECTOR)
                *ARRAY_ADD(class->peers, class->n_peers) = xstrdup(peer->selector.name);
        }
}

struct class *lock_class_new(const struct class_context *context, const struct container *container,
                             const struct lock_effect *effect, const bool *families)
{
    struct subject subject = {.container = container, .families = {families[IP4], families[IP6]}};
    const struct policy_set *exceptions = effect->exceptions ? effect->exceptions->exceptions : NULL;
    struct class *class = xnew(struct class);

    if (exceptions) {
        *ARRAY_ADD(subject.policies, subject.n_policies) = &exceptions->policies[0];
        name_peers(class, &exceptions->policies[0]);
    }
    (void)class_build(context, &subject, false, class);
    build_locks(context, &subject, effect->cut, class);
    subject_clear(&subject);
    return class;
}
