/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the host publishes: where a port of the host leads, and by which of them a container is reached from outside. */
#include <stdio.h>
#include <string.h>

#include "policy/parse.h"
#include "target.h"

bool port_is_single(const struct port *port)
{
    return port->kind == PORT_ICMP ? port->icmp_name != NULL : port->first == port->last;
}

static bool is_inner(const struct container *container, const struct port *port)
{
    for (size_t i = 0; i < container->n_published; i++)
        if (container->published[i].kind == port->kind && container->published[i].inner == port->first)
            return true;
    return false;
}

/* Does whoever asks get to the port of the host, at the address that is asked for? */
static bool is_reachable(const struct published_port *published, const struct party *from,
                         const struct party *to)
{
    struct ip address = published->address;

    if (from->kind != PARTY_HOST && ip_is_loopback(address))
        return false;
    if (from->kind == PARTY_OUTSIDE && from->ip.family != address.family)
        return false;
    return to->kind != PARTY_HOST || !to->has_ip ||
           (to->ip.family == address.family && (address.num == 0 || ip_equal(address, to->ip)));
}

/* Leads a port of the host to this container? */
static bool find_outer(struct explanation *x, const struct container *container, const struct target *from,
                       const struct target *to, const struct port *port)
{
    for (size_t i = 0; i < container->n_published; i++) {
        const struct published_port *published = &container->published[i];

        if (published->kind != port->kind || published->outer != port->first ||
            !is_reachable(published, &from->party, &to->party))
            continue;
        x->publisher = container;
        x->published = published;
        return true;
    }
    return false;
}

/* By its name or ID, a container's own port comes first; by its address, only that can be meant. */
static bool find_published(struct explanation *x, const struct target *from, const struct target *to,
                           const struct port *port)
{
    if (to->container)
        return !is_inner(to->container, port) && (!to->endpoint || from->party.kind == PARTY_ENDPOINT) &&
               find_outer(x, to->container, from, to, port);
    if (to->party.kind != PARTY_HOST)
        return false;
    for (const struct container *c = x->with.inventory->containers; c; c = c->hh.next)
        if (c->running && find_outer(x, c, from, to, port))
            return true;
    return false;
}

/* Where the container has no address of the family, it is docker-proxy that goes on to it, as the host. */
static bool is_translated(const struct explanation *x, const struct party *from)
{
    bool has_ip = from->kind != PARTY_OUTSIDE;

    for (size_t i = 0; i < x->publisher->n_endpoints; i++)
        has_ip = has_ip || x->publisher->endpoints[i].has_ip[from->ip.family];
    return has_ip;
}

void published_follow(struct explanation *x, const struct target *from, struct target *to, struct port *port)
{
    if (port->kind == PORT_ICMP || !port_is_single(port) || !find_published(x, from, to, port))
        return;
    if (from->party.kind == PARTY_ENDPOINT || !is_translated(x, &from->party))
        return;
    x->followed = true;
    port->first = port->last = x->published->inner;
    free(x->port);
    x->port = port_text(port);
    if (to->container)
        return;
    free(x->to.label);
    free(x->to.note);
    x->to = (struct explain_party){
        .kind = PARTY_ENDPOINT, .container = x->publisher, .label = xstrdup(x->publisher->name)};
    *to = (struct target){.container = x->publisher,
                          .party = {.kind = PARTY_ENDPOINT, .container = x->publisher}};
}

/* ---- what is said of it ------------------------------------------------------------------------------- */

static void write_place(const struct published_port *published, FILE *out)
{
    char address[IP_TEXT_MAX];
    bool v6 = published->address.family == IP6;

    fprintf(out, "%s%s%s:%u", v6 ? "[" : "", ip_format(published->address, address), v6 ? "]" : "",
            published->outer);
}

static void write_followed(const struct explanation *x, FILE *out)
{
    fprintf(out, "port %u of the host (published at ", x->published->outer);
    write_place(x->published, out);
    fprintf(out, ") leads to %s of %s; policies name that one", x->port, x->publisher->name);
}

