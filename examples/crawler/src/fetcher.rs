//! Roles F1 and F2: fetch pages over HTTP, one at a time.

use std::cell::OnceCell;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rekindle_examples::setting;
use rekindle_worker::Worker;
use ureq::http::{HeaderMap, HeaderName, header};
use ureq::{Agent, Body};
use url::Url;

use crate::cache::Cache;
use crate::message::{Fetched, Job, Page};
use crate::robots::Robots;
use crate::site::{self, Site};

/// Name of this crawler in requests and in `robots.txt`.
const ROBOT: &str = "rekindle-crawler";

/// Longest page in bytes. As JSON text it may double, and a message must stay below 1 MiB.
const PAGE_LIMIT: usize = 480 << 10;

/// Longest `robots.txt` in bytes.
const ROBOTS_LIMIT: u64 = 64 << 10;

/// Pause before each request to a site of others, if nothing else is said.
const DELAY_MS: u64 = 100;
/// Time for one request, with everything.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn run(worker: &mut Worker, parser: &str) -> anyhow::Result<()> {
    let fetcher = Fetcher::new(Cache::new(worker.session(), worker.role()))?;
    loop {
        let message = worker.receive_from("M")?;
        match message.label.as_str() {
            "fetch" => {
                let job: Job = message.decode()?;
                let page: Page = job.map(|path| fetcher.page(&path)).transpose()?;
                worker.send(parser, "page", &page)?;
            }
            "stop" => {
                worker.send(parser, "stop", &())?;
                // The index is written, so these pages are not needed again, unless a crash in just this moment rolls
                // the session back: then they are fetched again.
                worker.receive_from("M")?.expect::<()>("done")?;
                return fetcher.cache.clear();
            }
            other => bail!("a fetcher does not know the message `{other}`"),
        }
    }
}

struct Fetcher {
    site: Site,
    cache: Cache,
    agent: Agent,
    /// How long to leave the site alone before each request.
    delay: Duration,
    /// Where the site really is. A fetcher that finds all it needs in its cache serves no site.
    server: OnceCell<Url>,
}

impl Fetcher {
    fn new(cache: Cache) -> anyhow::Result<Self> {
        let site = Site::from_env()?;
        let mut config = Agent::config_builder()
            .user_agent(format!("{ROBOT}/{} (an example of Rekindle)", env!("CARGO_PKG_VERSION")))
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            // A redirection is an answer like others: the parser takes it as a link.
            .max_redirects(0);
        if site.is_own() {
            // No proxy of the environment could reach this process.
            config = config.proxy(None);
        }
        let delay = if site.is_own() { 0 } else { DELAY_MS };
        let delay = Duration::from_millis(setting::number("DELAY_MS", delay)?);
        Ok(Self { site, cache, agent: config.build().into(), delay, server: OnceCell::new() })
    }

    /// The page, as it is now or as it was when this session first asked.
    fn page(&self, path: &str) -> anyhow::Result<Fetched> {
        let address = self.site.join(path)?;
        self.cache.remember(path, || {
            let mut page = Fetched {
                path: path.to_owned(),
                address: address.to_string(),
                status: None,
                problem: None,
                location: None,
                html: String::new(),
            };
            if self.robots()?.allow(path) {
                std::thread::sleep(self.delay);
                self.fetch(&mut page)?;
            } else {
                page.problem = Some("not for robots".to_owned());
            }
            Ok(page)
        })
    }

    /// The site's rules for robots.
    fn robots(&self) -> anyhow::Result<Robots> {
        // Not a path, so no page has this key.
        self.cache.remember("robots", || {
            let address = self.server()?.join("/robots.txt")?;
            let request = self.agent.get(address.as_str()).config().max_redirects(5).build();
            let Ok(mut response) = request.call() else { return Ok(Robots::nothing()) };
            let body = response.body_mut().with_config().limit(ROBOTS_LIMIT).lossy_utf8(true).read_to_string();
            Ok(match (response.status().as_u16(), body) {
                (200..=299, Ok(text)) => Robots::parse(&text, ROBOT),
                (400..=499, _) => Robots::default(),
                _ => Robots::nothing(),
            })
        })
    }

    /// Fills in what the site answers. That it does not answer is a result too, not an error of the fetcher.
    fn fetch(&self, page: &mut Fetched) -> anyhow::Result<()> {
        let address = self.server()?.join(&page.path)?;
        match self.agent.get(address.as_str()).header(header::ACCEPT, "text/html").call() {
            Ok(mut response) => {
                page.status = Some(response.status().as_u16());
                page.location = text(response.headers(), &header::LOCATION);
                let content_type = text(response.headers(), &header::CONTENT_TYPE).unwrap_or_default();
                match html(&content_type, response.body_mut()) {
                    Ok(html) => page.html = html,
                    Err(problem) => page.problem = Some(problem),
                }
            }
            Err(error) => page.problem = Some(error.to_string()),
        }
        Ok(())
    }

    fn server(&self) -> anyhow::Result<&Url> {
        if self.server.get().is_none() {
            let address = if self.site.is_own() {
                Url::parse(&format!("http://{}/", site::serve()?)).context("the site's own address")?
            } else {
                self.site.join("/")?
            };
            return Ok(self.server.get_or_init(|| address));
        }
        self.server.get().context("the site's address is known")
    }
}

/// A header's value, if it is text.
fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// The body as text, or the reason why there is none.
fn html(content_type: &str, body: &mut Body) -> Result<String, String> {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !matches!(kind.as_str(), "text/html" | "application/xhtml+xml") {
        return Err(format!("no HTML: `{kind}`"));
    }
    let bytes = body.with_config().limit(PAGE_LIMIT as u64).read_to_vec().map_err(|error| error.to_string())?;
    plain(&bytes)
}

/// The bytes as text that grows to no more than twice its length in JSON.
fn plain(bytes: &[u8]) -> Result<String, String> {
    // Control characters mean nothing in HTML, and take six bytes each in JSON.
    let text: String =
        String::from_utf8_lossy(bytes).chars().filter(|c| !c.is_control() || c.is_ascii_whitespace()).collect();
    // In text that is not UTF-8 a byte may become three.
    if text.len() > PAGE_LIMIT { Err("too large".to_owned()) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use rekindle_worker::LINE_LIMIT;

    use super::*;

    fn line_length(text: &str) -> usize {
        serde_json::to_string(text).expect("JSON").len() + 4096
    }

    #[test]
    fn the_largest_page_fits_into_a_message() {
        for worst in [b"\"", b"\\", b"\n", b"\x0b", b"a"] {
            let page = plain(&worst.repeat(PAGE_LIMIT)).expect("is not too large");
            assert!(line_length(&page) < LINE_LIMIT, "{worst:?}");
        }
        assert_eq!(plain(&b"\xff".repeat(PAGE_LIMIT)), Err("too large".to_owned()));
    }

    #[test]
    fn control_characters_are_dropped() {
        assert_eq!(plain(b"a\x00b\x1bc\td\r\ne\xc2\x85f").as_deref(), Ok("abc\td\r\nef"));
    }
}
