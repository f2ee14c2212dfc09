#!/usr/bin/env python3
"""Writes the pages of site/: the website of an invented island, for the crawler to crawl.

The pages are kept in the repository; run this only to change them. The same script always writes the same pages.
"""

import html
import pathlib
import random

HOST = "http://www.saltmarrow.example"
ROOT = pathlib.Path(__file__).parent / "site"

# Each section: what its pages are about, and the words that its sentences are made of.
SECTIONS = {
    "harbour": {
        "title": "The harbour",
        "pages": ["north-quay", "tide-gate", "rope-walk", "pilot-house", "ferry-slip", "boatyard", "signal-mast",
                  "bell-buoy", "chandlery", "salt-stairs"],
        "things": ["mooring ring", "gangway", "capstan", "tide gauge", "ferry", "cutter", "breakwater", "fender",
                   "anchor chain", "harbour book", "pilot gig", "slipway"],
        "people": ["the harbour master", "a deckhand", "the pilot", "two stevedores", "the ropemaker", "the dredger crew"],
        "acts": ["was tarred", "is inspected at low water", "had to be moved", "holds against a north-easter",
                 "creaks whenever the swell turns", "was lengthened by six fathoms", "is older than the quay itself"],
    },
    "lighthouse": {
        "title": "The lighthouse",
        "pages": ["lamp-room", "clockwork", "fresnel-lens", "fog-horn", "oil-store", "keepers-log", "spiral-stair",
                  "weather-vane", "generator"],
        "things": ["lens", "mantle", "rotation weight", "brass burner", "fog signal", "gallery rail", "paraffin tank",
                   "prism", "storm pane", "watch bell", "mercury bath"],
        "people": ["the keeper", "her assistant", "the lens maker", "an inspector from the mainland", "the relief crew"],
        "acts": ["is polished before dusk", "turns once in ninety seconds", "was cracked by hail", "throws a beam of nineteen miles",
                 "must never stop", "was rewound by hand", "hums in a westerly gale"],
    },
    "orchard": {
        "title": "Orchards and gardens",
        "pages": ["cider-press", "walled-garden", "bee-house", "seed-library", "windbreak", "compost-yard", "plum-terrace",
                  "grafting", "frost-night"],
        "things": ["quince", "russet apple", "espalier", "beehive", "scion", "rootstock", "cold frame", "seed tray",
                   "cider barrel", "bramble hedge", "greengage"],
        "people": ["the gardener", "the beekeeper", "three pickers", "a botanist", "the cooper", "the school children"],
        "acts": ["ripens late", "was pruned hard", "flowers before the last frost", "is pressed in October",
                 "does well in salt air", "needs shelter from the west", "was grafted in the wet spring"],
    },
    "kitchen": {
        "title": "From the island kitchens",
        "pages": ["kelp-broth", "barley-loaf", "smoked-eel", "plum-cheese", "samphire", "oat-cakes", "crab-pie", "nettle-soup"],
        "things": ["stockpot", "barley flour", "smoked eel", "samphire", "brown butter", "sourdough", "oatmeal",
                   "crab shell", "mustard seed", "skillet", "larder"],
        "people": ["the baker", "her grandmother", "the smokehouse", "the ferry cook", "every household"],
        "acts": ["simmers for three hours", "is served with vinegar", "keeps for a month", "wants a slow oven",
                 "should never boil", "tastes of the shore", "is kneaded twice"],
    },
    "birds": {
        "title": "Birds of the cliffs",
        "pages": ["puffin", "kittiwake", "storm-petrel", "oystercatcher", "ringing-hut", "gannet-ledge", "eider", "migration"],
        "things": ["colony", "burrow", "ledge", "brood", "ringing hut", "tide line", "clutch", "telescope", "nest count",
                   "plumage", "fledgling"],
        "people": ["the warden", "a volunteer counter", "visiting ornithologists", "the egg survey", "the ringers"],
        "acts": ["returns in April", "was counted twice", "feeds on sand eels", "nests out of the wind", "calls after dark",
                 "declined for ten years", "has recovered since the rats were gone"],
    },
    "workshop": {
        "title": "Workshops",
        "pages": ["paper-mill", "dye-house", "smithy", "clockmaker", "loom-shed", "glass-kiln", "bindery", "letterpress"],
        "things": ["anvil", "shuttle", "woad vat", "deckle", "escapement", "blowpipe", "type case", "warp beam", "mordant",
                   "bookcloth", "bellows"],
        "people": ["the smith", "the weaver", "an apprentice", "the papermaker", "the printer", "the glassblower"],
        "acts": ["must cool overnight", "was cast from scrap bronze", "takes a week to dry", "is set by eye",
                 "runs on the mill stream", "was bought at auction", "wears out in a decade"],
    },
}

