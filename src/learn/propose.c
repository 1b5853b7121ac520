// SPDX-License-Identifier: GPL-2.0-or-later
/* From observations to policies: the text. What it comes to is found out by check.c. */
#include "propose.h"

#include <stdio.h>
#include <string.h>

#include "policy/scalar.h"
#include "util/duration.h"
#include "util/utc.h"

void texts_add(struct proposal_texts *texts, char *text /* taken */)
{
    for (size_t i = 0; i < texts->n; i++)
        if (strcmp(texts->v[i], text) == 0) {
            free(text);
            return;
        }
    if (texts->n >= PROPOSAL_UNSEEN_MAX) {
        texts->more++;
        free(text);
    } else {
        *ARRAY_ADD(texts->v, texts->n) = text;
    }
}

void texts_clear(struct proposal_texts *texts)
{
    for (size_t i = 0; i < texts->n; i++)
        free(texts->v[i]);
    free(texts->v);
}

struct proposal *proposal_free(struct proposal *proposal)
{
    if (!proposal)
        return NULL;
    free(proposal->text);
    texts_clear(&proposal->unseen);
    texts_clear(&proposal->reasons);
    texts_clear(&proposal->others);
    free(proposal);
    return NULL;
}

/* ---- subjects, and their rules ------------------------------------------------------------------------ */

static struct subject *find_subject(struct draft *draft, const struct learn_who *who)
{
    for (size_t i = 0; i < draft->n; i++)
        if (learn_who_equal(&draft->v[i].who, who))
            return &draft->v[i];
    struct subject *subject = ARRAY_ADD(draft->v, draft->n);
    subject->who = learn_who_copy(who);
    return subject;
}

/* What has the same peer, and the same against it, is one rule. */
static struct draft_rule *find_rule(struct subject *subject, const struct observation *o)
{
    const char *danger = observation_danger(o);

    for (size_t i = 0; i < subject->n; i++) {
        struct draft_rule *rule = &subject->v[i];

        if (rule->direction == o->direction && rule->danger == danger &&
            learn_who_equal(&rule->v[0]->peer, &o->peer))
            return rule;
    }
    struct draft_rule *rule = ARRAY_ADD(subject->v, subject->n);
    rule->direction = o->direction;
    rule->danger = danger;
    return rule;
}

static int compare_ports(const void *a, const void *b)
{
    const struct observation *x = *(const struct observation *const *)a;
    const struct observation *y = *(const struct observation *const *)b;

    return x->proto != y->proto ? (int)x->proto - (int)y->proto : (int)x->first_port - (int)y->first_port;
}

/* Those held back last; by who the peer is, as people write it. */
static int compare_rules(const void *a, const void *b)
{
    const struct draft_rule *x = a, *y = b;
    const struct learn_who *p = &x->v[0]->peer, *q = &y->v[0]->peer;
    int r;

    if (x->direction != y->direction)
        return (int)x->direction - (int)y->direction;
    if (!x->danger != !y->danger)
        return x->danger ? 1 : -1;
    if (p->kind != q->kind)
        return (int)p->kind - (int)q->kind;
    r = strcmp(p->first ? p->first : "", q->first ? q->first : "");
    if (r == 0)
        r = strcmp(p->second ? p->second : "", q->second ? q->second : "");
    return r != 0 ? r : strcmp(x->danger ? x->danger : "", y->danger ? y->danger : "");
}

static int compare_subjects(const void *a, const void *b)
{
    const struct subject *x = a, *y = b;
    _cleanup_free_ char *p = learn_who_yaml(&x->who), *q = learn_who_yaml(&y->who);

    return strcmp(p, q);
}

static void sort(struct draft *draft)
{
    if (draft->n > 0)
        qsort(draft->v, draft->n, sizeof(*draft->v), compare_subjects);
    for (size_t i = 0; i < draft->n; i++) {
        struct subject *subject = &draft->v[i];

        for (size_t j = 0; j < subject->n; j++)
            qsort(subject->v[j].v, subject->v[j].n, sizeof(*subject->v[j].v), compare_ports);
        if (subject->n > 0)
            qsort(subject->v, subject->n, sizeof(*subject->v), compare_rules);
    }
}

