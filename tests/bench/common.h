/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A simulated host, and what measuring takes; shared by the benchmarks. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "inventory/inventory.h"
#include "policy/model.h"
#include "util/diag.h"

#define SERVICES 50 /* two policies each */
#define NETWORKS 10

uint64_t now_ns(void);
/* Of the processor, for this process. */
uint64_t busy_ns(void);
double median(double *values, size_t n);
/* Ends the process; r is a negative errno, diags may be NULL. */
void die(const char *what, int r, const struct diags *diags);
/* The processor, the kernel, and how busy the machine is. */
void print_machine(void);

struct policy_set *make_policies(void);
/* n containers of the services in turn; dual: with IPv6 too. */
struct inventory *make_inventory(size_t n, bool dual);
/*
 * Gives all of a thousand containers other labels, 100 projects of ten, and returns 100 policies, of which each names the
 * ten of the next project one by one: no two are alike to the rules. What it grants besides is on this port.
 */
struct policy_set *make_strangers(struct inventory *inventory, const char *port);
struct policy_set *parse_policies(const char *text);
