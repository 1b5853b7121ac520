/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The options that the verbs share, in one table, and the settings and policies that they name.
 */
#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <time.h>

#include "cli/complete.h"
#include "files/files.h"
#include "policy/parse.h"
#include "util/duration.h"
#include "util/utc.h"

enum {
    OPT_CONFIG = 256,
    OPT_CONTROL,
    OPT_STATE,
    OPT_POLICIES,
    OPT_INVENTORY,
    OPT_BASE,
    OPT_CHANGES,
    OPT_SCHEMA,
    OPT_FORMAT,
    OPT_JSON,
    OPT_YES,
    OPT_ALL,
    OPT_SHORT,
    OPT_FULL,
    OPT_RULES,
    OPT_ONLY,
    OPT_FORCE,
    OPT_COMMENT,
    OPT_CONFIRM_WITHIN,
    OPT_EXTEND,
    OPT_REASON,
    OPT_FOR,
    OPT_DIRECTION,
    OPT_ALLOW,
    OPT_SELECT,
    OPT_EXCEPT,
    OPT_ADDRESS,
    OPT_INTERFACE,
    OPT_LIST,
    OPT_DRY_RUN,
    OPT_FOLLOW,
    OPT_RESET,
    OPT_EVIDENCE,
    OPT_OUTPUT,
    OPT_UPDATE,
    OPT_STOP,
    OPT_FORGET,
    OPT_FROM,
    OPT_TO,
    OPT_CONTAINER,
    OPT_VERDICT,
    OPT_PORT,
    OPT_PROTOCOL,
    OPT_WAY,
    OPT_NOT,
    OPT_DENIED,
    OPT_ALLOWED,
    OPT_LAST,
    OPT_SINCE,
    OPT_UNTIL,
    OPT_INPUT_FILE,
    OPT_AGAINST_LOG,
    OPT_WATCH,
    OPT_STAGED,
    OPT_HELP,
    OPT_VERSION
};

/*
 * The only list of options: those before the command and those after it are parsed by it, and --help prints it.
 * needs: the TAKES_ bits of the verbs that take the option; 0: all do.
 */
