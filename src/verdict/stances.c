/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * It is the evaluator that says which rules mean whom. It is asked once for all subjects of the same policies, and, where
 * a rule means the same for every subject, once for all of these.
 */
#include "stances.h"

#include <netinet/in.h>
#include <string.h>

#define DNS_PORT 53

/* How a rule means somebody in one family; those of IPv6 stand two bits higher. */
enum { MEANS_NOT = 0, MEANS_LOOKUPS = 1, MEANS_ALWAYS = 2 };

#define UNKNOWN 0xff

/* Peers of a rule that mean the same whoever its subject is. */
struct meant {
    uint8_t *by_class; /* UNKNOWN: not asked yet */
};

struct entry {
    enum which_set set;
    const struct rule *rule;
    bool dns;     /* it has the peer `dns`, whom each port and family tells apart */
    size_t meant; /* its peers; SIZE_MAX: they depend on the subject */
};

/* Subjects that the same rules judge in one direction. */
struct profile {
    const struct class *subject; /* one of them */
    struct entry *v;
    size_t n;
    uint32_t *stances; /* to each class: number + 1; 0: not asked yet */
};

struct stances {
    const struct crowd *crowd;
    struct interned *known_profiles, *known_peers, *known_stances;
    size_t *profile_of[DIRECTIONS]; /* each class; SIZE_MAX: no subject */
    struct profile *profiles;
    size_t n_profiles;
    struct meant *meant;
    size_t n_meant;
    struct stance *v;
    size_t n;
    struct bytes bytes; /* of the stance asked for */
};

/* ---- profiles ----------------------------------------------------------------------------------------- */

static bool has_peer(const struct rule *rule, enum peer_kind kind)
{
    for (size_t i = 0; i < rule->n_peers; i++)
        if (rule->peers[i].kind == kind)
            return true;
    return false;
}

static size_t number_peers(struct stances *stances, enum which_set s, const struct rule *rule)
{
    const struct evaluation *with = stances->crowd->with;
    _cleanup_(bytes_clear) struct bytes bytes = {};

    if (has_peer(rule, PEER_SAME) || has_peer(rule, PEER_DNS))
        return SIZE_MAX;
    if (with[SET_OLD].inventory != with[SET_NEW].inventory) /* in the other one they may mean others */
        bytes_add(&bytes, &s, sizeof(s));
    for (size_t i = 0; i < rule->n_peers; i++) {
        _cleanup_free_ char *text = peer_text(&rule->peers[i]);

        bytes_add(&bytes, text, strlen(text) + 1);
    }
    size_t number = intern(&stances->known_peers, bytes.v, bytes.n);
    if (number == stances->n_meant) {
        struct meant *meant = ARRAY_ADD(stances->meant, stances->n_meant);

        meant->by_class = xcalloc(stances->crowd->n_classes, 1);
        memset(meant->by_class, UNKNOWN, stances->crowd->n_classes);
    }
    return number;
}

static void add_rules(struct stances *stances, enum which_set s, enum direction direction,
                      const struct policy *policy, struct profile *profile)
{
    for (size_t r = 0; r < policy->n_rules[direction]; r++) {
        const struct rule *rule = &policy->rules[direction][r];

        *ARRAY_ADD(profile->v, profile->n) =
            (struct entry){s, rule, has_peer(rule, PEER_DNS), number_peers(stances, s, rule)};
    }
}

static bool any_has_peer(const struct class *class, enum direction direction, enum peer_kind kind)
{
    for (size_t s = 0; s < POLICY_SETS; s++) {
        const struct selection *selection = class->party[s].selection;

        for (size_t i = 0; i < selection->n; i++)
            for (size_t r = 0; r < selection->v[i]->n_rules[direction]; r++)
                if (has_peer(&selection->v[i]->rules[direction][r], kind))
                    return true;
    }
    return false;
}

