/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ports as they are written in `ports:`. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "policy/parse.h"
#include "schema.h"

#define PORT_LAST 65535

const char *const protocol_words[] = {"tcp", "udp", "sctp", NULL}; /* in the order of enum port_kind */

/*
 * ICMP types by the names that nft(8) has for them, where a name means the same in both families or is known
 * in one only. Neighbour discovery and router advertisements are left out: the first always passes, the
 * second never does.
 */
static const struct icmp_type {
    const char *name;
    int icmp4, icmp6;
} icmp_types[] = {
    {"echo-request", 8, 128},          {"echo-reply", 0, 129},
    {"destination-unreachable", 3, 1}, {"packet-too-big", -1, 2},
    {"time-exceeded", 11, 3},          {"parameter-problem", 12, 4},
    {"source-quench", 4, -1},          {"redirect", 5, -1},
    {"timestamp-request", 13, -1},     {"timestamp-reply", 14, -1},
    {"info-request", 15, -1},          {"info-reply", 16, -1},
    {"address-mask-request", 17, -1},  {"address-mask-reply", 18, -1},
    {"mld-listener-query", -1, 130},   {"mld-listener-report", -1, 131},
    {"mld-listener-done", -1, 132},    {"mld2-listener-report", -1, 143},
};

static const char *const fixed_types[] = {
    "nd-router-solicit", "nd-router-advert",     "nd-neighbor-solicit", "nd-neighbor-advert",
    "nd-redirect",       "router-advertisement", "router-solicitation", NULL,
};

const char *icmp_type_name(size_t index)
{
    return index < ARRAY_SIZE(icmp_types) ? icmp_types[index].name : NULL;
}

static int fail(struct port_error *error, enum policy_code code, const char *why)
{
    error->code = code;
    error->why = why;
    return -EINVAL;
}

__attribute__((format(printf, 2, 3))) static void meant(struct port_error *error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(error->meant, sizeof(error->meant), format, args);
    va_end(args);
}

static int find_word(const char *const *words, const char *text, size_t len)
{
    for (int i = 0; words[i]; i++)
        if (strlen(words[i]) == len && strncasecmp(words[i], text, len) == 0)
            return i;
    return -1;
}

/* ---- ICMP --------------------------------------------------------------------------------------------- */

static void suggest_icmp(const char *name, struct port_error *error)
{
    const char *names[ARRAY_SIZE(icmp_types) + 1] = {0}, *nearest;

    for (size_t i = 0; i < ARRAY_SIZE(icmp_types); i++)
        names[i] = icmp_types[i].name;
    nearest =
        strcmp(name, "ping") == 0 || strcmp(name, "echo") == 0 ? "echo-request" : nearest_word(name, names);
    for (size_t i = 0; i < ARRAY_SIZE(icmp_types); i++) {
        char number[16];

        snprintf(number, sizeof(number), "%d", icmp_types[i].icmp4);
        if (!nearest && icmp_types[i].icmp4 >= 0 && strcmp(name, number) == 0)
            nearest = icmp_types[i].name;
    }
    if (nearest)
        meant(error, "icmp/%s", nearest);
}

static int parse_icmp(const char *name, struct port *ret, struct port_error *error)
{
    struct port port = {.kind = PORT_ICMP, .icmp4_type = -1, .icmp6_type = -1};

    if (!name) {
        *ret = port;
        return 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(icmp_types); i++) {
        if (strcmp(icmp_types[i].name, name) != 0)
            continue;
        port.icmp_name = icmp_types[i].name;
        port.icmp4_type = icmp_types[i].icmp4;
        port.icmp6_type = icmp_types[i].icmp6;
        *ret = port;
        return 0;
    }
    if (find_word(fixed_types, name, strlen(name)) >= 0)
        return fail(error, CODE_ICMP,
                    "no rule decides about this type: neighbour discovery always passes, router "
                    "advertisements from a container never do");
    suggest_icmp(name, error);
    return fail(error, CODE_ICMP, "unknown ICMP type");
}

/* ---- numbers ------------------------------------------------------------------------------------------ */

static int parse_number(const char *text, size_t len, uint16_t *ret, struct port_error *error)
{
    unsigned long value = 0;

    if (!len || strspn(text, "0123456789") < len)
        return fail(error, CODE_PORT, "a port is a number, or a range such as 9000-9010");
    if (text[0] == '0' && len > 1)
        return fail(error, CODE_PORT, "a port is a decimal number without leading zeros");
    for (size_t i = 0; i < len && value <= PORT_LAST; i++)
        value = value * 10 + (unsigned long)(text[i] - '0');
    if (!value || value > PORT_LAST)
        return fail(error, CODE_PORT_RANGE, "a port number is from 1 to 65535");
    *ret = (uint16_t)value;
    return 0;
}

