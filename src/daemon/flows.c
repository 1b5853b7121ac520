// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Connections that must end: those of an identity that has ended, and those that the policies no longer allow.
 *
 * A packet of an established connection is not judged again. So when rules or members are taken away, conntrack's
 * entries of what is now denied are deleted: the next packet is a new connection's, and denied. And when an address
 * becomes free, its entries go before anybody else gets it: until then whoever has it next is not live.
 */
#include "brain_private.h"

#include <string.h>
#include <syslog.h>

#include "verdict/flow.h"

/* ---- addresses of identities that have ended ---------------------------------------------------------- */

static bool is_ended(const struct brain *brain, struct ip ip)
{
    for (size_t i = 0; i < brain->n_ended; i++)
        if (ip_equal(brain->ended[i], ip))
            return true;
    return false;
}

void brain_end_address(struct brain *brain, struct ip ip)
{
    if (!is_ended(brain, ip))
        *ARRAY_ADD(brain->ended, brain->n_ended) = ip;
}

void brain_end_addresses(struct brain *brain, const bool has_ip[IP_FAMILIES], const struct ip ip[IP_FAMILIES])
{
    for (int family = 0; family < IP_FAMILIES; family++)
        if (has_ip[family])
            brain_end_address(brain, ip[family]);
}

bool brain_has_ended(const struct brain *brain, const struct endpoint *endpoint)
{
    for (int family = 0; family < IP_FAMILIES; family++)
        if (endpoint->has_ip[family] && is_ended(brain, endpoint->ip[family]))
            return true;
    return false;
}

/* Until the flows of its address's former owner have been ended. */
bool brain_must_wait(const struct brain *brain, const struct endpoint *endpoint)
{
    return (brain->distrust && brain->loaded) || brain_has_ended(brain, endpoint);
}

static void end_moved(struct brain *brain, const struct ruleset *from, const struct ruleset *to)
{
    _cleanup_free_ struct ip *moved = NULL;
    size_t n = ruleset_unlike_addresses(from, to, &moved);

    for (size_t i = 0; i < n; i++)
        brain_end_address(brain, moved[i]);
}

/*
 * The tables that stand were made by a daemon before us, and somebody may have stopped or started since: an address
 * that they bind to another port or MAC is another identity's. One that they bind to none may have been somebody's
 * whose flows that daemon was about to end when it died. What cannot be read may have bound any of them to anybody.
 */
void brain_end_moved(struct brain *brain, const struct ruleset *kernel, const struct ruleset *wanted)
{
    static const struct ruleset nothing;

    if (kernel)
        end_moved(brain, kernel, wanted);
    end_moved(brain, wanted, kernel ? kernel : &nothing);
    brain_drop_waiting(brain);
}

/* ---- when --------------------------------------------------------------------------------------------- */

void brain_flows_due(struct brain *brain, uint64_t at)
{
    brain->judge_due = true;
    brain_ended_due(brain, at);
}

/* Only those of addresses that have ended: nobody who is still there may do less than before. */
void brain_ended_due(struct brain *brain, uint64_t at)
{
    if (!brain->flows_error && (!brain->flows_due || at < brain->flows_at))
        brain->flows_at = at;
    brain->flows_due = true;
}

/* Of containers that are not known nothing can be said, and nothing passes between them. */
static bool may_judge(const struct brain *brain)
{
    return brain->flows_due && brain->was_synced && brain->loaded && !brain->need_full && !brain->hold &&
           !brain->applying;
}

uint64_t brain_flows_deadline(const struct brain *brain)
{
    return may_judge(brain) ? brain->flows_at : UINT64_MAX;
}

bool brain_end_flows(struct brain *brain, uint64_t now)
{
    if (!may_judge(brain) || now < brain->flows_at)
        return false;
    brain->flows_began = now;
    brain_push(brain, ACTION_END_FLOWS);
    return true;
}

static void let_in(struct brain *brain)
{
    free(STEAL(brain->ended));
    brain->n_ended = 0;
    brain->distrust = false;
    for (struct fact_container *fact = brain->containers; fact; fact = fact->hh.next) {
        if (fact->waits)
            brain_mark(brain, fact->id);
        fact->waits = false;
    }
}

static void ask_again(struct brain *brain, const char *why, uint64_t now)
{
    if (!brain->flows_error || strcmp(brain->flows_error, why) != 0)
        brain_log(
            brain, LOG_ERR,
            "connections that are no longer allowed cannot be ended (%s): containers at addresses that others may "
            "have had before get no network until they can",
            why);
    free(brain->flows_error);
    brain->flows_error = xstrdup(why);
    brain->flows_at = now + brain->flows_backoff;
    brain->flows_backoff *= 2;
    if (brain->flows_backoff > FLOWS_RETRY_MAX)
        brain->flows_backoff = FLOWS_RETRY_MAX;
}

/* ---- which -------------------------------------------------------------------------------------------- */

void brain_begin_flows(struct brain *brain)
{
    const struct evaluation with = {
        .policies = brain->policies, .inventory = brain->inventory, .settings = brain->settings};

    flow_judge_free(brain->judge);
    brain->judge = brain->judge_due ? flow_judge_new(&with) : NULL;
    ip_sort(brain->ended, brain->n_ended);
    brain_begin_lock_flows(brain);
}

bool brain_flow_must_end(struct brain *brain, const struct flow *flow)
{
    if (flow_touches(flow, brain->ended, brain->n_ended))
        return true;
    switch (brain_lock_fate(brain, flow)) {
    case LOCK_CUTS:
        return true;
    case LOCK_EXEMPT: /* whatever the policies say */
        return false;
    case LOCK_SILENT:
        break;
    }
    return brain->judge && flow_judge(brain->judge, flow) == FLOW_DENIED;
}

bool brain_flows_settled(const struct brain *brain)
{
    return !brain->judge_due;
}

size_t brain_flow_count(const struct brain *brain)
{
    return brain->n_flows_ended;
}

void brain_flows_ended(struct brain *brain, int error, size_t ended, uint64_t now)
{
    uint64_t took = now - brain->flows_began;

    brain->judge = flow_judge_free(brain->judge);
    brain->n_flows_ended += ended;
    brain->flows_calm = took * FLOWS_SHARE > FLOWS_CALM ? took * FLOWS_SHARE : FLOWS_CALM;
    if (ended > 0)
        brain_log(brain, LOG_NOTICE, "%zu connection%s no longer allowed: ended", ended,
                  ended == 1 ? "" : "s");
    if (error < 0) {
        ask_again(brain, strerror(-error), now);
        return;
    }
    free(STEAL(brain->flows_error));
    brain->flows_backoff = FLOWS_RETRY_MIN;
    brain->flows_due = brain->judge_due = false;
    let_in(brain);
}
