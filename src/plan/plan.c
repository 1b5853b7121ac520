// SPDX-License-Identifier: GPL-2.0-or-later
#include "plan/plan.h"

#include <netinet/in.h>
#include <string.h>

#include "control/protocol.h"
#include "inventory/json.h"
#include "plan_private.h"
#include "policy/compare.h"
#include "ruleset/compare.h"
#include "verdict/changes.h"
#include "verdict/changes_json.h"

#define LINES_MAX 100000 /* of rules; with the flows below they stay under CONTROL_MESSAGE_MAX */
#define FLOWS_MAX 20000  /* listed: a JSON object of one takes a kilobyte */

static struct plan *make(const struct evaluation *old, const struct evaluation *new,
                         const struct ruleset *kernel, struct compiler *compiler)
{
    struct plan *plan = xnew(struct plan);

    plan->old = *old;
    plan->new = *new;
    plan->kernel = kernel;
    plan->compiler = compiler;
    delta_between(kernel, compiler_ruleset(compiler), &plan->delta);
    return plan;
}

struct plan *plan_between(const struct evaluation *old, const struct evaluation *new, struct ruleset *kernel,
                          struct compiler *compiler)
{
    struct plan *plan = make(old, new, kernel, compiler);

    plan->read = kernel;
    plan->basis = plan_basis_new(old->policies, new->policies, new->inventory, kernel);
    return plan;
}

static struct compiler *compile(const struct evaluation *with)
{
    const struct compile_options options = compile_options_of(with->settings);
    struct compiler *compiler = compiler_new(with->policies, &options);

    compiler_set_locks(compiler, with->locks);
    compiler_load(compiler, with->inventory);
    return compiler;
}

struct plan *plan_offline(const struct evaluation *old, const struct evaluation *new)
{
    struct compiler *base = compile(old);
    struct plan *plan = make(old, new, compiler_ruleset(base), compile(new));

    plan->base = base;
    return plan;
}

struct plan *plan_free(struct plan *plan)
{
    if (!plan)
        return NULL;
    delta_clear(&plan->delta);
    plan_basis_free(plan->basis);
    compiler_free(plan->compiler);
    compiler_free(plan->base);
    ruleset_free(plan->read);
    flow_judge_free(plan->old_judge);
    flow_judge_free(plan->new_judge);
    free(plan->locked);
    free(plan->cut);
    free(plan);
    return NULL;
}

struct plan_basis *plan_take_basis(struct plan *plan)
{
    return STEAL(plan->basis);
}

const struct delta *plan_delta(const struct plan *plan)
{
    return &plan->delta;
}

static json_t *pack_place(const struct source_pos *pos)
{
    return json_pack("{s:o, s:I}", "file", json_text_or_null(pos->file), "line", (json_int_t)pos->line);
}

/* ---- policies ----------------------------------------------------------------------------------------- */

static json_t *mode_of(const struct policy *policy)
{
    return json_text_or_null(!policy ? NULL : policy->mode == MODE_AUDIT ? "audit" : "enforce");
}

static json_t *change_to_json(const struct policy_change *change)
{
    const struct policy *from = change->from, *to = change->to;

    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "name", to ? to->name : from->name, "change",
                     policy_change_name(change->kind), "mode", mode_of(to), "old_mode", mode_of(from),
                     "place", to ? pack_place(&to->pos) : json_null(), "old_place",
                     from ? pack_place(&from->pos) : json_null());
}

static json_t *policies_to_json(const struct policy_changes *changes)
{
    json_t *list = json_array();

    for (size_t i = 0; i < changes->n; i++)
        json_array_append_new(list, change_to_json(&changes->v[i]));
    return list;
}

/* ---- connections -------------------------------------------------------------------------------------- */

static size_t count_connections(const struct changes *changes, enum verdict verdict)
{
    size_t n = 0;

    for (size_t i = 0; i < changes->n; i++)
        n += !changes->v[i].docker_blocks && changes->v[i].verdict == verdict;
    return n;
}

