// SPDX-License-Identifier: GPL-2.0-or-later
#include "denial/judge.h"

#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "denial/community_id.h"
#include "denial/staged.h"
#include "judge_private.h"
#include "util/text.h"

#define COMPOSE_PROJECT "com.docker.compose.project"
#define COMPOSE_SERVICE "com.docker.compose.service"
#define ECS_VERSION "8.11.0"

/* Names come from others; JSON takes no invalid UTF-8. */
void judge_put(json_t *object, const char *key, const char *text)
{
    _cleanup_free_ char *escaped = text ? text_escape(text, false) : NULL;

    if (escaped)
        json_object_set_new(object, key, json_string(escaped));
}

json_t *judge_child(json_t *object, const char *key)
{
    json_t *inner = json_object();

    json_object_set_new(object, key, inner);
    return inner;
}

/* ---- frames to many ----------------------------------------------------------------------------------- */

/* RFC 4291, 2.7.1: ff02::1:ff00:0/104 and the last 24 bits of an address that is searched for. */
static bool is_search_for(struct ip group, struct ip ip)
{
    uint8_t of[16] = {0}, mine[16] = {0};
    static const uint8_t prefix[13] = {0xff, 2, [11] = 1, 0xff};

    ip_to_bytes(group, of);
    ip_to_bytes(ip, mine);
    return memcmp(of, prefix, sizeof(prefix)) == 0 && memcmp(of + 13, mine + 13, 3) == 0;
}

bool denial_is_bystander(const struct denied_packet *packet, const struct endpoint *owner)
{
    const struct ip to = packet->destination;

    if (!packet->bridged || !packet->out || packet->point != DENY_LOCKED || !packet->has_destination_mac ||
        !(packet->destination_mac.bytes[0] & 1))
        return false;
    if (!owner || !packet->has_ip || !owner->has_ip[to.family])
        return true;
    return !ip_equal(to, owner->ip[to.family]) && !(to.family == IP6 && is_search_for(to, owner->ip[IP6]));
}

/* ---- who ---------------------------------------------------------------------------------------------- */

static bool is_host(const struct inventory *inventory, struct ip ip)
{
    if (ip_is_loopback(ip))
        return true;
    for (size_t i = 0; i < inventory->n_host_addresses; i++)
        if (ip_equal(inventory->host_addresses[i], ip))
            return true;
    return false;
}

static bool is_in_managed(const struct inventory *inventory, struct ip ip)
{
    for (const struct network *network = inventory->networks; network; network = network->hh.next)
        for (size_t i = 0; network->managed && i < network->n_subnets; i++)
            if (cidr_contains(&network->subnets[i], ip))
                return true;
    return false;
}

/* To the rules a container on any other network is outside. */
static bool is_managed(const struct inventory *inventory, const struct endpoint *endpoint)
{
    const struct network *network =
        endpoint->network_id ? inventory_network(inventory, endpoint->network_id) : NULL;

    return network && network->managed;
}

/* A packet that came by no interface. Of a connection nobody says which. */
static bool is_made_here(const struct denied_packet *packet, bool source)
{
    return source && !packet->allowed && !packet->bridged && !packet->in;
}

/* What goes to many, and was let pass, went to the host. */
static bool is_for_all(const struct judged *judged, struct ip ip)
{
    return judged->packet->allowed && ip_is_group(ip);
}

static struct end end_of(const struct judged *judged, const struct denial_end *who, bool source)
{
    const struct denied_packet *packet = judged->packet;
    const struct inventory *inventory = judged->context->with.inventory;
    struct end end = {.container = who->container,
                      .endpoint = who->endpoint,
                      .ip = source ? packet->source : packet->destination,
                      .has_ip = packet->has_ip};

