/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket's verb "label-list": see control/protocol.h. */
#include <errno.h>
#include <string.h>

#include "control/protocol.h"
#include "daemon.h"
#include "daemon/label_state.h"
#include "inventory/json.h"
#include "util/text.h"
#include "verbs.h"

static const char *name_of(const struct container *container)
{
    return container->name ? container->name : container->id;
}

static json_t *docker_label_to_json(const struct container *container, const struct label *label)
{
    bool counts = container->labels_known && !label->from_image;

    for (size_t i = 0; i < container->n_overlay; i++)
        counts = counts && strcmp(container->overlay[i].key, label->key) != 0;
    return json_pack("{s:o, s:o, s:s, s:b, s:n}", "key", json_text_or_null(label->key), "value",
                     json_text_or_null(label->value), "from", label->from_image ? "image" : "docker",
                     "counts", counts, "given");
}

static json_t *labels_of_container(const struct brain *brain, const struct container *container)
{
    json_t *list = json_array();

    for (size_t i = 0; i < container->n_overlay; i++) {
        const struct label *label = &container->overlay[i];

        json_array_append_new(
            list, json_pack("{s:o, s:o, s:s, s:b, s:o}", "key", json_text_or_null(label->key), "value",
                            json_text_or_null(label->value), "from", "cofferdam", "counts", true, "given",
                            given_label_to_json(labels_find(brain_labels(brain), container, label->key))));
    }
    for (size_t i = 0; i < container->n_labels; i++)
        json_array_append_new(list, docker_label_to_json(container, &container->labels[i]));
    return list;
}

/* Each with the names of the containers for which it counts. */
static json_t *all_labels(const struct brain *brain)
{
    const struct given_labels *labels = brain_labels(brain);
    json_t *list = json_array();

    for (size_t i = 0; labels && i < labels->n; i++) {
        json_t *object = given_label_to_json(&labels->v[i]);

        json_object_set_new(object, "containers", json_array());
        json_array_append_new(list, object);
    }
    for (const struct container *c = brain_inventory(brain)->containers; labels && c; c = c->hh.next) {
        size_t n;
        const struct given_label **found = labels_of(labels, c, &n);

        for (size_t i = 0; i < n; i++)
            json_array_append_new(
                json_object_get(json_array_get(list, (size_t)(found[i] - labels->v)), "containers"),
                json_text_or_null(name_of(c)));
        free(found);
    }
    return list;
}

json_t *verb_label_list(struct daemon *daemon, const json_t *request, const struct control_peer *peer)
{
    const char *word = json_string_value(json_object_get(request, "container"));
    const struct container *container;
    int r;

    (void)peer;
    if (!word)
        return control_answer(STATUS_OK, json_pack("{s:s, s:b, s:o}", "format_version", "1.0", "lost",
                                                   brain_labels_lost(daemon->brain), "given",
                                                   all_labels(daemon->brain)));
    r = inventory_find(brain_inventory(daemon->brain), word, &container);
    if (r < 0) {
        _cleanup_free_ char *safe = text_escape(word, false);
        _cleanup_free_ char *text =
            xasprintf(r == -ENOTUNIQ ? "label: more than one container has an ID that begins with '%s'"
                                     : "label: there is no container '%s'",
                      safe);

        return control_error(STATUS_ERROR, text, "`docker ps -a` lists them", NULL);
    }
    return control_answer(STATUS_OK, json_pack("{s:s, s:b, s:o, s:o, s:o}", "format_version", "1.0", "lost",
                                               brain_labels_lost(daemon->brain), "container",
                                               json_text_or_null(name_of(container)), "id",
                                               json_text_or_null(container->id), "labels",
                                               labels_of_container(daemon->brain, container)));
}
