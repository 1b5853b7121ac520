/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * matrix INVENTORY POLICY...: prints who may reach whom, as a matrix (rows are sources: "+" on some port, "."
 * on none,
 * "!" nothing is enforced, "D" only Docker itself blocks it), and then the ports of each pair that may. The
 * parties are all containers, the host, and the addresses in the inventory's key "outside".
 */
#include <stdio.h>
#include <string.h>

#include "inventory/json.h"
#include "policy/parse.h"
#include "verdict/explain.h"

static int load_policies(struct policy_set *set, int n, char **files, struct diags *diags)
{
    static char bytes[POLICY_FILE_MAX + 1];
    int r = 0;

    for (int i = 0; i < n; i++) {
        FILE *file = fopen(files[i], "r");
        if (!file) {
            perror(files[i]);
            return -1;
        }
        size_t len = fread(bytes, 1, sizeof(bytes), file);
        fclose(file);
        const char *slash = strrchr(files[i], '/');
        r = policy_parse(set, slash ? slash + 1 : files[i], bytes, len, diags) ?: r;
    }
    return policy_set_finish(set, diags) ?: r;
}

/* Containers by name, as the inventory's document has them, then host and outside. */
static size_t parties(const json_t *document, const char **ret)
{
    size_t n = 0, i;
    json_t *item;

    json_array_foreach (json_object_get(document, "containers"), i, item)
        ret[n++] = json_string_value(json_object_get(item, "name"));
    ret[n++] = "host";
    json_array_foreach (json_object_get(document, "outside"), i, item)
        ret[n++] = json_string_value(item);
    return n;
}

struct table {
    const char *names[64];
    size_t n;
    struct explanation *cells[64][64];
};

static struct table table;

static char cell_mark(const struct explanation *x)
{
    if (x->state == EXPLAIN_ITSELF || (x->state == EXPLAIN_UNENFORCED && x->from.kind != PARTY_ENDPOINT))
        return ' ';
    if (x->state == EXPLAIN_UNENFORCED)
        return '!';
    if (x->verdict == VERDICT_DENY)
        return '.';
    return x->docker_blocks ? 'D' : '+';
}

static void print_matrix(void)
{
    printf("%27s", "");
    for (size_t i = 0; i < table.n; i++)
        printf("%3zu", i + 1);
    for (size_t i = 0; i < table.n; i++) {
        printf("\n%2zu %-24s", i + 1, table.names[i]);
        /* Rows of blanks only, such as the outside to itself, end where they began. */
        size_t last = 0;
        for (size_t j = 0; j < table.n; j++)
            last = cell_mark(table.cells[i][j]) != ' ' ? j + 1 : last;
        for (size_t j = 0; j < last; j++)
            printf("  %c", cell_mark(table.cells[i][j]));
    }
    printf("\n\n");
}

static void print_ports(size_t i, size_t j)
{
    const struct explanation *x = table.cells[i][j];
    const struct explain_ports *ports = &x->allowed_ports;

    if (cell_mark(x) != '+' && cell_mark(x) != 'D')
        return;
    printf("%s -> %s:", table.names[i], table.names[j]);
    for (size_t p = 0; p < ports->n; p++)
        printf("%s %s", p ? "," : "", ports->v[p]);
    printf("\n");
}

static int fill_table(const struct evaluation *with, struct diags *diags)
{
    for (size_t i = 0; i < table.n; i++)
        for (size_t j = 0; j < table.n; j++)
            if (explain(with, table.names[i], table.names[j], NULL, &table.cells[i][j], diags) < 0)
                return -1;
    print_matrix();
    for (size_t i = 0; i < table.n; i++)
        for (size_t j = 0; j < table.n; j++) {
            print_ports(i, j);
            explanation_free(table.cells[i][j]);
        }
    return 0;
}

static int run(const json_t *document, int n_files, char **files, struct diags *diags)
{
    _cleanup_(policy_set_freep) struct policy_set *set = policy_set_new();
    _cleanup_(inventory_freep) struct inventory *inventory = NULL;
    _cleanup_(settings_freep) struct settings *settings = settings_new();
    struct container *container, *next;

    if (load_policies(set, n_files, files, diags) < 0 || inventory_from_json(document, &inventory, diags) < 0)
        return -1;
    HASH_ITER (hh, inventory->containers, container, next) {
        container->labels_known = true;
        container->dns_known = true;
    }
    struct evaluation with = {set, inventory, settings, NULL};
    table.n = parties(document, table.names);
    return fill_table(&with, diags);
}

int main(int argc, char **argv)
{
    _cleanup_diags_ struct diags diags = {};
    json_error_t error;

    json_t *document = argc > 2 ? json_load_file(argv[1], 0, &error) : NULL;
    if (!document) {
        fprintf(stderr, "%s\n", argc > 2 ? error.text : "usage: matrix INVENTORY POLICY...");
        return 1;
    }
    int r = run(document, argc - 2, argv + 2, &diags);
    diags_print(&diags, stderr, false);
    json_decref(document);
    return r < 0 ? 1 : 0;
}
