/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A lockdown without the daemon: straight to the kernel, by tables of its own, and into the file that the daemon takes over
 * when it is back. First the record and then the cut: what cannot be recorded is cut all the same.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/alone.h"
#include "cli/cli.h"
#include "daemon/who.h"
#include "docker/client.h"
#include "files/boot.h"
#include "files/lock_files.h"
#include "lockdown/flows.h"
#include "lockdown/inventory.h"
#include "lockdown/request.h"
#include "nft/lock_tables.h"
#include "nft/read.h"
#include "ruleset/lock_tables.h"
#include "util/fd.h"
#include "verdict/lock_list.h"

struct alone {
    const struct settings *settings;
    const json_t *request;
    const char *id; /* the request's */
    struct inventory *inventory;
    struct lock_asked asked;
    struct lock_list *recorded; /* all that is on record, also what is over */
    struct lock_list *locks;    /* all that hold, with those that are asked for */
    struct lock_list *cut;      /* the same, with ports and addresses that go together */
    struct nft_socket *nft;
    struct flow_socket *flows;
    struct lock_report report;
    struct lock_outcome outcome;
    struct cut_log log;
    bool rules_stand; /* the daemon's own tables do */
    uint64_t begun;
};

static void alone_clear(struct alone *alone)
{
    inventory_free(alone->inventory);
    lock_asked_clear(&alone->asked);
    lock_list_free(alone->recorded);
    lock_list_free(alone->locks);
    lock_list_free(alone->cut);
    nft_socket_close(alone->nft);
    flow_socket_close(alone->flows);
    lock_report_clear(&alone->report);
    cut_log_clear(&alone->log);
}

/* ---- what is known ------------------------------------------------------------------------------------ */

static void read_request(struct alone *alone)
{
    struct who who = who_of(getpid(), getuid());
    _cleanup_free_ char *by = who_line(&who);
    _cleanup_free_ char *boot = boot_id();
    const struct lock_asker asker = {
        .inventory = alone->inventory,
        .inventory_known = true,
        .nameless = true,
        .help = "cofferdamd does not say which there are, and neither it nor the Docker Engine has left that "
                "name; cut what it has with --address IP or --interface PORT",
        .by = by,
        .wall = (uint64_t)time(NULL),
        .boot = boot,
        .boot_now = boot_now()};

    lock_request_read(alone->request, &asker, &alone->asked);
    who_clear(&who);
}

/* What holds already has to go on holding in the tables, which say all of it: as much of it as can be read. */
static struct lock_list *read_locks(struct alone *alone)
{
    const char *state = alone->settings->state;
    _cleanup_lock_record_ struct lock_record record = {0};
    _cleanup_free_ char *boot = boot_id();

    lock_record_load(state, alone->inventory, &record);
    if (record.list_error)
        lock_report_fail(&alone->report,
                         "the list of lockdowns in %s cannot be read (%s): what it has is not cut", state,
                         strerror(-record.list_error));
    if (record.pending_error)
        lock_report_fail(&alone->report,
                         "what was locked down before without cofferdamd cannot be read from %s", state);
    alone->recorded = STEAL(record.merged);
    return lock_list_copy(alone->recorded, alone_still_holds, boot);
}

/* What is cut by its addresses alone may take another. */
static void report_portless(struct alone *alone, struct alone_cut *cut)
{
    for (const struct container *c = alone->inventory->containers; c; c = c->hh.next)
        for (size_t i = 0; alone_is_cut(c, cut) && i < c->n_endpoints; i++) {
            const struct network *network = inventory_network(alone->inventory, c->endpoints[i].network_id);

            if (c->endpoints[i].id && network && network->managed && !c->endpoints[i].port[0])
                lock_report_fail(
                    &alone->report,
                    "the port of %s at network %s cannot be found: it is cut by its addresses alone",
                    c->name ? c->name : c->id, network->name);
        }
}

/* ---- the kernel --------------------------------------------------------------------------------------- */

static int open_sockets(struct alone *alone)
{
    int r = nft_socket_open(&alone->nft);

    return r == 0 ? flow_socket_open(&alone->flows) : r;
}

static bool verify(struct alone *alone, const struct ruleset *ruleset)
{
    _cleanup_diags_ struct diags diags = {0};
    int r = lock_tables_verify(alone->nft, ruleset, &diags);

    if (r < 0)
        alone_report_diags(&alone->report, "this could not be verified", &diags, r);
    return r == 0;
}

static bool cut_flows(struct alone *alone)
{
    size_t left = 0;
    int r = lock_flows_cut(alone->flows, alone->cut, alone->inventory, &alone->log, &left);

    return lock_report_cut(&alone->report, r, left);
}

static bool save(struct alone *alone)
{
    struct lock_op op = {.kind = LOCK_OP_LOCK,
                         .time = (uint64_t)time(NULL),
                         .by = alone->asked.locks->n ? alone->asked.locks->v[0]->by : NULL,
                         .locks = alone->asked.locks};
    int r;

    memcpy(op.request, alone->id, LOCK_REQUEST_SIZE);
    r = lock_pending_append(alone->settings->state, &op);
    if (r < 0)
        lock_report_fail(
            &alone->report,
            "this cannot be saved in %s (%s): it holds now, and cofferdamd takes it over, in whole, when it is "
            "back; after a restart of the host before that it will not hold",
            alone->settings->state, strerror(-r));
    return r == 0;
}

/* What stands and cannot be read is replaced by what is known. */
static struct ruleset *compile(struct alone *alone, const struct compile_options *log)
{
    _cleanup_nft_tables_ struct nft_tables tables = {0};
    int r = nft_read_pair(alone->nft, PAIR_LOCK, &tables);
    struct ruleset *ruleset;

