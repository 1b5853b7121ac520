/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/model.h"

#include <stdio.h>
#include <string.h>

#include "names.h"
#include "schema.h"

/* ---- releasing and copying ---------------------------------------------------------------------------- */

void selector_clear(struct selector *selector)
{
    free(selector->compose_project);
    free(selector->compose_service);
    free(selector->name);
    free(selector->image);
    free(selector->network);
    for (size_t i = 0; i < selector->n_labels; i++) {
        free(selector->labels[i].key);
        free(selector->labels[i].value);
    }
    free(selector->labels);
    *selector = (struct selector){0};
}

void peer_clear(struct peer *peer)
{
    selector_clear(&peer->selector);
    free(peer->same);
    free(peer->except);
    *peer = (struct peer){0};
}

static void peers_free(struct peer *peers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        peer_clear(&peers[i]);
    free(peers);
}

void rule_clear(struct rule *rule)
{
    free(rule->name);
    peers_free(rule->peers, rule->n_peers);
    free(rule->ports);
    *rule = (struct rule){0};
}

void policy_clear(struct policy *policy)
{
    for (int d = 0; d < DIRECTIONS; d++) {
        for (size_t i = 0; i < policy->n_rules[d]; i++)
            rule_clear(&policy->rules[d][i]);
        free(policy->rules[d]);
    }
    selector_clear(&policy->select);
    free(policy->name);
    free(policy->description);
    *policy = (struct policy){0};
}

void expect_clear(struct expect *expect)
{
    for (size_t i = 0; i < expect->n; i++) {
        peers_free(expect->v[i].from, expect->v[i].n_from);
        peers_free(expect->v[i].to, expect->v[i].n_to);
        free(expect->v[i].ports);
    }
    free(expect->v);
    free(expect->name);
    *expect = (struct expect){0};
}

void policy_files_free(struct policy_file *files, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(files[i].path);
        free(files[i].text);
    }
    free(files);
}

struct policy_set *policy_set_new(void)
{
    return xnew(struct policy_set);
}

struct policy_set *policy_set_free(struct policy_set *set)
{
    if (!set)
        return NULL;
    for (size_t i = 0; i < set->n_policies; i++)
        policy_clear(&set->policies[i]);
    for (size_t i = 0; i < set->n_expects; i++)
        expect_clear(&set->expects[i]);
    policy_files_free(set->files, set->n_files);
    seen_names_clear(&set->seen);
    free(set->policies);
    free(set->expects);
    free(set);
    return NULL;
}

struct selector selector_copy(const struct selector *selector)
{
    struct selector copy = *selector;

    copy.compose_project = xstrdup_null(selector->compose_project);
    copy.compose_service = xstrdup_null(selector->compose_service);
    copy.name = xstrdup_null(selector->name);
    copy.image = xstrdup_null(selector->image);
    copy.network = xstrdup_null(selector->network);
    copy.labels = NULL;
    copy.n_labels = 0;
    for (size_t i = 0; i < selector->n_labels; i++) {
        struct label_match *label = ARRAY_ADD(copy.labels, copy.n_labels);

        *label = selector->labels[i];
        label->key = xstrdup(selector->labels[i].key);
        label->value = xstrdup_null(selector->labels[i].value);
    }
    return copy;
}

/* ---- as text ------------------------------------------------------------------------------------------ */

/* Does YAML read this text as it stands, in brackets too? */
static bool is_plain(const char *text)
{
    size_t len = strlen(text);

    if (!len || strchr("-?:,[]{}#&*!|>'\"%@` ", text[0]) || text[len - 1] == ' ' || text[len - 1] == ':')
        return false;
    if (strcmp(text, "~") == 0 || strcasecmp(text, "null") == 0)
        return false;
    return !strpbrk(text, ",[]{}\n\t\\\"") && !strstr(text, ": ") && !strstr(text, " #");
}

/* Text as YAML wants it: in single quotes, those within doubled, where it cannot stand as it is. */
static void put_text(FILE *out, const char *text)
{
    if (is_plain(text)) {
        fputs(text, out);
        return;
    }
    fputc('\'', out);
    for (; *text; text++) {
        if (*text == '\'')
            fputc('\'', out);
        fputc(*text, out);
    }
    fputc('\'', out);
}

