/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command `cofferdam`: one file per verb, a table of verbs (src/cli/main.c) that prints the help as well,
 * and what the verbs share.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "control/protocol.h"
#include "inventory/inventory.h"
#include "policy/model.h"
#include "policy/settings.h"

/* argv[0] is the verb's own name. They return an enum exit_status. */
int cli_check(int argc, char **argv);
int cli_apply(int argc, char **argv);
int cli_confirm(int argc, char **argv);
int cli_rollback(int argc, char **argv);
int cli_history(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_explain(int argc, char **argv);
int cli_plan(int argc, char **argv);
int cli_graph(int argc, char **argv);
int cli_verify(int argc, char **argv);
int cli_doctor(int argc, char **argv);
int cli_label(int argc, char **argv);
int cli_learn(int argc, char **argv);
int cli_lockdown(int argc, char **argv);
int cli_metrics(int argc, char **argv);
int cli_release(int argc, char **argv);
int cli_teardown(int argc, char **argv);
int cli_watch(int argc, char **argv);
int cli_help(int argc, char **argv);

/* ---- options ------------------------------------------------------------------------------------------ */

enum { /* which options a verb takes, besides those that all take; the table is in src/cli/options.c */
       TAKES_CONTROL = 1 << 0,
       TAKES_STATE = 1 << 1,
       TAKES_POLICIES = 1 << 2,
       TAKES_YES = 1 << 3,
       TAKES_ALL = 1 << 4,
       TAKES_INVENTORY = 1 << 5,
       TAKES_SCHEMA = 1 << 6,
       TAKES_FORMAT = 1 << 7,
       TAKES_PLAN = 1 << 8,
       TAKES_BASE = 1 << 9,
       TAKES_APPLY = 1 << 10,
       TAKES_CHANGES = 1 << 11,
       TAKES_COMMENT = 1 << 16,
       TAKES_TRIAL = 1 << 17,
       TAKES_EXTEND = 1 << 18,
       TAKES_AGAINST = 1 << 19,
       TAKES_ROUNDS = 1 << 20,
       TAKES_LOCKDOWN = 1 << 14,
       TAKES_RELEASE = 1 << 15,
       TAKES_LABEL = 1 << 24,
       TAKES_COUNTS = 1 << 28,
       TAKES_STAGED = 1 << 25,
       TAKES_LEARN = 1 << 27,
       TAKES_WATCH = 1 << 26,
};

#define CLI_TEXTS_MAX 64 /* of one option that may be given again and again */

struct cli_texts {
    const char *v[CLI_TEXTS_MAX];
    size_t n;
};

/* What `cofferdam watch` is to show, in the order given. */
struct cli_filters {
    struct {
        const char *field, *value; /* field: the option's name */
        bool negated;
    } v[CLI_TEXTS_MAX];
    size_t n;
    bool negate; /* --not, and no filter behind it yet */
};

/* Texts are NULL where not given, and never empty. */
struct cli_options {
    const char *config, *control, *state, *policies, *inventory, *base, *format, *only;
    size_t form; /* of the verb's formats: the index of the one that is meant */
    const char *comment, *confirm_within, *extend;
    const char *reason, *span, *direction, *evidence, *output, *update;
    const char *log, *every; /* NULL also where the option was given without a value */
    struct cli_texts allow, select, except, addresses, interfaces;
    const char *last, *since, *until, *input_file;
    struct cli_filters filters;
    bool json, yes, all, schema, brief, full, rules, force, changes, list, dry_run, follow, reset, denied,
        allowed, against_log, watch, stop, forget, staged;
    int n_args; /* what is left: the verb's arguments */
    char **args;
};

/* What a verb says of itself, and prints with --help: usage, about, its options, examples and exit statuses. */
struct cli_verb {
    const char *name;
    const char *arguments; /* "FROM TO [PORT/PROTO]" */
    unsigned takes;
    const char *const
        *formats; /* TAKES_FORMAT: the words, the default one first, then NULL; "json" is among them */
    int min_args, max_args;
    const char *about, *examples;
    /* Is all well, in a result with status 0? Where it is not, the status is STATUS_ATTENTION. NULL: always. */
    bool (*is_well)(const json_t *result);
};

/* The options that every command takes, or all that this verb takes, a line each. */
void cli_options_print(const struct cli_verb *verb /* may be NULL */, FILE *out);

/* The same one by one, from *i = 0 on; any: all that some verb takes. False after the last one. */
struct cli_option_info {
    const char *name, *value, *summary; /* value, summary: may be NULL */
    char letter;                        /* or 0 */
    bool optional;                      /* its value, which then stands behind a = */
};
bool cli_option_next(const struct cli_verb *verb /* may be NULL */, bool any, size_t *i,
                     struct cli_option_info *ret);

/*
 * The command line before the command: returns the index of the command's word, argc when there is none, or -1
 * when wrong usage was reported. *ret_help and *ret_version: whether these were asked for.
 */
int cli_find_verb(int argc, char **argv, bool *ret_help, bool *ret_version);

/*
 * Reads a verb's command line. Returns true to go on; false when it is done, with the exit status in *ret_exit
 * (--help or --version was printed, or wrong usage was reported).
 */
bool cli_options_parse(const struct cli_verb *verb, int argc, char **argv, struct cli_options *ret,
                       int *ret_exit);

/*
 * The host's settings: the file (missing is fine unless it was named with --config), then the options. Errors
 * are printed to stderr. Returns 0 or a negative errno.
 */
int cli_settings(const struct cli_options *options, struct settings **ret);

/* Are all names and texts that were given UTF-8, as JSON wants them? */
bool cli_all_utf8(const struct cli_options *options);

/* Either --policies or PATHs say which policies are meant, and no PATH is empty: else says so and returns false. */
bool cli_policy_arguments(const struct cli_verb *verb, const struct cli_options *options);
/* Reads the policies that are meant, those of the settings where nothing else is said, as one set, which it finishes. */
void cli_load_policies(const struct cli_options *options, const struct settings *settings,
                       struct policy_set *set, struct diags *diags);

/*
 * The settings of a command that reads policies itself. They matter where they were named, and where they say which
 * policies are meant. Returns 0, or a negative errno with the reason in diags.
 */
int cli_policy_settings(const struct cli_options *options, struct settings *settings, struct diags *diags);

/*
 * The inventory in a file (- is the standard input): what `cofferdam status --json` prints, or the part of it under
 * "inventory". Returns 0, or -EBADMSG with the reason in diags. One without any container is refused: nothing that is
 * said of it would mean anything. ret_in_force may be NULL; else it gets the policies in force, whose mistakes go to
 * diags, or NULL where the file does not have them. ret_locks may be NULL; else it gets the lockdowns in force.
 */
struct lock_list;
int cli_load_inventory(const char *path, struct inventory **ret, struct policy_set **ret_in_force,
                       struct lock_list **ret_locks, struct diags *diags);
/*
 * The policies to compare with: those of --base, or else these in force (*in_force may be NULL), which are taken. Returns
 * 0 or a negative errno with the reason in diags.
 */
int cli_load_base(const struct cli_options *options, struct policy_set **in_force, struct policy_set **ret,
                  struct diags *diags);
/* The same with --policies instead of --base. */
int cli_load_explained(const struct cli_options *options, struct policy_set **in_force,
                       struct policy_set **ret, struct diags *diags);
/* "24h", for so long ago, or a moment as RFC 3339 has it. 0 and microseconds since 1970, or -EINVAL. */
int cli_moment(const char *text, uint64_t *ret);
/* The connections of the log that --against-log means. 0, or a negative errno with the reason in diags. */
struct recorded_log;
int cli_load_recorded(const struct cli_options *options, const struct settings *settings,
                      struct recorded_log **ret, struct diags *diags);

/* ---- output ------------------------------------------------------------------------------------------- */

/* Colour only on a terminal, and not with NO_COLOR set to anything, nor on TERM=dumb. */
bool cli_colour(FILE *stream);

/* "cofferdam: ..." on stderr, escaped. */
void cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A JSON object on stdout, indented, with a line end; "format_version" is put in front where it has none. */
void cli_print_json(json_t *json);

/*
 * Diagnostics for what reviews changes: GitHub's workflow commands (a line each; columns in characters), and SARIF
 * 2.1.0 (OASIS; a new reference), in which each code of cofferdam-policy(5) is a rule.
 */
void cli_print_github(const struct diags *diags, FILE *out);
json_t *cli_sarif(const struct diags *diags);

/* A table whose columns are as wide as they need; the texts are escaped when added. */
struct cli_table;
enum cli_style { STYLE_NONE, STYLE_HEAD, STYLE_GOOD, STYLE_BAD, STYLE_WARN, STYLE_DIM };
struct cli_table *cli_table_new(size_t n_columns);
struct cli_table *cli_table_free(struct cli_table *table);
DEFINE_CLEANUP(struct cli_table *, cli_table_free);
/* Fills the next cell, row after row. NULL is an empty cell. */
void cli_table_add(struct cli_table *table, enum cli_style style, const char *text);
void cli_table_print(const struct cli_table *table, FILE *out, bool colour);
/* A text alone, escaped, with spaces behind it up to so many columns; returns how many it needs by itself. */
size_t cli_print_cell(FILE *out, bool colour, enum cli_style style, const char *text, size_t columns);
void cli_print_styled(FILE *out, bool colour, enum cli_style style, const char *text);
/* The same, and a line end. Frees the text. */
void cli_print_line(FILE *out, bool colour, enum cli_style style, char *text);
/* Of an answer: NULL and 0 where there is none. Borrowed. */
const char *cli_text_of(const json_t *object, const char *key);
long long cli_number_of(const json_t *object, const char *key);

/* ---- the daemon --------------------------------------------------------------------------------------- */

#define CLI_TIMEOUT_MS (60 * 1000) /* loading policies for a thousand containers takes seconds at most */

/* Says on stderr why control_call() failed, and what to do. */
void cli_complain(const char *path, int error);
/* Does this error of control_call() mean that no daemon runs, rather than that the path is another file's? */
bool cli_no_daemon(const char *path, int error);

/*
 * Prints an answer: its result by print (NULL: its "text") or, with json, as it is; or its error, help and
 * diagnostics to stderr (with json as one document to stdout). Returns the exit status that it asks for.
 */
typedef void (*cli_printer)(const struct cli_options *options, const json_t *result, int exit_status);
int cli_print_answer(json_t *answer, const struct cli_options *options, cli_printer print);
/*
 * A verb that is one question to the daemon: reads the options, has fill (may be NULL) put the arguments into the
 * request (another status than STATUS_OK: it has said what is wrong, and nothing is asked), asks, and prints the answer.
 * Returns the exit status.
 */
typedef int (*cli_filler)(const struct cli_options *options, const struct settings *settings,
                          json_t *request);
int cli_ask(const struct cli_verb *verb, int argc, char **argv, cli_filler fill, cli_printer print);
/* The same once the options are read. */
int cli_ask_with(const struct cli_verb *verb, const struct cli_options *options, cli_filler fill,
                 cli_printer print);

/* Ends a question: says whether all is well, prints the answer, which it takes, and returns the exit status. */
int cli_conclude(const struct cli_verb *verb, const struct cli_options *options, json_t *answer,
                 cli_printer print);

/* Puts --comment, --confirm-within and --extend, or the number of the history that is the argument, into a request. Returns
 * an exit status: where it is not STATUS_OK, it has said what is wrong. */
int cli_fill_change(const struct cli_verb *asked, const struct cli_options *options, json_t *request);
int cli_fill_number(const struct cli_verb *asked, const struct cli_options *options, json_t *request);

/*
 * What the command has done without the daemon goes on record, with the answer that the daemon would have given. Where it
 * cannot, that is in the answer's result ("not_on_record"), or said.
 */
void cli_audit(const struct settings *settings, const char *action, const json_t *request, json_t *answer);

/* Ends what --evidence has begun (NULL: nothing), which becomes a part of the answer (NULL: none came). */
struct evidence;
void lockdown_evidence_end(struct evidence *evidence, json_t *answer);

/* ---- texts (pure; src/cli/status_text.c, verify.c, doctor.c, plan_text.c, lockdown_text.c, history.c) -------------------------------------------------- */

/* exit_status is the daemon's: not everything that matters for it has a key of its own in the document. */
void status_print(const json_t *result, int exit_status, FILE *out, bool colour);
/* Of the same document, where it was asked for: "rules". */
void rules_print(const json_t *result, FILE *out, bool colour);
/* The part of it about the last hour. */
void status_print_denied(const json_t *denied, FILE *out, bool colour);
/* What --staged adds to it. */
void staged_print(const json_t *result, FILE *out, bool colour);
/* exit_status is that of the command: "all is well" is said only where it is 0. */
void verify_print(const json_t *result, int exit_status, FILE *out, bool colour);
void history_print(const json_t *result, FILE *out, bool colour);
void lockdown_print(const json_t *result, int exit_status, FILE *out, bool colour);
/* What the containers of its report can do past every rule: the first of it begins the report. */
void lockdown_print_sockets(const json_t *containers, FILE *out, bool colour);
void lockdown_print_shared(const json_t *containers, FILE *out, bool colour);
void lockdown_print_evidence(const json_t *result, FILE *out, bool colour);
void release_print(const json_t *result, int exit_status, FILE *out, bool colour);
/* What could not be done, or is not as it should be: "problems". */
void lockdowns_print_problems(const json_t *result, FILE *out, bool colour);
/* That the daemon does not say what is listed, or else that the command's own tables stand, where they do. */
void lock_tables_print(const json_t *result, FILE *out, bool colour);
/* What `cofferdam label` answers; and of a label that was given: by whom, when and why. The caller frees it. */
void label_print(const json_t *result, int exit_status, FILE *out, bool colour);
char *given_label_text(const json_t *given);
/* What `cofferdam learn` answers; output: the file into which the proposal went, or NULL. And what it may have missed. */
void learn_print(const json_t *result, const char *output, FILE *out, bool colour);
void learn_print_problems(const json_t *result, FILE *out, bool colour);
/* The lockdowns, with a head; false and nothing when there are none. */
bool lockdowns_print(const json_t *lockdowns, FILE *out, bool colour);
void plan_print(const json_t *result, const struct cli_options *options, FILE *out, bool colour);
/* The parts of that, none of which is there where there is nothing to say; and the summary, which the caller frees. */
enum plan_section {
    PLAN_POLICIES,
    PLAN_CONNECTIONS,
    PLAN_LIVE,
    PLAN_RECORDED,
    PLAN_RULES,
    PLAN_PROBLEMS,
    PLAN_SECTIONS
};
void plan_print_recorded(const json_t *recorded, FILE *out, bool colour);
void plan_print_section(const json_t *result, enum plan_section section, FILE *out, bool colour);
char *plan_summary(const json_t *result);
/* The same in Markdown, for a comment on a change; at most PLAN_MARKDOWN_MAX bytes, which it says where it matters. */
#define PLAN_MARKDOWN_MAX                                                                                    \
    60000 /* a comment of GitHub's holds 65,536 characters: this leaves room for what stands around */
void plan_print_markdown(const json_t *result, const struct cli_options *options, FILE *out);
/* That there is no plan, as this is wrong. */
void plan_print_markdown_refusal(const char *error, const struct diags *diags, FILE *out);
/* all: what is well is told too, else counted. */
struct findings;
void doctor_print(const struct findings *findings, bool all, FILE *out, bool colour);
