/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What could stand at the end of a command line, for the shells' completion: from the tables that parse it and print
 * its help, and the daemon's names. packaging/completions/ asks for it.
 *
 * A line for each word, which may have a tab and a summary behind it; ":files" and ":folders" leave it to the shell. Many
 * words are a stranger's to choose, and shells evaluate words: what is not made of harmless characters is left out.
 */
#include "cli/complete.h"

#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "control/client.h"
#include "files/files.h"

#define TIMEOUT_MS 300 /* longer than that, nobody who has pressed a key waits */

/* What a word in help stands for. */
enum kind {
    KIND_NONE,
    KIND_FILES,
    KIND_FOLDERS,
    KIND_FORMATS,
    KIND_DIRECTIONS,
    KIND_VERDICTS,
    KIND_PROTOCOLS,
    KIND_WAYS,
    KIND_CONTAINERS,
    KIND_LOCKED,
    KIND_PARTIES, /* containers, and the host */
    KIND_SELECTORS,
    KIND_INTERFACES,
    KIND_COMMANDS,
};

static const struct {
    const char *word;
    enum kind kind;
} kinds[] = {
    {"PATH", KIND_FILES},       {"FILE", KIND_FILES},
    {"SOCKET", KIND_FILES},     {"DIRECTORY", KIND_FOLDERS},
    {"DIR", KIND_FOLDERS},      {"FORMAT", KIND_FORMATS},
    {"WHICH", KIND_DIRECTIONS}, {"CONTAINER", KIND_CONTAINERS},
    {"PEER", KIND_PARTIES},     {"FROM", KIND_PARTIES},
    {"TO", KIND_PARTIES},       {"KEY=VALUE", KIND_SELECTORS},
    {"NAME", KIND_INTERFACES},  {"COMMAND", KIND_COMMANDS},
    {"VERDICT", KIND_VERDICTS}, {"PROTOCOL", KIND_PROTOCOLS},
    {"WAY", KIND_WAYS},
};

/* "CONTAINER..." and "[PATH...]" mean what CONTAINER and PATH do, and "PEER[:PORT]" what PEER does. */
static enum kind kind_of(const char *word, size_t len)
{
    if (len && *word == '[') {
        word++;
        len--;
    }
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        size_t known = strlen(kinds[i].word);

        if (len >= known && strncmp(word, kinds[i].word, known) == 0 &&
            (len == known || strchr("[.]", word[known])))
            return kinds[i].kind;
    }
    return KIND_NONE;
}

/* ---- the line so far ---------------------------------------------------------------------------------- */

struct line {
    const struct cli_verb *verb; /* NULL: none yet */
    int verb_at;                 /* position of its word, or -1 */
    int n_args;                  /* of the verb, before the last word */
    bool ended;                  /* by "--": no options any more */
    const char *config, *control;
    struct cli_option_info open; /* the last word is its value; name NULL: it is not */
};

static bool find_option(const struct cli_verb *verb, bool any, const char *word, size_t len,
                        struct cli_option_info *ret)
{
    struct cli_option_info option;

    for (size_t i = 0; cli_option_next(verb, any, &i, &option);)
        if (word[1] == '-' ? strlen(option.name) == len - 2 && strncmp(option.name, word + 2, len - 2) == 0
                           : len == 2 && option.letter == word[1]) {
            *ret = option;
            return true;
        }
    return false;
}

static void take_value(struct line *line, const char *option, const char *value)
{
    if (strcmp(option, "config") == 0)
        line->config = value;
    if (strcmp(option, "control") == 0)
        line->control = value;
}

/* An option; *i moves on to its value where that is the next word. */
static void take_option(struct line *line, char **words, int n, int *i)
{
    const char *word = words[*i], *equals = strchrnul(word, '=');
    struct cli_option_info option;

    if (!find_option(line->verb, !line->verb, word, (size_t)(equals - word), &option) || !option.value)
        return;
    if (*equals)
        take_value(line, option.name, equals + 1);
    else if (option.optional)
        return;
    else if (*i + 1 < n - 1)
        take_value(line, option.name, words[++*i]);
    else
        line->open = option;
}

static struct line read_line(const struct cli_verb *verb, char **words, int n)
{
    struct line line = {.verb = verb, .verb_at = -1};

    for (int i = 0; i < n - 1; i++) {
        if (!line.ended && strcmp(words[i], "--") == 0)
            line.ended = true;
        else if (!line.ended && words[i][0] == '-' && words[i][1])
            take_option(&line, words, n, &i);
        else if (line.verb_at < 0)
            line.verb_at = i;
        else
            line.n_args++;
    }
    return line;
}

int cli_complete_verb(char **words, int n)
{
    return read_line(NULL, words, n).verb_at;
}

/* ---- words -------------------------------------------------------------------------------------------- */

struct wanted {
    const char *before; /* what stands in front of the value in the same word: "--format=", or "" */
    size_t before_len;
    const char *start; /* of the value */
};

static bool is_harmless(const char *word)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-/:=@%+,";

    return *word && *word != '-' && strspn(word, letters) == strlen(word);
}

static void offer(const struct wanted *wanted, const char *word)
{
    if (word && is_harmless(word) && strncmp(word, wanted->start, strlen(wanted->start)) == 0)
        printf("%.*s%s\n", (int)wanted->before_len, wanted->before, word);
}

static void offer_all(const struct wanted *wanted, const json_t *list)
{
    const json_t *item;
    size_t i;

    json_array_foreach (list, i, item)
        offer(wanted, json_string_value(item));
}

static void offer_words(const struct wanted *wanted, const char *const *words)
{
    for (; *words; words++)
        offer(wanted, *words);
}

