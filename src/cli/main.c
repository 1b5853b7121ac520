/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cofferdam: the table of verbs, from which a verb is run and the help is printed.
 */
#include <errno.h>
#include <string.h>

#include "cli/complete.h"
#include "util/text.h"

static const struct {
    const char *name, *arguments, *summary;
    int (*run)(int argc, char **argv);
} verbs[] = {
    {"check", "[PATH...]", "check policies for mistakes; needs no root, Docker or daemon", cli_check},
    {"plan", "[PATH...]", "say what policies would change, and change nothing", cli_plan},
    {"apply", "", "make the daemon load the policies now", cli_apply},
    {"confirm", "", "keep the policies that are on trial", cli_confirm},
    {"rollback", "[N]", "go back to the policies before, or to number N of the history", cli_rollback},
    {"history", "[N]", "list the policies that were in force, or print those of number N", cli_history},
    {"status", "", "show the daemon, the networks and every container", cli_status},
    {"explain", "FROM TO [PORT/PROTO]", "say whether a connection is allowed, and why", cli_explain},
    {"graph", "[PATH...]", "draw who may talk to whom", cli_graph},
    {"label", "CONTAINER KEY=VALUE...", "give a container labels that policies see", cli_label},
    {"learn", "CONTAINER...", "watch what containers do, and propose policies for it", cli_learn},
    {"lockdown", "CONTAINER...", "cut containers off, now", cli_lockdown},
    {"release", "CONTAINER...", "end their lockdown", cli_release},
    {"watch", "", "show what is denied, as it happens", cli_watch},
    {"verify", "", "compare the kernel's rules with what they should be", cli_verify},
    {"metrics", "", "print figures for Prometheus and others", cli_metrics},
    {"doctor", "", "find what is wrong with host, Docker or Cofferdam, and how to mend it", cli_doctor},
    {"teardown", "", "remove every rule of Cofferdam from the kernel", cli_teardown},
    {"help", "[COMMAND]", "print this, or the help of a command", cli_help},
};

static void print_usage(FILE *out)
{
    fputs("Usage: cofferdam [OPTION...] COMMAND [ARGUMENT...]\n"
          "\n"
          "Network isolation for the containers of a Docker host.\n"
          "\n"
          "Commands:\n",
          out);
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
        _cleanup_free_ char *synopsis = xasprintf("%s %s", verbs[i].name, verbs[i].arguments);
        fprintf(out, "  %-29s %s\n", synopsis, verbs[i].summary);
    }
    fputs("\nOptions that every command takes, before it or after it:\n", out);
    cli_options_print(NULL, out);
    fputs("\n"
          "`cofferdam COMMAND --help` has the command's own options, examples and exit statuses.\n"
          "The daemon is cofferdamd(8); the language of policies is in cofferdam-policy(5).\n",
          out);
}

static int unknown_verb(const char *word)
{
    const char *names[ARRAY_SIZE(verbs) + 1] = {};

    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
        names[i] = verbs[i].name;
    const char *meant = nearest_word(word, names);
    if (meant)
        cli_error("unknown command '%s'; did you mean '%s'?", word, meant);
    else
        cli_error("unknown command '%s'; `cofferdam --help` lists them", word);
    return STATUS_USAGE;
}

static int run_verb(const char *name, int argc, char **argv)
{
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
        if (strcmp(verbs[i].name, name) == 0)
            return verbs[i].run(argc, argv);
    return unknown_verb(name);
}

static const struct cli_verb help_verb = {
    .name = "help",
    .arguments = "[COMMAND]",
    .max_args = 1,
    .about = "Prints the list of commands, or the help of one.\n",
    .examples = "Examples:\n"
                "  cofferdam help explain\n"
                "\n"
                "Exit status: 0 printed, 64 wrong usage.\n",
};

int cli_help(int argc, char **argv)
{
    struct cli_options options;
    int status;

    if (!cli_options_parse(&help_verb, argc, argv, &options, &status))
        return status;
    if (options.n_args) {
        char *help[] = {options.args[0], (char *)"--help", NULL};
        return run_verb(help[0], 2, help);
    }
    print_usage(stdout);
    return STATUS_OK;
}

/* ---- completion --------------------------------------------------------------------------------------- */

static bool is_verb(const char *word)
{
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
        if (strcmp(verbs[i].name, word) == 0)
            return true;
    return false;
}

static void complete_command(const char *start)
{
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
        cli_complete_word(start, verbs[i].name, verbs[i].summary);
}

/* Its options are those of the command that it is about, and its parser's. */
static int complete_verb(char **words, int n, int verb)
{
    _cleanup_free_ char **line = xcalloc((size_t)n + 3, sizeof(*line));

    line[0] = words[verb];
    line[1] = (char *)COMPLETE_WORD;
    memcpy(line + 2, words, (size_t)n * sizeof(*words));
    if (strcmp(words[verb], help_verb.name) == 0 && cli_complete_wants_command(&help_verb, words, n))
        complete_command(words[n - 1]);
    return is_verb(words[verb]) ? run_verb(words[verb], n + 2, line) : STATUS_OK;
}

/* The words behind "__complete --". */
static int complete(char **words, int n)
{
    int verb;

    if (n < 1)
        return STATUS_USAGE;
    verb = cli_complete_verb(words, n);
    if (verb >= 0)
        return complete_verb(words, n, verb);
    if (cli_complete_wants_command(NULL, words, n))
        complete_command(words[n - 1]);
    cli_complete(NULL, words, n);
    return STATUS_OK;
}

/* ---- the command line --------------------------------------------------------------------------------- */

/* The command's word goes first and takes the options that stood before it along. */
static int run_command_line(int verb, int argc, char **argv)
{
    _cleanup_free_ char **words = xcalloc((size_t)argc + 1, sizeof(*words));
    int n = 0;

    words[n++] = argv[verb];
    for (int i = 1; i < argc; i++)
        if (i != verb)
            words[n++] = argv[i];
    return run_verb(words[0], n, words);
}

static int run(int argc, char **argv)
{
    bool help, version;

    if (argc < 2) {
        print_usage(stderr);
        return STATUS_USAGE;
    }
    if (argc > 3 && strcmp(argv[1], "__complete") == 0 && strcmp(argv[2], "--") == 0)
        return complete(argv + 3, argc - 3);
    int verb = cli_find_verb(argc, argv, &help, &version);
    if (verb >= 0 && version) {
        puts("cofferdam " COFFERDAM_VERSION);
        return STATUS_OK;
    }
    if (verb >= 0 && verb < argc)
        return run_command_line(verb, argc, argv);
    if (verb >= 0 && help) {
        print_usage(stdout);
        return STATUS_OK;
    }
    if (verb >= 0)
        cli_error("a command is missing");
    fputs("see cofferdam --help\n", stderr);
    return STATUS_USAGE;
}

int main(int argc, char **argv)
{
    int status = run(argc, argv);

    /* A full disk or a closed pipe must not look like success. */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        cli_error("writing the output: %s", strerror(errno));
        return STATUS_ERROR;
    }
    return status;
}