JOURNAL = ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"]

# A chain of pages, each of which is linked from the one before only.
CELLAR = ["entrance", "map-room", "ledger", "copper-box", "last-letter"]

OPENINGS = [
    "Nobody on Saltmarrow agrees about how the {t} came here, but {p} will tell you that it {a}.",
    "Of everything at {place}, the {t} is what visitors ask about first.",
    "The {t} {a}, and so does the {u}.",
    "In the year of the long drought {p} wrote that the {t} {a}.",
    "Start at the {t}: it {a}, and from there {place} is easy to understand.",
    "The first {t} was brought over from {other}, with {n} others that nobody has seen since.",
    "Two things are known for certain: the {t} {a}, and {p} had nothing to do with it.",
    "Before {place} had a {t}, {p} made do with a {u} and good will.",
]
MIDDLES = [
    "Each {day}, {p} checks the {t} and notes the reading beside the {u}.",
    "A {t} of this kind {a}; the {u} beside it {b}.",
    "It cost {n} shillings, which {p} thought too much.",
    "When the wind backs, the {t} {a}.",
    "The record mentions {n} repairs to the {t}, none of them by {p}.",
    "Ask {p} about the {u} and bring time.",
    "Between the {t} and the {u} there are {n} paces, paced out by {p}.",
    "The old {u} {b}, while the new one stands unused.",
    "There is a drawing of the {t} with {n} numbered parts.",
    "Since the spring tide of that year the {t} {a}.",
    "For {n} winters {p} did without a {u}.",
    "If the {t} {a}, leave it alone and send for {p}.",
    "On a clear {day} the {u} can be seen from {other}.",
    "Children are told that the {t} {a} whenever {p} sneezes.",
    "By {day} the {u} usually {b}, rain or no rain.",
    "Somebody carved the number {n} into the {t}, and {p} has not forgiven it.",
    "Spare parts for the {u} are kept at {other}.",
    "What {p} calls a {t} is really a {u} that {b}.",
]
CLOSINGS = [
    "What remains is the {t}, which {a}.",
    "The rest is told on the page about {other}.",
    "So the {u} stays, and {p} looks after it.",
    "Come on a {day}, when {p} has the key.",
    "Whoever finds another {t} is asked to report it to {p}.",
]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "market day", "feast day"]


def name(slug):
    return slug.replace("-", " ")


def article(noun):
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def fill(template, rng, section, place, other):
    t, u = rng.sample(section["things"], 2)
    a, b = rng.sample(section["acts"], 2)
    for slot, noun in (("t", t), ("u", u)):
        template = template.replace("a {" + slot + "}", article(noun)).replace("A {" + slot + "}", article(noun))
    text = template.format(t=t, u=u, a=a, b=b, p=rng.choice(section["people"]), n=rng.randrange(2, 60),
                           day=rng.choice(DAYS), place=f"the {name(place)}", other=f"the {name(other)}")
    return html.escape(text[0].upper() + text[1:], quote=False)


def paragraphs(rng, section, place, others, count):
    out = []
    for opening in rng.sample(OPENINGS, count):
        other = rng.choice([slug for slug in others if slug != place])
        sentences = [opening, *rng.sample(MIDDLES, rng.randrange(4, 7)), rng.choice(CLOSINGS)]
        out.append("<p>" + "\n".join(fill(s, rng, section, place, other) for s in sentences) + "</p>")
    return out


def table(rng, section):
    rows = "\n".join(f"<tr><td>{thing}</td><td>{rng.randrange(1, 400)}</td><td>{rng.choice(DAYS)}</td></tr>"
                     for thing in rng.sample(section["things"], 4))
    return f"<table>\n<tr><th>What</th><th>Number</th><th>Checked on</th></tr>\n{rows}\n</table>"


def links(pairs):
    items = "\n".join(f'<li><a href="{html.escape(href)}">{text}</a></li>' for href, text in pairs)
    return f"<ul>\n{items}\n</ul>"


def page(path, title, body):
    text = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title} &ndash; Saltmarrow</title>
