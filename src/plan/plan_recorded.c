// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Recorded connections under the policies in force and the new ones. Who is gone since then counts as who has come in his
 * place; where nobody has, as what the record says of him, if that is all that policies ask.
 */
#include "plan_private.h"

#include <netinet/in.h>
#include <string.h>

#include "inventory/json.h"
#include "inventory/match.h"
#include "util/utc.h"

#define COMPOSE_PROJECT "com.docker.compose.project"
#define COMPOSE_SERVICE "com.docker.compose.service"
#define SECOND 1000000ull

enum sets { SET_OLD, SET_NEW, SETS };

/* A container as it was recorded, and who that is now. */
struct identity {
    char *key;
    const struct container *container;
    struct endpoint endpoint; /* of made ones, and where it is on that network no more: no address */
    const struct endpoint *at;
    struct container *made; /* by the record alone: nobody has come in its place */
    bool is_unsure;         /* policies ask more of it than the record says */
    struct selection selections[SETS];
    UT_hash_handle hh;
};

/* Connections that are told of together. */
struct line {
    char *key;
    const char *from, *to; /* NULL: outside */
    char *port;
    struct ip *addresses; /* outside */
    size_t n_addresses;
    uint64_t first, last, count;
    json_t *facts; /* what else is told of it */
    UT_hash_handle hh;
};

struct judging {
    struct evaluation with[SETS];
    struct identity *identities;
    struct line *denied, *allowed, *unsure; /* uthash by key */
    size_t n_same;
};

/* ---- who that is now ---------------------------------------------------------------------------------- */

static const char *text_at(const json_t *object, const char *outer, const char *inner)
{
    return json_string_value(json_object_get(json_object_get(object, outer), inner));
}

static bool is_text(const char *text, const char *other)
{
    return text && other && strcmp(text, other) == 0;
}

static const struct endpoint *find_endpoint(const struct container *container, const char *network)
{
    for (size_t i = 0; i < container->n_endpoints; i++)
        if (is_text(container->endpoints[i].network_name, network))
            return &container->endpoints[i];
    return NULL;
}

static bool is_service(const struct container *container, const json_t *recorded)
{
    const char *project = text_at(recorded, "compose", "project"),
               *service = text_at(recorded, "compose", "service");

    return is_text(container_label(container, COMPOSE_PROJECT), project) &&
           is_text(container_label(container, COMPOSE_SERVICE), service);
}

/* A replica is as good as another one, and the one of that name better; who runs on that network is best. */
static const struct container *find_successor(const struct inventory *inventory, const json_t *recorded,
                                              const char *network)
{
    const char *name = json_string_value(json_object_get(recorded, "name"));
    const struct container *best = NULL;
    int best_rank = 0;

    for (const struct container *c = inventory->containers; c; c = c->hh.next) {
        int rank = 8 * is_service(c, recorded) + 4 * is_text(c->name, name);

        if (rank)
            rank += 2 * (find_endpoint(c, network) != NULL) + c->running;
        if (rank > best_rank) {
            best = c;
            best_rank = rank;
        }
    }
    return best;
}

static void add_label(struct container *container, const char *key, const char *value)
{
    if (value)
        *ARRAY_ADD(container->labels, container->n_labels) =
            (struct label){xstrdup(key), xstrdup(value), false};
}

/* Its name servers are taken to be the host's, as most containers' are. */
static struct container *make_container(const json_t *recorded)
{
    struct container *container = container_new();

    container->id = xstrdup(json_string_value(json_object_get(recorded, "id")));
    container->name = xstrdup_null(json_string_value(json_object_get(recorded, "name")));
    container->image = xstrdup_null(text_at(recorded, "image", "name"));
    container->labels_known = container->dns_known = true;
    add_label(container, COMPOSE_PROJECT, text_at(recorded, "compose", "project"));
    add_label(container, COMPOSE_SERVICE, text_at(recorded, "compose", "service"));
    labels_sort(container->labels, container->n_labels);
    return container;
}

static bool is_known_label(const char *key)
{
    return strcmp(key, COMPOSE_PROJECT) == 0 || strcmp(key, COMPOSE_SERVICE) == 0;
}

/* Whether the selector means it may depend on labels that the record does not have. */
static bool is_asked_more(const struct selector *selector, const struct identity *identity)
{
    struct selector rest = *selector;
    bool more = false;

    for (size_t i = 0; i < selector->n_labels; i++)
        more = more || !is_known_label(selector->labels[i].key);
    rest.n_labels = 0;
    rest.all = true; /* where labels were all that it asks, the rest of it means everybody */
    return more && selector_matches(&rest, identity->container, identity->at);
}

