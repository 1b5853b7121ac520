/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The wording of an explanation: why each side decided as it did. What would allow what is denied is in
 * explain_hint.c.
 */
#include "verdict/explain.h"

#include <stdio.h>
#include <string.h>

#include "near.h"

#define NEAR_SHOWN 3 /* rules of each side */

/* Writes "policy a" or "policies a, b and c" for those of this mode that select the party; returns how many.
 */
static size_t write_policies(const struct policy_set *set, const struct party *party, enum policy_mode mode,
                             FILE *out)
{
    size_t n = 0, written = 0;

    for (size_t i = 0; i < set->n_policies; i++)
        n += set->policies[i].mode == mode && policy_selects(&set->policies[i], party);
    if (n > 0)
        fputs(n == 1 ? "policy " : "policies ", out);
    for (size_t i = 0; i < set->n_policies && written < n; i++)
        if (set->policies[i].mode == mode && policy_selects(&set->policies[i], party)) {
            written++;
            fprintf(out, "%s%s", set->policies[i].name,
                    written == n       ? ""
                    : written + 1 == n ? " and "
                                       : ", ");
        }
    return n;
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
        write_rule(side->policy, direction, side->rule, out);
        return;
    case REASON_DENY_RULE:
        fputs("denied by the deny rule ", out);
        write_rule(side->policy, direction, side->rule, out);
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

/* The rules that come nearest to what is denied; the rest is counted. */
static void write_near(const struct explanation *x, const struct explain_way *way, enum direction direction,
                       FILE *out)
{
    _cleanup_(near_rules_clear) struct near_rules near = {};

    near_rules_find(x, way, direction, &near);
    for (size_t i = 0; i < near.n && i < NEAR_SHOWN; i++) {
        _cleanup_free_ char *text = near_rule_text(&near.v[i], direction);
        fprintf(out, "    near: %s\n", text);
    }
    if (near.n > NEAR_SHOWN)
        fprintf(out, "    and %zu that are no nearer\n", near.n - NEAR_SHOWN);
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
        write_near(x, way, EGRESS, out);
    }
    if (way->decision.ingress.reason != REASON_NOT_SUBJECT) {
        fprintf(out, "  ingress of %s: ", way->to.container->name);
        write_side(x, way, INGRESS, out);
        fputc('\n', out);
        write_near(x, way, INGRESS, out);
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
        fputs(
            "  a loopback address is for the host alone, whatever the policies say; within a container it is the\n"
            "  container itself. The host's services have its other addresses (in policies: to: [host])\n",
            out);
        break;
    case EXPLAIN_NO_FAMILY:
        fputs("  they have no family of addresses in common: one has only IPv4, the other only IPv6\n", out);
        break;
    }
}

/* Only one that Cofferdam manages is told of; the other end is then an address outside. */
static void write_apart(const struct explanation *x, const struct explain_way *way, FILE *out)
{
    const char *from = (way->from.container ?: x->from.container)->name,
               *to = (way->to.container ?: x->to.container)->name;

    fprintf(out,
            "note: Docker itself lets nothing pass between its networks, and %s and %s share none\n"
            "      (docker network connect %s %s would change that)\n",
            from, to, way->network_to ? way->network_to->name : way->network_from->name,
            way->network_to ? from : to);
}

static void write_docker(const struct explanation *x, FILE *out)
{
    const struct explain_way *way = x->n_ways ? &x->ways[0] : NULL;

    if (!way)
        return;
    if (x->docker_blocks && x->from.container && x->to.container)
        write_apart(x, way, out);
    else if (x->docker_blocks)
        fprintf(out, "note: Docker itself lets nothing pass between an internal network and the outside\n");
    else if (x->any_port && x->verdict == VERDICT_ALLOW && way->from.kind == PARTY_OUTSIDE &&
             way->to.kind == PARTY_ENDPOINT)
        fprintf(
            out,
            "note: from outside, ports of the host lead to published ports alone; the ports here are those\n"
            "      that the container sees\n");
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
    if (x->published_note)
        fprintf(out, "note: %s\n", x->published_note);
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