static const struct {
    const char *name, *value; /* value: NULL where it takes none; "=FILE" where it may be left out */
    int id;
    char letter; /* its short name, or 0 */
    unsigned needs;
    const char *summary; /* NULL: the verb's formats */
} known[] = {
    {"policies", "PATH", OPT_POLICIES, 0, TAKES_POLICIES,
     "the policies, instead of those of the settings, or in force"},
    {"inventory", "FILE", OPT_INVENTORY, 0, TAKES_INVENTORY,
     "the containers of a host; - is the standard input"},
    {"changes", NULL, OPT_CHANGES, 0, TAKES_CHANGES,
     "mark what would change, compared with the policies in force"},
    {"base", "PATH", OPT_BASE, 0, TAKES_BASE, "the policies to compare with, instead of those in force"},
    {"format", "FORMAT", OPT_FORMAT, 'o', TAKES_FORMAT, NULL},
    {"schema", NULL, OPT_SCHEMA, 0, TAKES_SCHEMA, "print the JSON Schema of the policy language"},
    {"control", "SOCKET", OPT_CONTROL, 0, TAKES_CONTROL,
     "the daemon's socket, instead of that of the settings"},
    {"state", "DIRECTORY", OPT_STATE, 0, TAKES_STATE, "the daemon's state, instead of that of the settings"},
    {"yes", NULL, OPT_YES, 'y', TAKES_YES, "do not ask; needed where there is no terminal"},
    {"all", NULL, OPT_ALL, 0, TAKES_ALL, "what is well, too"},
    {"short", NULL, OPT_SHORT, 0, TAKES_PLAN, "the summary and the connections alone"},
    {"full", NULL, OPT_FULL, 0, TAKES_PLAN, "all names and ports, however many"},
    {"rules", NULL, OPT_RULES, 0, TAKES_PLAN,
     "each chain, rule, set and element that changes, as nft has it"},
    {"rules", NULL, OPT_RULES, 0, TAKES_COUNTS, "how often each rule of the policies has let something pass"},
    {"against-log", "=FILE", OPT_AGAINST_LOG, 0, TAKES_AGAINST,
     "also what the log has recorded; - is the standard input"},
    {"since", "TIME", OPT_SINCE, 0, TAKES_AGAINST,
     "of that, the last 90m or 7d (default 24h), or from a moment on"},
    {"watch", "=SECONDS", OPT_WATCH, 0, TAKES_ROUNDS, "again and again, until ^C (default every 2 seconds)"},
    {"only", "PLAN_ID", OPT_ONLY, 0, TAKES_APPLY, "only if it is what this plan said"},
    {"force", NULL, OPT_FORCE, 0, TAKES_APPLY, "even where expectations fail"},
    {"comment", "TEXT", OPT_COMMENT, 0, TAKES_COMMENT, "why, for the history"},
    {"confirm-within", "DURATION", OPT_CONFIRM_WITHIN, 0, TAKES_TRIAL,
     "go back after that time (5s to 24h), unless `cofferdam confirm` comes"},
    {"extend", "DURATION", OPT_EXTEND, 0, TAKES_EXTEND,
     "do not confirm yet: give the trial that much more time"},
    {"reason", "TEXT", OPT_REASON, 0, TAKES_LOCKDOWN, "why, for the record"},
    {"for", "DURATION", OPT_FOR, 0, TAKES_LOCKDOWN, "released by itself after 90s, 2h, 1d12h"},
    {"direction", "WHICH", OPT_DIRECTION, 0, TAKES_LOCKDOWN,
     "in: what others open to it; out: what it opens; both (default)"},
    {"allow", "PEER[:PORT]", OPT_ALLOW, 0, TAKES_LOCKDOWN,
     "who may reach in all the same: a container, host, an address or block, and 22/tcp"},
    {"select", "KEY=VALUE", OPT_SELECT, 0, TAKES_LOCKDOWN,
     "all with compose=PROJECT[/SERVICE], label=KEY=VALUE or name=GLOB"},
    {"except", "CONTAINER", OPT_EXCEPT, 0, TAKES_LOCKDOWN, "whom --select does not mean"},
    {"address", "IP", OPT_ADDRESS, 0, TAKES_LOCKDOWN, "the container that has it, or the address itself"},
    {"interface", "NAME", OPT_INTERFACE, 0, TAKES_LOCKDOWN,
     "the container at this port of a bridge, or the port itself"},
    {"evidence", "DIRECTORY", OPT_EVIDENCE, 0, TAKES_LOCKDOWN,
     "before the cut, write down there what it will destroy"},
    {"list", NULL, OPT_LIST, 0, TAKES_LOCKDOWN, "show what is locked down"},
    {"dry-run", NULL, OPT_DRY_RUN, 0, TAKES_LOCKDOWN, "show what would be cut, and change nothing"},
    {"all", NULL, OPT_ALL, 0, TAKES_LOCKDOWN, "every container: short for --select all"},
    {"all", NULL, OPT_ALL, 0, TAKES_RELEASE, "all that is locked down"},
    {"follow", NULL, OPT_FOLLOW, 0, TAKES_LABEL, "also for who comes after it, as with a lockdown"},
    {"reason", "TEXT", OPT_REASON, 0, TAKES_LABEL, "why, for the record"},
    {"select", "KEY=VALUE", OPT_SELECT, 0, TAKES_LABEL,
     "all now with compose=PROJECT[/SERVICE], label=KEY=VALUE or name=GLOB"},
    {"dry-run", NULL, OPT_DRY_RUN, 0, TAKES_LABEL, "show what would change, and change nothing"},
    {"list", NULL, OPT_LIST, 0, TAKES_LABEL, "show all labels that were given"},
    {"reset", NULL, OPT_RESET, 0, TAKES_LABEL, "go on without the labels, where their file is damaged"},
    {"for", "DURATION", OPT_FOR, 0, TAKES_LEARN, "watch for that long: 24h, 7d; again: from now on"},
    {"select", "KEY=VALUE", OPT_SELECT, 0, TAKES_LEARN,
     "all with compose=PROJECT[/SERVICE], label=KEY=VALUE or name=GLOB"},
    {"output", "FILE", OPT_OUTPUT, 'o', TAKES_LEARN,
     "write the proposal there; asks before it replaces a file"},
    {"update", "FILE", OPT_UPDATE, 0, TAKES_LEARN, "propose a diff of these policies instead"},
    {"list", NULL, OPT_LIST, 0, TAKES_LEARN, "show who is watched, or was"},
    {"stop", NULL, OPT_STOP, 0, TAKES_LEARN, "watch no more, and keep what was seen"},
    {"forget", NULL, OPT_FORGET, 0, TAKES_LEARN, "watch no more, and forget what was seen"},
    {"from", "PEER", OPT_FROM, 0, TAKES_WATCH,
     "who opens it: a container, PROJECT/SERVICE, host, outside, an address or block"},
    {"to", "PEER", OPT_TO, 0, TAKES_WATCH, "to whom"},
    {"container", "CONTAINER", OPT_CONTAINER, 0, TAKES_WATCH, "either of both"},
    {"verdict", "VERDICT", OPT_VERDICT, 0, TAKES_WATCH, "denied, allowed or audited"},
    {"port", "PORT", OPT_PORT, 0, TAKES_WATCH, "the destination's: 5432, 5432/tcp, 9000-9010/udp"},
    {"protocol", "PROTOCOL", OPT_PROTOCOL, 0, TAKES_WATCH, "tcp, udp, sctp, icmp, arp, or a number"},
    {"direction", "WAY", OPT_WAY, 0, TAKES_WATCH, "egress or ingress: the side that denies it"},
    {"not", NULL, OPT_NOT, 0, TAKES_WATCH, "leave out what the next of these filters means"},
    {"denied", NULL, OPT_DENIED, 0, TAKES_WATCH, "what is denied alone: short for --verdict denied"},
    {"allowed", NULL, OPT_ALLOWED, 0, TAKES_WATCH, "what is allowed, too"},
    {"last", "N", OPT_LAST, 0, TAKES_WATCH, "the last N of the log"},
    {"since", "TIME", OPT_SINCE, 0, TAKES_WATCH, "the log since 10m ago, or since 2026-11-20T15:04:05Z"},
    {"until", "TIME", OPT_UNTIL, 0, TAKES_WATCH, "the log up to then"},
    {"input-file", "FILE", OPT_INPUT_FILE, 0, TAKES_WATCH,
     "lines that were saved, instead of the log; - is the standard input"},
    {"follow", NULL, OPT_FOLLOW, 'f', TAKES_WATCH, "go on after the log, and after the daemon's restart"},
    {"staged", NULL, OPT_STAGED, 0, TAKES_STAGED, "what enforcing what is staged would change"},
    {"config", "FILE", OPT_CONFIG, 0, 0, "the host's settings (default " SETTINGS_FILE ")"},
    {"json", NULL, OPT_JSON, 0, 0, "print JSON instead of text"},
    {"help", NULL, OPT_HELP, 'h', 0, "print the help of the command"},
    {"version", NULL, OPT_VERSION, 0, 0, "print the version"},
};

