#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a real browser makes of the page and the picture of `cofferdam graph`: page.py COFFERDAM.

Needs chromium; without it nothing is tested, and the exit status is 77. The browser runs without any network.
"""

import json
import pathlib
import re
import sys
import tempfile
import unittest

import browser
import graph as drawn  # takes the command line


def setUpModule():
    global chromium
    chromium = browser.Browser()
    unittest.addModuleCleanup(chromium.__exit__)
    chromium.__enter__()


# Which rows of the table and lines of the picture are to be seen, as [from, to].
SHOWN = """(() => {
  const seen = (element) => element.getClientRects().length > 0;
  const rows = [...document.querySelectorAll("tr[data-from]")].filter(seen);
  const from = (row) => document.getElementById(row).dataset.from;
  return {rows: rows.map((row) => [row.dataset.from, row.dataset.to]),
          lines: [...document.querySelectorAll("g.edge")].filter(seen).map((e) => [from(e.dataset.row), e.dataset.to]),
          boxes: [...document.querySelectorAll("g.node")].filter(seen).map((e) => e.dataset.node),
          count: document.querySelector("output").textContent};
})()"""

# Boxes and labels that lie on others, and texts that are wider than their place.
UNREADABLE = """(() => {
  const place = (element) => element.getBoundingClientRect();
  const seen = (what) => [...document.querySelectorAll(what)].filter((element) => element.getClientRects().length > 0);
  const things = [...seen("g.node > rect"), ...seen("g.row > text")].map((e) => [e, place(e)]);
  const found = [];
  things.sort(([, a], [, b]) => a.top - b.top);
  things.forEach(([a, x], i) => {
    for (const [b, y] of things.slice(i + 1)) {
      if (y.top >= x.bottom) break;
      if (x.left < y.right && y.left < x.right && a.tagName === b.tagName)
        found.push([a.parentNode.textContent, b.parentNode.textContent]);
    }
  });
  for (const text of seen("g.node > text"))
    if (place(text).right > place(text.parentNode.querySelector("rect")).right) found.push(["wide", text.textContent]);
  for (const text of seen("g.row > text"))
    if (place(text).right > place(text.parentNode.querySelector("path")).right) found.push(["wide", text.textContent]);
  const all = place(document.querySelector("svg"));
  for (const text of seen("svg > text"))
    if (place(text).right > all.right) found.push(["out of the picture", text.textContent]);
  for (const [a, x] of things)
    if (x.top < all.top - 1 || x.bottom > all.bottom + 1) found.push(["out of the picture", a.parentNode.textContent]);
  return found;
})()"""

MOVES = """[...document.querySelectorAll("svg [transform], svg g.edge path, svg rect")].map((element) =>
  [element.getAttribute("transform"), element.getAttribute("d"), element.getAttribute("height")].join(" "))"""


class InBrowser(drawn.Drawn):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def open(self, text, name="page.html", **kwargs):
        path = pathlib.Path(self.folder.name).resolve() / name
        path.write_text(text, encoding="utf-8")
        tab = chromium.open(path, **kwargs)
        self.addCleanup(tab.close)
        self.assert_quiet(tab)
        return tab

    def assert_quiet(self, tab):
        self.assertEqual(tab.complaints(), [])
        self.assertEqual(tab.requests(), [])

    def search(self, tab, words):
        tab.run(f'{{ const input = document.querySelector("input[type=search]"); input.value = {json.dumps(words)};'
                ' input.dispatchEvent(new Event("input")); }')
        return self.shown(tab)

    def shown(self, tab):
        shown = tab.run(SHOWN)
        self.assertEqual(sorted(shown["lines"]), sorted(shown["rows"]))
        self.assertTrue(shown["count"].startswith(f'{len(shown["rows"])} of '), shown["count"])
        self.assertLessEqual({node for row in shown["rows"] for node in row}, set(shown["boxes"]))
        self.assertEqual(tab.run(UNREADABLE), [])
        return {tuple(row) for row in shown["rows"]}


class Page(InBrowser):
    def setUp(self):
        super().setUp()
        self.text, self.document = self.draw("html"), json.loads(self.draw("json"))
        self.names = {node["id"]: node["name"] for node in self.document["nodes"]}
        self.every = {(self.names[a], self.names[b]) for a, b in drawn.drawn_of(self.document)}

    def found(self, tab, words):
        return {(self.names[a], self.names[b]) for a, b in self.search(tab, words)}

    def test_the_script_places_all_where_it_stood(self):
        """The layout is written twice: in C, and in the script."""
        tab = self.open(self.text)
        with_script = tab.run(MOVES)
        without = self.open(re.sub(r"<script>[^]*</script>".replace("[^]", r"[\s\S]"), "", self.text), "plain.html")
        self.assertEqual(with_script, without.run(MOVES))
        self.assertGreater(len(with_script), 30)
        self.assertEqual(without.run(UNREADABLE), [])
        self.assertEqual(len(without.run(SHOWN)["rows"]), len(self.every))

    def test_typing_searches(self):
        tab = self.open(self.text)
        tab.type("shop/web")  # the field has the focus
        self.assertEqual({(self.names[a], self.names[b]) for a, b in self.shown(tab)},
                         {edge for edge in self.every if "shop/web" in edge})
        self.assert_quiet(tab)

    def test_search(self):
        tab = self.open(self.text)
        words = ["", "shop/web", "shop-web-2", "5432", "5432/tcp", "9005", "9005/udp", "shop/db 6432", "nobody", "udp",
                 "2", ""]
        found = {word: self.found(tab, word) for word in words}
        every = self.every
        self.assertEqual(found[""], every)
        self.assertEqual(found["shop/web"], {edge for edge in every if "shop/web" in edge})
        self.assertEqual(found["shop-web-2"], found["shop/web"])
        self.assertIn(("shop/web", "shop/db"), found["5432"])
        self.assertEqual(found["5432/tcp"], found["5432"])
        self.assertIn(("10.0.0.0/8", "shop/web"), found["9005"])
        self.assertNotIn(("10.0.0.0/8", "shop/web"), found["9005/udp"])
        self.assertEqual(found["shop/db 6432"], {("shop/web", "shop/db")})
        self.assertEqual(found["nobody"], set())
        self.assertIn(("shop/web", "shop/web"), found["udp"])
        # of a name "shop-web-2", and of addresses no part
        self.assertIn(("internet", "shop/web"), found["2"])
        self.assertNotIn(("worker", "lone"), found["2"])
        self.assert_quiet(tab)

    def chosen(self, tab):
        return {(self.names[a], self.names[b]) for a, b in self.shown(tab)}

    def test_a_name_is_chosen_with_keys_and_mouse(self):
        tab = self.open(self.text)
        number = next(node for node, name in self.names.items() if name == "worker")
        mine = {edge for edge in self.every if "worker" in edge}
        for key, code in (("Enter", 13), (" ", 32)):
            for _ in range(40):  # by Tab alone
                tab.key("Tab", 9)
                if tab.run("document.activeElement.dataset.node || ''") == number:
                    break
            self.assertEqual(tab.run("document.activeElement.dataset.node"), number)
            tab.key(key, code)
            self.assertEqual(self.chosen(tab), mine)
            self.assertEqual(tab.run("document.activeElement.getAttribute('aria-pressed')"), "true")
            tab.key(key, code)
            self.assertEqual(self.chosen(tab), self.every)
            tab.run("document.querySelector('input').focus()")
        box = tab.run(f"(({{x, y}}) => [x + 9, y + 9])(document.querySelector('g[data-node={number}]')"
                      ".getBoundingClientRect())")
        tab.click(*box)
        self.assertEqual(self.chosen(tab), mine)
        self.assert_quiet(tab)

    def test_light_and_dark(self):
        """Whatever the viewer prefers, texts are told from what is behind them."""
        look = ("[...document.querySelectorAll('body, svg text, svg rect, th, td, .note')].map((element) => {"
                " const style = getComputedStyle(element); return [style.color, style.fill]; })")
        light, dark = (self.open(self.text, f"{scheme}.html", scheme=scheme) for scheme in ("light", "dark"))
        for one, other in zip(light.run(look), dark.run(look), strict=True):
            self.assertNotEqual(one, other)
        self.assertEqual(dark.run("getComputedStyle(document.documentElement).colorScheme"), "light dark")

    def test_the_picture_by_itself(self):
        tab = self.open(self.draw("svg"), "graph.svg")
        self.assertEqual(tab.run("document.documentElement.tagName"), "svg")
        self.assertEqual(tab.run("document.querySelectorAll('.edge').length"), len(self.every))
        self.assertEqual(tab.run(UNREADABLE), [])


class Changes(InBrowser):
    """What another policy set would change, marked."""

    def setUp(self):
        super().setUp()
        args = ["--base", "policies.yaml", "changes.yaml"]
        self.text, document = self.draw("html", *args), json.loads(self.draw("json", *args))
        every = {pair: edge["change"] for edge in document["edges"] for pair in drawn.edges_of({"edges": [edge]})}
        self.every = {pair: every[pair] for pair in drawn.drawn_of(document)}

    def test_only_what_changes_until_asked_for_the_rest(self):
        tab = self.open(self.text)
        changed = {pair for pair, change in self.every.items() if change != "same"}
        self.assertLess(len(changed), len(self.every))
        self.assertEqual(self.shown(tab), changed)
        tab.run("document.querySelector('input[type=checkbox]').click()")
        self.assertEqual(self.shown(tab), set(self.every))
        tab.run("document.querySelector('input[type=checkbox]').click()")
        self.assertLess(self.search(tab, "worker"), changed)
        self.assert_quiet(tab)

    def test_marks_are_seen_without_colours(self):
        for form, text in (("html", self.text), ("svg", self.draw("svg", "--base", "policies.yaml", "changes.yaml"))):
            tab = self.open(text, f"page.{form}")
            look = tab.run("""Object.fromEntries(["added", "removed", "mixed", "same"].map((change) => {
              const style = getComputedStyle(document.querySelector(`.edge.${change} path`));
              return [change, [style.stroke, style.strokeWidth, style.strokeDasharray]]; }))""")
            self.assertEqual(tab.run(UNREADABLE), [])
            self.assertEqual(len({tuple(style) for style in look.values()}), 4)
            self.assertNotEqual(look["removed"][2], "none")
            self.assertGreater(float(look["added"][1].removesuffix("px")), float(look["same"][1].removesuffix("px")))
            rows = tab.run("""[...document.querySelectorAll(".row")].map((row) => [row.className.baseVal,
              row.querySelector("text").textContent])""")
            for name, label in rows:
                self.assertEqual("same" in name.split(), not re.search("[+−] ", label), label)


class Hostile(drawn.Hostile, InBrowser):
    """Names that would be elements, scripts or requests, if they were anything but text."""

    def setUp(self):
        InBrowser.setUp(self)

    def test_page_and_picture(self):
        for form in ("html", "svg"):
            tab = self.open(self.hostile(form), f"page.{form}")
            self.assertEqual(tab.run("document.querySelectorAll('img, a, script[src], iframe, link').length"), 0)
            self.assertEqual(tab.run("document.querySelectorAll('script').length"), int(form == "html"))
            self.assertIn("日本語/日本語", tab.run("document.documentElement.textContent"))
            self.assert_quiet(tab)

    def test_search(self):
        tab = self.open(self.hostile("html"))
        document = json.loads(self.draw("json", self.policies, inventory=self.inventory))
        names = {node["id"]: node["name"] for node in document["nodes"]}
        for word in drawn.HOSTILE:
            if word.isprintable() and " " not in word and "\uffff" not in word:
                found = {names[node] for row in self.search(tab, word) for node in row}
                self.assertIn(f"{word}/{word}", found)
        self.assert_quiet(tab)


def many(n):
    """n containers, ten to a project, which may talk there, each on a port of its own: nobody is like another."""
    document = json.loads((drawn.HERE / "inventory.json").read_text(encoding="utf-8"))
    plain = next(c for c in document["containers"] if c["name"] == "shop-web-1")
    document["containers"], policies = [], []
    for i in range(n):
        endpoint = {**plain["endpoints"][0], "id": f"e{i}", "ipv4": f"172.18.{1 + i // 250}.{i % 250}",
                    "ipv6": f"fd00::1:{i:x}"}
        labels = {"com.docker.compose.project": f"p{i // 10}", "com.docker.compose.service": f"s{i % 10}"}
        document["containers"].append({**plain, "id": f"c{i}", "name": f"p{i // 10}-s{i % 10}-1", "labels": labels,
                                       "endpoints": [endpoint]})
    for i in range(10):
        policies.append(f"policy: s{i}\nselect: {{labels: {{com.docker.compose.service: s{i}}}}}\n"
                        f"ingress: [{{from: [{{same: com.docker.compose.project}}], ports: [{1000 + i}/tcp]}}]\n"
                        "egress: [{to: [{same: com.docker.compose.project}, internet]}]\n")
    return document, "---\n".join(policies)


class Sizes(InBrowser):
    def test_wide_letters_stay_in_their_boxes(self):
        document = json.loads((drawn.HERE / "inventory.json").read_text(encoding="utf-8"))
        for container in document["containers"]:
            container["name"], container["labels"] = "W" * 60 + container["id"], {}
        inventory = pathlib.Path(self.folder.name) / "inventory.json"
        inventory.write_text(json.dumps(document), encoding="utf-8")
        tab = self.open(self.draw("html", "policies.yaml", inventory=inventory))
        self.assertGreater(tab.run("document.querySelectorAll('g.node').length"), 5)
        self.assertEqual(tab.run(UNREADABLE), [])

    def draw_many(self, n):
        document, policies = many(n)
        inventory, file = (pathlib.Path(self.folder.name) / name for name in ("inventory.json", "policies.yaml"))
        inventory.write_text(json.dumps(document), encoding="utf-8")
        file.write_text(policies, encoding="utf-8")
        return self.draw("html", file, inventory=inventory)

    def test_a_thousand_containers(self):
        text = self.draw_many(1000)
        tab = self.open(text)
        self.assertEqual(len(self.shown(tab)), 2000)
        self.assertEqual(tab.run("document.querySelector('output').textContent"),
                         "2000 of 10000: a name or port leaves fewer")
        print(f"1,000 containers: {len(text) / 1e6:.1f} MB, open after {tab.seconds:.1f} s", file=sys.stderr)
        self.assertEqual(len(self.search(tab, "p17/s3")), 19)
        self.assert_quiet(tab)


if __name__ == "__main__":
    if not browser.PROGRAM:
        print("there is no chromium to open the page with; tests/install-dependencies installs it")
        sys.exit(77)
    unittest.main()