    end.managed = end.container && is_managed(inventory, end.endpoint);
    if (end.container)
        end.kind = END_CONTAINER;
    else if (end.has_ip &&
             (is_host(inventory, end.ip) || is_made_here(packet, source) || is_for_all(judged, end.ip)))
        end.kind = END_HOST;
    else if (packet->bridged || !end.has_ip || is_in_managed(inventory, end.ip))
        end.kind = END_UNKNOWN;
    else
        end.kind = END_OUTSIDE;
    /* Whoever outside says that he is somebody of ours is outside all the same. */
    if (source && packet->point == DENY_SPOOFED && !packet->bridged)
        end = (struct end){.kind = END_OUTSIDE, .ip = end.ip, .has_ip = end.has_ip};
    return end;
}

static const char *kind_word(enum end_kind kind)
{
    switch (kind) {
    case END_CONTAINER:
        return "container";
    case END_HOST:
        return "host";
    case END_OUTSIDE:
        return "outside";
    case END_UNKNOWN:
        return "unknown";
    }
    return "unknown";
}

static json_t *container_json(const struct container *container)
{
    const char *project = container_label(container, COMPOSE_PROJECT);
    json_t *json = json_object(), *compose;

    judge_put(json, "id", container->id);
    judge_put(json, "name", container->name);
    if (container->image)
        judge_put(judge_child(json, "image"), "name", container->image);
    if (project) {
        compose = judge_child(json, "compose");
        judge_put(compose, "project", project);
        judge_put(compose, "service", container_label(container, COMPOSE_SERVICE));
    }
    return json;
}

static void put_end(json_t *object, const char *key, const struct end *end)
{
    json_t *json = judge_child(object, key);

    judge_put(json, "kind", kind_word(end->kind));
    if (!end->container)
        return;
    json_object_set_new(json, "container", container_json(end->container));
    judge_put(json, "network", end->endpoint->network_name);
}

/* "web (172.18.0.2)" */
static char *end_text(const struct end *end)
{
    char ip[IP_TEXT_MAX] = "?";

    if (end->has_ip)
        ip_format(end->ip, ip);
    if (end->container)
        return xasprintf("%s (%s)", end->container->name ? end->container->name : end->container->id, ip);
    return end->kind == END_HOST ? xasprintf("host (%s)", ip) : xstrdup(ip);
}

/* ---- why ---------------------------------------------------------------------------------------------- */

struct party judge_party(const struct end *end)
{
    struct party party = {.ip = end->ip, .has_ip = end->has_ip};

    switch (end->kind) {
    case END_CONTAINER:
        if (!end->managed) { /* to the rules it is as good as outside */
            party.kind = PARTY_OUTSIDE;
            break;
        }
        party.kind = PARTY_ENDPOINT;
        party.container = end->container;
        party.endpoint = end->endpoint;
        break;
    case END_HOST:
        party.kind = PARTY_HOST;
        break;
    case END_OUTSIDE:
    case END_UNKNOWN:
        party.kind = PARTY_OUTSIDE;
        break;
    }
    return party;
}

struct traffic judge_traffic(const struct denied_packet *packet)
{
    struct traffic traffic = {.family = packet->source.family, .proto = packet->proto};

    if (packet->has_ports)
        traffic.port = packet->destination_port;
    else if (packet->has_head)
        traffic.port = packet->head[0]; /* ICMP: the type */
    return traffic;
}

/* The first lockdown that holds for it: its container's, or of an address that no container has; or NULL. */
static const struct lock *lock_of(const struct judged *judged, const struct end *end)
{
    const struct lock_list *locks = judged->context->locks;
    struct ip ip;

    if (end->container)
        return lock_effect(locks, judged->context->with.inventory, end->container).first;
    for (size_t i = 0; locks && end->has_ip && i < locks->n; i++)
        if (lock_has_address(locks->v[i], &ip) && ip_equal(ip, end->ip))
            return locks->v[i];
    return NULL;
}