/* The policies, and what of the subject itself their rules look at. */
static void describe(const struct crowd *crowd, const struct class *class, enum direction direction,
                     struct bytes *bytes)
{
    bytes_add(bytes, &direction, sizeof(direction));
    for (size_t s = 0; s < POLICY_SETS; s++) {
        const struct selection *selection = class->party[s].selection;

        bytes_add(bytes, &selection->n, sizeof(selection->n));
        if (selection->n)
            bytes_add(bytes, selection->v, selection->n * sizeof(*selection->v));
    }
    if (any_has_peer(class, direction, PEER_DNS))
        crowd_add_servers(crowd, class->party[SET_NEW].container, bytes);
    if (any_has_peer(class, direction, PEER_SAME))
        bytes_add(bytes, class->values, crowd->n_values * sizeof(*class->values));
}

static size_t find_profile(struct stances *stances, size_t position, enum direction direction)
{
    const struct class *class = &stances->crowd->classes[position];
    _cleanup_(bytes_clear) struct bytes bytes = {};

    if (class->party[SET_NEW].kind != PARTY_ENDPOINT)
        return SIZE_MAX;
    describe(stances->crowd, class, direction, &bytes);
    size_t number = intern(&stances->known_profiles, bytes.v, bytes.n);
    if (number < stances->n_profiles)
        return number;
    struct profile *profile = ARRAY_ADD(stances->profiles, stances->n_profiles);
    profile->subject = class;
    for (size_t s = 0; s < POLICY_SETS; s++)
        for (size_t i = 0; i < class->party[s].selection->n; i++)
            add_rules(stances, s, direction, class->party[s].selection->v[i], profile);
    return number;
}

/* ---- who is meant ------------------------------------------------------------------------------------- */

static unsigned ask_family(const struct stances *stances, const struct profile *profile,
                           const struct entry *entry, const struct class *other, enum ip_family family)
{
    const struct evaluation *with = &stances->crowd->with[entry->set];
    const struct party *parties[] = {&profile->subject->party[entry->set], &other->party[entry->set]};
    const struct traffic ping = {family, family == IP4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, 0};
    const struct traffic lookup = {family, IPPROTO_UDP, DNS_PORT};

    if (rule_peers_match(with, entry->rule, parties[0], parties[1], &ping))
        return MEANS_ALWAYS;
    if (entry->dns && rule_peers_match(with, entry->rule, parties[0], parties[1], &lookup))
        return MEANS_LOOKUPS;
    return MEANS_NOT;
}

/* Only name servers are told apart by family where somebody has both: other addresses are the outside's. */
static uint8_t ask(const struct stances *stances, const struct profile *profile, const struct entry *entry,
                   const struct class *other)
{
    unsigned families = stances->crowd->kinds[other->kind].families, found = 0, how = UNKNOWN;

    for (enum ip_family family = IP4; family < IP_FAMILIES; family++) {
        if (!(families & 1u << family))
            continue;
        if (how == UNKNOWN || entry->dns)
            how = ask_family(stances, profile, entry, other, family);
        found |= how << 2 * family;
    }
    return (uint8_t)found;
}

static uint8_t means(const struct stances *stances, const struct profile *profile, const struct entry *entry,
                     size_t other)
{
    const struct class *class = &stances->crowd->classes[other];

    if (entry->meant == SIZE_MAX)
        return ask(stances, profile, entry, class);
    uint8_t *known = &stances->meant[entry->meant].by_class[other];
    if (*known == UNKNOWN)
        *known = ask(stances, profile, entry, class);
    return *known;
}

/* ---- stances ------------------------------------------------------------------------------------------ */

/* What passes by default, and does not any more or did not before, has the first policy that selects for its reason. */
static void add_default(struct stances *stances, const struct class *subject)
{
    const struct selection *const of[] = {subject->party[SET_OLD].selection,
                                          subject->party[SET_NEW].selection};
    bool passes = false;

    for (size_t s = 0; s < POLICY_SETS; s++)
        passes = passes || (of[s]->n == 0 && stances->crowd->with[s].settings->default_mode == MODE_AUDIT);
    for (size_t s = 0; passes && s < POLICY_SETS; s++) {
        const struct policy *first = of[s]->n ? of[s]->v[0] : NULL;

        bytes_add(&stances->bytes, &first, sizeof(first));
    }
    bytes_add(&stances->bytes, passes ? "p" : "d", 1);
}

