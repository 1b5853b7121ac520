/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The wording of an explanation: why each side decided as it did, and what would allow what is denied.
 */
#include "verdict/explain.h"

#include <stdio.h>
#include <string.h>

#include "inventory/match.h"

#define COMPOSE_PROJECT "com.docker.compose.project"
#define COMPOSE_SERVICE "com.docker.compose.service"

static const struct party *side_party(const struct explain_way *way, enum direction direction)
{
    return direction == EGRESS ? &way->from : &way->to;
}

static const struct side_verdict *side_verdict(const struct explain_way *way, enum direction direction)
{
    return direction == EGRESS ? &way->decision.egress : &way->decision.ingress;
}

static bool selects(const struct policy *policy, const struct party *party)
{
    return selector_matches(&policy->select, party->container, party->endpoint);
}

/* Writes "policy a" or "policies a, b and c" for those of this mode that select the party; returns how many.
 */
static size_t write_policies(const struct policy_set *set, const struct party *party, enum policy_mode mode,
                             FILE *out)
{
    size_t n = 0, written = 0;

    for (size_t i = 0; i < set->n_policies; i++)
        n += set->policies[i].mode == mode && selects(&set->policies[i], party);
    if (n > 0)
        fputs(n == 1 ? "policy " : "policies ", out);
    for (size_t i = 0; i < set->n_policies && written < n; i++)
        if (set->policies[i].mode == mode && selects(&set->policies[i], party)) {
            written++;
            fprintf(out, "%s%s", set->policies[i].name,
                    written == n       ? ""
                    : written + 1 == n ? " and "
                                       : ", ");
        }
    return n;
}

static void write_rule(const struct side_verdict *side, enum direction direction, FILE *out)
{
    _cleanup_free_ char *rule = rule_text(side->policy, direction, side->rule);

    fprintf(out, "%s", rule);
    if (side->rule->pos.file)
        fprintf(out, " (%s:%u)", side->rule->pos.file, side->rule->pos.line);
}

static void write_staged(const struct explanation *x, const struct party *party, FILE *out)
{
    char *text = NULL;
    size_t len;
    FILE *list = open_memstream(&text, &len);
    if (!list)
        return;
    size_t n = write_policies(x->with.policies, party, MODE_AUDIT, list);
    fclose(list);
    if (n > 0)
        fprintf(out, " (%s select%s it, but %s only staged: mode: audit)", text, n == 1 ? "s" : "",
                n == 1 ? "is" : "are");
    free(text);
}

static void write_side(const struct explanation *x, const struct explain_way *way, enum direction direction,
                       FILE *out)
{
    const struct side_verdict *side = side_verdict(way, direction);
    const struct party *party = side_party(way, direction);
    size_t n;

    switch (side->reason) {
    case REASON_NOT_SUBJECT:
        fputs("not asked: no container", out);
        return;
    case REASON_RULE:
        fputs("allowed by ", out);
        write_rule(side, direction, out);
        return;
    case REASON_DENY_RULE:
        fputs("denied by the deny rule ", out);
        write_rule(side, direction, out);
        return;
    case REASON_NO_RULE:
        fputs("denied: ", out);
        n = write_policies(x->with.policies, party, MODE_ENFORCE, out);
        fprintf(out, " select%s it, and none of %s %s rules allows this", n == 1 ? "s" : "",
                n == 1 ? "its" : "their", direction_name(direction));
        break;
    case REASON_NO_POLICY:
        fputs("denied: no policy selects it", out);
        break;
    case REASON_DEFAULT_AUDIT:
        fputs("allowed: no policy selects it, and default_mode is audit", out);
        break;
    }
    write_staged(x, party, out);
}

char *explain_side_text(const struct explanation *x, const struct explain_way *way, enum direction direction)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return xstrdup("");
    write_side(x, way, direction, out);
    fclose(out);
    return text;
}

/* ---- what would allow it ------------------------------------------------------------------------------ */

/* The value as YAML: plain where nobody could misread it, in single quotes else. Names hold no control
 * characters (Docker sees to that), and a glob's characters cannot stand in them either. */
static void write_scalar(const char *value, FILE *out)
{
    static const char *const words[] = {"true", "false", "null", "yes", "no", "on", "off"};
    bool plain =
        *value &&
        strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-") == strlen(value);

    plain = plain && !strchr("0123456789.-", *value);
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        plain = plain && strcasecmp(value, words[i]) != 0;
    if (plain) {
        fputs(value, out);
        return;
    }
    fputc('\'', out);
    for (; *value; value++)
        fputs(*value == '\'' ? "''" : (char[]){*value, '\0'}, out);
    fputc('\'', out);
}

