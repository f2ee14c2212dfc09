//! A reader of XML just good enough for our pictures, and strict: whatever it does not know is an error.

use std::collections::{BTreeMap, BTreeSet};

/// An element, with the text that stands right in it.
#[derive(Debug)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) text: String,
}

/// A box in pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    left: i32,
    top: i32,
    right: i32,
    bottom: i32,
}

/// All elements of a picture.
pub(super) struct Picture {
    pub(super) elements: Vec<Element>,
}

impl Picture {
    /// Reads a document; fails the test if it is not well-formed.
    pub(super) fn parse(document: &str) -> Picture {
        let mut elements: Vec<Element> = Vec::new();
        let mut open: Vec<usize> = Vec::new();
        let mut rest = document;
        while let Some((text, after)) = rest.split_once('<') {
            if let Some(&inner) = open.last() {
                elements[inner].text.push_str(&unescaped(text));
            } else {
                assert!(text.trim().is_empty(), "text outside of the root: {text:?}");
            }
            let (tag, after) = after.split_once('>').expect("a tag ends");
            rest = after;
            if let Some(name) = tag.strip_prefix('/') {
                let closed = open.pop().expect("something to close");
                assert_eq!(elements[closed].name, name, "closed in the order in which they were opened");
                continue;
            }
            assert!(!open.is_empty() || elements.is_empty(), "one root");
            let (tag, empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
            elements.push(element(tag));
            if !empty {
                open.push(elements.len() - 1);
            }
        }
        assert!(open.is_empty(), "never closed: {:?}", elements[open[0]].name);
        assert!(rest.trim().is_empty(), "text behind the root: {rest:?}");
        Picture { elements }
    }

    pub(super) fn of_class<'a>(&'a self, class: &'a str) -> impl Iterator<Item = &'a Element> {
        self.elements.iter().filter(move |element| element.attributes.get("class").is_some_and(|found| found == class))
    }

    /// The numbers of interactions, in the order of the document.
    pub(super) fn numbers(&self) -> Vec<u32> {
        self.of_class("number").map(|element| element.text.parse().expect("a number")).collect()
    }

    /// What must hold for any picture.
    pub(super) fn check(&self) {
        let root = &self.elements[0];
        let all = Area { left: 0, top: 0, right: root.pixels("width"), bottom: root.pixels("height") };
        assert_eq!(root.attributes["viewBox"], format!("0 0 {} {}", all.right, all.bottom));
        let ids: Vec<&String> = self.elements.iter().filter_map(|element| element.attributes.get("id")).collect();
        assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), "each id once");
        let areas: Vec<Area> =
            self.elements.iter().filter(|element| element.name == "rect").filter_map(Element::area).collect();
        for area in &areas {
            assert!(area.within(all), "{area:?} is outside of {all:?}");
        }
        let tabs: Vec<Area> = self.of_class("tab").filter_map(Element::area).collect();
        let frames: Vec<Area> = self.of_class("frame").filter_map(Element::area).collect();
        assert_eq!(tabs.len(), frames.len());
        for (index, tab) in tabs.iter().enumerate() {
            assert!(tab.within(frames[index]), "the title {tab:?} leaves its frame {:?}", frames[index]);
            let others = tabs[index + 1..].iter();
            assert!(others.clone().all(|other| tab.apart(*other)), "titles overlap: {tab:?}");
        }
        for (index, frame) in frames.iter().enumerate() {
            for other in &frames[index + 1..] {
                assert!(frame.apart(*other) || other.within(*frame), "frames cross: {frame:?} {other:?}");
            }
        }
        for area in &areas {
            let clear = |frame: &Area| frame.apart(*area) || area.within(*frame) || frame.within(*area);
            assert!(frames.iter().all(clear), "{area:?} lies across the edge of a frame");
        }
        let numbers = self.numbers();
        let drawn: Vec<u32> = (1..).take(numbers.len()).collect();
        assert_eq!(numbers, drawn, "every interaction once, in order");
        self.labels_have_room();
    }

    /// Labels end before the next thing in their row, and rows are apart.
    fn labels_have_room(&self) {
        let mut before = 0;
        for (label, line) in self.of_class("label").zip(self.arrows()) {
            let (from, to, y) = line;
            let width = i32::try_from(label.text.chars().count() * 73 / 10).unwrap();
            assert!(width <= (from - to).abs(), "`{}` is wider than its arrow from {from} to {to}", label.text);
            let middle = label.pixels("x");
            assert!(middle - width / 2 > from.min(to) && middle + width / 2 < from.max(to), "{}", label.text);
            assert!(y >= before + 30, "rows overlap at {y}");
            before = y;
        }
    }

    /// From, to, and height of each arrow between roles.
    fn arrows(&self) -> impl Iterator<Item = (i32, i32, i32)> {
        let mut jumps = false;
        let lines = self.elements.iter().filter(move |element| {
            if element.name == "g" {
                jumps = element.attributes.get("class").is_some_and(|class| class == "jump");
            }
            !jumps && element.attributes.get("class").is_some_and(|class| class == "line")
        });
        lines.map(|line| {
            let numbers = line.attributes["d"].replace(['M', 'H'], " ");
            let numbers: Vec<i32> = numbers.split_whitespace().map(|number| number.parse().unwrap()).collect();
            (numbers[0], numbers[2], numbers[1])
        })
    }
}