static void find_subject(struct judged *judged)
{
    switch (judged->packet->point) {
    case DENY_EGRESS:
    case DENY_HOST_EGRESS:
        judged->by_policy = true;
        judged->subject = &judged->source;
        judged->direction = EGRESS;
        break;
    case DENY_INGRESS:
    case DENY_HOST_INGRESS:
        judged->by_policy = true;
        judged->subject = &judged->destination;
        judged->direction = INGRESS;
        break;
    case DENY_LOCKED:
        judged->subject = lock_of(judged, &judged->source) ? &judged->source : &judged->destination;
        judged->direction = judged->subject == &judged->source ? EGRESS : INGRESS;
        break;
    case DENY_UNLOGGED:
    case DENY_UNKNOWN:
    case DENY_SPOOFED:
    case DENY_INVALID:
    case DENY_PROTOCOL:
    case DENY_LOOPBACK:
    case DENY_STRAY:
    case DENY_UNSEEN:
    case DENY_POINTS:
        judged->subject = judged->source.container ? &judged->source : &judged->destination;
        judged->direction = judged->subject == &judged->source ? EGRESS : INGRESS;
        break;
    }
}

static void find_side(struct judged *judged)
{
    const struct party from = judge_party(&judged->source), to = judge_party(&judged->destination);
    const struct traffic traffic = judge_traffic(judged->packet);
    struct connection_verdict verdict;

    judged->side = (struct side_verdict){.reason = REASON_NOT_SUBJECT};
    if (!judged->by_policy || !judged->subject->container || !judged->packet->has_ip)
        return;
    verdict = evaluate(&judged->context->with, &from, &to, &traffic);
    judged->side = judged->direction == EGRESS ? verdict.egress : verdict.ingress;
}

static bool has_rule(const struct judged *judged)
{
    return judged->side.reason == REASON_DENY_RULE && judged->side.rule;
}

char *judge_rule_name(const struct rule *rule, enum direction direction)
{
    return rule->name ? xstrdup(rule->name)
                      : xasprintf("%s %u", direction == EGRESS ? "egress" : "ingress", rule->index);
}

/* rule.*: "no-rule" is said as such. */
static void put_rule(json_t *record, const struct judged *judged)
{
    json_t *rule = judge_child(record, "rule");

    if (judged->packet->allowed) {
        judge_put_rule(rule, judged);
        return;
    }
    judge_put(rule, "category", deny_point_word(judged->packet->point));
    if (!judged->by_policy)
        return;
    if (!has_rule(judged)) {
        judge_put(rule, "name", "no-rule");
        return;
    }
    const struct rule *found = judged->side.rule;
    _cleanup_free_ char *name = judge_rule_name(found, judged->direction);
    _cleanup_free_ char *place = xasprintf("%s:%u", found->pos.file ? found->pos.file : "?", found->pos.line);

    judge_put(rule, "name", name);
    judge_put(rule, "ruleset", judged->side.policy->name);
    judge_put(rule, "reference", place);
}

/* Of the denied side; *ret_rejects: one of them answers instead of dropping. */
static json_t *policies_json(const struct judged *judged, bool *ret_rejects)
{
    struct selection selection = {0};
    json_t *list = json_array();

    *ret_rejects = false;
    if (judged->subject->container)
        policies_selecting(&judged->context->with, judged->subject->container, judged->subject->endpoint,
                           &selection);
    for (size_t i = 0; i < selection.n; i++) {
        json_array_append_new(list, json_string(selection.v[i]->name));
        *ret_rejects = *ret_rejects || selection.v[i]->reject;
    }
    free(selection.v);
    return list;
}

static char *policy_reason(const struct judged *judged)
{
    const char *way = judged->direction == EGRESS ? "egress" : "ingress";

    switch (judged->side.reason) {
    case REASON_DENY_RULE: {
        _cleanup_free_ char *name = judge_rule_name(judged->side.rule, judged->direction);

        return xasprintf("rule %s of policy %s denies it", name, judged->side.policy->name);
    }
    case REASON_NO_RULE:
        return xasprintf("no %s rule of its policies allows it", way);
    case REASON_NO_POLICY:
        return xstrdup("no policy selects it");
    case REASON_RULE:
    case REASON_DEFAULT_AUDIT:
    case REASON_NOT_SUBJECT:
        break;
    }
    return xasprintf("no %s rule allowed it at that time", way);
}