/* The selector that fits best: a Compose service outlives its containers, a name at least one of them. */
static void write_selector(const struct container *container, FILE *out)
{
    const char *project = container_label(container, COMPOSE_PROJECT);
    const char *service = container_label(container, COMPOSE_SERVICE);

    if (project && service) {
        _cleanup_free_ char *value = xasprintf("%s/%s", project, service);
        fputs("{compose: ", out);
        write_scalar(value, out);
    } else {
        fputs("{name: ", out);
        write_scalar(container->name, out);
    }
    fputc('}', out);
}

static bool is_name_server(const struct explanation *x, const struct explain_way *way)
{
    if (way->to.kind == PARTY_ENDPOINT || !way->to.has_ip || way->from.kind != PARTY_ENDPOINT || !x->port ||
        strncmp(x->port, "53/", 3) != 0)
        return false;

    _cleanup_free_ struct ip *servers = NULL;
    size_t n = container_name_servers(x->with.inventory, way->from.container, &servers);
    for (size_t i = 0; i < n; i++)
        if (ip_equal(servers[i], way->to.ip))
            return true;
    return false;
}

static void write_peer(const struct explanation *x, const struct explain_way *way, enum direction direction,
                       FILE *out)
{
    const struct party *peer = direction == EGRESS ? &way->to : &way->from;
    char address[IP_TEXT_MAX];

    if (direction == EGRESS && is_name_server(x, way)) {
        fputs("dns", out);
        return;
    }
    switch (peer->kind) {
    case PARTY_ENDPOINT:
        write_selector(peer->container, out);
        break;
    case PARTY_HOST:
        fputs("host", out);
        break;
    case PARTY_OUTSIDE:
        fprintf(out, "{cidr: '%s/%u'}", ip_format(peer->ip, address), ip_bits(peer->ip.family));
        break;
    }
}

static void write_snippet(const struct explanation *x, const struct explain_way *way,
                          enum direction direction, const char *indent, FILE *out)
{
    fprintf(out, "%s- %s: [", indent, direction == EGRESS ? "to" : "from");
    write_peer(x, way, direction, out);
    fputs("]\n", out);
    if (x->any_port && !x->port)
        fprintf(out, "%s  ports: [80/tcp] # for example\n", indent);
    else
        fprintf(out, "%s  ports: [%s]\n", indent, x->port);
}

/* A policy to which the rule can be added without giving it to anybody else: it selects this container alone.
 */
static const struct policy *policy_of_its_own(const struct explanation *x, const struct party *party)
{
    const struct policy_set *set = x->with.policies;

    for (size_t i = 0; i < set->n_policies; i++) {
        const struct policy *policy = &set->policies[i];
        const struct container *container, *next;
        bool alone = policy->mode == MODE_ENFORCE && selects(policy, party);
        HASH_ITER (hh, x->with.inventory->containers, container, next) {
            if (!alone)
                break;
            if (container == party->container)
                continue;
            for (size_t e = 0; alone && e < container->n_endpoints; e++)
                alone = !selector_matches(&policy->select, container, &container->endpoints[e]);
        }
        if (alone)
            return policy;
    }
    return NULL;
}

static bool name_taken(const struct policy_set *set, const char *name)
{
    for (size_t i = 0; i < set->n_policies; i++)
        if (strcmp(set->policies[i].name, name) == 0)
            return true;
    return false;
}

/* A name for a new policy: the container's, as far as a policy's name may look like it, with a number if need
 * be. */
static char *new_policy_name(const struct policy_set *set, const struct container *container)
{
    char base[48] = "";
    size_t len = 0;

    for (const char *c = container->name; *c && len < sizeof(base) - 1; c++) {
        char low = *c >= 'A' && *c <= 'Z' ? (char)(*c + 'a' - 'A') : *c;
        bool word = (low >= 'a' && low <= 'z') || (low >= '0' && low <= '9');
        if (word || (len > 0 && base[len - 1] != '-'))
            base[len++] = word ? low : '-';
    }
    while (len > 0 && base[len - 1] == '-')
        len--;
    base[len] = '\0';
    char *name = xstrdup(len ? base : "new");
    for (unsigned i = 2; name_taken(set, name); i++) {
        free(name);
        name = xasprintf("%s-%u", len ? base : "new", i);
    }
    return name;
}