static int parse_numbers(const char *text, size_t len, struct port *port, struct port_error *error)
{
    const char *dash = memchr(text, '-', len);
    size_t first_len = dash ? (size_t)(dash - text) : len;
    int r;

    r = parse_number(text, first_len, &port->first, error);
    if (r < 0)
        return r;
    port->last = port->first;
    if (!dash)
        return 0;
    r = parse_number(dash + 1, len - first_len - 1, &port->last, error);
    if (r < 0)
        return r;
    if (port->first > port->last) {
        meant(error, "%u-%u/%s", port->last, port->first, protocol_words[port->kind]);
        return fail(error, CODE_PORT_ORDER, "the range runs backwards");
    }
    return 0;
}

/* ---- the whole ---------------------------------------------------------------------------------------- */

static bool is_numeric(const char *text, size_t len)
{
    return len && strspn(text, "0123456789-") >= len;
}

/* Text without a slash: a protocol that stands alone. */
static int parse_alone(const char *text, struct port *ret, struct port_error *error)
{
    static const char *const every[] = {"any", "all", "*", NULL};
    static const char *const icmps[] = {"icmpv6", "icmp6", "icmpv4", "ping", NULL};
    size_t len = strlen(text);

    for (unsigned i = 0; protocol_words[i]; i++) {
        if (strcmp(text, protocol_words[i]) != 0)
            continue;
        *ret =
            (struct port){.kind = (enum port_kind)i, .last = PORT_LAST, .icmp4_type = -1, .icmp6_type = -1};
        return 0;
    }
    if (find_word(every, text, len) >= 0)
        return fail(error, CODE_PORT, "leave 'ports' out for every protocol and port");
    if (find_word(icmps, text, len) >= 0) {
        meant(error, "icmp");
        return fail(error, CODE_PORT, "'icmp' stands for ICMP and ICMPv6");
    }
    if (is_numeric(text, len) && len < 12) {
        meant(error, "%s/tcp", text);
        return fail(error, CODE_PORT, "a port needs its protocol: tcp, udp or sctp");
    }
    return fail(error, CODE_PORT,
                "write a port and a protocol such as 5432/tcp, or a protocol: tcp, udp, sctp, icmp");
}

static int refuse_protocol(const char *text, const char *slash, struct port_error *error)
{
    size_t len = (size_t)(slash - text);
    int swapped = find_word(protocol_words, text, len),
        known = find_word(protocol_words, slash + 1, strlen(slash + 1));

    if (known >= 0 && len < 16)
        meant(error, "%.*s/%s", (int)len, text, protocol_words[known]);
    else if (swapped >= 0 && is_numeric(slash + 1, strlen(slash + 1)) && strlen(slash + 1) < 16)
        meant(error, "%s/%s", slash + 1, protocol_words[swapped]);
    else if (strcasecmp(slash + 1, "icmp") == 0 && len < 32 && !is_numeric(text, len))
        meant(error, "icmp/%.*s", (int)len, text);
    return fail(error, CODE_PORT, "the protocol behind the slash must be tcp, udp or sctp, in small letters");
}

int port_parse_full(const char *text, struct port *ret, struct port_error *ret_error)
{
    struct port port = {.icmp4_type = -1, .icmp6_type = -1};
    const char *slash = strchr(text, '/');
    int r, kind = -1;

    *ret_error = (struct port_error){0};
    if (strcmp(text, "icmp") == 0)
        return parse_icmp(NULL, ret, ret_error);
    if (!slash)
        return parse_alone(text, ret, ret_error);
    if (strncmp(text, "icmp/", 5) == 0)
        return parse_icmp(slash + 1, ret, ret_error);
    for (int i = 0; protocol_words[i]; i++)
        if (strcmp(slash + 1, protocol_words[i]) == 0)
            kind = i;
    if (kind < 0)
        return refuse_protocol(text, slash, ret_error);
    port.kind = (enum port_kind)kind;
    r = parse_numbers(text, (size_t)(slash - text), &port, ret_error);
    if (r < 0)
        return r;
    *ret = port;
    return 0;
}

int port_parse(const char *text, struct port *ret, const char **ret_why)
{
    struct port_error error;
    int r = port_parse_full(text, ret, &error);

    if (r < 0)
        *ret_why = error.why;
    return r;
}

bool port_covers(const struct port *a, const struct port *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == PORT_ICMP)
        return !a->icmp_name || (b->icmp_name && strcmp(a->icmp_name, b->icmp_name) == 0);
    return a->first <= b->first && a->last >= b->last;
}

void import_port(struct import *import, const struct node *node, struct port **ports, size_t *n)
{
    const char *text = import_text(import, "a port", node, SCALAR_MAX);
    struct port_error error;
    char shown[SHOWN_MAX];
    struct diag *diag;
    struct port port;

    if (!text)
        return;
    if (port_parse_full(text, &port, &error) == 0) {
        *ARRAY_ADD(*ports, *n) = port;
        return;
    }
    diag = report_node(import, error.code, node, "bad port '%s': %s", text_shown(text, shown), error.why);
    if (*error.meant)
        diag_help(diag, "did you mean '%s'?", error.meant);
}
