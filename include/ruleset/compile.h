/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The compiler: policies and endpoints in, ruleset and deltas out. Pure.
 *
 * It holds the policy set, the managed bridges and ports, and the live endpoints; from them it keeps the
 * ruleset that the kernel should hold, and for each change it returns the delta that leads there. Loading
 * everything and adding one endpoint at a time give the same ruleset.
 *
 * Words: a *class* is a set of endpoints to which exactly the same rules apply; each class has one chain per
 * direction (and one each for traffic with the host), named after the policies and their content, so that a
 * chain never changes once it stands. A *peer set* holds the live addresses that one distinct selector means;
 * rules share it.
 */
#pragma once

#include "inventory/inventory.h"
#include "policy/model.h"
#include "policy/settings.h"
#include "ruleset/delta.h"
#include "ruleset/ruleset.h"

struct compiler;
struct lock_list;

struct compile_options {
    enum policy_mode default_mode;
    enum unknown_endpoints unknown_endpoints;
    /* One bit of the packet mark, for frames between two ports of a bridge that the inet rules have seen. Those without
     * it are dropped in the bridge table. */
    uint32_t mark;
    /* What is denied goes to this group of NFLOG's, at most so many connections a second of one source; 0: nothing does. */
    uint16_t log_group;
    uint32_t log_rate;
};

/* As the host's settings have them. */
struct compile_options compile_options_of(const struct settings *settings);

/* The policies are borrowed and must outlive the compiler. */
struct compiler *compiler_new(const struct policy_set *policies, const struct compile_options *options);
struct compiler *compiler_free(struct compiler *compiler);
DEFINE_CLEANUP(struct compiler *, compiler_free);

/* The ruleset as it should now be; owned by the compiler and changed by the functions below. */
const struct ruleset *compiler_ruleset(const struct compiler *compiler);

/* Each of these adds to *delta what follows from the change (delta may be NULL: only the ruleset changes). */

/* A managed bridge appears or goes. A name known already, or not known, is no error and no change. */
void compiler_add_bridge(struct compiler *compiler, const char *bridge, struct delta *delta);
void compiler_drop_bridge(struct compiler *compiler, const char *bridge, struct delta *delta);

/* An interface becomes or ceases to be a port of a managed bridge: from then on only bound addresses pass it.
 */
void compiler_add_port(struct compiler *compiler, const char *port, struct delta *delta);
void compiler_drop_port(struct compiler *compiler, const char *port, struct delta *delta);

/*
 * An endpoint of a running container on a managed network is live, or something about it (name, port,
 * address) changed: called again with the same container and network it replaces what was known. Nothing is
 * kept of the arguments. An address that another endpoint held passes to this one. inventory is used for name
 * servers.
 */
void compiler_set_endpoint(struct compiler *compiler, const struct inventory *inventory,
                           const struct container *container, const struct endpoint *endpoint,
                           struct delta *delta);
void compiler_drop_endpoint(struct compiler *compiler, const char *container_id, const char *network_id,
                            struct delta *delta);
/* Makes the class chains and peer sets that the endpoint would need, so that its start adds only elements. */
void compiler_prepare_endpoint(struct compiler *compiler, const struct inventory *inventory,
                               const struct container *container, const struct endpoint *endpoint,
                               struct delta *delta);

/*
 * The lockdowns that hold from now on, borrowed (NULL: none) until this is called again or the compiler goes. They count
 * for an endpoint from the next compiler_set_endpoint() on: call that for all that a lock of the old or the new list
 * means.
 */
void compiler_set_locks(struct compiler *compiler, const struct lock_list *locks);

/*
 * All of the above for a whole inventory: managed bridges, ports of endpoints, live endpoints, classes of
 * containers that do not run. Ports of managed bridges that belong to no endpoint must be added one by one.
 */
void compiler_load(struct compiler *compiler, const struct inventory *inventory);

/* Does it take this interface for a port of a managed bridge? */
bool ruleset_has_port(const struct ruleset *ruleset, const char *name);

/* Does it have this address for a locked container's? */
bool ruleset_has_locked(const struct ruleset *ruleset, struct ip ip);

/* The live addresses of one ruleset that are not bound to the same port and MAC in both: how many, and the list, which
 * the caller frees. Where the other's bindings are not there, or not as ours are made, that is all of them. */
size_t ruleset_unlike_addresses(const struct ruleset *is, const struct ruleset *like, struct ip **ret);

/* Problems of the policies themselves that only compiling shows (a class with too many rules). */
struct diags;
const struct diags *compiler_problems(const struct compiler *compiler);