static void write_side_hint(const struct explanation *x, const struct explain_way *way,
                            enum direction direction, const char *intro, FILE *out)
{
    const struct side_verdict *side = side_verdict(way, direction);
    const struct party *party = side_party(way, direction);

    if (side->reason == REASON_DENY_RULE) {
        fprintf(out, "%s, remove or narrow the deny rule ", intro);
        write_rule(side, direction, out);
        fputs(": a deny rule beats every allow.\n", out);
        return;
    }
    const struct policy *policy = policy_of_its_own(x, party);
    if (policy) {
        fprintf(out, "%s, add to policy %s", intro, policy->name);
        if (policy->pos.file)
            fprintf(out, " (%s:%u)", policy->pos.file, policy->pos.line);
        fprintf(out, ", under %s:\n", direction_name(direction));
        write_snippet(x, way, direction, "    ", out);
        return;
    }
    _cleanup_free_ char *name = new_policy_name(x->with.policies, party->container);
    fprintf(out, "%s, add this policy:\n    policy: %s\n    select: ", intro, name);
    write_selector(party->container, out);
    fprintf(out, "\n    %s:\n", direction_name(direction));
    write_snippet(x, way, direction, "      ", out);
}

char *explain_hint(const struct explanation *x)
{
    const struct explain_way *way = NULL;
    char *text = NULL;
    size_t len;

    if (x->verdict == VERDICT_ALLOW || x->n_ways == 0)
        return NULL;
    way = &x->ways[0];
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return NULL;
    bool egress = way->decision.egress.verdict == VERDICT_DENY;
    bool ingress = way->decision.ingress.verdict == VERDICT_DENY;
    if (egress)
        write_side_hint(x, way, EGRESS, "To allow it", out);
    if (ingress)
        write_side_hint(x, way, INGRESS, egress ? "For the other side" : "To allow it", out);
    fclose(out);
    return text;
}

/* ---- the whole ---------------------------------------------------------------------------------------- */

/* "backend", or "frontend to backend". */
static char *way_networks(const struct explain_way *way)
{
    const char *from = way->network_from ? way->network_from->name : NULL;
    const char *to = way->network_to ? way->network_to->name : NULL;

    if (from && to && strcmp(from, to) != 0)
        return xasprintf("%s to %s", from, to);
    return xstrdup(from ?: to ?: "");
}

/* Why, without the network: ways that differ in that alone are shown together. */
static char *way_reasons(const struct explanation *x, const struct explain_way *way)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return xstrdup("");
    if (way->decision.egress.reason != REASON_NOT_SUBJECT) {
        fprintf(out, "  egress of %s: ", way->from.container->name);
        write_side(x, way, EGRESS, out);
        fputc('\n', out);
    }
    if (way->decision.ingress.reason != REASON_NOT_SUBJECT) {
        fprintf(out, "  ingress of %s: ", way->to.container->name);
        write_side(x, way, INGRESS, out);
        fputc('\n', out);
    }
    fclose(out);
    return text;
}

static const char *family_word(enum ip_family family)
{
    return family == IP4 ? "IPv4" : "IPv6";
}

/* The networks and families of all ways from the first on that have its reasons. */
static void write_way_networks(const struct explain_way *ways, char *const *reasons, size_t first, size_t n,
                               FILE *out)
{
    const char *separator = "";
    _cleanup_free_ char *previous = NULL;

    for (size_t i = first; i < n; i++) {
        if (strcmp(reasons[i], reasons[first]) != 0)
            continue;
        char *networks = way_networks(&ways[i]);
        if (previous && strcmp(previous, networks) == 0)
            fprintf(out, ", %s", family_word(ways[i].family));
        else
            fprintf(out, "%s%s %s", separator, networks, family_word(ways[i].family));
        separator = "; ";
        free(previous);
        previous = networks;
    }
}

static void write_ways(const struct explanation *x, FILE *out)
{
    char **reasons = xcalloc(x->n_ways + 1, sizeof(char *));
    size_t groups = 0;

    for (size_t i = 0; i < x->n_ways; i++)
        reasons[i] = way_reasons(x, &x->ways[i]);
    for (size_t i = 0; i < x->n_ways; i++)
        groups += i == 0 || strcmp(reasons[i], reasons[0]) != 0;
    for (size_t i = 0; i < x->n_ways; i++) {
        bool seen = false;
        for (size_t j = 0; j < i && !seen; j++)
            seen = strcmp(reasons[j], reasons[i]) == 0;
        if (seen)
            continue;
        fprintf(out, "  network: ");
        write_way_networks(x->ways, reasons, i, x->n_ways, out);
        if (groups > 1)
            fprintf(out, ": %s", x->ways[i].decision.verdict == VERDICT_ALLOW ? "allowed" : "denied");
        fprintf(out, "\n%s", reasons[i]);
    }
    for (size_t i = 0; i < x->n_ways; i++)
        free(reasons[i]);
    free(reasons);
}