/* Its value then stands behind a = in the same word, or there is none. */
static bool is_optional(size_t i)
{
    return known[i].value && *known[i].value == '=';
}

static bool takes(const struct cli_verb *verb, size_t i)
{
    return (known[i].needs & ~(verb ? verb->takes : 0)) == 0;
}

/* "text (default), json or md"; "text, json and md" with the other word, and no default. The caller frees it. */
static char *formats_text(const struct cli_verb *verb, const char *mark, const char *last)
{
    char *text = xasprintf("%s%s", verb->formats[0], mark);

    for (size_t i = 1; verb->formats[i]; i++) {
        char *longer = xasprintf("%s%s%s", text, verb->formats[i + 1] ? ", " : last, verb->formats[i]);

        free(text);
        text = longer;
    }
    return text;
}

/* "--only PLAN_ID", "--watch[=SECONDS]". The caller frees it. */
static char *option_text(size_t i)
{
    const char *name = known[i].name, *value = known[i].value;

    if (is_optional(i))
        return xasprintf("--%s[%s]", name, value);
    return xasprintf("--%s%s%s", name, value ? " " : "", value ?: "");
}

void cli_options_print(const struct cli_verb *verb, FILE *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        char letter[] = {'-', known[i].letter, ',', '\0'};
        _cleanup_free_ char *name = option_text(i);

        if (!takes(verb, i))
            continue;
        _cleanup_free_ char *formats = known[i].summary ? NULL : formats_text(verb, " (default)", " or ");
        fprintf(out, "  %-3s %-25s %s\n", known[i].letter ? letter : "", name, known[i].summary ?: formats);
    }
}

static const char *value_word(size_t i)
{
    return known[i].value ? known[i].value + is_optional(i) : NULL;
}