static bool rule_asks_more(const struct rule *rule, const struct identity *identity)
{
    for (size_t i = 0; i < rule->n_peers; i++) {
        const struct peer *peer = &rule->peers[i];

        if (peer->kind == PEER_SELECTOR && is_asked_more(&peer->selector, identity))
            return true;
        if (peer->kind == PEER_SAME && !is_known_label(peer->same))
            return true;
    }
    return false;
}

static bool set_asks_more(const struct policy_set *set, const struct identity *identity)
{
    for (size_t i = 0; i < set->n_policies; i++) {
        const struct policy *policy = &set->policies[i];

        if (policy->mode != MODE_ENFORCE)
            continue;
        if (is_asked_more(&policy->select, identity))
            return true;
        for (enum direction d = 0; d < DIRECTIONS; d++)
            for (size_t j = 0; j < policy->n_rules[d]; j++)
                if (rule_asks_more(&policy->rules[d][j], identity))
                    return true;
    }
    return false;
}

static struct identity *identify(const struct judging *judging, const struct recorded_end *end)
{
    const struct inventory *inventory = judging->with[SET_NEW].inventory;
    const json_t *recorded = json_object_get(end->facts, "container");
    const char *network = json_string_value(json_object_get(end->facts, "network"));
    struct identity *identity = xnew(struct identity);

    identity->container = inventory_container(inventory, json_string_value(json_object_get(recorded, "id")))
                              ?: find_successor(inventory, recorded, network);
    if (!identity->container)
        identity->container = identity->made = make_container(recorded);
    identity->endpoint.network_name = xstrdup_null(network);
    identity->at = find_endpoint(identity->container, network) ?: &identity->endpoint;
    for (enum sets set = 0; set < SETS; set++) {
        policies_selecting(&judging->with[set], identity->container, identity->at,
                           &identity->selections[set]);
        identity->is_unsure =
            identity->is_unsure || (identity->made && set_asks_more(judging->with[set].policies, identity));
    }
    return identity;
}

/* NULL: it is no container. */
static const struct identity *identity_of(struct judging *judging, const struct recorded_end *end)
{
    struct identity *identity;

    if (end->kind != RECORDED_CONTAINER)
        return NULL;
    _cleanup_free_ char *key = xasprintf("%s %s", text_at(end->facts, "container", "id"),
                                         json_string_value(json_object_get(end->facts, "network")) ?: "");
    HASH_FIND_STR(judging->identities, key, identity);
    if (identity)
        return identity;
    identity = identify(judging, end);
    identity->key = STEAL(key);
    HASH_ADD_KEYPTR(hh, judging->identities, identity->key, strlen(identity->key), identity);
    return identity;
}

static const char *name_of(const struct recorded_end *end, const struct identity *identity)
{
    if (identity)
        return identity->container->name ?: identity->container->id;
    return end->kind == RECORDED_HOST ? "host" : NULL;
}

/* ---- what they say of it ------------------------------------------------------------------------------ */

static struct party party_of(const struct recorded_end *end, const struct identity *identity, enum sets set)
{
    if (identity)
        return (struct party){.kind = PARTY_ENDPOINT,
                              .container = identity->container,
                              .endpoint = identity->at,
                              .selection = &identity->selections[set]};
    return (struct party){
        .kind = end->kind == RECORDED_HOST ? PARTY_HOST : PARTY_OUTSIDE, .ip = end->ip, .has_ip = true};
}

static struct connection_verdict judge(const struct judging *judging, enum sets set,
                                       const struct recorded *recorded, const struct identity *from,
                                       const struct identity *to)
{
    const struct party source = party_of(&recorded->from, from, set),
                       destination = party_of(&recorded->to, to, set);
    const struct traffic traffic = {recorded->from.ip.family, recorded->proto, recorded->port};

    return evaluate(&judging->with[set], &source, &destination, &traffic);
}

static const char *reason_word(enum reason reason)
{
    switch (reason) {
    case REASON_RULE:
        return "rule";
    case REASON_DENY_RULE:
        return "deny-rule";
    case REASON_NO_RULE:
        return "no-rule";
    case REASON_NO_POLICY:
        return "no-policy";
    case REASON_DEFAULT_AUDIT:
        return "default-mode";
    case REASON_NOT_SUBJECT:
        break;
    }
    return "";
}

