// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "plan_private.h"
#include "verdict/expect.h"
#include "verdict/lint.h"

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
    const struct inventory *inventory = plan->new.inventory;
    size_t n_free = 0;

    for (const struct container *c = inventory->containers; c; c = c->hh.next) {
        _cleanup_free_ char *why = c->running ? container_unenforced_reason(inventory, c) : NULL;

        if (why)
            diag_add(problems, DIAG_WARNING, NULL, NULL, "%s is not enforced: %s", c->name, why);
        else if (c->running && !is_selected(plan, c))
            n_free++;
    }
    if (plan->new.settings->default_mode == MODE_AUDIT && n_free)
        diag_add(
            problems, DIAG_WARNING, NULL, NULL,
            "default_mode is audit: %zu running container%s that no enforcing policy selects %s not restricted",
            n_free, n_free == 1 ? "" : "s", n_free == 1 ? "is" : "are");
}

/* The words of `cofferdam release`, as a shell takes them. */
static char *release_word(const struct lock *lock)
{
    const char *text = lock_text(lock);

    return xasprintf(lock->select_text ? "'%s'" : "%s", text);
}

/* Expectations and mistakes are about policies, and are told of all the same. */
static void report_lock(const struct lock *lock, struct diags *problems)
{
    _cleanup_free_ char *word = release_word(lock), *limits = lock_limits_text(lock->cut, lock);
    const char *whom = lock->cut != CUT_BOTH ? "these" : lock->select_text ? "them" : "it";

    diag_add(problems, DIAG_WARNING, NULL, NULL,
             "%s is locked down%s: what the policies say of %s does not apply until `cofferdam release %s`",
             lock_text(lock), limits, whom, word);
}

static void report_locks(const struct plan *plan, struct diags *problems)
{
    const struct lock_list *locks = plan->new.locks;

    for (size_t i = 0; locks && i < locks->n; i++)
        report_lock(locks->v[i], problems);
}

void plan_problems(const struct plan *plan, const struct plan_facts *facts, struct diags *problems)
{
    if (facts->warnings)
        diags_move(problems, facts->warnings);
    test(plan, problems);
    copy_messages(compiler_problems(plan->compiler), problems);
    report_containers(plan, problems);
    report_locks(plan, problems);
    if (facts->flows_error < 0)
        diag_add(problems, DIAG_WARNING, NULL, NULL, "the open connections cannot be looked at: %s",
                 strerror(-facts->flows_error));
    if (facts->validation == 0)
        return;
    diag_add(problems, DIAG_ERROR, NULL, NULL, "the kernel would refuse this change: %s",
             strerror(facts->validation < 0 ? -facts->validation : facts->validation));
    copy_messages(facts->validations, problems);
}
