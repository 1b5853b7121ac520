// SPDX-License-Identifier: GPL-2.0-or-later
/* A learning and its proposal as JSON: packaging/schemas/learn.schema.json says what is in it. */
#include "inventory/json.h"
#include "learn/learn_state.h"
#include "propose.h"
#include "util/utc.h"

static json_t *time_json(uint64_t seconds)
{
    _cleanup_free_ char *text = utc_text(seconds);

    return seconds ? json_string(text) : json_null();
}

static uint64_t span(uint64_t from, uint64_t to)
{
    return to > from ? to - from : 0;
}

json_t *learning_summary_to_json(const struct learning *learning, uint64_t now)
{
    uint64_t end = learning->ended ? learning->ended : now;
    json_t *targets = json_array();

    for (size_t i = 0; i < learning->n_targets; i++)
        json_array_append_new(targets, json_text_or_null(lock_text(learning->targets[i])));
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I}", "targets", targets, "title",
        json_text_or_null(learning->title), "by", json_text_or_null(learning->by), "since",
        time_json(learning->since), "until", time_json(learning->until), "ended", time_json(learning->ended),
        "watched_seconds", (json_int_t)span(learning->since, end), "blind_seconds",
        (json_int_t)learning->blind, "nothing_new_seconds", (json_int_t)span(learning->new_at, end), "kinds",
        (json_int_t)HASH_COUNT(learning->observations), "left_out", (json_int_t)learning->left_out);
}

static json_t *texts_json(const struct proposal_texts *texts)
{
    return texts_to_json(texts->v, texts->n);
}

json_t *proposal_to_json(const struct proposal_context *context, const struct proposal *proposal)
{
    _cleanup_free_ char *coverage = proposal_coverage(proposal);
    const struct observation *o, *next;
    json_t *observations = json_array();

    HASH_ITER (hh, context->learning->observations, o, next) {
        json_array_append_new(observations, observation_to_json(o));
    }
    return json_pack("{s:o, s:o, s:I, s:o, s:I, s:I, s:I, s:o, s:o, s:I, s:o, s:o}", "learning",
                     learning_summary_to_json(context->learning, context->now), "policy",
                     json_text_or_null(proposal->text), "policies", (json_int_t)proposal->n_policies,
                     "coverage", json_text_or_null(coverage), "kinds", (json_int_t)proposal->kinds, "allowed",
                     (json_int_t)proposal->allowed, "held_back", (json_int_t)proposal->held, "reasons",
                     texts_json(&proposal->reasons), "not_seen", texts_json(&proposal->unseen),
                     "not_seen_more", (json_int_t)proposal->unseen.more, "not_watched",
                     texts_json(&proposal->others), "observations", observations);
}