/* The same once more, where it is new. */
static struct stance make_stance(const struct stances *stances, const struct profile *profile, size_t other)
{
    struct stance stance = {};

    for (size_t i = 0; i < profile->n; i++) {
        uint8_t how = means(stances, profile, &profile->v[i], other);

        if (how)
            *ARRAY_ADD(stance.rules, stance.n) = profile->v[i].rule;
        stance.lookups = stance.lookups || how & (MEANS_LOOKUPS | MEANS_LOOKUPS << 2);
    }
    return stance;
}

static size_t take_stance(struct stances *stances, const struct profile *profile, size_t other)
{
    struct bytes *bytes = &stances->bytes;

    bytes->n = 0;
    for (size_t i = 0; i < profile->n; i++) {
        const struct entry *entry = &profile->v[i];
        uint8_t how = means(stances, profile, entry, other);

        if (!how)
            continue;
        bytes_add(bytes, &entry->rule, sizeof(entry->rule));
        bytes_add(bytes, &entry->set, sizeof(entry->set));
        bytes_add(bytes, &how, sizeof(how));
    }
    add_default(stances, profile->subject);
    size_t number = intern(&stances->known_stances, bytes->v, bytes->n);
    if (number == stances->n) {
        struct stance stance = make_stance(stances, profile, other);

        *ARRAY_ADD(stances->v, stances->n) = stance;
    }
    return number;
}

size_t stance_find(struct stances *stances, enum direction direction, size_t subject, size_t other)
{
    size_t number = stances->profile_of[direction][subject];
    struct profile *profile;

    if (number == SIZE_MAX)
        return 0;
    profile = &stances->profiles[number];
    if (!profile->stances)
        profile->stances = xcalloc(stances->crowd->n_classes, sizeof(*profile->stances));
    if (!profile->stances[other])
        profile->stances[other] = (uint32_t)take_stance(stances, profile, other) + 1;
    return profile->stances[other] - 1;
}

const struct stance *stance_get(const struct stances *stances, size_t number)
{
    return &stances->v[number];
}

/* ------------------------------------------------------------------------------------------------------- */

struct stances *stances_new(const struct crowd *crowd)
{
    struct stances *stances = xnew(struct stances);

    stances->crowd = crowd;
    (void)intern(&stances->known_stances, "", 0); /* 0: of who is no subject */
    ARRAY_ADD(stances->v, stances->n);
    for (enum direction d = 0; d < DIRECTIONS; d++) {
        stances->profile_of[d] = xcalloc(crowd->n_classes, sizeof(*stances->profile_of[d]));
        for (size_t i = 0; i < crowd->n_classes; i++)
            stances->profile_of[d][i] = find_profile(stances, i, d);
    }
    return stances;
}

struct stances *stances_free(struct stances *stances)
{
    if (!stances)
        return NULL;
    for (size_t i = 0; i < stances->n_profiles; i++) {
        free(stances->profiles[i].v);
        free(stances->profiles[i].stances);
    }
    for (size_t i = 0; i < stances->n_meant; i++)
        free(stances->meant[i].by_class);
    for (size_t i = 0; i < stances->n; i++)
        free(stances->v[i].rules);
    for (enum direction d = 0; d < DIRECTIONS; d++)
        free(stances->profile_of[d]);
    free(stances->profiles);
    free(stances->meant);
    free(stances->v);
    intern_clear(&stances->known_profiles);
    intern_clear(&stances->known_peers);
    intern_clear(&stances->known_stances);
    bytes_clear(&stances->bytes);
    free(stances);
    return NULL;
}