static char *reason_text(const struct judged *judged)
{
    if (judged->packet->allowed)
        return judge_allowed_reason(judged);
    switch (judged->packet->point) {
    case DENY_EGRESS:
    case DENY_INGRESS:
    case DENY_HOST_EGRESS:
    case DENY_HOST_INGRESS:
        return policy_reason(judged);
    case DENY_UNKNOWN:
        return xstrdup("an address that no live container has");
    case DENY_LOCKED:
        return xstrdup("locked down");
    case DENY_SPOOFED:
        return xstrdup("an address that is not the sender's");
    case DENY_INVALID:
        return xstrdup("no packet that may begin a connection, or belong to one");
    case DENY_PROTOCOL:
        return xstrdup("nothing that a container may send");
    case DENY_LOOPBACK:
        return xstrdup("for this host alone");
    case DENY_STRAY:
        return xstrdup("past the bridge");
    case DENY_UNSEEN:
        return xstrdup("bridge netfilter is off");
    case DENY_UNLOGGED:
    case DENY_POINTS:
        break;
    }
    return xstrdup("denied");
}

/* ---- the record --------------------------------------------------------------------------------------- */

static const char *transport_word(const struct denied_packet *packet)
{
    if (packet->ether_type == ETH_P_ARP)
        return "arp";
    switch (packet->has_proto ? packet->proto : -1) {
    case IPPROTO_TCP:
        return "tcp";
    case IPPROTO_UDP:
        return "udp";
    case IPPROTO_SCTP:
        return "sctp";
    case IPPROTO_ICMP:
        return "icmp";
    case IPPROTO_ICMPV6:
        return "ipv6-icmp";
    default:
        return NULL;
    }
}

/* ECS wants hardware addresses as RFC 7042 has them: 02-42-AC-12-00-02. */
static void put_mac(json_t *object, const struct mac *mac)
{
    const uint8_t *b = mac->bytes;
    char text[MAC_TEXT_MAX];

    snprintf(text, sizeof(text), "%02X-%02X-%02X-%02X-%02X-%02X", b[0], b[1], b[2], b[3], b[4], b[5]);
    judge_put(object, "mac", text);
}

static void put_address(json_t *record, const char *key, const struct judged *judged, bool source)
{
    const struct denied_packet *packet = judged->packet;
    json_t *json = judge_child(record, key);
    char text[IP_TEXT_MAX];

    if (packet->has_ip) {
        ip_format(source ? packet->source : packet->destination, text);
        judge_put(json, "address", text);
        judge_put(json, "ip", text);
    }
    if (packet->has_ports)
        json_object_set_new(json, "port",
                            json_integer(source ? packet->source_port : packet->destination_port));
    if (source ? packet->has_mac : packet->has_destination_mac)
        put_mac(json, source ? &packet->source_mac : &packet->destination_mac);
}

static const char *network_direction(const struct judged *judged)
{
    bool from_outside = judged->source.kind == END_OUTSIDE,
         to_outside = judged->destination.kind == END_OUTSIDE;

    if (from_outside)
        return to_outside ? "external" : "inbound";
    return to_outside ? "outbound" : "internal";
}

static void put_network(json_t *record, const struct judged *judged)
{
    const struct denied_packet *packet = judged->packet;
    json_t *network = judge_child(record, "network");
    const char *transport = transport_word(packet);
    char id[COMMUNITY_ID_MAX], number[sizeof("255")];

    judge_put(network, "type",
              packet->ether_type == ETH_P_IP     ? "ipv4"
              : packet->ether_type == ETH_P_IPV6 ? "ipv6"
              : packet->ether_type == ETH_P_ARP  ? "arp"
                                                 : "other");
    if (packet->has_proto) {
        snprintf(number, sizeof(number), "%u", packet->proto);
        judge_put(network, "iana_number", number);
    }
    judge_put(network, "transport", transport);
    judge_put(network, "direction", network_direction(judged));
    if (community_id(packet, id))
        judge_put(network, "community_id", id);
}

