//! Roles P1 and P2: take pages apart into links, for the master, and text, for the indexer.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context as _, bail};
use rekindle_worker::Worker;
use scraper::{ElementRef, Html, Selector};
use url::Url;

use crate::message::{Document, Fetched, Links, Page, Parsed};
use crate::site;

/// Most links of a page that count, and longest link in bytes. With `WORDS` and `WORD` they keep a message below 1 MiB.
const LINKS: usize = 500;
const LINK: usize = 500;

/// Most different words of a page that count, longest word in bytes.
const WORDS: usize = 10_000;
const WORD: usize = 40;

/// Longest title in characters.
const TITLE: usize = 200;

/// Elements whose text nobody sees.
const INVISIBLE: [&str; 6] = ["head", "script", "style", "noscript", "template", "svg"];

pub(crate) fn run(worker: &mut Worker, fetcher: &str) -> anyhow::Result<()> {
    loop {
        let message = worker.receive_from(fetcher)?;
        match message.label.as_str() {
            "page" => {
                let page: Page = message.decode()?;
                let document: Document = page.map(parse).transpose()?;
                let links = document.as_ref().map_or_else(Links::new, |document| document.links.clone());
                worker.send("M", "links", &links)?;
                worker.send("I", "text", &document)?;
            }
            "stop" => {
                worker.send("I", "stop", &())?;
                return Ok(());
            }
            other => bail!("a parser does not know the message `{other}`"),
        }
    }
}

/// Takes a page apart.
fn parse(page: Fetched) -> anyhow::Result<Parsed> {
    let address = Url::parse(&page.address).with_context(|| format!("no address: `{}`", page.address))?;
    let html = Html::parse_document(&page.html);
    let good = page.status.is_some_and(|status| (200..300).contains(&status));
    let (links, words) = if good {
        (links(&html, &address), words(&html))
    } else {
        (page.location.iter().filter_map(|target| link(&address, &address, target)).collect(), BTreeMap::new())
    };
    Ok(Parsed { path: page.path, status: page.status, problem: page.problem, title: title(&html), links, words })
}

fn title(html: &Html) -> String {
    let text: String = elements(html, "title").next().map(|title| title.text().collect()).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(TITLE).collect()
}

/// The pages of the same site that the page links to.
fn links(html: &Html, address: &Url) -> Links {
    let base = elements(html, "base[href]")
        .next()
        .and_then(|base| address.join(base.attr("href")?).ok())
        .unwrap_or_else(|| address.clone());
    let mut links = Links::new();
    for target in elements(html, "a[href]").filter_map(|anchor| link(address, &base, anchor.attr("href")?)) {
        if links.len() < LINKS {
            links.insert(target);
        }
    }
    links
}

/// A link, relative to the site. None if it leads elsewhere, or to the page itself.
fn link(address: &Url, base: &Url, target: &str) -> Option<String> {
    let target = base.join(target).ok().filter(|target| site::same_site(address, target))?;
    let path = site::relative(&target);
    (path.len() <= LINK && path != site::relative(address)).then_some(path)
}

/// How often each word stands in the visible text.
fn words(html: &Html) -> BTreeMap<String, u32> {
    let mut words = BTreeMap::new();
    for text in visible(html) {
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            let word = word.to_lowercase();
            if word.len() <= WORD && (words.len() < WORDS || words.contains_key(&word)) {
                *words.entry(word).or_insert(0) += 1;
            }
        }
    }
    words
}

/// The texts of the page, without those of invisible elements.
fn visible(html: &Html) -> impl Iterator<Item = &str> {
    // Elements come before what is in them, so one pass is enough.
    let mut hidden = HashSet::new();
    html.tree.root().descendants().filter_map(move |node| {
        let invisible = node.value().as_element().is_some_and(|element| INVISIBLE.contains(&element.name()));
        if invisible || node.parent().is_some_and(|parent| hidden.contains(&parent.id())) {
            hidden.insert(node.id());
            return None;
        }
        node.value().as_text().map(|text| &**text)
    })
}

fn elements<'a>(html: &'a Html, selector: &str) -> impl Iterator<Item = ElementRef<'a>> {
    // The selectors are constants of this file. An invalid one would select nothing, and tests would see it.
    let found: Vec<_> = Selector::parse(selector).map(|selector| html.select(&selector).collect()).unwrap_or_default();
    found.into_iter()
}

