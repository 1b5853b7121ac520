/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A release, and the list of lockdowns, without the daemon. A release is in the file that the daemon takes over before
 * anything is let go: what cannot be recorded is not released. Only what the command's own tables cut can be let go now;
 * what the daemon's cut stays so until it is back.
 */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/alone.h"
#include "cli/cli.h"
#include "daemon/who.h"
#include "files/boot.h"
#include "files/lock_files.h"
#include "inventory/json.h"
#include "lockdown/inventory.h"
#include "lockdown/request.h"
#include "nft/lock_tables.h"
#include "nft/read.h"
#include "ruleset/lock_tables.h"
#include "util/fd.h"
#include "verdict/lock_json.h"
#include "verdict/lock_list.h"

#define ONLY_DAEMON "start it: systemctl start cofferdamd; then: cofferdam release --all"

struct release {
    const struct settings *settings;
    const char *why;
    struct inventory *inventory;
    struct lock_record record;
    struct lock_op op; /* what is asked for */
    struct lock_list *after;
    struct nft_socket *nft;
    enum alone_rules rules;
    struct lock_report report;
    json_t *released, *stay_cut;
    bool verified;
};

static void release_clear(struct release *release)
{
    inventory_free(release->inventory);
    lock_record_clear(&release->record);
    lock_op_clear(&release->op);
    lock_list_free(release->after);
    nft_socket_close(release->nft);
    lock_report_clear(&release->report);
    json_decref(release->released);
    json_decref(release->stay_cut);
}

static const char *absence_text(const char *why)
{
    return strcmp(why, "hung") == 0 ? "cofferdamd does not answer" : "cofferdamd does not run";
}

static json_t *only_root(const char *verb, const char *why, const char *what)
{
    _cleanup_free_ char *text =
        xasprintf("%s: %s, and without it only root can %s", verb, absence_text(why), what);

    return control_error(STATUS_ERROR, text, "try sudo", NULL);
}

/* ---- what is asked for -------------------------------------------------------------------------------- */

static struct lock_release what_ends(const struct release *release)
{
    return (struct lock_release){release->inventory, release->op.words, release->op.n_words,
                                 release->op.kind == LOCK_OP_RELEASE_ALL};
}

static bool names_one(const struct lock_list *list, const struct inventory *inventory, const char *word)
{
    for (size_t i = 0; i < list->n; i++)
        if (lock_is_named(list->v[i], inventory, word))
            return true;
    return false;
}

/* As the daemon: what a word names must be locked down, or nothing is done. */
static void check_word(const struct release *release, const char *word, struct lock_asked *asked)
{
    const struct container *container;
    struct lock_effect effect = {0};

    if (names_one(release->record.merged, release->inventory, word))
        return;
    if (inventory_find(release->inventory, word, &container) == 0)
        effect = lock_effect(release->record.merged, release->inventory, container);
    if (effect.first)
        lock_refuse(asked, STATUS_ERROR, "release that one: `cofferdam lockdown --list` shows them",
                    "release: %s is locked down as %s; nothing was done", word, lock_text(effect.first));
    else if (names_one(release->record.list, release->inventory, word) && release->rules != RULES_NONE)
        lock_refuse(
            asked, STATUS_ERROR, "start it: systemctl start cofferdamd",
            "release: %s is released on record already, and stays cut off until cofferdamd runs again", word);
    else
        lock_refuse(asked, STATUS_ERROR, "`cofferdam lockdown --list` shows what is",
                    "release: %s is not locked down; nothing was done", word);
}

/* Nobody knows what else is locked down then, and of what the tables hold whose it is. */
static void check_record(const struct release *release, struct lock_asked *asked)
{
    const struct lock_record *record = &release->record;
    int error = record->list_error ? record->list_error : record->pending_error;

    if (!lock_record_is_whole(record))
        lock_refuse(
            asked, STATUS_ERROR, ONLY_DAEMON,
            "release: the list of lockdowns in %s cannot be read in whole (%s), and only cofferdamd can "
            "release then; nothing was done",
            release->settings->state,
            error && error != -EBADMSG ? strerror(-error) : "a part of it is damaged");
    else if (lock_list_knows(record->merged, release->op.request))
        lock_refuse(asked, STATUS_ERROR, "`cofferdam status` tells what is locked down, once it answers",
                    "release: cofferdamd has it on record, and did not say in time that it is done");
}

static void read_request(struct release *release, const json_t *request, const char *id,
                         struct lock_asked *asked)
{
    const json_t *words = json_object_get(request, "containers"), *word;
    struct who who = who_of(getpid(), getuid());
    struct lock_op *op = &release->op;
    size_t i;

    op->kind = json_is_true(json_object_get(request, "all")) ? LOCK_OP_RELEASE_ALL : LOCK_OP_RELEASE;
    op->time = (uint64_t)time(NULL);
    op->by = who_line(&who);
    memcpy(op->request, id, LOCK_REQUEST_SIZE);
    who_clear(&who);
    check_record(release, asked);
    if (asked->error || !lock_request_has_list(asked, request, "release", "containers", LOCK_NAMES_MAX))
        return;
    json_array_foreach (words, i, word) {
        check_word(release, json_string_value(word), asked);
        *ARRAY_ADD(op->words, op->n_words) = xstrdup(json_string_value(word));
    }
}