static json_t *held_to_json(const struct changes *changes)
{
    json_t *names = json_array();

    for (size_t i = 0; i < changes->n_held; i++)
        json_array_append_new(names, json_text_or_null(changes->held[i]->name ?: changes->held[i]->id));
    return names;
}

static json_t *connections_text(const struct changes *changes, bool full)
{
    _cleanup_free_ char *text = changes_text(changes, full);

    return json_text_or_null(text);
}

/* ---- live connections --------------------------------------------------------------------------------- */

/* What a lockdown cuts is not open any more, and what its exceptions let pass stays, whatever the policies say. */
static bool is_held(const struct plan *plan, const struct flow *flow)
{
    return plan->n_locked && flow_touches(flow, plan->locked, plan->n_locked) &&
           lock_flow_fate(plan->new.locks, plan->new.inventory, flow) != LOCK_SILENT;
}

static void start_judging(struct plan *plan)
{
    if (plan->new_judge)
        return;
    plan->old_judge = flow_judge_new(&plan->old);
    plan->new_judge = flow_judge_new(&plan->new);
    plan->n_locked = lock_addresses(plan->new.locks, plan->new.inventory, &plan->locked);
}

void plan_add_flow(struct plan *plan, const struct flow *flow)
{
    start_judging(plan);
    if (is_held(plan, flow) || flow_judge(plan->new_judge, flow) != FLOW_DENIED ||
        flow_judge(plan->old_judge, flow) == FLOW_DENIED)
        return;
    if (plan->n_cut < FLOWS_MAX)
        *ARRAY_ADD(plan->cut, plan->n_cut) = *flow;
    else
        plan->n_more++;
}

static int compare_flows(const void *a, const void *b)
{
    const struct flow *x = a, *y = b;
    int order = ip_compare(&x->original.source, &y->original.source);

    order = order ?: ip_compare(&x->reply.source, &y->reply.source);
    order = order ?: x->proto - y->proto;
    order = order ?: x->reply.source_port - y->reply.source_port;
    order = order ?: x->original.source_port - y->original.source_port;
    order = order ?: x->icmp_id - y->icmp_id;
    return order ?: (x->id > y->id) - (x->id < y->id);
}

static void sort_flows(struct plan *plan)
{
    size_t kept = 0;

    if (plan->n_cut)
        qsort(plan->cut, plan->n_cut, sizeof(*plan->cut), compare_flows);
    for (size_t i = 0; i < plan->n_cut; i++)
        if (kept == 0 || compare_flows(&plan->cut[kept - 1], &plan->cut[i]) != 0)
            plan->cut[kept++] = plan->cut[i];
    plan->n_cut = kept;
}

static bool is_host(const struct inventory *inventory, struct ip ip)
{
    for (size_t i = 0; i < inventory->n_host_addresses; i++)
        if (ip_equal(inventory->host_addresses[i], ip))
            return true;
    return false;
}

static json_t *name_of(const struct plan *plan, struct ip ip)
{
    const struct inventory *inventory = plan->new.inventory;
    const struct container *container;
    const struct endpoint *endpoint;
    char text[IP_TEXT_MAX];

    if (inventory_owner(inventory, ip, &container, &endpoint))
        return json_text_or_null(container->name);
    return json_string(is_host(inventory, ip) ? "host" : ip_format(ip, text));
}

/* Flows are sorted: the one before mostly had the same end. */
struct named_end {
    struct ip ip;
    json_t *name; /* NULL: none yet */
};

static json_t *end_to_json(const struct plan *plan, struct ip ip, struct named_end *last)
{
    if (!last->name || !ip_equal(last->ip, ip)) {
        json_decref(last->name);
        *last = (struct named_end){ip, name_of(plan, ip)};
    }
    return json_incref(last->name);
}

