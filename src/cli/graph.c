/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `cofferdam graph`: who may talk to whom, drawn. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "cli/cli.h"
#include "control/client.h"
#include "control/policy_files.h"
#include "inventory/json.h"
#include "verdict/graph_json.h"
#include "verdict/lock_json.h"

enum format { FORMAT_DOT, FORMAT_MERMAID, FORMAT_SVG, FORMAT_HTML, FORMAT_JSON, FORMATS };
static const char *const format_words[] = {"dot", "mermaid", "svg", "html", "json", NULL}; /* in that order */

static const struct cli_verb verb = {
    .name = "graph",
    .arguments = "[PATH...]",
    .takes = TAKES_POLICIES | TAKES_INVENTORY | TAKES_FORMAT | TAKES_CONTROL | TAKES_CHANGES | TAKES_BASE,
    .formats = format_words,
    .max_args = INT_MAX,
    .about =
        "Draws who may talk to whom, and on which ports: everything that the policies allow. The containers of one\n"
        "Compose service are one node, with their number; other containers, the host and the addresses outside\n"
        "that policies tell apart are nodes as well. Only running containers are drawn.\n"
        "\n"
        "Each PATH is a file or directory of policies, as for `cofferdam check`. Without one they are those of\n"
        "--policies, else of the settings, as the files are now. The containers are those that the daemon knows;\n"
        "with --inventory, those that `cofferdam status --json` on some host has printed: then neither root nor\n"
        "Docker nor the daemon is needed. The host's settings say what no policy selects (default_mode); with a\n"
        "PATH or --policies and --inventory they are read only where --config names them.\n"
        "\n"
        "The formats: dot for Graphviz, mermaid for pages in Markdown, svg for a picture, html for a page by itself\n"
        "that can be searched and loads nothing, json for scripts. What the policies allow and Docker itself blocks\n"
        "is in json only; the others count it. On a host with many names, services and containers that all\n"
        "policies treat alike are joined.\n"
        "\n"
        "With --changes, what these policies would change is marked: what would be allowed (+), what would be\n"
        "denied (-), and beside that, in grey, what stays. They are compared with the policies in force, which the\n"
        "daemon names, or with --inventory that file; or with those of --base. html shows the changes alone until\n"
        "asked for the rest.\n",
    .examples = "Examples:\n"
                "  sudo cofferdam graph --format svg > graph.svg\n"
                "  sudo cofferdam graph --format html > graph.html\n"
                "  sudo cofferdam graph --changes --format html ~/policies > changes.html\n"
                "  cofferdam graph --inventory inventory.json --format mermaid policies/\n"
                "  cofferdam graph --inventory inventory.json --base main/policies -o svg policies/\n"
                "\n"
                "Exit status: 0 printed, 1 error, 64 wrong usage.\n",
};

/* ---- the daemon's containers -------------------------------------------------------------------------- */

/* What is drawn. */
struct input {
    struct settings *settings;
    struct policy_set *policies;
    struct policy_set *in_force, *base; /* NULL: not known, and nothing is compared */
    struct inventory *inventory;
    struct lock_list *locks;
};

static void input_clear(struct input *input)
{
    settings_free(input->settings);
    policy_set_free(input->policies);
    policy_set_free(input->in_force);
    policy_set_free(input->base);
    inventory_free(input->inventory);
    lock_list_free(input->locks);
}

/* The inventory in the daemon's answer. One without containers may be that of a daemon that does not know them yet. */
static int read_answer(json_t *answer, struct input *input, bool with_policies, struct diags *diags)
{
    const json_t *result = json_object_get(answer, "result");
    const json_t *inventory = json_object_get(result, "inventory");
    int r;

    if (!json_is_true(json_object_get(answer, "ok"))) {
        (void)cli_print_answer(answer, false, NULL); /* says why it refuses */
        return -EBADMSG;
    }
    if (!inventory) {
        cli_error("the daemon's answer has no inventory; is it another version?");
        return -EBADMSG;
    }
    if (with_policies)
        input->in_force = policy_files_from_json(json_object_get(result, "policy_files"), diags);
    r = inventory_from_json(inventory, &input->inventory, diags);
    if (r == 0)
        r = locks_from_json(json_object_get(inventory, "lockdowns"), &input->locks, diags);
    if (r < 0 || input->inventory->containers)
        return r;
    cli_error("the daemon knows no containers, so there is nothing to draw\n  see cofferdam status");
    return -ENOENT;
}