/* ---- the kernel --------------------------------------------------------------------------------------- */

/* The tables without what is released; what stands in them and nobody knows whose it is stays. */
static struct ruleset *compile(struct release *release, const struct compile_options *log)
{
    bool rules_stand = release->rules == RULES_STAND;
    _cleanup_(lock_list_freep) struct lock_list *known =
        alone_with_bound(release->nft, release->record.merged, rules_stand);
    _cleanup_(lock_list_freep) struct lock_list *cut =
        alone_with_bound(release->nft, release->after, rules_stand);
    _cleanup_(ruleset_freep) struct ruleset *before = lock_tables_compile(known, release->inventory, log);
    struct ruleset *ruleset = lock_tables_compile(cut, release->inventory, log);
    _cleanup_nft_tables_ struct nft_tables tables = {0};

    if (nft_read_pair(release->nft, PAIR_LOCK, &tables) == 0 &&
        lock_tables_keep_unknown(ruleset, tables.ruleset, before) > 0)
        lock_report_fail(
            &release->report,
            "the tables " LOCK_TABLE_NAME " cut addresses or ports of which nobody knows whose they "
            "are: these stay cut off, and what of them cofferdamd finds a container for it locks down");
    return ruleset;
}

static int change_tables(struct release *release, struct diags *diags)
{
    const struct alone_cut cut = {release->after, release->inventory};
    const struct compile_options log = compile_options_of(release->settings);
    _cleanup_(ruleset_freep) struct ruleset *ruleset = compile(release, &log);
    int r;

    if (release->rules != RULES_STAND)
        alone_open_bridges(&release->report, &cut);
    r = lock_tables_apply(release->nft, ruleset, diags);
    if (r < 0 && log.log_group) { /* a kernel that cannot log */
        ruleset_free(ruleset);
        ruleset = compile(release, NULL);
        diags_clear(diags);
        r = lock_tables_apply(release->nft, ruleset, diags);
    }
    return r == 0 ? lock_tables_verify(release->nft, ruleset, diags) : r;
}

static int remove_tables(struct release *release, struct diags *diags)
{
    bool exist = false;
    int r = lock_tables_remove(release->nft, diags);

    if (r == 0)
        r = lock_tables_exist(release->nft, &exist);
    return r == 0 && exist ? -EBUSY : r;
}

static int change_kernel(struct release *release, struct diags *diags)
{
    bool exist = false;
    int r = lock_tables_exist(release->nft, &exist);

    if (r < 0 || !exist)
        return r;
    return release->after->n ? change_tables(release, diags) : remove_tables(release, diags);
}

/* ---- and the answer ----------------------------------------------------------------------------------- */

static bool has_text(const json_t *texts, const char *text)
{
    const json_t *item;
    size_t i;

    json_array_foreach (texts, i, item)
        if (strcmp(json_string_value(item) ?: "", text) == 0)
            return true;
    return false;
}

/* Into released goes what is not cut any more, into stay_cut what is all the same. */
static void sort_out(struct release *release, bool changed)
{
    const struct lock_list *list = release->record.merged;
    const struct lock_release what = what_ends(release);
    _cleanup_(lock_list_freep) struct lock_list *hold =
        lock_list_copy(release->record.list, lock_outlives, &what);

    release->released = json_array();
    release->stay_cut = release->rules == RULES_NONE
                            ? json_array()
                            : alone_stay_cut(&release->record, hold, release->why, &release->report);
    for (size_t i = 0; i < list->n; i++) {
        const char *text = lock_text(list->v[i]);

        if (!lock_outlives(list->v[i], &what) && !has_text(release->stay_cut, text))
            json_array_append_new(changed ? release->released : release->stay_cut, json_text_or_null(text));
    }
}

static void let_go(struct release *release)
{
    _cleanup_diags_ struct diags diags = {0};
    int r = change_kernel(release, &diags);

    if (r < 0)
        alone_report_diags(
            &release->report,
            "NOT RELEASED: the tables " LOCK_TABLE_NAME
            " could not be changed, or not be verified, and may still cut it: release it again once "
            "cofferdamd runs",
            &diags, r);
    release->verified = r == 0;
    sort_out(release, r == 0);
}

static json_t *answer_of(struct release *release)
{
    return control_answer(release->report.failed ? STATUS_ERROR : STATUS_OK,
                          json_pack("{s:s, s:O, s:O, s:b, s:b, s:o, s:s, s:b, s:O}", "format_version", "1.0",
                                    "released", release->released, "stay_cut", release->stay_cut, "saved",
                                    true, "verified", release->verified, "lockdowns",
                                    locks_to_json(release->after, release->inventory), "without_daemon",
                                    release->why, "rules_stand", release->rules == RULES_STAND, "problems",
                                    release->report.problems));
}