static void put_key(FILE *out, const char **separator, const char *key, const char *value)
{
    if (!value)
        return;
    fprintf(out, "%s%s: ", *separator, key);
    put_text(out, value);
    *separator = ", ";
}

static void put_labels(FILE *out, const char **separator, const struct selector *selector)
{
    if (!selector->n_labels)
        return;
    fprintf(out, "%slabels: {", *separator);
    for (size_t i = 0; i < selector->n_labels; i++) {
        const struct label_match *label = &selector->labels[i];

        fputs(i ? ", " : "", out);
        put_text(out, label->key);
        fputs(": ", out);
        if (label->value)
            put_text(out, label->value);
        else
            fputs("null", out);
    }
    fputc('}', out);
    *separator = ", ";
}

static void put_selector(FILE *out, const struct selector *selector)
{
    _cleanup_free_ char *compose = NULL;
    const char *separator = "";

    if (selector->compose_project)
        compose = xasprintf("%s%s%s", selector->compose_project, selector->compose_service ? "/" : "",
                            selector->compose_service ? selector->compose_service : "");
    put_key(out, &separator, "compose", compose);
    put_key(out, &separator, "name", selector->name);
    put_labels(out, &separator, selector);
    put_key(out, &separator, "image", selector->image);
    put_key(out, &separator, "network", selector->network);
    put_key(out, &separator, "all", selector->all ? "true" : NULL);
}

/* A stream into memory; out of memory ends the process, as everywhere (util/mem.h). */
static FILE *text_open(char **text, size_t *len)
{
    FILE *out = open_memstream(text, len);

    if (!out)
        abort();
    return out;
}

static void text_close(FILE *out)
{
    if (fclose(out) != 0)
        abort();
}

char *selector_text(const struct selector *selector)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = text_open(&text, &len);

    put_selector(out, selector);
    text_close(out);
    return text;
}

static void put_cidr(FILE *out, const struct peer *peer)
{
    char text[CIDR_TEXT_MAX];

    fprintf(out, "cidr: %s", cidr_format(&peer->cidr, text));
    for (size_t i = 0; i < peer->n_except; i++)
        fprintf(out, "%s%s", i ? ", " : " except ", cidr_format(&peer->except[i], text));
}

static void put_peer(FILE *out, const struct peer *peer)
{
    const char *separator = "";

    switch (peer->kind) {
    case PEER_SELECTOR:
        put_selector(out, &peer->selector);
        break;
    case PEER_SAME:
        put_key(out, &separator, "same", peer->same);
        break;
    case PEER_CIDR:
        put_cidr(out, peer);
        break;
    case PEER_ANY:
        fputs("any", out);
        break;
    case PEER_INTERNET:
        fputs("internet", out);
        break;
    case PEER_OUTSIDE:
        fputs("outside", out);
        break;
    case PEER_HOST:
        fputs("host", out);
        break;
    case PEER_CONTAINERS:
        fputs("containers", out);
        break;
    case PEER_DNS:
        fputs("dns", out);
        break;
    }
}

char *peer_text(const struct peer *peer)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = text_open(&text, &len);

    put_peer(out, peer);
    text_close(out);
    return text;
}

static char *transport_text(const struct port *port, const char *protocol)
{
    if (port->first == 0)
        return xstrdup(protocol);
    if (port->first == port->last)
        return xasprintf("%u/%s", port->first, protocol);
    return xasprintf("%u-%u/%s", port->first, port->last, protocol);
}

char *port_text(const struct port *port)
{
    switch (port->kind) {
    case PORT_TCP:
        return transport_text(port, "tcp");
    case PORT_UDP:
        return transport_text(port, "udp");
    case PORT_SCTP:
        return transport_text(port, "sctp");
    case PORT_ICMP:
        break;
    }
    return port->icmp_name ? xasprintf("icmp/%s", port->icmp_name) : xstrdup("icmp");
}

const char *direction_name(enum direction direction)
{
    return direction == INGRESS ? "ingress" : "egress";
}

char *rule_text(const struct policy *policy, enum direction direction, const struct rule *rule)
{
    if (rule->name)
        return xasprintf("%s %s %s", policy->name, direction_name(direction), rule->name);
    return xasprintf("%s %s %u", policy->name, direction_name(direction), rule->index);
}