/* Of whom nothing was seen needs a policy as well: it says so. */
static void add_silent(struct draft *draft, const struct proposal_context *context)
{
    const struct container *container, *next;

    HASH_ITER (hh, context->inventory->containers, container, next) {
        if (!learning_means(context->learning, container))
            continue;
        struct learn_who who = learn_who_of(context->learning, container, context->inventory);
        find_subject(draft, &who);
        learn_who_clear(&who);
    }
}

/* filter NULL: all, and those of whom nothing was seen. */
static struct draft *draft_new(const struct proposal_context *context, observation_filter filter,
                               const void *userdata)
{
    struct draft *draft = xnew(struct draft);
    const struct observation *o, *next;

    HASH_ITER (hh, context->learning->observations, o, next) {
        if (filter && !filter(o, userdata))
            continue;
        struct draft_rule *rule = find_rule(find_subject(draft, &o->subject), o);

        *ARRAY_ADD(rule->v, rule->n) = o;
    }
    if (!filter)
        add_silent(draft, context);
    sort(draft);
    return draft;
}

static struct draft *draft_free(struct draft *draft)
{
    for (size_t i = 0; i < draft->n; i++) {
        struct subject *subject = &draft->v[i];

        for (size_t j = 0; j < subject->n; j++)
            free(subject->v[j].v);
        free(subject->v);
        learn_who_clear(&subject->who);
        free(subject->name);
    }
    free(draft->v);
    free(draft);
    return NULL;
}
DEFINE_CLEANUP(struct draft *, draft_free);

/* ---- names -------------------------------------------------------------------------------------------- */

static bool has_policy(const struct policy_set *set, const char *name)
{
    for (size_t i = 0; set && i < set->n_policies; i++)
        if (strcmp(set->policies[i].name, name) == 0)
            return true;
    return false;
}

static bool is_taken(const struct proposal_context *context, const struct draft *draft, const char *name)
{
    if (has_policy(context->taken, name) || has_policy(context->also_taken, name))
        return true;
    for (size_t i = 0; i < draft->n; i++)
        if (draft->v[i].name && strcmp(draft->v[i].name, name) == 0)
            return true;
    return false;
}

/* What a policy's name may look like, of any text. */
static char *name_like(const char *text)
{
    char base[40] = "";
    size_t len = 0;

    for (const char *c = text; *c && len < sizeof(base) - 1; c++) {
        char low = *c >= 'A' && *c <= 'Z' ? (char)(*c + 'a' - 'A') : *c;
        bool word = (low >= 'a' && low <= 'z') || (low >= '0' && low <= '9');

        if (word || (len > 0 && base[len - 1] != '-'))
            base[len++] = word ? low : '-';
    }
    while (len > 0 && base[len - 1] == '-')
        base[--len] = '\0';
    return xstrdup(len ? base : "learned");
}

static void set_names(const struct proposal_context *context, struct draft *draft)
{
    for (size_t i = 0; i < draft->n; i++) {
        struct subject *subject = &draft->v[i];
        _cleanup_free_ char *text = learn_who_text(&subject->who), *base = name_like(text);
        char *name = xstrdup(base);

        for (unsigned n = 1; is_taken(context, draft, name); n++) {
            free(name);
            name = n == 1 ? xasprintf("%s-learned", base) : xasprintf("%s-learned-%u", base, n);
        }
        subject->name = name;
    }
}

/* ---- the text ----------------------------------------------------------------------------------------- */

static char *count_text(const struct draft_rule *rule)
{
    unsigned long long allowed = 0, denied = 0;

    for (size_t i = 0; i < rule->n; i++) {
        allowed += rule->v[i]->allowed;
        denied += rule->v[i]->denied;
    }
    if (allowed == 0)
        return xasprintf("denied until now: %llu packet%s", denied, denied == 1 ? "" : "s");
    if (denied == 0)
        return xasprintf("%llu connection%s", allowed, allowed == 1 ? "" : "s");
    return xasprintf("%llu connection%s, and %llu packet%s denied", allowed, allowed == 1 ? "" : "s", denied,
                     denied == 1 ? "" : "s");
}