bool cli_option_next(const struct cli_verb *verb, bool any, size_t *i, struct cli_option_info *ret)
{
    while (*i < ARRAY_SIZE(known) && !any && !takes(verb, *i))
        (*i)++;
    if (*i == ARRAY_SIZE(known))
        return false;
    *ret = (struct cli_option_info){known[*i].name, value_word(*i), known[*i].summary, known[*i].letter,
                                    is_optional(*i)};
    (*i)++;
    return true;
}

/* ---- parsing ------------------------------------------------------------------------------------------ */

/* One too many is kept out by counting on: parse_options() refuses it. */
static void add_text(struct cli_texts *texts)
{
    if (texts->n < CLI_TEXTS_MAX)
        texts->v[texts->n] = optarg;
    texts->n++;
}

/* "config" for OPT_CONFIG; NULL for what is no option's number. */
static const char *long_name(int id)
{
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (known[i].id == id)
            return known[i].name;
    return NULL;
}

static void add_filter(struct cli_filters *filters, int id)
{
    if (filters->n < CLI_TEXTS_MAX) {
        filters->v[filters->n].field = long_name(id);
        filters->v[filters->n].value = optarg;
        filters->v[filters->n].negated = filters->negate;
    }
    filters->n++;
    filters->negate = false;
}

enum option_effect { SETS_FLAG, SETS_TEXT, ADDS_TEXT, ADDS_FILTER };

/* What each option does to which member; some do two things. */
static const struct {
    int id;
    enum option_effect effect;
    size_t offset;
} effects[] = {
    {OPT_FROM, ADDS_FILTER, offsetof(struct cli_options, filters)},
    {OPT_TO, ADDS_FILTER, offsetof(struct cli_options, filters)},
    {OPT_CONTAINER, ADDS_FILTER, offsetof(struct cli_options, filters)},
    {OPT_VERDICT, ADDS_FILTER, offsetof(struct cli_options, filters)},
    {OPT_PORT, ADDS_FILTER, offsetof(struct cli_options, filters)},
    {OPT_PROTOCOL, ADDS_FILTER, offsetof(struct cli_options, filters)},
    {OPT_WAY, ADDS_FILTER, offsetof(struct cli_options, filters)},
    {OPT_NOT, SETS_FLAG, offsetof(struct cli_options, filters.negate)},
    {OPT_DENIED, SETS_FLAG, offsetof(struct cli_options, denied)},
    {OPT_ALLOWED, SETS_FLAG, offsetof(struct cli_options, allowed)},
    {OPT_LAST, SETS_TEXT, offsetof(struct cli_options, last)},
    {OPT_SINCE, SETS_TEXT, offsetof(struct cli_options, since)},
    {OPT_UNTIL, SETS_TEXT, offsetof(struct cli_options, until)},
    {OPT_INPUT_FILE, SETS_TEXT, offsetof(struct cli_options, input_file)},
    {OPT_REASON, SETS_TEXT, offsetof(struct cli_options, reason)},
    {OPT_FOR, SETS_TEXT, offsetof(struct cli_options, span)},
    {OPT_DIRECTION, SETS_TEXT, offsetof(struct cli_options, direction)},
    {OPT_ALLOW, ADDS_TEXT, offsetof(struct cli_options, allow)},
    {OPT_SELECT, ADDS_TEXT, offsetof(struct cli_options, select)},
    {OPT_EXCEPT, ADDS_TEXT, offsetof(struct cli_options, except)},
    {OPT_ADDRESS, ADDS_TEXT, offsetof(struct cli_options, addresses)},
    {OPT_INTERFACE, ADDS_TEXT, offsetof(struct cli_options, interfaces)},
    {OPT_LIST, SETS_FLAG, offsetof(struct cli_options, list)},
    {OPT_DRY_RUN, SETS_FLAG, offsetof(struct cli_options, dry_run)},
    {OPT_FOLLOW, SETS_FLAG, offsetof(struct cli_options, follow)},
    {OPT_RESET, SETS_FLAG, offsetof(struct cli_options, reset)},
    {OPT_EVIDENCE, SETS_TEXT, offsetof(struct cli_options, evidence)},
    {OPT_STAGED, SETS_FLAG, offsetof(struct cli_options, staged)},
    {OPT_OUTPUT, SETS_TEXT, offsetof(struct cli_options, output)},
    {OPT_UPDATE, SETS_TEXT, offsetof(struct cli_options, update)},
    {OPT_STOP, SETS_FLAG, offsetof(struct cli_options, stop)},
    {OPT_FORGET, SETS_FLAG, offsetof(struct cli_options, forget)},
    {OPT_AGAINST_LOG, SETS_FLAG, offsetof(struct cli_options, against_log)},
    {OPT_AGAINST_LOG, SETS_TEXT, offsetof(struct cli_options, log)},
    {OPT_WATCH, SETS_FLAG, offsetof(struct cli_options, watch)},
    {OPT_WATCH, SETS_TEXT, offsetof(struct cli_options, every)},
    {OPT_CONFIG, SETS_TEXT, offsetof(struct cli_options, config)},
    {OPT_CONTROL, SETS_TEXT, offsetof(struct cli_options, control)},
    {OPT_STATE, SETS_TEXT, offsetof(struct cli_options, state)},
    {OPT_POLICIES, SETS_TEXT, offsetof(struct cli_options, policies)},
    {OPT_INVENTORY, SETS_TEXT, offsetof(struct cli_options, inventory)},
    {OPT_BASE, SETS_TEXT, offsetof(struct cli_options, base)},
    {OPT_FORMAT, SETS_TEXT, offsetof(struct cli_options, format)},
    {OPT_CHANGES, SETS_FLAG, offsetof(struct cli_options, changes)},
    {OPT_SCHEMA, SETS_FLAG, offsetof(struct cli_options, schema)},
    {OPT_JSON, SETS_FLAG, offsetof(struct cli_options, json)},
    {OPT_YES, SETS_FLAG, offsetof(struct cli_options, yes)},
    {OPT_ALL, SETS_FLAG, offsetof(struct cli_options, all)},
    {OPT_SHORT, SETS_FLAG, offsetof(struct cli_options, brief)},
    {OPT_FULL, SETS_FLAG, offsetof(struct cli_options, full)},
    {OPT_RULES, SETS_FLAG, offsetof(struct cli_options, rules)},
    {OPT_ONLY, SETS_TEXT, offsetof(struct cli_options, only)},
    {OPT_FORCE, SETS_FLAG, offsetof(struct cli_options, force)},
    {OPT_COMMENT, SETS_TEXT, offsetof(struct cli_options, comment)},
    {OPT_CONFIRM_WITHIN, SETS_TEXT, offsetof(struct cli_options, confirm_within)},
    {OPT_EXTEND, SETS_TEXT, offsetof(struct cli_options, extend)},
};