static json_t *port_to_json(const struct flow *flow)
{
    static const struct {
        uint8_t proto;
        const char *name;
    } names[] = {{IPPROTO_TCP, "tcp"},
                 {IPPROTO_UDP, "udp"},
                 {IPPROTO_SCTP, "sctp"},
                 {IPPROTO_ICMP, "icmp"},
                 {IPPROTO_ICMPV6, "icmp"}};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (names[i].proto != flow->proto)
            continue;
        return flow->has_ports ? json_sprintf("%u/%s", flow->reply.source_port, names[i].name)
                               : json_string(names[i].name);
    }
    return json_sprintf("protocol %u", flow->proto);
}

static json_t *via_to_json(const struct flow *flow)
{
    const struct flow_tuple *original = &flow->original, *reply = &flow->reply;
    bool v6 = flow->family == IP6;
    char text[IP_TEXT_MAX];

    if (ip_equal(original->destination, reply->source) && original->destination_port == reply->source_port)
        return json_null();
    ip_format(original->destination, text);
    return flow->has_ports
               ? json_sprintf(v6 ? "[%s]:%u" : "%s:%u", text, (unsigned)original->destination_port)
               : json_string(text);
}

static json_t *flow_to_json(const struct plan *plan, const struct flow *flow, struct named_end ends[2])
{
    char from[IP_TEXT_MAX], to[IP_TEXT_MAX];

    return json_pack("{s:o, s:s, s:i, s:o, s:s, s:o, s:o}", "from",
                     end_to_json(plan, flow->original.source, &ends[0]), "from_address",
                     ip_format(flow->original.source, from), "from_port", (int)flow->original.source_port,
                     "to", end_to_json(plan, flow->reply.source, &ends[1]), "to_address",
                     ip_format(flow->reply.source, to), "port", port_to_json(flow), "via", via_to_json(flow));
}

static json_t *flows_to_json(const struct plan *plan, bool known)
{
    struct named_end ends[2] = {0};
    json_t *list = json_array();

    for (size_t i = 0; i < plan->n_cut; i++)
        json_array_append_new(list, flow_to_json(plan, &plan->cut[i], ends));
    json_decref(ends[0].name);
    json_decref(ends[1].name);
    return json_pack("{s:b, s:o, s:I}", "known", known, "cut", list, "more", (json_int_t)plan->n_more);
}

/* ---- rules -------------------------------------------------------------------------------------------- */

static const char *sign_of(enum difference_what what)
{
    switch (what) {
    case DIFFERENCE_MISSING:
        return "+";
    case DIFFERENCE_FOREIGN:
        return "-";
    case DIFFERENCE_DIFFERENT:
        return "~";
    }
    return "?";
}

static json_t *lines_to_json(const struct differences *differences)
{
    json_t *list = json_array();

    for (size_t i = 0; i < differences->n; i++) {
        const struct difference *difference = &differences->v[i];
        _cleanup_free_ char *table = xasprintf("%s " TABLE_NAME, table_family_name(difference->table));

        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s, s:o, s:o}", "change", sign_of(difference->what),
                                        "table", table, "kind", difference_kind_name(difference->kind),
                                        "name", json_text_or_null(difference->name), "text",
                                        json_text_or_null(difference->text)));
    }
    return list;
}

static bool replaces(const struct delta *delta)
{
    for (size_t phase = 0; phase < PHASES; phase++)
        for (size_t i = 0; i < delta->phases[phase].n; i++)
            if (delta->phases[phase].v[i].kind == OP_ADD_TABLE)
                return true;
    return false;
}

static json_t *rules_to_json(const struct plan *plan, const struct differences *differences,
                             const struct plan_facts *facts)
{
    return json_pack("{s:I, s:b, s:o, s:o, s:I}", "operations", (json_int_t)delta_count(&plan->delta),
                     "replaced", replaces(&plan->delta), "validated",
                     plan->base ? json_null() : json_boolean(facts->validation == 0), "lines",
                     facts->lines ? lines_to_json(differences) : json_null(), "more",
                     facts->lines ? (json_int_t)differences->n_more : 0);
}