/* It passes, and would not if what is staged were enforced. */
static bool is_audited(const struct judged *judged)
{
    return judged->packet->allowed && judged->staged && staged_denies(judged->staged);
}

static void put_event(json_t *record, const struct judged *judged, bool rejects)
{
    json_t *event = judge_child(record, "event"), *list;
    _cleanup_free_ char *reason = reason_text(judged);

    judge_put(event, "kind", "event");
    list = json_array();
    json_array_append_new(list, json_string("network"));
    json_object_set_new(event, "category", list);
    list = json_array();
    json_array_append_new(list, json_string("connection"));
    json_array_append_new(list, json_string(judged->packet->allowed ? "allowed" : "denied"));
    json_object_set_new(event, "type", list);
    judge_put(event, "action",
              is_audited(judged)             ? "audited"
              : judged->packet->allowed      ? "allowed"
              : judged->by_policy && rejects ? "rejected"
                                             : "dropped");
    judge_put(event, "module", "cofferdam");
    judge_put(event, "dataset", "cofferdam.verdict");
    judge_put(event, "reason", reason);
}

static void put_interface(json_t *observer, const char *way, const char *name)
{
    if (name)
        judge_put(judge_child(judge_child(observer, way), "interface"), "name", name);
}

static void put_observer(json_t *record, const struct judged *judged)
{
    json_t *observer = judge_child(record, "observer");

    judge_put(observer, "type", "firewall");
    judge_put(observer, "product", "Cofferdam");
    judge_put(observer, "version", COFFERDAM_VERSION);
    judge_put(observer, "hostname", judged->context->hostname);
    put_interface(observer, "ingress", judged->context->in);
    put_interface(observer, "egress", judged->context->out);
}

static json_t *staged_json(const struct judged *judged)
{
    const struct staged_question question = {.with = &judged->context->with,
                                             .locks = judged->context->locks,
                                             .from = judge_party(&judged->source),
                                             .to = judge_party(&judged->destination),
                                             .traffic = judge_traffic(judged->packet),
                                             .verdict =
                                                 judged->packet->allowed ? VERDICT_ALLOW : VERDICT_DENY,
                                             .by_policy = judged->by_policy && judged->packet->has_ip,
                                             .direction = judged->direction};

    return staged_judge(&question);
}

static json_t *own_json(const struct judged *judged, json_t *policies)
{
    const struct denied_packet *packet = judged->packet;
    const struct denial_context *context = judged->context;
    const struct lock *lock = lock_of(judged, judged->subject);
    json_t *own = json_object();

    judge_put(own, "format_version", "1.0");
    judge_put(own, "verdict", packet->allowed ? "allow" : "deny");
    if (!packet->allowed)
        judge_put(own, "point", deny_point_word(packet->point));
    judge_put(own, "direction", judged->direction == EGRESS ? "egress" : "ingress");
    put_end(own, "source", &judged->source);
    put_end(own, "destination", &judged->destination);
    json_object_set_new(own, "policies", policies);
    if (judged->staged)
        json_object_set(own, "staged", judged->staged);
    if (context->generation)
        json_object_set_new(own, "generation", json_integer(context->generation));
    if (!packet->allowed && packet->point == DENY_LOCKED)
        judge_put(own, "lockdown", lock ? lock_text(lock) : NULL);
    if (packet->allowed)
        judge_put_sides(own, judged);
    if (packet->has_proto && (packet->proto == IPPROTO_ICMP || packet->proto == IPPROTO_ICMPV6) &&
        packet->has_head) {
        json_t *icmp = judge_child(own, "icmp");

        json_object_set_new(icmp, "type", json_integer(packet->head[0]));
        json_object_set_new(icmp, "code", json_integer(packet->head[1]));
    }
    return own;
}