static void option_do(enum option_effect effect, void *member, int id)
{
    switch (effect) {
    case SETS_FLAG:
        *(bool *)member = true;
        break;
    case SETS_TEXT:
        *(const char **)member = optarg;
        break;
    case ADDS_TEXT:
        add_text(member);
        break;
    case ADDS_FILTER:
        add_filter(member, id);
        break;
    }
}

static void option_set(struct cli_options *options, int id)
{
    for (size_t i = 0; i < ARRAY_SIZE(effects); i++)
        if (effects[i].id == id)
            option_do(effects[i].effect, (char *)options + effects[i].offset, id);
}

struct parser {
    const struct cli_verb *verb; /* may be NULL */
    struct option options[ARRAY_SIZE(known) + 1];
    char letters[2 * ARRAY_SIZE(known) + 3]; /* "+:" first; ":" behind one that takes a value */
};

/* Before the command it is not known who takes which option: then all are listed, and parsing ends at a word. */
static void parser_init(struct parser *parser, const struct cli_verb *verb)
{
    size_t n = 0;
    char *letters = stpcpy(parser->letters, verb ? ":" : "+:");

    parser->verb = verb;
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (verb && !takes(verb, i))
            continue;
        parser->options[n++] = (struct option){known[i].name,
                                               is_optional(i)   ? optional_argument
                                               : known[i].value ? required_argument
                                                                : no_argument,
                                               NULL, known[i].id};
        if (known[i].letter)
            *letters++ = known[i].letter;
        if (known[i].letter && known[i].value)
            *letters++ = ':';
    }
    *letters = '\0';
    parser->options[n] = (struct option){};
    optind = 0; /* getopt may have been used before */
    opterr = 0;
}