impl Element {
    fn pixels(&self, attribute: &str) -> i32 {
        self.attributes[attribute].parse().expect("pixels")
    }

    /// Of a rectangle that says where it is.
    fn area(&self) -> Option<Area> {
        self.attributes.contains_key("x").then(|| {
            let (left, top) = (self.pixels("x"), self.pixels("y"));
            Area { left, top, right: left + self.pixels("width"), bottom: top + self.pixels("height") }
        })
    }
}

impl Area {
    fn within(self, other: Area) -> bool {
        self.left >= other.left && self.top >= other.top && self.right <= other.right && self.bottom <= other.bottom
    }

    fn apart(self, other: Area) -> bool {
        self.right < other.left || other.right < self.left || self.bottom < other.top || other.bottom < self.top
    }
}

fn element(tag: &str) -> Element {
    let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
    assert!(name.chars().all(|character| character.is_ascii_alphanumeric()), "<{tag}>");
    let mut attributes = BTreeMap::new();
    while !rest.is_empty() {
        let (key, after) = rest.split_once("=\"").expect("an attribute has a value");
        let (value, after) = after.split_once('"').expect("a value ends");
        assert!(attributes.insert(key.to_owned(), unescaped(value)).is_none(), "`{key}` twice in <{tag}>");
        rest = match after.strip_prefix(' ') {
            Some(next) => next,
            None if after.is_empty() => after,
            None => panic!("no space between attributes in <{tag}>"),
        };
    }
    Element { name: name.to_owned(), attributes, text: String::new() }
}

fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        let (entity, after) = after.split_once(';').expect("an entity ends");
        out.push_str(before);
        out.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "#39" => '\'',
            other => panic!("&{other};"),
        });
        rest = after;
    }
    out.push_str(rest);
    let legal = |character: char| matches!(character, '\n') || !character.is_control();
    assert!(out.chars().all(legal), "{out:?}");
    out
}

#[test]
fn a_picture_that_is_broken_is_found_out() {
    let picture = |inside: &str| format!("<svg width=\"90\" height=\"90\" viewBox=\"0 0 90 90\">{inside}</svg>");
    let frame = "<rect class=\"frame\" x=\"1\" y=\"1\" width=\"40\" height=\"40\"/>";
    let tab = "<rect class=\"tab\" x=\"1\" y=\"1\" width=\"20\" height=\"20\"/>";
    let number = "<text class=\"number\">1</text>";
    Picture::parse(&picture(&format!("{frame}{tab}{number}"))).check();
    let bad = [
        "<g>".to_owned(),
        "<g></text>".to_owned(),
        "<g a=\"1\"b=\"2\"/>".to_owned(),
        "<g a=\"1\" a=\"2\"/>".to_owned(),
        "a & b".to_owned(),
        "<i id=\"a\"/><i id=\"a\"/>".to_owned(),
        format!("{frame}{tab}{frame}{tab}"),
        tab.to_owned(),
        format!("{number}{number}"),
        "<rect x=\"80\" y=\"1\" width=\"20\" height=\"20\"/>".to_owned(),
        format!("{frame}{tab}<rect x=\"30\" y=\"30\" width=\"20\" height=\"20\"/>"),
    ];
    for inside in bad {
        let document = picture(&inside);
        assert!(std::panic::catch_unwind(|| Picture::parse(&document).check()).is_err(), "{inside}");
    }
}