<style>body {{ max-width: 40em; margin: auto; font-family: serif }}</style>
<script>document.documentElement.className = "scripted";</script>
</head>
<body>
<nav><a href="/">Saltmarrow</a> <a href="/journal/">Journal</a> <a href="/about.html#top">About</a></nav>
<h1>{title}</h1>
{body}
<footer>Written on Saltmarrow, an island that is on no chart.</footer>
</body>
</html>
"""
    target = ROOT / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def section_pages(rng):
    sections = list(SECTIONS)
    for number, (key, section) in enumerate(SECTIONS.items()):
        slugs = section["pages"]
        # The section's own page names only the first half: the others are reachable from their neighbours.
        index = [(f"{slug}.html", name(slug).capitalize()) for slug in slugs[: len(slugs) // 2 + 1]]
        body = paragraphs(rng, section, slugs[0], slugs, 5) + [links(index), table(rng, section)]
        page(f"{key}/index.html", section["title"], "\n".join(body))
        for i, slug in enumerate(slugs):
            neighbour = slugs[(i + 1) % len(slugs)]
            far = sections[(number + 1 + i) % len(sections)]
            far_slug = rng.choice(SECTIONS[far]["pages"])
            related = [
                (f"{neighbour}.html", name(neighbour).capitalize()),
                (f"./{neighbour}.html#history", f"History of the {name(neighbour)}"),
                (f"../{far}/{far_slug}.html", name(far_slug).capitalize()),
                (f"{HOST}/{far}/", SECTIONS[far]["title"]),
            ]
            if i % 4 == 1:
                related.append((f"lost-{slug}.html", "A page that was lost in the flood"))
            if i % 5 == 2:
                related.append((f"https://mainland.example/{slug}", "Seen from the mainland"))
            if i % 6 == 3:
                related += [("mailto:warden@saltmarrow.example", "Write to us"), (f"/{far}", f"All about {far}")]
            body = paragraphs(rng, section, slug, slugs, rng.randrange(4, 8))
            if i % 3 == 0:
                body.append(table(rng, section))
            body += ["<h2>Read on</h2>", links(related)]
            page(f"{key}/{slug}.html", name(slug).capitalize(), "\n".join(body))


def journal_pages(rng):
    keys = list(SECTIONS)
    for i, month in enumerate(JOURNAL):
        parts = []
        for key in rng.sample(keys, 3):
            section = SECTIONS[key]
            parts.append(f"<h2>{section['title']}</h2>")
            parts += paragraphs(rng, section, section["pages"][i % len(section["pages"])], section["pages"], 2)
        before, after = JOURNAL[i - 1], JOURNAL[(i + 1) % 12]
        pairs = [(f"{before}.html", before.capitalize()), (f"{after}.html?from={month}" if i == 5 else f"{after}.html", after.capitalize())]
        page(f"journal/{month}.html", f"The island in {month.capitalize()}", "\n".join(parts + [links(pairs)]))
    text = paragraphs(rng, SECTIONS["birds"], "journal", SECTIONS["birds"]["pages"], 5)
    pairs = [("january.html", "January"), ("/journal/july.html", "July"), ("../journal/january.html", "The first entry")]
    page("journal/index.html", "Journal", "\n".join(text + [links(pairs)]))


def cellar_pages(rng):
    section = SECTIONS["workshop"]
    for i, slug in enumerate(CELLAR):
        body = paragraphs(rng, section, slug, CELLAR, 6)
        if i + 1 < len(CELLAR):
            body.append(links([(f"deeper/{CELLAR[i + 1]}.html", "Further down")]))
        page(f"cellar/{'deeper/' * i}{slug}.html", f"The cellar: {name(slug)}", "\n".join(body))


def main():
    rng = random.Random(1729)
    section_pages(rng)
    journal_pages(rng)
    cellar_pages(rng)
    front = [(f"{key}/", section["title"]) for key, section in SECTIONS.items()]
    front += [("journal/", "Journal"), ("about.html", "About"), ("/closed/accounts.html", "Accounts (not for robots)")]
    body = paragraphs(rng, SECTIONS["harbour"], "ferry-slip", SECTIONS["harbour"]["pages"], 5)
    page("index.html", "Welcome to Saltmarrow", "\n".join(body + [links(front)]))
    body = paragraphs(rng, SECTIONS["workshop"], "letterpress", SECTIONS["workshop"]["pages"], 5)
    page("about.html", "About these pages", "\n".join(body + [
        "<p>Bread &amp; salt, caf&eacute;, na&iuml;ve &mdash; the island&rsquo;s spelling is its own.</p>",
        links([("cellar/entrance.html", "The cellar"), (HOST + "/", "Welcome"), ("http://www.elsewhere.example/", "Elsewhere"),
               ("map.svg", "A map of the island")])]))
    page("closed/accounts.html", "Accounts", "\n".join(paragraphs(rng, SECTIONS["kitchen"], "larder", SECTIONS["kitchen"]["pages"], 4)))
    (ROOT / "robots.txt").write_text("# Nothing to see there.\nUser-agent: *\nDisallow: /closed/\n", encoding="utf-8")
    (ROOT / "map.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle cx="4" cy="5" r="3"/></svg>\n', encoding="utf-8")


main()