/* ---- all of it ---------------------------------------------------------------------------------------- */

/* What was found, before it is told. */
struct findings {
    struct policy_changes policies;
    struct changes *connections;
    struct differences rules;
    struct diags problems;
};

static void find(struct plan *plan, const struct plan_facts *facts, struct findings *ret)
{
    *ret = (struct findings){.connections = changes_find(&plan->old, &plan->new)};
    policy_sets_compare(plan->old.policies, plan->new.policies, &ret->policies);
    ruleset_diff(plan->kernel, compiler_ruleset(plan->compiler), facts->lines ? LINES_MAX : 0, &ret->rules);
    plan_problems(plan, facts, &ret->problems);
    sort_flows(plan);
}

static void findings_clear(struct findings *found)
{
    policy_changes_clear(&found->policies);
    changes_free(found->connections);
    differences_clear(&found->rules);
    diags_clear(&found->problems);
}

static json_t *summarise(const struct plan *plan, const struct findings *found)
{
    const struct {
        const char *key;
        size_t n;
    } numbers[] = {
        {"policies_added", found->policies.n_of[POLICY_ADDED]},
        {"policies_changed", found->policies.n_of[POLICY_CHANGED]},
        {"policies_removed", found->policies.n_of[POLICY_REMOVED]},
        {"policies_same", found->policies.n_same},
        {"connections_allowed", count_connections(found->connections, VERDICT_ALLOW)},
        {"connections_denied", count_connections(found->connections, VERDICT_DENY)},
        {"containers_held", found->connections->n_held},
        {"live_connections_cut", plan->n_cut + plan->n_more},
        {"rules_added", found->rules.n_of[DIFFERENCE_MISSING]},
        {"rules_removed", found->rules.n_of[DIFFERENCE_FOREIGN]},
        {"rules_reordered", found->rules.n_of[DIFFERENCE_DIFFERENT]},
        {"errors", found->problems.n_errors},
        {"warnings", found->problems.n - found->problems.n_errors},
    };
    json_t *object = json_object();

    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        json_object_set_new(object, numbers[i].key, json_integer((json_int_t)numbers[i].n));
    return object;
}

static bool has_changes(const struct plan *plan, const struct findings *found)
{
    return found->policies.n || found->connections->n || plan->n_cut || delta_count(&plan->delta);
}

json_t *plan_to_json(struct plan *plan, const struct plan_facts *facts, int *ret_exit)
{
    _cleanup_(findings_clear) struct findings found;

    find(plan, facts, &found);
    bool changes = has_changes(plan, &found);
    *ret_exit = found.problems.n_errors ? STATUS_ERROR : changes ? STATUS_CHANGES : STATUS_OK;
    json_t *result =
        json_pack("{s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "changes", changes, "plan_id",
                  json_text_or_null(plan->basis ? plan_basis_id(plan->basis) : NULL), "summary",
                  summarise(plan, &found), "policies", policies_to_json(&found.policies), "connections",
                  changes_to_json(found.connections), "connections_text",
                  connections_text(found.connections, facts->full), "held", held_to_json(found.connections),
                  "live_connections", flows_to_json(plan, !plan->base && facts->flows_error == 0), "rules",
                  rules_to_json(plan, &found.rules, facts), "problems", diags_to_json(&found.problems));
    if (facts->recorded)
        json_object_set_new(result, "recorded", plan_recorded(&plan->old, &plan->new, facts->recorded));
    return result;
}

json_t *plan_connections(const struct evaluation *old, const struct evaluation *new)
{
    _cleanup_(changes_freep) struct changes *changes = changes_find(old, new);

    return json_pack("{s:o, s:o}", "connections", changes_to_json(changes), "connections_text",
                     connections_text(changes, false));
}