static void write_evidence(const struct draft_rule *rule, const char *indent, FILE *out)
{
    _cleanup_free_ char *count = count_text(rule);
    uint64_t first = UINT64_MAX, last = 0;

    for (size_t i = 0; i < rule->n; i++) {
        first = rule->v[i]->first < first ? rule->v[i]->first : first;
        last = rule->v[i]->last > last ? rule->v[i]->last : last;
    }
    _cleanup_free_ char *from = utc_text(first), *to = utc_text(last);
    fprintf(out, "%s# %s, ", indent, count);
    if (first == last)
        fprintf(out, "at %s\n", from);
    else
        fprintf(out, "from %s to %s\n", from, to);
    if (rule->v[0]->example)
        fprintf(out, "%s# such as %s\n", indent, rule->v[0]->example);
}

/* Ping has one word for both families. */
static bool is_repeated(const struct draft_rule *rule, size_t i, const char *port)
{
    bool found = false;

    for (size_t j = 0; j < i && !found; j++) {
        _cleanup_free_ char *other = observation_port(rule->v[j]);

        found = other && strcmp(other, port) == 0;
    }
    return found;
}

static void write_ports(const struct draft_rule *rule, FILE *out)
{
    const char *gap = "";

    for (size_t i = 0; i < rule->n; i++) {
        _cleanup_free_ char *port = observation_port(rule->v[i]);

        if (!port || is_repeated(rule, i, port))
            continue;
        fprintf(out, "%s%s", gap, port);
        gap = ", ";
    }
}

static bool has_ports(const struct draft_rule *rule)
{
    for (size_t i = 0; i < rule->n; i++) {
        _cleanup_free_ char *port = observation_port(rule->v[i]);

        if (port)
            return true;
    }
    return false;
}

/* prefix: what stands in front of each line: "  " or, as a comment, "  # ". */
static void write_rule(const struct draft_rule *rule, const char *prefix, FILE *out)
{
    const struct learn_who *peer = &rule->v[0]->peer;
    _cleanup_free_ char *yaml = learn_who_yaml(peer);

    write_evidence(rule, "  ", out);
    if (!yaml || !has_ports(rule))
        return;
    fprintf(out, "%s- %s: [%s]\n", prefix, rule->direction == EGRESS ? "to" : "from", yaml);
    /* `dns` is port 53 alone, of either protocol: an answer that is too long is asked for again over TCP. */
    if (peer->kind == LEARN_RESOLVER)
        return;
    fprintf(out, "%s  ports: [", prefix);
    write_ports(rule, out);
    fputs("]\n", out);
}

static void write_held(const struct draft_rule *rule, FILE *out)
{
    fprintf(out, "  # Held back: %s\n", rule->danger);
    write_rule(rule, "  # ", out);
}

static void write_direction(const struct subject *subject, enum direction direction, FILE *out)
{
    size_t granted = 0, held = 0;

    for (size_t i = 0; i < subject->n; i++) {
        granted += subject->v[i].direction == direction && !subject->v[i].danger;
        held += subject->v[i].direction == direction && subject->v[i].danger;
    }
    if (granted + held == 0) {
        fprintf(out, "# %s: nothing was seen, and nothing is granted\n", direction_name(direction));
        return;
    }
    fprintf(out, "%s%s:\n", granted ? "" : "# ", direction_name(direction));
    for (size_t i = 0; i < subject->n; i++) {
        if (subject->v[i].direction != direction)
            continue;
        if (subject->v[i].danger)
            write_held(&subject->v[i], out);
        else
            write_rule(&subject->v[i], "  ", out);
    }
}

static void write_policy(const struct subject *subject, const char *span, FILE *out)
{
    _cleanup_free_ char *select = learn_who_yaml(&subject->who);

    fprintf(out, "policy: %s\ndescription: Learned from %s of its traffic\nmode: audit\nselect: %s\n",
            subject->name, span, select);
    write_direction(subject, INGRESS, out);
    write_direction(subject, EGRESS, out);
}

static char *body_text(const struct draft *draft, const char *span)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return xstrdup("");
    for (size_t i = 0; i < draft->n; i++) {
        if (i > 0)
            fputs("---\n", out);
        write_policy(&draft->v[i], span, out);
    }
    fclose(out);
    return text;
}

/* ---- what stands above it ----------------------------------------------------------------------------- */

static char *span_text(uint64_t from, uint64_t to)
{
    return duration_text((to > from ? to - from : 0) * 1000000);
}

static uint64_t end_of(const struct proposal_context *context)
{
    return context->learning->ended ? context->learning->ended : context->now;
}