/* The next option's OPT_ number; -1 after the last one; '?' or ':' as getopt_long() does. */
static int parser_next(const struct parser *parser, int argc, char **argv)
{
    int option = getopt_long(argc, argv, parser->letters, parser->options, NULL);

    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (known[i].letter && option == known[i].letter && (!parser->verb || takes(parser->verb, i)))
            return known[i].id;
    return option;
}

/* Says what getopt_long() did not like; result is what it returned. verb may be "". */
static void bad_option(const char *verb, int result, char **argv)
{
    /* optopt is the number of an option used in a wrong way, the letter of an unknown one, or 0 */
    const char *name = long_name(optopt), *gap = *verb ? ": " : "";
    _cleanup_free_ char *option = name          ? xasprintf("--%s", name)
                                  : optopt != 0 ? xasprintf("-%c", optopt)
                                                : xstrdup(argv[optind - 1]);

    if (result == ':')
        cli_error("%s%s'%s' needs a value", verb, gap, option);
    else if (name)
        cli_error("%s%s'%s' takes no value", verb, gap, option);
    else
        cli_error("%s%sunknown option '%s'", verb, gap, option);
}

int cli_find_verb(int argc, char **argv, bool *ret_help, bool *ret_version)
{
    struct parser parser;
    int option;

    *ret_help = *ret_version = false;
    parser_init(&parser, NULL);
    while ((option = parser_next(&parser, argc, argv)) != -1) {
        if (option == '?' || option == ':') {
            bad_option("", option, argv);
            return -1;
        }
        *ret_help = *ret_help || option == OPT_HELP;
        *ret_version = *ret_version || option == OPT_VERSION;
    }
    return optind;
}

/* Says that the verb is used in a wrong way, after what is wrong. */
static bool wrong_usage(const struct cli_verb *verb, int *ret_exit)
{
    fprintf(stderr, "see cofferdam %s --help\n", verb->name);
    *ret_exit = STATUS_USAGE;
    return false;
}

static void print_help(const struct cli_verb *verb)
{
    printf("Usage: cofferdam %s [OPTION...]%s%s\n\n%s\nOptions:\n", verb->name, *verb->arguments ? " " : "",
           verb->arguments, verb->about);
    cli_options_print(verb, stdout);
    printf("\n%s", verb->examples);
}

static bool has_too_many(const struct cli_options *options)
{
    const struct cli_texts *lists[] = {&options->allow, &options->select, &options->except,
                                       &options->addresses, &options->interfaces};
    bool found = options->filters.n > CLI_TEXTS_MAX;

    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        found = found || lists[i]->n > CLI_TEXTS_MAX;
    return found;
}

/* Returns 0 when all options were read, -1 when wrong usage was reported, or OPT_HELP or OPT_VERSION. */
static int parse_options(const struct cli_verb *verb, int argc, char **argv, struct cli_options *options)
{
    struct parser parser;
    int option;

    parser_init(&parser, verb);
    while ((option = parser_next(&parser, argc, argv)) != -1) {
        if (option == OPT_HELP || option == OPT_VERSION)
            return option;
        if (option == '?' || option == ':') {
            bad_option(verb->name, option, argv);
            return -1;
        }
        if (optarg && !*optarg) {
            cli_error("%s: the value of '--%s' is empty", verb->name, long_name(option));
            return -1;
        }
        option_set(options, option);
        if (has_too_many(options)) {
            cli_error("%s: '--%s' is given more than %d times", verb->name, long_name(option), CLI_TEXTS_MAX);
            return -1;
        }
    }
    return 0;
}

static bool check_arguments(const struct cli_verb *verb, const struct cli_options *options)
{
    if (options->n_args < verb->min_args)
        cli_error("%s: something is missing: %s", verb->name, verb->arguments);
    else if (options->n_args > verb->max_args)
        cli_error("%s: '%s' is one word too many", verb->name, options->args[verb->max_args]);
    return options->n_args >= verb->min_args && options->n_args <= verb->max_args;
}

/* --json is short for --format json. */
static bool find_format(const struct cli_verb *verb, struct cli_options *options)
{
    const char *word = options->format ?: options->json ? "json" : NULL;
    bool json = word && strcmp(word, "json") == 0;

    for (options->form = 0; word && verb->formats && verb->formats[options->form]; options->form++)
        if (strcmp(verb->formats[options->form], word) == 0)
            break;
    if (options->format && options->json && !json) {
        cli_error("%s: --json is one format, --format names another", verb->name);
        return false;
    }
    if (options->format && !verb->formats[options->form]) {
        _cleanup_free_ char *formats = formats_text(verb, "", " and ");
        cli_error("%s: the formats are %s", verb->name, formats);
        return false;
    }
    options->json = json;
    return true;
}

