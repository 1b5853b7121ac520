/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "cli/cli.h"
#include "policy/parse.h"
#include "verdict/explain_json.h"
#include "verdict/lock.h"

static const struct cli_verb verb = {
    .name = "explain",
    .arguments = "FROM TO [PORT/PROTO]",
    .takes = TAKES_CONTROL | TAKES_INVENTORY | TAKES_POLICIES,
    .min_args = 2,
    .max_args = 3,
    .about =
        "Says whether FROM may open a connection to TO, which policy and rule (with file and line), or the\n"
        "absence of one, decides it, and what would allow it. FROM and TO are each a container (name, ID or\n"
        "unique ID prefix), `host` for this host, or an IPv4 or IPv6 address. The port is the one that the\n"
        "container sees: for a published port 8080:80 it is 80/tcp; from outside and from the host, 8080/tcp\n"
        "is followed to it. Without a port, all that are allowed are listed.\n"
        "\n"
        "With --inventory, a file that `cofferdam status --json` has written on some host, the daemon is not asked: what\n"
        "is explained are the policies in force there, which the file has, or those of --policies. Settings are read\n"
        "only where --config names them.\n",
    .examples = "Examples:\n"
                "  cofferdam explain web db 5432/tcp\n"
                "  cofferdam explain 203.0.113.7 web 80/tcp    from outside, to a published port\n"
                "  cofferdam explain db 8.8.8.8                anything at all?\n"
                "  cofferdam explain --inventory inventory.json --policies policies/ web db 5432/tcp\n"
                "\n"
                "Exit status: 0 allowed, 3 denied, 1 error (no such container, no daemon), 64 wrong usage.\n",
};

/* The first line says it in one word; colour that. */
static void print_text(const char *text, bool allowed)
{
    const char *end = strchrnul(text, '\n'), *colon = memrchr(text, ':', (size_t)(end - text));
    bool colour = cli_colour(stdout);

    if (!colon) {
        cli_print_styled(stdout, false, STYLE_NONE, text);
        return;
    }
    _cleanup_free_ char *who = xstrndup(text, (size_t)(colon + 1 - text));
    _cleanup_free_ char *verdict = xstrndup(colon + 1, (size_t)(end - colon - 1));
    cli_print_styled(stdout, colour, STYLE_HEAD, who);
    cli_print_styled(stdout, colour, allowed ? STYLE_GOOD : STYLE_BAD, verdict);
    cli_print_styled(stdout, false, STYLE_NONE, end);
}

static void print(const struct cli_options *options, const json_t *result, int exit_status)
{
    const char *verdict = json_string_value(json_object_get(result, "verdict"));
    const char *text = json_string_value(json_object_get(result, "text"));

    (void)options, (void)exit_status;
    print_text(text ?: "", verdict && strcmp(verdict, "allowed") == 0);
}

static bool check_port(const char *text)
{
    struct port port;
    const char *why = NULL;

    if (port_parse(text, &port, &why) == 0)
        return true;
    cli_error("explain: '%s' is no port: %s\n  write it as 5432/tcp, 53/udp or icmp/echo-request", text,
              why ?: "not understood");
    return false;
}

/* Is the question one that can be asked? */
static bool check_question(const struct cli_options *options)
{
    for (int i = 0; i < 2; i++) {
        json_t *word = json_string(options->args[i]);

        if (!word) {
            cli_error("explain: the names must be UTF-8");
            return false;
        }
        json_decref(word);
    }
    return options->n_args < 3 || check_port(options->args[2]);
}

static int fill(const struct cli_options *options, const struct settings *settings, json_t *request)
{
    (void)settings;
    json_object_set_new(request, "from", json_string(options->args[0]));
    json_object_set_new(request, "to", json_string(options->args[1]));
    if (options->n_args == 3)
        json_object_set_new(request, "port", json_string(options->args[2]));
    return STATUS_OK;
}

/* ---- with an inventory -------------------------------------------------------------------------------- */

struct input {
    struct settings *settings;
    struct policy_set *in_force, *policies;
    struct inventory *inventory;
    struct lock_list *locks;
};

static void input_clear(struct input *input)
{
    settings_free(input->settings);
    policy_set_free(input->in_force);
    policy_set_free(input->policies);
    inventory_free(input->inventory);
    lock_list_free(input->locks);
}

static int load(const struct cli_options *options, struct input *input, struct diags *diags)
{
    int r = cli_policy_settings(options, input->settings, diags);

    if (r == 0)
        r = cli_load_inventory(options->inventory, &input->inventory,
                               options->policies ? NULL : &input->in_force, &input->locks, diags);
    return r < 0 ? r : cli_load_explained(options, &input->in_force, &input->policies, diags);
}

/* As the daemon answers. */
static json_t *answer_with(const struct cli_options *options, const struct input *input)
{
    const struct evaluation with = {input->policies, input->inventory, input->settings, input->locks};
    _cleanup_(explanation_freep) struct explanation *explanation = NULL;
    _cleanup_diags_ struct diags diags = {};
    int r = explain(&with, options->args[0], options->args[1], options->n_args == 3 ? options->args[2] : NULL,
                    &explanation, &diags);

    if (r < 0)
        return control_error(STATUS_ERROR, diags.n ? diags.v[0].message : "that cannot be explained",
                             diags.n ? diags.v[0].help : NULL, NULL);
    json_t *result = explanation_to_json(explanation);
    enum verdict verdict = lockdown_explain(with.locks, with.inventory, explanation, result);
    return control_answer(verdict == VERDICT_ALLOW ? STATUS_OK : STATUS_ATTENTION, result);
}

static int explain_with_inventory(const struct cli_options *options)
{
    _cleanup_(input_clear) struct input input = {.settings = settings_new()};
    _cleanup_diags_ struct diags diags = {};
    json_t *answer = load(options, &input, &diags) < 0
                         ? control_error(STATUS_ERROR, "that cannot be explained", NULL, &diags)
                         : answer_with(options, &input);
    int status = cli_print_answer(answer, options, print);

    json_decref(answer);
    return status;
}

int cli_explain(int argc, char **argv)
{
    struct cli_options options;
    int status;

    if (!cli_options_parse(&verb, argc, argv, &options, &status))
        return status;
    if (!check_question(&options))
        return STATUS_USAGE;
    if (options.inventory)
        return explain_with_inventory(&options);
    if (options.policies) {
        cli_error("explain: --policies is for --inventory: the daemon explains the policies in force\n"
                  "see cofferdam explain --help");
        return STATUS_USAGE;
    }
    return cli_ask_with(&verb, &options, fill, print);
}
