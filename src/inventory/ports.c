/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ports of a container. */
#include <stdio.h>
#include <string.h>

#include "inventory/inventory.h"

static int compare(const struct container_port *a, const struct container_port *b)
{
    return a->kind != b->kind ? (a->kind > b->kind) - (a->kind < b->kind)
                              : (a->number > b->number) - (a->number < b->number);
}

/* Where it is, or would have to stand. */
static size_t place_of(const struct container_ports *ports, const struct container_port *port)
{
    size_t low = 0, high = ports->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare(&ports->v[middle], port) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool container_ports_have(const struct container_ports *ports, enum port_kind kind, uint16_t number)
{
    const struct container_port port = {kind, number};
    size_t place = place_of(ports, &port);

    return place < ports->n && compare(&ports->v[place], &port) == 0;
}

void container_ports_add(struct container_ports *ports, enum port_kind kind, uint16_t number)
{
    const struct container_port port = {kind, number};
    size_t place = place_of(ports, &port), after = ports->n - place;

    if (container_ports_have(ports, kind, number))
        return;
    (void)ARRAY_ADD(ports->v, ports->n);
    memmove(&ports->v[place + 1], &ports->v[place], after * sizeof(*ports->v));
    ports->v[place] = port;
}

bool container_ports_equal(const struct container_ports *a, const struct container_ports *b)
{
    bool equal = a->n == b->n;

    for (size_t i = 0; equal && i < a->n; i++)
        equal = compare(&a->v[i], &b->v[i]) == 0;
    return equal;
}

void container_ports_clear(struct container_ports *ports)
{
    free(ports->v);
    *ports = (struct container_ports){0};
}

const char *container_port_format(const struct container_port *port,
                                  char text[static CONTAINER_PORT_TEXT_MAX])
{
    snprintf(text, CONTAINER_PORT_TEXT_MAX, "%u/%s", port->number, transport_name(port->kind));
    return text;
}

bool container_port_parse(const char *text, struct container_port *ret)
{
    size_t digits = strspn(text, "0123456789");
    unsigned long number = digits > 0 && digits <= 5 ? strtoul(text, NULL, 10) : 0;

    if (number < 1 || number > 65535 || text[digits] != '/' ||
        !transport_parse(text + digits + 1, &ret->kind))
        return false;
    ret->number = (uint16_t)number;
    return true;
}
