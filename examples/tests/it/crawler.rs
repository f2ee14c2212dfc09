use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::driver::{Finished, Order, Session};
use crate::folder;
use crate::process::Program;
use crate::web::Web;

const ROLES: [&str; 6] = ["M", "F1", "F2", "P1", "P2", "I"];

struct Crawl {
    folder: TempDir,
    program: Program,
    order: Order,
}

impl Crawl {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let program = Program::new(env!("CARGO_BIN_EXE_rekindle-crawler"), crate::folder("crawler"))
            .env("INDEX", &folder.path().join("index.json").display())
            .env("CRAWL_CACHE", &folder.path().join("cache").display());
        Self { folder, program, order: Order::Eager }
    }

    fn env(mut self, name: &'static str, value: &impl ToString) -> Self {
        self.program = self.program.env(name, value);
        self
    }

    fn run(&self) -> (Vec<u8>, Finished) {
        let finished = Session { order: self.order, ..Session::of(&ROLES, &self.program) }.run();
        (std::fs::read(self.folder.path().join("index.json")).expect("an index"), finished)
    }
}

fn read(index: &[u8]) -> Value {
    serde_json::from_slice(index).expect("JSON")
}

fn pages(index: &Value) -> Vec<&str> {
    index["pages"].as_object().expect("pages").keys().map(String::as_str).collect()
}

/// All HTML files below a folder.
fn html_files(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = folder.read_dir().expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut files = BTreeSet::new();
    for path in entries {
        if path.is_dir() {
            files.extend(html_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "html") {
            files.insert(path);
        }
    }
    files
}

#[test]
fn indexes_all_that_can_be_reached() {
    let (index, finished) = Crawl::new().run();
    let index = read(&index);
    let site = folder("crawler").join("site");
    let mut indexed = BTreeSet::new();
    for path in pages(&index).into_iter().filter(|path| index["pages"][path]["status"] == 200) {
        let file = path.split('?').next().expect("a path").trim_start_matches('/');
        let file = if file.is_empty() || file.ends_with('/') { format!("{file}index.html") } else { file.to_owned() };
        indexed.insert(site.join(file));
    }
    indexed.retain(|file| file.extension().is_some_and(|extension| extension == "html"));
    let mut expected = html_files(&site);
    assert!(expected.len() >= 60);
    assert!(expected.remove(&site.join("closed/accounts.html")), "robots must not read it");
    assert_eq!(indexed, expected);

    assert_eq!(index["pages"]["/closed/accounts.html"]["problem"], "not for robots");
    assert_eq!(index["pages"]["/map.svg"]["problem"], "no HTML: `image/svg+xml`");
    assert_eq!(index["pages"]["/harbour/lost-tide-gate.html"]["status"], 404);
    assert_eq!(index["pages"]["/birds"]["status"], 301);
    assert_eq!(index["pages"]["/birds"]["links"], serde_json::json!(["/birds/"]));
    assert_eq!(index["pages"]["/kitchen/smoked-eel.html"]["title"], "Smoked eel – Saltmarrow");
    assert!(finished.events["F1"] >= 60, "{:?}", finished.events);
    assert!(finished.logs[0].starts_with("crawled "), "{:?}", finished.logs);
}

#[test]
fn the_index_has_the_words_of_the_pages() {
    let (index, _) = Crawl::new().run();
    let index = read(&index);
    let site = folder("crawler").join("site");
    let files = html_files(&site);
    for file in files.iter().filter(|file| !file.ends_with("closed/accounts.html") && !file.ends_with("index.html")) {
        let path = format!("/{}", file.strip_prefix(&site).expect("is of the site").display());
        let html = std::fs::read_to_string(file).expect("a page");
        // Between tags that hold text, words are what lies between spaces.
        let visible = html.split_once("<body>").expect("a body").1;
        let text: String = visible
            .split('<')
            .map(|part| part.split_once('>').map_or(part, |(_, text)| text))
            .collect::<Vec<_>>()
            .join(" ");
        let expected =
            text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.eq_ignore_ascii_case("saltmarrow")).count();
        assert_eq!(index["words"]["saltmarrow"][&path], expected, "{path}");
    }
    assert_eq!(index["words"]["café"], serde_json::json!({ "/about.html": 1 }));
    assert!(index["words"].get("scripted").is_none(), "stands in a script only");
}

#[test]
fn the_index_does_not_depend_on_the_order_of_things() {
    let (eager, _) = Crawl::new().run();
    let (last_first, _) = Crawl { order: Order::LastFirst, ..Crawl::new() }.run();
    assert!(eager == last_first, "the indexes differ");
}

#[test]
fn nothing_is_left_in_the_cache() {
    let crawl = Crawl::new().env("MAX_PAGES", &4);
    crawl.run();
    assert!(!crawl.folder.path().join("cache").exists());
}

#[test]
fn fetches_no_more_pages_than_allowed() {
    let (index, finished) = Crawl::new().env("MAX_PAGES", &12).run();
    assert_eq!(pages(&read(&index)).len(), 12);
    let frontier = finished.checkpoints["M"].last().expect("a checkpoint");
    let known = ["level", "further", "visited"].map(|set| frontier[set].as_array().expect("a set").len());
    assert_eq!(known.iter().sum::<usize>(), 12);
}

#[test]
fn behaves_on_a_site_of_others() {
    let web = Web::start();
    let (index, _) = Crawl::new().env("SITE", &&web.address).run();
    let index = read(&index);
    let page = |path: &str| &index["pages"][path];
    assert_eq!(
        pages(&index),
        ["/", "/a", "/away", "/b", "/big", "/dead", "/moved", "/none", "/odd", "/pdf", "/private/x"]
    );
    assert_eq!(page("/private/x")["problem"], "not for robots");
    assert_eq!(page("/pdf")["problem"], "no HTML: `application/pdf`");
    assert!(page("/big")["problem"].is_string());
    assert!(page("/dead")["problem"].is_string() && page("/dead")["status"].is_null());
    assert_eq!(page("/moved")["links"], serde_json::json!(["/b"]));
    assert_eq!(page("/away")["links"], serde_json::json!([]));
    assert_eq!(page("/none")["status"], 404);
    assert_eq!(index["words"]["case"], serde_json::json!({ "/odd": 1 }));
    assert!(index["words"].get("nothing").is_none(), "stands on a broken page only");

    let requests = web.requests();
    assert!(!requests.contains_key("/private/x"));
    // Each fetcher asks for the rules once.
    assert_eq!(requests["/robots.txt"], 2);
    assert!(requests.iter().all(|(path, times)| path == "/robots.txt" || *times == 1), "{requests:?}");
}

#[test]
fn begins_where_the_address_says() {
    let web = Web::start();
    let (index, _) = Crawl::new().env("SITE", &format!("{}/a#part", web.address)).run();
    assert_eq!(pages(&read(&index)), ["/a", "/b"]);
}
