// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * learn-case <CASE: a learning's records in, its proposal out. The case is {"inventory", "containers": [NAME], "select":
 * [TEXT], "taken": TEXT | null (a policy file whose names are taken), "since", "now": N, "ended": BOOL, "records": [{"at": N,
 * "final": BOOL, "record": RECORD}], "update": {"path", "text"} (optional)}; the answer {"text", "document", "state_is_the_same": BOOL}.
 */
#include <stdio.h>
#include <string.h>

#include "inventory/json.h"
#include "learn/learn_state.h"
#include "learn/propose.h"
#include "policy/parse.h"

static struct policy_set *read_taken(const char *text)
{
    struct policy_set *set = policy_set_new();
    _cleanup_diags_ struct diags diags = {0};

    if (text)
        policy_parse(set, "taken", text, strlen(text), &diags);
    policy_set_finish(set, &diags);
    diags_print(&diags, stderr, false);
    return set;
}

static void add_targets(struct learning *learning, const json_t *asked, const struct inventory *inventory)
{
    const struct container *container;
    const json_t *item;
    const char *why;
    size_t i;

    json_array_foreach (json_object_get(asked, "containers"), i, item) {
        struct lock *lock = lock_new();

        if (inventory_find(inventory, json_string_value(item), &container) < 0)
            exit(1);
        lock_name(lock, container);
        learning_add(learning, lock);
    }
    json_array_foreach (json_object_get(asked, "select"), i, item) {
        struct lock *lock = lock_new();

        if (lock_select(lock, json_string_value(item), &why) < 0)
            exit(1);
        learning_add(learning, lock);
    }
    learning_settle(learning);
}

static void add_records(struct learning *learning, const json_t *records, const struct inventory *inventory)
{
    const json_t *item;
    size_t i;

    json_array_foreach (records, i, item)
        learning_record(learning, json_object_get(item, "record"),
                        json_is_true(json_object_get(item, "final")), inventory,
                        (uint64_t)json_integer_value(json_object_get(item, "at")));
}

/* What is written and read again is the same, and so is what is proposed of it. */
static bool survives(const struct learnings *list, const struct proposal_context *context, const char *text)
{
    _cleanup_(learnings_freep) struct learnings *again = NULL;
    _cleanup_free_ char *state = learn_state_format(list, context->now), *copy = NULL;

    if (learn_state_parse(state, strlen(state), context->now, &again) < 0)
        return false;
    copy = learn_state_format(again, context->now);
    struct proposal_context other = *context;
    other.learning = again->v[0];
    _cleanup_(proposal_freep) struct proposal *proposal = proposal_new(&other);
    return strcmp(copy, state) == 0 && strcmp(proposal->text, text) == 0;
}

static void add_update(const struct proposal_context *context, const json_t *file, json_t *document)
{
    const char *text = json_string_value(json_object_get(file, "text"));
    struct learn_update update = {0};
    _cleanup_diags_ struct diags diags = {0};

    if (text && learning_update(context, json_string_value(json_object_get(file, "path")), text, strlen(text),
                                &update, &diags) == 0)
        json_object_set_new(document, "update", learn_update_to_json(&update));
    diags_print(&diags, stderr, false);
    learn_update_clear(&update);
}

int main(void)
{
    json_t *asked = json_loadf(stdin, 0, NULL);
    _cleanup_(inventory_freep) struct inventory *inventory = NULL;
    _cleanup_(learnings_freep) struct learnings *list = learnings_new();
    _cleanup_(policy_set_freep) struct policy_set *taken =
        read_taken(json_string_value(json_object_get(asked, "taken")));
    struct learning *learning = learning_new();
    _cleanup_diags_ struct diags diags = {0};
    uint64_t now = (uint64_t)json_integer_value(json_object_get(asked, "now"));

    if (inventory_from_json(json_object_get(asked, "inventory"), &inventory, &diags) < 0) {
        diags_print(&diags, stderr, false);
        return 1;
    }
    learnings_add(list, learning);
    learning->since = learning->new_at = (uint64_t)json_integer_value(json_object_get(asked, "since"));
    learning->by = xstrdup("root");
    add_targets(learning, asked, inventory);
    add_records(learning, json_object_get(asked, "records"), inventory);
    if (json_is_true(json_object_get(asked, "ended")))
        learning->ended = now;

    const struct proposal_context context = {
        .learning = learning, .inventory = inventory, .taken = taken, .now = now};
    _cleanup_(proposal_freep) struct proposal *proposal = proposal_new(&context);
    json_t *document = proposal_to_json(&context, proposal);
    add_update(&context, json_object_get(asked, "update"), document);
    json_t *answer = json_pack("{s:s, s:o, s:b}", "text", proposal->text, "document", document,
                               "state_is_the_same", survives(list, &context, proposal->text));
    json_dumpf(answer, stdout, 0);
    json_decref(answer);
    json_decref(asked);
    return 0;
}