static char *reason_text(const struct side_verdict *side, enum direction direction, const char *subject)
{
    switch (side->reason) {
    case REASON_RULE:
    case REASON_DENY_RULE: {
        _cleanup_free_ char *rule = rule_text(side->policy, direction, side->rule);

        return xasprintf("%s:%u (%s%s)", side->rule->pos.file ?: "?", side->rule->pos.line, rule,
                         side->rule->deny ? ", deny" : "");
    }
    case REASON_NO_RULE:
        return xasprintf("no %s rule of %s allows it", direction_name(direction), subject);
    case REASON_NO_POLICY:
        return xasprintf("no policy selects %s", subject);
    case REASON_DEFAULT_AUDIT:
        return xasprintf("no policy selects %s, and default_mode is audit", subject);
    case REASON_NOT_SUBJECT:
        break;
    }
    return xstrdup("");
}

static json_t *cause_json(const struct side_verdict *side, enum direction direction, const char *subject)
{
    _cleanup_free_ char *text = reason_text(side, direction, subject);
    _cleanup_free_ char *rule = side->rule ? rule_text(side->policy, direction, side->rule) : NULL;
    const struct source_pos *pos = side->rule ? &side->rule->pos : NULL;

    return json_pack(
        "{s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "direction", direction_name(direction), "reason",
        reason_word(side->reason), "policy", json_text_or_null(side->policy ? side->policy->name : NULL),
        "rule", json_text_or_null(rule), "file", json_text_or_null(pos ? pos->file : NULL), "line",
        pos && pos->file ? json_integer(pos->line) : json_null(), "text", json_text_or_null(text));
}

/* The sides that deny it; or, of what is allowed, those that have a say in it. */
static json_t *causes_json(const struct connection_verdict *verdict, const char *from, const char *to)
{
    const struct side_verdict *sides[] = {[EGRESS] = &verdict->egress, [INGRESS] = &verdict->ingress};
    json_t *list = json_array();

    for (enum direction d = DIRECTIONS; d-- > 0;)
        if (sides[d]->reason != REASON_NOT_SUBJECT && sides[d]->verdict == verdict->verdict)
            json_array_append_new(list, cause_json(sides[d], d, d == EGRESS ? from : to));
    return list;
}

/* ---- lines -------------------------------------------------------------------------------------------- */

static char *port_words(const struct recorded *recorded)
{
    switch (recorded->proto) {
    case IPPROTO_TCP:
        return xasprintf("%u/tcp", recorded->port);
    case IPPROTO_UDP:
        return xasprintf("%u/udp", recorded->port);
    case IPPROTO_SCTP:
        return xasprintf("%u/sctp", recorded->port);
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
        return xstrdup("icmp");
    default:
        return xasprintf("protocol %u", recorded->proto);
    }
}

static void add_address(struct line *line, const struct recorded *recorded)
{
    if (!line->from)
        *ARRAY_ADD(line->addresses, line->n_addresses) = recorded->from.ip;
    else if (!line->to)
        *ARRAY_ADD(line->addresses, line->n_addresses) = recorded->to.ip;
}

/* facts: taken. */
static void add_line(struct line **lines, const struct recorded *recorded, const char *from, const char *to,
                     json_t *facts)
{
    _cleanup_free_ char *port = port_words(recorded),
                        *told = json_dumps(facts, JSON_COMPACT | JSON_SORT_KEYS);
    _cleanup_free_ char *key = xasprintf("%s\n%s\n%s\n%s", from ?: "", to ?: "", port, told ?: "");
    struct line *line;

    HASH_FIND_STR(*lines, key, line);
    if (!line) {
        line = xnew(struct line);
        *line = (struct line){.key = STEAL(key),
                              .from = from,
                              .to = to,
                              .port = STEAL(port),
                              .facts = json_incref(facts),
                              .first = recorded->first};
        HASH_ADD_KEYPTR(hh, *lines, line->key, strlen(line->key), line);
    }
    json_decref(facts);
    add_address(line, recorded);
    line->count += recorded->count;
    line->first = recorded->first < line->first ? recorded->first : line->first;
    line->last = recorded->last > line->last ? recorded->last : line->last;
}

static int by_key(const struct line *a, const struct line *b)
{
    return strcmp(a->key, b->key);
}

static json_t *time_or_null(uint64_t at)
{
    _cleanup_free_ char *text = at ? utc_text(at / SECOND) : NULL;

    return json_text_or_null(text);
}

#define ADDRESSES_MAX 8 /* told of, of one line */