bool cli_options_parse(const struct cli_verb *verb, int argc, char **argv, struct cli_options *ret,
                       int *ret_exit)
{
    struct cli_options options = {};

    if (argc > 2 && strcmp(argv[1], COMPLETE_WORD) == 0) {
        cli_complete(verb, argv + 2, argc - 2);
        *ret_exit = STATUS_OK;
        return false;
    }
    int r = parse_options(verb, argc, argv, &options);
    if (r > 0) {
        if (r == OPT_HELP)
            print_help(verb);
        else
            puts("cofferdam " COFFERDAM_VERSION);
        *ret_exit = STATUS_OK;
        return false;
    }
    options.n_args = argc - optind;
    options.args = argv + optind;
    if (r < 0 || !check_arguments(verb, &options) || !find_format(verb, &options))
        return wrong_usage(verb, ret_exit);
    *ret = options;
    return true;
}

/* ---- values ------------------------------------------------------------------------------------------- */

int cli_moment(const char *text, uint64_t *ret)
{
    struct timespec clock;
    uint64_t span, now;

    if (utc_parse_usec(text, ret) == 0)
        return 0;
    if (duration_parse(text, &span) < 0)
        return -EINVAL;
    clock_gettime(CLOCK_REALTIME, &clock);
    now = (uint64_t)clock.tv_sec * 1000000 + (uint64_t)clock.tv_nsec / 1000;
    *ret = now > span ? now - span : 1;
    return 0;
}

/* ---- texts -------------------------------------------------------------------------------------------- */

static bool is_utf8(const char *text)
{
    json_t *string = json_string(text);
    bool good = string;

    json_decref(string);
    return good;
}

bool cli_all_utf8(const struct cli_options *options)
{
    const struct cli_texts *lists[] = {&options->allow, &options->select, &options->except,
                                       &options->addresses, &options->interfaces};
    bool good = !options->reason || is_utf8(options->reason);

    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        for (size_t j = 0; j < lists[i]->n; j++)
            good = good && is_utf8(lists[i]->v[j]);
    for (size_t i = 0; i < options->filters.n; i++)
        good = good && is_utf8(options->filters.v[i].value);
    for (int i = 0; i < options->n_args; i++)
        good = good && is_utf8(options->args[i]);
    return good;
}

/* ---- the host's settings ------------------------------------------------------------------------------ */

static void override(char **setting, const char *value)
{
    if (!value)
        return;
    free(*setting);
    *setting = xstrdup(value);
}

int cli_settings(const struct cli_options *options, struct settings **ret)
{
    _cleanup_(settings_freep) struct settings *settings = settings_new();
    _cleanup_diags_ struct diags diags = {};

    int r = files_load_settings(options->config ?: SETTINGS_FILE, !options->config, settings, &diags);
    diags_print(&diags, stderr, cli_colour(stderr));
    if (r < 0)
        return r;

    override(&settings->control, options->control);
    override(&settings->state, options->state);
    *ret = STEAL(settings);
    return 0;
}

/* ---- the policies that are meant ---------------------------------------------------------------------- */

int cli_policy_settings(const struct cli_options *options, struct settings *settings, struct diags *diags)
{
    if (!options->config && (options->n_args || options->policies))
        return 0;
    return files_load_settings(options->config ? options->config : SETTINGS_FILE, !options->config, settings,
                               diags);
}

bool cli_policy_arguments(const struct cli_verb *verb, const struct cli_options *options)
{
    const char *why = options->policies && options->n_args
                          ? "either --policies or a PATH says which policies are meant"
                          : NULL;

    for (int i = 0; i < options->n_args; i++)
        why = *options->args[i] ? why : "the path is empty";
    if (why)
        cli_error("%s: %s\nsee cofferdam %s --help", verb->name, why, verb->name);
    return !why;
}

void cli_load_policies(const struct cli_options *options, const struct settings *settings,
                       struct policy_set *set, struct diags *diags)
{
    for (int i = 0; i < options->n_args; i++)
        files_load_policies(options->args[i], set, diags);
    if (!options->n_args)
        files_load_policies(options->policies ?: settings->policies, set, diags);
    policy_set_finish(set, diags);
}
