//! The site to crawl: the one named by `SITE`, or the one in the folder `site/`, served from this process.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use rekindle_examples::setting;
use url::Url;

/// What the site in the folder calls itself. It has a name, since the port it is served on changes with each process.
const OWN_ADDRESS: &str = "http://www.saltmarrow.example/";

/// The folder, beside the deployment file: workers run there.
const OWN_FOLDER: &str = "site";

/// The site to crawl.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// Address of the front page.
    address: Url,
    /// Whether it is served by this process.
    own: bool,
}

impl Site {
    /// The site that the environment variable `SITE` names, or the example's own.
    pub(crate) fn from_env() -> anyhow::Result<Self> {
        let named = setting::text("SITE");
        let text = named.as_deref().unwrap_or(OWN_ADDRESS);
        let mut address = Url::parse(text).with_context(|| format!("SITE is no address: `{text}`"))?;
        ensure!(matches!(address.scheme(), "http" | "https"), "SITE must begin with http:// or https://, not `{text}`");
        address.set_fragment(None);
        Ok(Self { address, own: named.is_none() })
    }

    /// Path and query of the front page.
    pub(crate) fn front_page(&self) -> String {
        relative(&self.address)
    }

    /// Whether the site is the example's own, which [`serve`] serves.
    pub(crate) fn is_own(&self) -> bool {
        self.own
    }

    /// The full address of a path.
    pub(crate) fn join(&self, path: &str) -> anyhow::Result<Url> {
        let address = self.address.join(path).with_context(|| format!("no path of a site: `{path}`"))?;
        ensure!(same_site(&self.address, &address), "`{path}` leads to another site");
        Ok(address)
    }
}

/// Path and query.
pub(crate) fn relative(address: &Url) -> String {
    address.query().map_or_else(|| address.path().to_owned(), |query| format!("{}?{query}", address.path()))
}

/// Whether two addresses are of the same host. Its pages are often linked as `http` and as `https`.
pub(crate) fn same_site(a: &Url, b: &Url) -> bool {
    let web = |address: &Url| matches!(address.scheme(), "http" | "https");
    web(a) && web(b) && a.host() == b.host() && a.port() == b.port()
}

/// Serves the example's own site on a free port, in a thread, as long as the process lives.
pub(crate) fn serve() -> anyhow::Result<SocketAddr> {
    let folder = std::path::absolute(OWN_FOLDER)?;
    ensure!(folder.is_dir(), "there is no site to serve in {}", folder.display());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("opening a port for the site")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("site".to_owned()).spawn(move || {
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            axum::serve(listener, Router::new().fallback(answer).with_state(Arc::new(folder))).await
        })
    })?;
    Ok(address)
}

async fn answer(State(root): State<Arc<PathBuf>>, uri: Uri) -> Response {
    let Some(mut file) = file(&root, uri.path()) else { return not_found() };
    if file.is_dir() {
        if !uri.path().ends_with('/') {
            return (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, format!("{}/", uri.path()))]).into_response();
        }
        file.push("index.html");
    }
    match tokio::fs::read(&file).await {
        Ok(content) => ([(header::CONTENT_TYPE, content_type(&file))], content).into_response(),
        Err(_) => not_found(),
    }
}

/// The file that a path names. Names of files are plain; in particular none begins with a dot.
fn file(root: &Path, path: &str) -> Option<PathBuf> {
    let mut file = root.to_owned();
    for name in path.split('/').filter(|name| !name.is_empty()) {
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if !plain || name.starts_with('.') {
            return None;
        }
        file.push(name);
    }
    Some(file)
}

fn content_type(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn not_found() -> Response {
    let page = "<!DOCTYPE html><title>Not found</title><p>There is no such page. <a href=\"/\">Front page</a>";
    (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("an address")
    }

    #[test]
    fn a_site_is_a_host_and_a_port() {
        let home = url("http://a.example/x");
        for same in ["http://a.example/y?z", "https://A.example", "http://a.example:80/"] {
            assert!(same_site(&home, &url(same)), "{same}");
        }
        for other in [
            "http://b.example/",
            "http://a.example:8080/",
            "http://www.a.example/",
            "ftp://a.example/",
            "mailto:a@a.example",
        ] {
            assert!(!same_site(&home, &url(other)), "{other}");
        }
    }

    #[test]
    fn paths_stay_within_the_site() {
        let site = Site { address: url("http://a.example/docs/"), own: false };
        assert_eq!(site.front_page(), "/docs/");
        assert_eq!(site.join("/x?y=1").expect("a page").as_str(), "http://a.example/x?y=1");
        assert!(site.join("//b.example/").is_err());
        assert!(site.join("http://b.example/").is_err());
    }

    #[test]
    fn no_path_leads_out_of_the_folder() {
        let root = Path::new("/srv/site");
        assert_eq!(file(root, "/a/b.html"), Some(PathBuf::from("/srv/site/a/b.html")));
        assert_eq!(file(root, "//a/"), Some(PathBuf::from("/srv/site/a")));
        for path in ["/../secret", "/a/../../secret", "/.git/config", "/%2e%2e/secret", "/a\\b"] {
            assert_eq!(file(root, path), None, "{path}");
        }
    }
}
