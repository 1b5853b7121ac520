// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/plan.h"

#include <netinet/in.h>
#include <sha2.h>
#include <stdio.h>
#include <string.h>

#include "brain_private.h"
#include "control/protocol.h"
#include "inventory/json.h"
#include "policy/compare.h"
#include "ruleset/compare.h"
#include "ruleset/print.h"
#include "verdict/expect.h"
#include "verdict/flow.h"
#include "verdict/lint.h"

#define LINES_MAX 100000 /* of rules; with the flows below they stay under CONTROL_MESSAGE_MAX */
#define FLOWS_MAX 50000

struct plan {
    const struct brain *brain;
    struct evaluation old, new;
    struct ruleset *kernel;
    struct compiler *compiler;
    struct delta delta;
    struct flow_judge *old_judge, *new_judge; /* made when the first flow is told of */
    struct flow *cut;
    size_t n_cut, n_more;
};

const char *plan_impossible(const struct brain *brain)
{
    if (brain->torn_down)
        return "the rules were removed";
    if (!brain->inventory_known)
        return "the containers are not known yet: the Docker Engine has not answered since cofferdamd started";
    /* Until then it is not said who is live. */
    if (brain->hold || !brain->loaded)
        return "the rules are not in force yet: see `cofferdam status`, and try again";
    return NULL;
}

struct plan *plan_new(const struct brain *brain, const struct policy_set *policies, struct ruleset *kernel)
{
    struct plan *plan = xnew(struct plan);

    plan->brain = brain;
    plan->old = (struct evaluation){brain->policies, brain->inventory, brain->settings};
    plan->new = (struct evaluation){policies, brain->inventory, brain->settings};
    plan->kernel = kernel;
    plan->compiler = compiler_new(policies, &brain->options);
    brain_compile_all(brain, plan->compiler);
    delta_between(kernel, compiler_ruleset(plan->compiler), &plan->delta);
    return plan;
}