void cli_complete_word(const char *start, const char *word, const char *summary)
{
    if (strncmp(word, start, strlen(start)) == 0)
        printf("%s\t%s\n", word, summary);
}

static void offer_options(const struct cli_verb *verb, const char *start)
{
    struct cli_option_info option;

    for (size_t i = 0; cli_option_next(verb, false, &i, &option);) {
        _cleanup_free_ char *word = xasprintf("--%s", option.name);

        cli_complete_word(start, word, option.summary ?: "");
    }
}

/* ---- names -------------------------------------------------------------------------------------------- */

/* What the daemon knows; NULL where it does not say so at once: nobody wants to read why now. */
static json_t *ask_names(const struct line *line)
{
    _cleanup_(settings_freep) struct settings *settings = settings_new();
    _cleanup_diags_ struct diags diags = {};
    json_t *request, *answer = NULL, *result;

    if (!line->control &&
        files_load_settings(line->config ?: SETTINGS_FILE, !line->config, settings, &diags) < 0)
        return NULL;
    request = control_request("names");
    (void)control_call(line->control ?: settings->control, request, TIMEOUT_MS, &answer);
    json_decref(request);
    result = json_incref(json_object_get(answer, "result"));
    json_decref(answer);
    return result;
}

static void offer_selectors(const struct wanted *wanted, const json_t *names)
{
    static const char *const keys[] = {"compose=", "label=", "name=", "all", NULL};
    const json_t *item;
    size_t i;

    if (!strchr(wanted->start, '='))
        offer_words(wanted, keys);
    json_array_foreach (json_object_get(names, "compose"), i, item) {
        _cleanup_free_ char *word = xasprintf("compose=%s", json_string_value(item) ?: "");

        if (strchr(wanted->start, '='))
            offer(wanted, word);
    }
}

static void offer_names(const struct line *line, enum kind kind, const struct wanted *wanted)
{
    json_t *names = ask_names(line);

    if (kind == KIND_SELECTORS)
        offer_selectors(wanted, names);
    else
        offer_all(wanted, json_object_get(names, kind == KIND_LOCKED ? "lockdowns" : "containers"));
    if (kind == KIND_PARTIES)
        offer(wanted, "host");
    json_decref(names);
}

static void offer_interfaces(const struct wanted *wanted)
{
    struct if_nameindex *all = if_nameindex();

    for (size_t i = 0; all && all[i].if_index; i++)
        offer(wanted, all[i].if_name);
    if (all)
        if_freenameindex(all);
}

/* ---- all together ------------------------------------------------------------------------------------- */

static void offer_kind(const struct line *line, enum kind kind, const struct wanted *wanted)
{
    static const char *const directions[] = {"in", "out", "both", NULL};
    static const char *const verdicts[] = {"denied", "allowed", "audited", NULL};
    static const char *const protocols[] = {"tcp", "udp", "sctp", "icmp", "arp", NULL};
    static const char *const ways[] = {"egress", "ingress", NULL};

    switch (kind) {
    case KIND_NONE:
    case KIND_COMMANDS:
        break;
    case KIND_FILES:
        puts(":files");
        break;
    case KIND_FOLDERS:
        puts(":folders");
        break;
    case KIND_FORMATS:
        if (line->verb && line->verb->formats)
            offer_words(wanted, line->verb->formats);
        break;
    case KIND_DIRECTIONS:
        offer_words(wanted, directions);
        break;
    case KIND_VERDICTS:
        offer_words(wanted, verdicts);
        break;
    case KIND_PROTOCOLS:
        offer_words(wanted, protocols);
        break;
    case KIND_WAYS:
        offer_words(wanted, ways);
        break;
    case KIND_CONTAINERS:
    case KIND_LOCKED:
    case KIND_PARTIES:
    case KIND_SELECTORS:
        offer_names(line, kind, wanted);
        break;
    case KIND_INTERFACES:
        offer_interfaces(wanted);
        break;
    }
}

/* Of the verb's argument after so many; the last of them may be one that can be repeated. */
static enum kind kind_of_argument(const struct cli_verb *verb, int n)
{
    const char *word = verb->arguments, *end = strchrnul(word, ' ');

    for (; n > 0 && *end; n--) {
        word = end + 1;
        end = strchrnul(word, ' ');
    }
    if (n > 0 && !memmem(word, (size_t)(end - word), "...", 3))
        return KIND_NONE;
    enum kind kind = kind_of(word, (size_t)(end - word));
    return kind == KIND_CONTAINERS && verb->takes & TAKES_RELEASE ? KIND_LOCKED : kind;
}

static void offer_value(const struct line *line, const struct cli_option_info *option, const char *word,
                        const char *value)
{
    const struct wanted wanted = {word, (size_t)(value - word), value};

    offer_kind(line, kind_of(option->value, strlen(option->value)), &wanted);
}

void cli_complete(const struct cli_verb *verb, char **words, int n)
{
    const struct line line = read_line(verb, words, n);
    const char *last = words[n - 1], *equals = strchr(last, '=');
    struct cli_option_info option;

    if (line.open.name)
        offer_value(&line, &line.open, last, last);
    else if (*last != '-' || line.ended)
        offer_kind(&line, verb ? kind_of_argument(verb, line.n_args) : KIND_NONE,
                   &(struct wanted){"", 0, last});
    else if (!equals)
        offer_options(verb, last);
    else if (find_option(verb, !verb, last, (size_t)(equals - last), &option) && option.value)
        offer_value(&line, &option, last, equals + 1);
}

bool cli_complete_wants_command(const struct cli_verb *verb, char **words, int n)
{
    const struct line line = read_line(verb, words, n);

    if (line.open.name || words[n - 1][0] == '-')
        return false;
    return verb ? kind_of_argument(verb, line.n_args) == KIND_COMMANDS : line.verb_at < 0;
}