#[cfg(test)]
mod tests {
    use rekindle_worker::LINE_LIMIT;

    use super::*;

    fn fetched(html: &str) -> Fetched {
        Fetched {
            path: "/docs/page.html".to_owned(),
            address: "http://a.example/docs/page.html".to_owned(),
            status: Some(200),
            problem: None,
            location: None,
            html: html.to_owned(),
        }
    }

    fn links_of(html: &str) -> Vec<String> {
        parse(fetched(html)).expect("parsed").links.into_iter().collect()
    }

    #[test]
    fn links_are_resolved_against_the_page() {
        let html = r#"<a href="next.html">1</a> <a href="./next.html#part">2</a> <a href="../up.html">3</a>
            <a href="/abs/">4</a> <a href="http://a.example/full?q=1">5</a> <a href="//a.example/plain">6</a>
            <a href=" spaced name.html ">7</a> <a href="?page=2">8</a> <a name="none">9</a>"#;
        let expected = [
            "/abs/",
            "/docs/next.html",
            "/docs/page.html?page=2",
            "/docs/spaced%20name.html",
            "/full?q=1",
            "/plain",
            "/up.html",
        ];
        assert_eq!(links_of(html), expected);
    }

    #[test]
    fn links_elsewhere_and_to_the_page_itself_are_left_out() {
        let html = r##"<a href="http://b.example/">1</a> <a href="mailto:a@a.example">2</a> <a href="javascript:x()">3</a>
            <a href="#top">4</a> <a href="">5</a> <a href="page.html">6</a> <a href="http://[">7</a>"##;
        assert!(links_of(html).is_empty(), "{:?}", links_of(html));
    }

    #[test]
    fn a_page_may_name_its_base() {
        assert_eq!(links_of(r#"<base href="/other/"><a href="x">1</a>"#), ["/other/x"]);
        assert!(links_of(r#"<base href="http://b.example/"><a href="x">1</a>"#).is_empty());
    }

    #[test]
    fn words_are_those_that_a_reader_sees() {
        let page = parse(fetched(
            "<title>A\n  Title</title><style>p{color:red}</style><script>hidden()</script>
            <p>Salt &amp; salt, na&iuml;ve <b>Ti</b>de-gate<!-- comment --></p><template>no</template><noscript>no</noscript> 42",
        ))
        .expect("parsed");
        assert_eq!(page.title, "A Title");
        let words: Vec<_> = page.words.iter().map(|(word, count)| (word.as_str(), *count)).collect();
        assert_eq!(words, [("42", 1), ("de", 1), ("gate", 1), ("naïve", 1), ("salt", 2), ("ti", 1)]);
    }

    #[test]
    fn a_redirection_is_a_link_and_a_broken_page_none() {
        let mut page = fetched("<title>Moved</title><a href=\"/x\">x</a>");
        (page.status, page.location) = (Some(301), Some("/docs/page.html/".to_owned()));
        let parsed = parse(page.clone()).expect("parsed");
        assert_eq!(parsed.links, Links::from(["/docs/page.html/".to_owned()]));
        assert!(parsed.words.is_empty());
        page.location = Some("http://b.example/".to_owned());
        assert!(parse(page.clone()).expect("parsed").links.is_empty());
        (page.status, page.location) = (Some(404), None);
        assert_eq!(parse(page).expect("parsed").links, Links::new());
    }

    #[test]
    fn the_largest_document_fits_into_a_message() {
        use std::fmt::Write as _;
        let mut html = String::new();
        for i in 0..2 * LINKS {
            let _ = write!(html, "<a href='/{i:0width$}'>", width = LINK - 1);
        }
        for i in 0..2 * WORDS {
            let _ = write!(html, "{i:0WORD$} ");
        }
        let page = parse(fetched(&html)).expect("parsed");
        assert_eq!((page.links.len(), page.words.len()), (LINKS, WORDS));
        assert!(serde_json::to_string(&page).expect("JSON").len() + 1024 < LINE_LIMIT);
    }

    #[test]
    fn any_text_is_html() {
        for html in ["", "<", "<a href=", "\u{0}\u{fffd}", &"<div>".repeat(10_000)] {
            parse(fetched(html)).expect("parsed");
        }
    }
}
