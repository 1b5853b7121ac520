/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "verdict/lint.h"

#include <netinet/in.h>
#include <string.h>

#include "inventory/match.h"
#include "lint_ports.h"
#include "lint_rules.h"
#include "members.h"

#define DNS_PORT 53

/* Containers for which something holds: how many, and the first by name. */
struct found {
    const struct container *first;
    size_t n;
};

static void found_add(struct found *found, const struct container *container)
{
    if (!found->n++)
        found->first = container;
}

/* " (and 2 more)", or nothing. The caller frees it. */
static char *more_text(const struct found *found)
{
    return found->n > 1 ? xasprintf(" (and %zu more)", found->n - 1) : xstrdup("");
}

/* ---- selectors ---------------------------------------------------------------------------------------- */

/* Would it be meant if the labels of its image counted as its own? */
static bool image_labels_matter(const struct selector *selector, const struct container *container)
{
    struct container trusted = *container;
    bool any = false, means;

    if (!container->labels_known || selector_means(selector, container))
        return false;
    trusted.labels = xcalloc(container->n_labels, sizeof(*trusted.labels));
    for (size_t i = 0; i < container->n_labels; i++) {
        trusted.labels[i] = container->labels[i];
        trusted.labels[i].from_image = false;
        any = any || container->labels[i].from_image;
    }
    means = any && selector_means(selector, &trusted);
    free(trusted.labels);
    return means;
}

/* Says which containers are not meant because of that; returns whether there are any. */
static bool lint_image_labels(const struct roll *roll, const struct selector *selector,
                              const struct source_pos *pos, struct diags *diags)
{
    _cleanup_free_ char *more = NULL;
    struct found found = {};

    for (size_t i = 0; i < roll->n_containers; i++)
        if (image_labels_matter(selector, roll->containers[i]))
            found_add(&found, roll->containers[i]);
    if (!found.n)
        return false;
    more = more_text(&found);
    diag_help(
        policy_report(roll->with->policies, diags, CODE_IMAGE_LABEL, pos,
                      "container %s%s is not meant: it has a label of these from its image only",
                      found.first->name, more),
        "a label of the image does not count: give it to the container itself, or set image_labels: trust");
    return true;
}

/* ---- policies ----------------------------------------------------------------------------------------- */

static bool is_enforced(const struct member *member)
{
    for (size_t i = 0; i < member->ends.n; i++)
        if (member->ends.v[i].party.kind == PARTY_ENDPOINT)
            return member->container == member->named;
    /* A container that never ran may have no network yet. */
    return member->named->mode == NETMODE_BRIDGE && !member->ends.n;
}

static void report_ineffective(const struct roll *roll, const struct policy *policy,
                               const struct container *container, struct diags *diags)
{
    _cleanup_free_ char *reason = container_unenforced_reason(roll->with->inventory, container);
    struct diag *diag =
        policy_report(roll->with->policies, diags, CODE_SELECTS_NOTHING, &policy->select.pos,
                      "policy %s has no effect: no container that it selects has a network that is "
                      "managed",
                      policy->name);

    if (container->mode == NETMODE_CONTAINER)
        diag_help(diag, "%s shares the network of another container: select that one", container->name);
    else if (reason)
        diag_help(diag, "%s %s", container->name, reason);
}

static void lint_select(const struct roll *roll, const struct policy *policy, struct diags *diags)
{
    const struct peer peer = {.kind = PEER_SELECTOR, .selector = policy->select};
    bool told = lint_image_labels(roll, &policy->select, &policy->select.pos, diags), effective = false;
    struct members members;

    members_find(roll, &peer, &members);
    for (size_t i = 0; i < members.n; i++)
        effective = effective || is_enforced(&members.v[i]);
    if (members.n && !effective)
        report_ineffective(roll, policy, members.v[0].named, diags);
    else if (!members.n && !told)
        diag_help(policy_report(roll->with->policies, diags, CODE_SELECTS_NOTHING, &policy->select.pos,
                                "policy %s selects no container of the inventory", policy->name),
                  "see that the names and labels are those of containers; cofferdam status lists them");
    members_clear(&members);
}

/* ---- peers -------------------------------------------------------------------------------------------- */

static bool any_subject_has_label(const struct roll *roll, const struct policy *policy, const char *label)
{
    for (size_t i = 0; i < roll->n_containers; i++)
        if (selector_means(&policy->select, roll->containers[i]) &&
            container_label(roll->containers[i], label))
            return true;
    return false;
}

static bool selects_any(const struct roll *roll, const struct selector *selector)
{
    for (size_t i = 0; i < roll->n_containers; i++)
        if (selector_means(selector, roll->containers[i]))
            return true;
    return false;
}

static bool has_addresses(const struct roll *roll, const struct peer *peer)
{
    bool any = false;

    for (enum ip_family family = IP4; family < IP_FAMILIES; family++) {
        struct ip_ranges ranges = peer_outside(roll, peer, family);

        any = any || ranges.n;
        ip_ranges_clear(&ranges);
    }
    return any;
}

static void report_peer(const struct roll *roll, const struct peer *peer, const char *help,
                        struct diags *diags)
{
    _cleanup_free_ char *text = peer_text(peer);

    diag_help(policy_report(roll->with->policies, diags, CODE_PEER_NOTHING, &peer->pos,
                            "the peer '%s' matches nothing in the inventory", text),
              "%s", help);
}