struct plan *plan_free(struct plan *plan)
{
    if (!plan)
        return NULL;
    delta_clear(&plan->delta);
    compiler_free(plan->compiler);
    ruleset_free(plan->kernel);
    flow_judge_free(plan->old_judge);
    flow_judge_free(plan->new_judge);
    free(plan->cut);
    free(plan);
    return NULL;
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

/* ---- live connections --------------------------------------------------------------------------------- */

void plan_add_flow(struct plan *plan, const struct flow *flow)
{
    plan->old_judge = plan->old_judge ?: flow_judge_new(&plan->old);
    plan->new_judge = plan->new_judge ?: flow_judge_new(&plan->new);
    if (flow_judge(plan->new_judge, flow) != FLOW_DENIED || flow_judge(plan->old_judge, flow) == FLOW_DENIED)
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

static json_t *end_to_json(const struct plan *plan, struct ip ip)
{
    const struct inventory *inventory = plan->brain->inventory;
    const struct container *container;
    const struct endpoint *endpoint;
    char text[IP_TEXT_MAX];

    if (inventory_owner(inventory, ip, &container, &endpoint))
        return json_text_or_null(container->name);
    return json_string(is_host(inventory, ip) ? "host" : ip_format(ip, text));
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

static json_t *flow_to_json(const struct plan *plan, const struct flow *flow)
{
    char from[IP_TEXT_MAX], to[IP_TEXT_MAX];

    return json_pack("{s:o, s:s, s:i, s:o, s:s, s:o, s:o}", "from", end_to_json(plan, flow->original.source),
                     "from_address", ip_format(flow->original.source, from), "from_port",
                     (int)flow->original.source_port, "to", end_to_json(plan, flow->reply.source),
                     "to_address", ip_format(flow->reply.source, to), "port", port_to_json(flow), "via",
                     via_to_json(flow));
}

static json_t *flows_to_json(const struct plan *plan, bool known)
{
    json_t *list = json_array();

    for (size_t i = 0; i < plan->n_cut; i++)
        json_array_append_new(list, flow_to_json(plan, &plan->cut[i]));
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
    return json_pack("{s:I, s:b, s:b, s:o, s:I}", "operations", (json_int_t)delta_count(&plan->delta),
                     "replaced", replaces(&plan->delta), "validated", facts->validation == 0, "lines",
                     facts->lines ? lines_to_json(differences) : json_null(), "more",
                     facts->lines ? (json_int_t)differences->n_more : 0);
}

/* ---- problems ----------------------------------------------------------------------------------------- */

/* About no place in a file. */
static void copy_messages(const struct diags *from, struct diags *to)
{
    for (size_t i = 0; from && i < from->n; i++) {
        const struct diag *diag = &from->v[i];
        struct diag *copy = diag_add(to, diag->level, diag->code, NULL, "%s", diag->message);

        if (diag->help)
            diag_help(copy, "%s", diag->help);
    }
}

static void test(const struct plan *plan, struct diags *problems)
{
    struct expect_result result;

    inventory_lint(&plan->new, problems);
    expect_test(&plan->new, &result);
    expect_report(&plan->new, &result, problems);
    expect_result_clear(&result);
}

static bool is_selected(const struct plan *plan, const struct container *container)
{
    struct selection selection = {0};
    bool all = true;

    for (size_t i = 0; i < container->n_endpoints && all; i++) {
        policies_selecting(&plan->new, container, &container->endpoints[i], &selection);
        all = selection.n > 0;
        free(STEAL(selection.v));
    }
    return all;
}

static void report_containers(const struct plan *plan, struct diags *problems)
{
    const struct inventory *inventory = plan->brain->inventory;
    size_t n_free = 0;

    for (const struct container *c = inventory->containers; c; c = c->hh.next) {
        _cleanup_free_ char *why = c->running ? container_unenforced_reason(inventory, c) : NULL;

        if (why)
            diag_add(problems, DIAG_WARNING, NULL, NULL, "%s is not enforced: it %s", c->name, why);
        else if (c->running && !is_selected(plan, c))
            n_free++;
    }
    if (plan->brain->settings->default_mode == MODE_AUDIT && n_free)
        diag_add(
            problems, DIAG_WARNING, NULL, NULL,
            "default_mode is audit: %zu running container%s that no enforcing policy selects %s not restricted",
            n_free, n_free == 1 ? "" : "s", n_free == 1 ? "is" : "are");
}

static void find_problems(const struct plan *plan, const struct plan_facts *facts, struct diags *problems)
{
    test(plan, problems);
    copy_messages(compiler_problems(plan->compiler), problems);
    report_containers(plan, problems);
    if (facts->flows_error < 0)
        diag_add(problems, DIAG_WARNING, NULL, NULL, "the open connections cannot be looked at: %s",
                 strerror(-facts->flows_error));
    if (facts->validation == 0)
        return;
    diag_add(problems, DIAG_ERROR, NULL, NULL, "the kernel would refuse this change: %s",
             strerror(facts->validation < 0 ? -facts->validation : facts->validation));
    copy_messages(facts->validations, problems);
}

/* Those of the files first, which the caller has. */
static json_t *problems_to_json(const struct diags *problems, const struct plan_facts *facts)
{
    json_t *list = facts->warnings ? diags_to_json(facts->warnings) : json_array(),
           *more = diags_to_json(problems);

    json_array_extend(list, more);
    json_decref(more);
    return list;
}

/* ---- plan_id ------------------------------------------------------------------------------------------ */

typedef char digest[SHA256_DIGEST_STRING_LENGTH];

static void digest_of(const void *bytes, size_t len, digest ret)
{
    SHA256Data(bytes, len, ret);
}

static int compare_digests(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* The same files under other names, or in another order, are the same set. */
static void digest_policies(const struct policy_set *set, digest ret)
{
    digest *files = xcalloc(set->n_files + 1, sizeof(*files));

    for (size_t i = 0; i < set->n_files; i++)
        digest_of((const uint8_t *)set->files[i].text, set->files[i].len, files[i]);
    qsort(files, set->n_files, sizeof(*files), compare_digests);
    digest_of(files, set->n_files * sizeof(*files), ret);
    free(files);
}

static void digest_inventory(const struct inventory *inventory, digest ret)
{
    json_t *json = inventory_to_json(inventory);
    _cleanup_free_ char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);

    digest_of(text ?: "", text ? strlen(text) : 0, ret);
    json_decref(json);
}

static void digest_kernel(const struct ruleset *kernel, digest ret)
{
    _cleanup_free_ char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        abort(); /* out of memory */
    ruleset_print(kernel, out);
    for (size_t i = 0; i < TABLES; i++) {
        const struct table *table = &kernel->tables[i];

        fprintf(out, "%d %d\n", table->absent, table->standby);
        for (size_t j = 0; j < table->n_odd; j++)
            fprintf(out, "%s\n", table->odd[j]);
    }
    if (fclose(out) != 0)
        abort();
    digest_of(text, len, ret);
}

static void identify(const struct plan *plan, digest ret)
{
    digest parts[4];

    digest_policies(plan->old.policies, parts[0]);
    digest_policies(plan->new.policies, parts[1]);
    digest_inventory(plan->brain->inventory, parts[2]);
    digest_kernel(plan->kernel, parts[3]);
    digest_of(parts, sizeof(parts), ret);
}

/* ---- all of it ---------------------------------------------------------------------------------------- */

static json_t *summarise(const struct plan *plan, const struct policy_changes *policies,
                         const struct differences *rules, const struct diags *problems,
                         const struct plan_facts *facts)
{
    size_t n_warnings = problems->n - problems->n_errors + (facts->warnings ? facts->warnings->n : 0);

    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "policies_added",
                     (json_int_t)policies->n_of[POLICY_ADDED], "policies_changed",
                     (json_int_t)policies->n_of[POLICY_CHANGED], "policies_removed",
                     (json_int_t)policies->n_of[POLICY_REMOVED], "policies_same",
                     (json_int_t)policies->n_same, "live_connections_cut",
                     (json_int_t)(plan->n_cut + plan->n_more), "rules_added",
                     (json_int_t)rules->n_of[DIFFERENCE_MISSING], "rules_removed",
                     (json_int_t)rules->n_of[DIFFERENCE_FOREIGN], "rules_reordered",
                     (json_int_t)rules->n_of[DIFFERENCE_DIFFERENT], "errors", (json_int_t)problems->n_errors,
                     "warnings", (json_int_t)n_warnings);
}

json_t *plan_to_json(struct plan *plan, const struct plan_facts *facts, int *ret_exit)
{
    _cleanup_policy_changes_ struct policy_changes policies = {0};
    _cleanup_differences_ struct differences rules = {0};
    _cleanup_diags_ struct diags problems = {0};
    digest id;

    policy_sets_compare(plan->old.policies, plan->new.policies, &policies);
    ruleset_diff(plan->kernel, compiler_ruleset(plan->compiler), facts->lines ? LINES_MAX : 0, &rules);
    find_problems(plan, facts, &problems);
    sort_flows(plan);
    identify(plan, id);

    bool changes = policies.n > 0 || delta_count(&plan->delta) > 0 || plan->n_cut > 0;
    *ret_exit = problems.n_errors ? STATUS_ERROR : changes ? STATUS_CHANGES : STATUS_OK;
    return json_pack("{s:b, s:s, s:o, s:o, s:o, s:o, s:o}", "changes", changes, "plan_id", id, "summary",
                     summarise(plan, &policies, &rules, &problems, facts), "policies",
                     policies_to_json(&policies), "live_connections",
                     flows_to_json(plan, facts->flows_error == 0), "rules",
                     rules_to_json(plan, &rules, facts), "problems", problems_to_json(&problems, facts));
}