static json_t *addresses_json(struct line *line, size_t *ret_n)
{
    json_t *list = json_array();
    char text[IP_TEXT_MAX];
    size_t n = 0;

    if (line->n_addresses)
        ip_sort(line->addresses, line->n_addresses);
    for (size_t i = 0; i < line->n_addresses; i++) {
        if (i && ip_equal(line->addresses[i - 1], line->addresses[i]))
            continue;
        if (n++ < ADDRESSES_MAX)
            json_array_append_new(list, json_string(ip_format(line->addresses[i], text)));
    }
    *ret_n = n;
    return list;
}

static json_t *line_json(struct line *line)
{
    size_t n;
    json_t *addresses = addresses_json(line, &n);
    json_t *json = json_pack("{s:o, s:o, s:s, s:o, s:I, s:I, s:o, s:o}", "from",
                             json_text_or_null(line->from ?: "outside"), "to",
                             json_text_or_null(line->to ?: "outside"), "port", line->port, "addresses",
                             addresses, "n_addresses", (json_int_t)n, "count", (json_int_t)line->count,
                             "first", time_or_null(line->first), "last", time_or_null(line->last));

    json_object_update(json, line->facts);
    return json;
}

static json_t *lines_json(struct line **lines)
{
    json_t *list = json_array();

    HASH_SORT(*lines, by_key);
    for (struct line *line = *lines; line; line = line->hh.next)
        json_array_append_new(list, line_json(line));
    return list;
}

static void lines_clear(struct line **lines)
{
    struct line *line, *next;

    HASH_ITER (hh, *lines, line, next) {
        HASH_DEL(*lines, line);
        json_decref(line->facts);
        free(line->addresses);
        free(line->port);
        free(line->key);
        free(line);
    }
}

/* ---- all of them -------------------------------------------------------------------------------------- */

static const char *verdict_word(enum verdict verdict)
{
    return verdict == VERDICT_ALLOW ? "allowed" : "denied";
}

static void judge_one(struct judging *judging, const struct recorded *recorded)
{
    const struct identity *from = identity_of(judging, &recorded->from),
                          *to = identity_of(judging, &recorded->to);
    const char *source = name_of(&recorded->from, from), *destination = name_of(&recorded->to, to);
    struct connection_verdict old, new;

    if ((from && from->is_unsure) || (to && to->is_unsure)) {
        const char *gone = from && from->is_unsure ? source : destination;

        add_line(&judging->unsure, recorded, source, destination,
                 json_pack("{s:s, s:o}", "recorded", recorded->passed ? "allowed" : "denied", "gone",
                           json_text_or_null(gone)));
        return;
    }
    old = judge(judging, SET_OLD, recorded, from, to);
    new = judge(judging, SET_NEW, recorded, from, to);
    if (recorded->passed == (new.verdict == VERDICT_ALLOW)) {
        judging->n_same++;
        return;
    }
    add_line(recorded->passed ? &judging->denied : &judging->allowed, recorded, source, destination,
             json_pack("{s:s, s:o}", "in_force", verdict_word(old.verdict), "causes",
                       causes_json(&new, source, destination)));
}

static void judging_clear(struct judging *judging)
{
    struct identity *identity, *next;

    lines_clear(&judging->denied);
    lines_clear(&judging->allowed);
    lines_clear(&judging->unsure);
    HASH_ITER (hh, judging->identities, identity, next) {
        HASH_DEL(judging->identities, identity);
        for (enum sets set = 0; set < SETS; set++)
            free(identity->selections[set].v);
        container_free(identity->made);
        free(identity->endpoint.network_name);
        free(identity->key);
        free(identity);
    }
}

json_t *plan_recorded(const struct evaluation *old, const struct evaluation *new,
                      const struct recorded_log *log)
{
    _cleanup_(judging_clear) struct judging judging = {.with = {*old, *new}};
    json_t *records =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "allowed", (json_int_t)log->passed, "denied",
                  (json_int_t)log->denied, "other", (json_int_t)log->other, "older", (json_int_t)log->older,
                  "damaged", (json_int_t)log->damaged, "left_out", (json_int_t)log->more);

    for (const struct recorded *recorded = log->v; recorded; recorded = recorded->hh.next)
        judge_one(&judging, recorded);
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o}", "sources",
                     texts_to_json(log->sources, log->n_sources), "since", time_or_null(log->since), "first",
                     time_or_null(log->first), "last", time_or_null(log->last), "records", records, "denied",
                     lines_json(&judging.denied), "allowed", lines_json(&judging.allowed), "unchanged",
                     (json_int_t)judging.n_same, "not_judged", lines_json(&judging.unsure));
}