    if (r == 0)
        lock_list_add_standing(alone->cut, alone->recorded, tables.ruleset, alone->inventory,
                               (uint64_t)time(NULL));
    ruleset = lock_tables_compile(alone->cut, alone->inventory, log);
    if (r == 0)
        lock_tables_keep(ruleset, tables.ruleset, alone->inventory);
    return ruleset;
}

/* What stands now; NULL: nothing does. That a kernel cannot log keeps nobody connected. */
static struct ruleset *cut(struct alone *alone)
{
    const struct compile_options log = compile_options_of(alone->settings);
    _cleanup_(ruleset_freep) struct ruleset *ruleset = compile(alone, &log);
    _cleanup_diags_ struct diags diags = {0}, unlogged = {0};
    int r = lock_tables_apply(alone->nft, ruleset, &diags);

    if (r < 0 && log.log_group) {
        ruleset_free(ruleset);
        ruleset = compile(alone, NULL);
        r = lock_tables_apply(alone->nft, ruleset, &unlogged);
    }
    if (r < 0) {
        alone_report_diags(&alone->report, "NOT CUT OFF: the kernel refuses it", &diags, r);
        return NULL;
    }
    alone->outcome.took = boot_now() - alone->begun;
    return STEAL(ruleset);
}

static void do_it(struct alone *alone)
{
    const struct alone_cut cut_by = {alone->locks, alone->inventory};
    bool ended = false;

    if (!alone->rules_stand)
        alone_open_bridges(&alone->report, &cut_by);
    alone->outcome.saved = save(alone);
    _cleanup_(ruleset_freep) struct ruleset *standing = cut(alone);
    if (standing)
        ended = cut_flows(alone);
    alone->outcome.verified = standing && verify(alone, standing) && ended;
}

static void try_it(struct alone *alone)
{
    int r = lock_flows_find(alone->flows, alone->cut, alone->asked.locks, alone->inventory, &alone->log);

    if (r < 0)
        lock_report_fail(&alone->report, "the connections that are open cannot be read: %s", strerror(-r));
}

/* NULL: the Engine does not listen on a socket of this host. */
static char *engine_socket(const struct settings *settings)
{
    _cleanup_diags_ struct diags diags = {0};
    char *path = NULL;

    return docker_socket_path(settings->docker, getenv("DOCKER_HOST"), &path, &diags) == 0 ? path : NULL;
}

/* ---- the answer --------------------------------------------------------------------------------------- */

static json_t *answer_of(struct alone *alone, const char *why)
{
    json_t *result;

    alone->outcome.dry_run = alone->asked.dry_run;
    alone->outcome.more = alone->log.more;
    lock_report_flows(&alone->report, alone->inventory, &alone->log, (uint64_t)time(NULL));
    result = lock_report_result(&alone->report, &alone->outcome);
    json_object_set_new(result, "without_daemon", json_string(why));
    json_object_set_new(result, "rules_stand", json_boolean(alone->rules_stand));
    return control_answer(alone->report.failed ? STATUS_ERROR : STATUS_OK, result);
}

static json_t *run(struct alone *alone, const char *why)
{
    struct alone_cut cut_by = {0};
    int r = open_sockets(alone);

    if (r < 0)
        return control_error(STATUS_ERROR,
                             "lockdown: the kernel's firewall cannot be opened; nothing was done",
                             strerror(-r), NULL);
    alone->inventory = alone_inventory(alone->settings);
    cut_by.inventory = alone->inventory;
    (void)lock_ask_links(alone->inventory, alone_is_cut, &cut_by); /* the host's addresses, to begin with */
    read_request(alone);
    if (alone->asked.error)
        return alone->asked.error;
    alone->report = lock_report_new();
    _cleanup_(lock_list_freep) struct lock_list *before = read_locks(alone);
    alone->locks = lock_list_with(before, alone->asked.locks, alone->inventory);
    if (alone->locks->n > LOCKS_MAX)
        return control_error(STATUS_ERROR, "there are too many lockdowns already; nothing was done",
                             "one with a selector means many", NULL);
    cut_by.locks = alone->locks;
    r = lock_ask_links(alone->inventory, alone_is_cut, &cut_by);
    if (r < 0)
        lock_report_fail(&alone->report, "whose ports are whose cannot be asked: %s", strerror(-r));
    report_portless(alone, &cut_by);
    alone->rules_stand = alone_rules(alone->nft) == RULES_STAND;
    alone->cut = alone_with_bound(alone->nft, alone->locks, alone->rules_stand);
    _cleanup_free_ char *engine = engine_socket(alone->settings);
    lock_report_containers(&alone->report, alone->inventory, alone->asked.locks, engine);
    if (alone->asked.dry_run)
        try_it(alone);
    else
        do_it(alone);
    return answer_of(alone, why);
}

json_t *lockdown_alone(const struct settings *settings, const json_t *request, const char *id,
                       const char *why)
{
    struct alone alone = {.settings = settings, .request = request, .id = id, .begun = boot_now()};
    _cleanup_close_ int hold = -1;
    json_t *answer;

    if (geteuid() != 0)
        return control_error(STATUS_ERROR,
                             "lockdown: cofferdamd does not answer, and without it only root can cut",
                             "try sudo", NULL);
    /* On a disk that is full nothing can be held, nor written by another. */
    (void)lock_pending_hold(settings->state, ALONE_HOLD_MS, &hold);
    answer = run(&alone, why);
    if (!alone.asked.dry_run)
        cli_audit(settings, "lockdown", request, answer);
    alone_clear(&alone);
    return answer;
}