static void read_all(struct release *release)
{
    struct alone_cut cut = {0};
    int r;

    release->report = lock_report_new();
    release->inventory = alone_inventory(release->settings);
    lock_record_load(release->settings->state, release->inventory, &release->record);
    release->rules = alone_rules(release->nft);
    cut = (struct alone_cut){release->record.merged, release->inventory};
    r = lock_ask_links(release->inventory, alone_is_cut, &cut);
    if (r < 0)
        lock_report_fail(&release->report, "whose ports are whose cannot be asked: %s", strerror(-r));
}

static struct lock_list *what_goes_on(const struct release *release)
{
    const struct lock_release what = what_ends(release);
    _cleanup_(lock_list_freep) struct lock_list *left =
        lock_list_copy(release->record.merged, lock_outlives, &what);
    _cleanup_free_ char *boot = boot_id();

    return lock_list_copy(left, alone_still_holds, boot);
}

static json_t *run(struct release *release, const json_t *request, const char *id)
{
    struct lock_asked asked = {0};
    int r = nft_socket_open(&release->nft);

    if (r < 0)
        return control_error(STATUS_ERROR,
                             "release: the kernel's firewall cannot be opened; nothing was done",
                             strerror(-r), NULL);
    read_all(release);
    read_request(release, request, id, &asked);
    if (asked.error)
        return asked.error;
    release->after = what_goes_on(release);
    r = lock_pending_append(release->settings->state, &release->op);
    if (r < 0) {
        _cleanup_free_ char *text =
            xasprintf("release: this cannot be saved in %s (%s); nothing was released",
                      release->settings->state, strerror(-r));
        return control_error(STATUS_ERROR, text, "make room there, or let cofferdamd do it", NULL);
    }
    let_go(release);
    return answer_of(release);
}

json_t *release_alone(const struct settings *settings, const json_t *request, const char *id, const char *why)
{
    struct release release = {.settings = settings, .why = why};
    _cleanup_close_ int hold = -1;
    json_t *answer;
    int r;

    if (geteuid() != 0)
        return only_root("release", why, "release");
    r = lock_pending_hold(settings->state, ALONE_HOLD_MS, &hold);
    if (r < 0) {
        _cleanup_free_ char *text = xasprintf("release: %s in %s cannot be held (%s); nothing was released",
                                              LOCK_PENDING_LOCK, settings->state, strerror(-r));
        answer = control_error(STATUS_ERROR, text,
                               r == -EWOULDBLOCK ? "another command holds it: try again" : NULL, NULL);
    } else {
        answer = run(&release, request, id);
    }
    cli_audit(settings, "release", request, answer);
    release_clear(&release);
    return answer;
}

/* ---- the list ----------------------------------------------------------------------------------------- */

static void report_record(const struct lock_record *record, struct lock_report *report)
{
    int error = record->list_error ? record->list_error : record->pending_error;

    if (!lock_record_is_whole(record))
        lock_report_fail(report, "a part of the list cannot be read (%s): more may be locked down",
                         error && error != -EBADMSG ? strerror(-error) : "it is damaged");
}

static json_t *list(const struct settings *settings, struct nft_socket *nft, const char *why,
                    struct lock_report *report)
{
    _cleanup_(inventory_freep) struct inventory *inventory = alone_inventory(settings);
    _cleanup_lock_record_ struct lock_record record = {0};
    bool exist = false;
    json_t *stay_cut;
    int r;

    lock_record_load(settings->state, inventory, &record);
    report_record(&record, report);
    r = lock_tables_exist(nft, &exist);
    if (r < 0)
        lock_report_fail(report, "the kernel does not say whether the tables " LOCK_TABLE_NAME " stand: %s",
                         strerror(-r));
    stay_cut =
        alone_rules(nft) == RULES_NONE ? json_array() : alone_stay_cut(&record, record.merged, why, report);
    return control_answer(report->failed ? STATUS_ERROR : STATUS_OK,
                          json_pack("{s:s, s:o, s:o, s:o, s:s, s:O}", "format_version", "1.0", "lockdowns",
                                    locks_to_json(record.merged, inventory), "stay_cut", stay_cut,
                                    "lock_tables", json_text_or_null(exist ? absence_text(why) : NULL),
                                    "without_daemon", why, "problems", report->problems));
}

json_t *lockdown_list_alone(const struct settings *settings, const json_t *request, const char *id,
                            const char *why)
{
    _cleanup_(nft_socket_closep) struct nft_socket *nft = NULL;
    _cleanup_lock_report_ struct lock_report report = {0};
    int r;

    (void)request, (void)id;
    if (geteuid() != 0)
        return only_root("lockdown", why, "read the list");
    r = nft_socket_open(&nft);
    if (r < 0)
        return control_error(STATUS_ERROR, "lockdown: the kernel's firewall cannot be opened", strerror(-r),
                             NULL);
    report = lock_report_new();
    return list(settings, nft, why, &report);
}
