/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lint_ports.h"

#include "inventory/match.h"
#include "policy/parse.h"

/* What is known of one port at all subjects of a policy. */
struct use {
    size_t n;                               /* subjects */
    const struct container *first, *locals; /* locals: the first that listens on a loopback address */
    const struct published_port *published; /* leads from this number on the host to another of publisher's */
    const struct container *publisher;
    bool used;    /* somebody listens, or is meant to */
    bool unknown; /* of somebody it is not known */
};

/* Who may set up rules of his own may have packets for one port go to another, or on to others. */
static bool is_known(const struct container *container)
{
    return container->running && container->listening_known && container->dns_known &&
           !container->privileged && !container->net_admin;
}

static void add_subject(const struct container *container, const struct port *port, struct use *use)
{
    bool local = container_ports_have(&container->on_loopback, port->kind, port->first);

    if (!use->n++)
        use->first = container;
    use->unknown = use->unknown || !is_known(container);
    use->used = use->used || container_ports_have(&container->listening, port->kind, port->first) ||
                (!local && container_ports_have(&container->exposed, port->kind, port->first));
    if (local && !use->locals)
        use->locals = container;
    for (size_t i = 0; i < container->n_published && !use->published; i++) {
        if (container->published[i].kind != port->kind || container->published[i].outer != port->first)
            continue;
        use->published = &container->published[i];
        use->publisher = container;
    }
}

static struct use use_of(const struct roll *roll, const struct policy *policy, const struct port *port)
{
    struct use use = {};

    for (size_t i = 0; i < roll->n_containers && !use.used && !use.unknown; i++)
        if (roll->containers[i]->mode == NETMODE_BRIDGE &&
            selector_means(&policy->select, roll->containers[i]))
            add_subject(roll->containers[i], port, &use);
    return use;
}

static void report(const struct roll *roll, const struct rule *rule, const struct port *port,
                   const struct use *use, struct diags *diags)
{
    _cleanup_free_ char *text = port_text(port);
    _cleanup_free_ char *why =
        use->locals   ? xasprintf("%s listens on %s at a loopback address only, where nobody else gets",
                                  use->locals->name, text)
        : use->n == 1 ? xasprintf("%s does not listen on %s, nor expose it", use->first->name, text)
                      : xasprintf("none of %zu containers, such as %s, listens on %s or exposes it", use->n,
                                  use->first->name, text);
    struct diag *diag = policy_report(roll->with->policies, diags, CODE_NO_LISTENER, &rule->pos, "%s", why);

    if (use->locals)
        diag_help(diag, "have it listen on 0.0.0.0 or ::, or remove the port");
    else if (use->published)
        diag_help(diag, "port %u of the host leads to %u/%s of %s: policies name that one",
                  use->published->outer, use->published->inner, transport_name(use->published->kind),
                  use->publisher->name);
    else
        diag_help(diag, "see that it is the port that the container itself listens on, or remove it");
}

static bool is_single(const struct port *port)
{
    return (port->kind == PORT_TCP || port->kind == PORT_UDP) && port->first == port->last;
}

void lint_ports(const struct roll *roll, const struct policy *policy, struct diags *diags)
{
    for (size_t r = 0; r < policy->n_rules[INGRESS]; r++) {
        const struct rule *rule = &policy->rules[INGRESS][r];

        for (size_t i = 0; !rule->deny && i < rule->n_ports; i++) {
            struct use use = {};

            if (is_single(&rule->ports[i]))
                use = use_of(roll, policy, &rule->ports[i]);
            if (use.n && !use.used && !use.unknown)
                report(roll, rule, &rule->ports[i], &use, diags);
        }
    }
}