static void write_ports(const struct explanation *x, FILE *out)
{
    const struct explain_ports *ports = &x->allowed_ports;

    if (ports->n == 0) {
        fprintf(out, "  no port%s is allowed", x->port ? " of these" : "");
        if (x->probe)
            fprintf(out, "; the nearest to it, %s:", x->probe);
        fputc('\n', out);
        return;
    }
    bool everything = ports->n == 5 && strcmp(ports->v[0], "tcp") == 0 && strcmp(ports->v[1], "udp") == 0 &&
                      strcmp(ports->v[2], "sctp") == 0 && strcmp(ports->v[3], "icmp") == 0;
    fputs("  allowed ports: ", out);
    if (everything)
        fputs("every protocol and port", out);
    for (size_t i = 0; i < ports->n && !everything; i++)
        fprintf(out, "%s%s", i ? ", " : "", ports->v[i]);
    if (ports->n > 1 && !everything && x->probe)
        fprintf(out, "; of these %s:", x->probe);
    fputc('\n', out);
}

static void write_state(const struct explanation *x, FILE *out)
{
    switch (x->state) {
    case EXPLAIN_DECIDED:
        if (x->any_port)
            write_ports(x, out);
        write_ways(x, out);
        break;
    case EXPLAIN_ITSELF:
        fputs("  what a container sends to itself never leaves it\n", out);
        break;
    case EXPLAIN_UNENFORCED:
        fputs("  nothing is enforced here: neither end is a container on a network that Cofferdam manages\n",
              out);
        break;
    case EXPLAIN_NO_NETWORK:
        fputs("  one of them has no network, or no address that is known\n", out);
        break;
    case EXPLAIN_LOOPBACK:
        fputs("  a loopback address is for the host alone, whatever the policies say; within a container it is the\n"
              "  container itself. The host's services have its other addresses (in policies: to: [host])\n",
              out);
        break;
    case EXPLAIN_NO_FAMILY:
        fputs("  they have no family of addresses in common: one has only IPv4, the other only IPv6\n", out);
        break;
    }
}

static void write_docker(const struct explanation *x, FILE *out)
{
    const struct explain_way *way = x->n_ways ? &x->ways[0] : NULL;

    if (!way)
        return;
    if (x->docker_blocks && way->network_from && way->network_to)
        fprintf(out,
                "note: Docker itself lets nothing pass between its networks, and %s and %s share none\n"
                "      (docker network connect %s %s would change that)\n",
                way->from.container->name, way->to.container->name, way->network_to->name,
                way->from.container->name);
    else if (x->docker_blocks)
        fprintf(out, "note: Docker itself lets nothing pass between an internal network and the outside\n");
    else if (x->verdict == VERDICT_ALLOW && way->from.kind == PARTY_OUTSIDE && way->to.kind == PARTY_ENDPOINT)
        fprintf(
            out,
            "note: Docker itself lets connections from outside in to published ports only; the port meant\n"
            "      here is the one that the container sees\n");
}

static void write_notes(const struct explanation *x, FILE *out)
{
    if (x->from.note)
        fprintf(out, "note: %s\n", x->from.note);
    if (x->to.note)
        fprintf(out, "note: %s\n", x->to.note);
    if (x->unenforced_network)
        fprintf(
            out,
            "note: both are on %s, which Cofferdam does not or cannot manage: nothing is enforced there\n",
            x->unenforced_network);
    write_docker(x, out);
}

char *explanation_text(const struct explanation *x)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return xstrdup("");
    fprintf(out, "%s -> %s%s%s: %s\n", x->from.label, x->to.label, x->port ? " " : "", x->port ?: "",
            x->verdict == VERDICT_DENY                        ? "denied"
            : x->state == EXPLAIN_UNENFORCED                  ? "not enforced"
            : x->docker_blocks && x->state == EXPLAIN_DECIDED ? "allowed by the policies, but not by Docker"
                                                              : "allowed");
    write_state(x, out);
    write_notes(x, out);
    if (x->hint)
        fprintf(out, "\n%s", x->hint);
    fclose(out);
    return text;
}