static int ask_daemon(struct input *input, bool with_policies, struct diags *diags)
{
    json_t *request = control_request("status"), *answer = NULL;
    int r = control_call(input->settings->control, request, CLI_TIMEOUT_MS, &answer);

    json_decref(request);
    if (r < 0)
        cli_complain(input->settings->control, r);
    else
        r = read_answer(answer, input, with_policies, diags);
    json_decref(answer);
    return r;
}

/* ---- the verb ----------------------------------------------------------------------------------------- */

/* This host's settings are needed to find its daemon. A graph of policies with mistakes would be of another set. */
static int load(const struct cli_options *options, struct input *input, struct diags *diags)
{
    const bool compares = options->changes || options->base, with_policies = compares && !options->base;
    int r = 0;

    if (options->inventory) {
        input->settings = settings_new();
        r = cli_policy_settings(options, input->settings, diags);
    } else {
        r = cli_settings(options, &input->settings);
    }
    if (r < 0)
        return r;
    cli_load_policies(options, input->settings, input->policies, diags);
    r = options->inventory ? cli_load_inventory(options->inventory, &input->inventory,
                                                with_policies ? &input->in_force : NULL, &input->locks, diags)
                           : ask_daemon(input, with_policies, diags);
    if (r == 0 && compares)
        r = cli_load_base(options, &input->in_force, &input->base, diags);
    return diags->n_errors ? -EBADMSG : r;
}

/* JSON has those that say the same as one. */
static bool is_too_much(enum format format, const struct graph *graph)
{
    size_t n = graph_count_drawn(graph);

    if (format == FORMAT_JSON || n <= GRAPH_DRAWN_MAX)
        return false;
    cli_error(
        "these are %zu lines between %zu names, which is too much to draw\n  --format json has them all", n,
        graph->n_nodes);
    return true;
}

static void print(enum format format, const struct graph *graph)
{
    static char *(*const draw[FORMATS])(const struct graph *) = {[FORMAT_DOT] = graph_dot,
                                                                 [FORMAT_MERMAID] = graph_mermaid,
                                                                 [FORMAT_SVG] = graph_svg,
                                                                 [FORMAT_HTML] = graph_html};
    _cleanup_free_ char *text = format == FORMAT_JSON ? NULL : draw[format](graph);

    if (text) {
        fputs(text, stdout);
        return;
    }
    json_t *json = graph_to_json(graph);
    cli_print_json(json);
    json_decref(json);
}

int cli_graph(int argc, char **argv)
{
    _cleanup_(input_clear) struct input input = {.policies = policy_set_new()};
    _cleanup_(graph_freep) struct graph *graph = NULL;
    _cleanup_diags_ struct diags diags = {};
    struct cli_options options;
    int status, r;

    if (!cli_options_parse(&verb, argc, argv, &options, &status))
        return status;
    if (!cli_policy_arguments(&verb, &options))
        return STATUS_USAGE;
    r = load(&options, &input, &diags);
    if (r < 0) { /* warnings alone are for `cofferdam check` */
        diags_print(&diags, stderr, cli_colour(stderr));
        return STATUS_ERROR;
    }
    graph = graph_make(
        input.base ? &(struct evaluation){input.base, input.inventory, input.settings, input.locks} : NULL,
        &(struct evaluation){input.policies, input.inventory, input.settings, input.locks}, GRAPH_NODES);
    if (is_too_much((enum format)options.form, graph))
        return STATUS_ERROR;
    if (graph->compares && !graph_has_changes(graph))
        cli_error("nothing would change");
    print((enum format)options.form, graph);
    return STATUS_OK;
}