static void write_watched(const struct proposal_context *context, const struct proposal *proposal, FILE *out)
{
    const struct learning *learning = context->learning;
    uint64_t end = end_of(context);
    _cleanup_free_ char *since = utc_text(learning->since), *span = span_text(learning->since, end);
    _cleanup_free_ char *quiet = span_text(learning->new_at, end), *blind = span_text(0, learning->blind);

    fprintf(out, "# Proposed by `cofferdam learn` for %s.\n", learning->title);
    fprintf(out, "# Watched for %s since %s%s", span, since, learning->ended ? "" : ", and it goes on");
    if (learning->blind)
        fprintf(out, "; in %s of it no daemon ran", blind);
    fprintf(out, ".\n# Seen: %zu kind%s of connections. ", proposal->kinds, proposal->kinds == 1 ? "" : "s");
    fprintf(out, "Nothing new for %s.\n", quiet);
    if (learning->left_out)
        fprintf(out, "# %llu more were left out, as there were too many kinds: it is not all.\n",
                (unsigned long long)learning->left_out);
}

static void write_list(const char *head, const struct proposal_texts *texts, FILE *out)
{
    if (texts->n == 0)
        return;
    fprintf(out, "# %s\n", head);
    for (size_t i = 0; i < texts->n; i++)
        fprintf(out, "#   - %s\n", texts->v[i]);
    if (texts->more)
        fprintf(out, "#   - and %zu more\n", texts->more);
}

char *proposal_coverage(const struct proposal *proposal)
{
    size_t free_kinds = proposal->kinds - proposal->held, unseen = proposal->unseen.n + proposal->unseen.more;
    _cleanup_free_ char *held =
        proposal->held ? xasprintf(", but for %zu of %zu kinds that %s held back", proposal->held,
                                   proposal->kinds, proposal->held == 1 ? "is" : "are")
                       : xstrdup("");
    _cleanup_free_ char *more = unseen ? xasprintf("; and %zu thing%s that %s not", unseen,
                                                   unseen == 1 ? "" : "s", unseen == 1 ? "was" : "were")
                                       : xstrdup("");

    if (proposal->kinds == 0)
        return xstrdup("nothing was seen, and it allows nothing");
    if (free_kinds == 0)
        return xstrdup("all that was seen is held back, and it allows nothing");
    return xasprintf("it allows %zu %% of what was seen%s%s", proposal->allowed * 100 / free_kinds, held,
                     more);
}

static char *head_text(const struct proposal_context *context, const struct proposal *proposal)
{
    _cleanup_free_ char *coverage = proposal_coverage(proposal);
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return xstrdup("");
    write_watched(context, proposal, out);
    fprintf(out, "# Evaluated: %s.\n", coverage);
    write_list("Granted, and not seen:", &proposal->unseen, out);
    write_list("Not watched, so that their own policies have to allow it as well:", &proposal->others, out);
    fputs(
        "# It is staged (mode: audit) and neither opens nor closes anything. Read it: what was seen need not be right.\n"
        "# Then take out `mode: audit`, and see with `cofferdam plan` what would change.\n\n",
        out);
    fclose(out);
    return text;
}

struct proposal *proposal_new(const struct proposal_context *context)
{
    struct proposal *proposal = xnew(struct proposal);
    _cleanup_(draft_freep) struct draft *draft = draft_new(context, NULL, NULL);
    _cleanup_free_ char *span = span_text(context->learning->since, end_of(context));

    set_names(context, draft);
    _cleanup_free_ char *body = body_text(draft, span);
    proposal->n_policies = draft->n;
    proposal_check(context, draft, body, proposal);
    _cleanup_free_ char *head = head_text(context, proposal);
    proposal->text = xasprintf("%s%s", head, body);
    return proposal;
}

char *proposal_body(const struct proposal_context *context, observation_filter filter, const void *userdata,
                    struct proposal_texts *kinds)
{
    _cleanup_(draft_freep) struct draft *draft = draft_new(context, filter, userdata);
    _cleanup_free_ char *span = span_text(context->learning->since, end_of(context));

    for (size_t i = 0; i < draft->n; i++)
        for (size_t j = 0; j < draft->v[i].n; j++)
            for (size_t k = 0; k < draft->v[i].v[j].n; k++)
                texts_add(kinds, observation_text(draft->v[i].v[j].v[k]));
    set_names(context, draft);
    return body_text(draft, span);
}