/* " 5432/tcp" */
static char *service_text(const struct denied_packet *packet)
{
    const char *transport = transport_word(packet);

    if (packet->has_ports && transport)
        return xasprintf(" %u/%s", packet->destination_port, transport);
    return transport ? xasprintf(" %s", transport) : xstrdup("");
}

static void put_message(json_t *record, const struct judged *judged)
{
    _cleanup_free_ char *from = end_text(&judged->source), *to = end_text(&judged->destination);
    _cleanup_free_ char *port = service_text(judged->packet), *reason = reason_text(judged);
    const char *staged = is_audited(judged) ? staged_reason(judged->staged) : NULL;
    _cleanup_free_ char *text =
        xasprintf("%s -> %s%s %s: %s%s%s", from, to, port, judged->packet->allowed ? "allowed" : "denied",
                  reason, staged ? "; were all that is staged enforced, " : "", staged ?: "");

    judge_put(record, "message", text);
}

json_t *denial_judge(const struct denied_packet *packet, const struct denial_context *context)
{
    struct judged judged = {.packet = packet, .context = context};
    json_t *record = json_object(), *policies;
    bool rejects = false;

    judged.source = end_of(&judged, &context->source, true);
    judged.destination = end_of(&judged, &context->destination, false);
    if (packet->allowed) {
        judge_sides(&judged);
        policies = judge_both_policies(&judged);
    } else {
        find_subject(&judged);
        find_side(&judged);
        policies = policies_json(&judged, &rejects);
    }
    judged.staged = staged_json(&judged);
    judge_put(judge_child(record, "ecs"), "version", ECS_VERSION);
    put_message(record, &judged);
    put_event(record, &judged, rejects);
    put_address(record, "source", &judged, true);
    put_address(record, "destination", &judged, false);
    put_network(record, &judged);
    put_observer(record, &judged);
    put_rule(record, &judged);
    json_object_set_new(record, "cofferdam", own_json(&judged, policies));
    json_decref(judged.staged);
    return record;
}

/* A command may have locked it down while the daemon did not answer, and that is taken over later. */
static bool has_unknown_lock(const json_t *own)
{
    const char *point = json_string_value(json_object_get(own, "point"));

    return point && strcmp(point, deny_point_word(DENY_LOCKED)) == 0 && !json_object_get(own, "lockdown");
}

static bool is_unknown(const json_t *own, const char *end)
{
    const char *kind = json_string_value(json_object_get(json_object_get(own, end), "kind"));

    return kind && strcmp(kind, kind_word(END_UNKNOWN)) == 0;
}

bool denial_is_unsure(const json_t *record)
{
    const json_t *own = json_object_get(record, "cofferdam");

    return is_unknown(own, "source") || is_unknown(own, "destination") || has_unknown_lock(own);
}

/* ---- its end ------------------------------------------------------------------------------------------ */

static void put_time(json_t *object, const char *key, uint64_t usec)
{
    char text[sizeof("2026-11-20T15:04:05.123456Z") + 16];
    time_t seconds = (time_t)(usec / 1000000);
    size_t len = 0;
    struct tm tm;

    if (gmtime_r(&seconds, &tm))
        len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + len, sizeof(text) - len, ".%06uZ", (unsigned)(usec % 1000000));
    judge_put(object, key, text);
}

void denial_finish(json_t *record, const struct denial *denial, uint64_t first_seen, uint64_t last_seen)
{
    json_t *event = json_object_get(record, "event"), *own = json_object_get(record, "cofferdam");

    put_time(record, "@timestamp", first_seen);
    put_time(event, "start", first_seen);
    put_time(event, "end", last_seen);
    json_object_set_new(event, "duration", json_integer((json_int_t)(last_seen - first_seen) * 1000));
    json_object_set_new(own, "count", json_integer((json_int_t)denial->count));
}

const char *denial_message(const json_t *record)
{
    return json_string_value(json_object_get(record, "message"));
}