/* policy: whose peer it is; NULL in an expectation. */
static void lint_peer(const struct roll *roll, const struct policy *policy, const struct peer *peer,
                      struct diags *diags)
{
    if (peer->kind == PEER_SELECTOR) {
        if (!lint_image_labels(roll, &peer->selector, &peer->pos, diags) &&
            !selects_any(roll, &peer->selector))
            report_peer(roll, peer, "see that the names and labels are those of containers", diags);
    } else if (peer->kind == PEER_SAME) {
        if (selects_any(roll, &policy->select) && !any_subject_has_label(roll, policy, peer->same))
            report_peer(roll, peer, "no container that the policy selects has this label", diags);
    } else if (peer->kind == PEER_CIDR) {
        if (!has_addresses(roll, peer))
            report_peer(
                roll, peer,
                "'cidr' means addresses outside only: containers are named by what they are, this host is "
                "'host'",
                diags);
    }
}

static void lint_peers(const struct roll *roll, const struct policy *policy, const struct peer *peers,
                       size_t n, struct diags *diags)
{
    for (size_t i = 0; i < n; i++)
        lint_peer(roll, policy, &peers[i], diags);
}

/* ---- lookups ------------------------------------------------------------------------------------------ */

/* Whoever may connect to the internet as a whole needs names; a block of addresses needs none. */
static bool grants_internet(const struct rule *rule)
{
    for (size_t i = 0; i < rule->n_peers; i++)
        if (rule->peers[i].kind == PEER_INTERNET || rule->peers[i].kind == PEER_OUTSIDE ||
            rule->peers[i].kind == PEER_ANY)
            return !rule->deny;
    return !rule->deny && !rule->n_peers;
}

static struct party server_party(const struct inventory *inventory, struct ip ip)
{
    struct party party = {.kind = PARTY_OUTSIDE, .ip = ip, .has_ip = true};

    for (size_t i = 0; i < inventory->n_host_addresses; i++)
        if (ip_equal(inventory->host_addresses[i], ip))
            party.kind = PARTY_HOST;
    if (inventory_owner(inventory, ip, &party.container, &party.endpoint))
        party.kind = PARTY_ENDPOINT;
    return party;
}

static bool may_ask(const struct evaluation *with, const struct end *end, struct ip server)
{
    const struct party to = server_party(with->inventory, server);
    const struct traffic traffic = {.family = server.family, .proto = IPPROTO_UDP, .port = DNS_PORT};

    return end->family == server.family &&
           evaluate(with, &end->party, &to, &traffic).egress.verdict == VERDICT_ALLOW;
}

/* Is it known that none of its lookups can get through? */
static bool lacks_lookups(const struct evaluation *with, const struct member *member)
{
    _cleanup_free_ struct ip *servers = NULL;
    size_t n = container_name_servers(with->inventory, member->container, &servers);
    bool asked = false;

    if (container_lookups_by_engine(with->inventory, member->container))
        return false;

    for (size_t e = 0; e < member->ends.n; e++)
        for (size_t i = 0; i < n && member->ends.v[e].party.kind == PARTY_ENDPOINT; i++) {
            asked = true;
            if (may_ask(with, &member->ends.v[e], servers[i]))
                return false;
        }
    return asked;
}

static void lint_lookups(const struct roll *roll, const struct policy *policy, const struct rule *rule,
                         struct diags *diags)
{
    const struct peer peer = {.kind = PEER_SELECTOR, .selector = policy->select};
    _cleanup_free_ char *more = NULL;
    struct found found = {};
    struct members members;

    members_find(roll, &peer, &members);
    for (size_t i = 0; i < members.n; i++)
        if (lacks_lookups(roll->with, &members.v[i]))
            found_add(&found, members.v[i].named);
    members_clear(&members);
    if (!found.n)
        return;
    more = more_text(&found);
    diag_help(
        policy_report(roll->with->policies, diags, CODE_NO_LOOKUPS, &rule->pos,
                      "container %s%s may connect to the internet, but no policy lets it look names up",
                      found.first->name, more),
        "add a rule with to: [dns], unless the Engine asks the name servers itself (Docker 28 and later)");
}

/* ---- all together ------------------------------------------------------------------------------------- */

static void lint_policy(const struct roll *roll, const struct policy *policy, struct diags *diags)
{
    const struct rule *internet = NULL;

    lint_select(roll, policy, diags);
    lint_ports(roll, policy, diags);
    for (enum direction d = 0; d < DIRECTIONS; d++)
        for (size_t i = 0; i < policy->n_rules[d]; i++) {
            const struct rule *rule = &policy->rules[d][i];

            lint_peers(roll, policy, rule->peers, rule->n_peers, diags);
            if (d == EGRESS && !internet && grants_internet(rule))
                internet = rule;
        }
    if (internet && policy->mode == MODE_ENFORCE)
        lint_lookups(roll, policy, internet, diags);
}

void inventory_lint(const struct evaluation *with, struct diags *diags)
{
    const struct policy_set *set = with->policies;
    struct diags found = {};
    struct roll roll;

    roll_init(&roll, with);
    for (size_t i = 0; i < set->n_policies; i++)
        lint_policy(&roll, &set->policies[i], &found);
    for (size_t i = 0; i < set->n_expects; i++)
        for (size_t j = 0; j < set->expects[i].n; j++) {
            const struct expectation *expectation = &set->expects[i].v[j];

            lint_peers(&roll, NULL, expectation->from, expectation->n_from, &found);
            lint_peers(&roll, NULL, expectation->to, expectation->n_to, &found);
        }
    roll_clear(&roll);
    lint_rules(with, &found);
    diags_sort(&found);
    diags_move(diags, &found);
}