/* Between containers, the port asked about is hardly the one meant. */
static void write_other(const struct explanation *x, FILE *out)
{
    _cleanup_(explanation_freep) struct explanation *inner = NULL;
    _cleanup_diags_ struct diags diags = {};
    _cleanup_free_ char *port = xasprintf("%u/%s", x->published->inner, transport_name(x->published->kind));

    if (explain(&x->with, x->from.container->id, x->publisher->id, port, &inner, &diags) < 0)
        return;
    fprintf(out, "port %u is the host's, and leads to %s of %s", x->published->outer, port,
            x->publisher->name);
    if (x->to.kind == PARTY_HOST)
        fputs(": the connection is the host's where docker-proxy\n      takes it, else one to that port",
              out);
    else
        fputs(": between containers, that port counts", out);
    fprintf(out, ", and it is %s\n      (see: cofferdam explain %s %s %s)",
            inner->verdict == VERDICT_DENY ? "denied" : "allowed", x->from.container->name,
            x->publisher->name, port);
}

static void write_proxied(const struct explanation *x, FILE *out)
{
    _cleanup_free_ char *port = xasprintf("%u/%s", x->published->inner, transport_name(x->published->kind));

    fprintf(out,
            "port %u of the host leads to %s of %s, which has no address of this family: docker-proxy\n"
            "      goes on to it, and its connections are the host's (see: cofferdam explain host %s %s)",
            x->published->outer, port, x->publisher->name, x->publisher->name, port);
}

/* The places of the host that lead to a container's port; returns how many others than loopback. */
static size_t write_places(const struct container *container, const struct port *port, FILE *out)
{
    const char *separator = "";
    size_t open = 0;

    for (size_t i = 0; i < container->n_published; i++) {
        const struct published_port *published = &container->published[i];

        if (published->kind != port->kind || published->inner != port->first)
            continue;
        fputs(separator, out);
        write_place(published, out);
        separator = ", ";
        open += !ip_is_loopback(published->address);
    }
    return open;
}

/* Not that Docker blocks it: by a route to the container's network, older ones let those outside in all the same. */
static void write_from_outside(const struct explanation *x, const struct port *port, FILE *out)
{
    const struct container *container = x->ways[0].to.container;
    bool published = is_inner(container, port);

    fprintf(out, "%s is %spublished", x->port, published ? "" : "not ");
    if (published) {
        fputs(" at ", out);
        if (write_places(container, port, out) > 0)
            return;
        fputs(" alone", out);
    }
    fputs(": no port of the host leads those outside to it; a route to the\n"
          "      container's network does, where Docker allows that (by default before Docker 28)",
          out);
}

static bool is_let_in_from_outside(const struct explanation *x)
{
    return x->n_ways > 0 && !x->any_port && x->verdict == VERDICT_ALLOW && !x->docker_blocks &&
           x->ways[0].from.kind == PARTY_OUTSIDE && x->ways[0].to.kind == PARTY_ENDPOINT &&
           x->ways[0].to.container->running;
}

static void write_note(const struct explanation *x, FILE *out)
{
    struct port port = {};
    const char *why;

    if (x->published && x->followed)
        write_followed(x, out);
    else if (x->published && x->from.kind == PARTY_OUTSIDE)
        write_proxied(x, out);
    else if (x->published && x->state != EXPLAIN_LOOPBACK && x->state != EXPLAIN_ITSELF)
        write_other(x, out);
    else if (is_let_in_from_outside(x) && port_parse(x->port, &port, &why) == 0 && port.kind != PORT_ICMP)
        write_from_outside(x, &port, out);
}

char *published_note(const struct explanation *x)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return NULL;
    write_note(x, out);
    fclose(out);
    if (len == 0) {
        free(text);
        return NULL;
    }
    return text;
}
