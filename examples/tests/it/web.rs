//! A web site for tests, which never gives the same answer twice.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Requests so far, by path.
type Requests = Arc<Mutex<BTreeMap<String, usize>>>;

/// A site on a port of its own.
#[derive(Debug)]
pub(crate) struct Web {
    pub(crate) address: String,
    requests: Requests,
}

impl Web {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("is bound"));
        let requests = Requests::default();
        let web = Self { address, requests: Arc::clone(&requests) };
        // Ends with the test process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = answer(stream, &requests);
            }
        });
        web
    }

    /// The paths that were asked for, each with how often.
    pub(crate) fn requests(&self) -> BTreeMap<String, usize> {
        self.requests.lock().expect("is not poisoned").clone()
    }
}

fn answer(mut stream: TcpStream, requests: &Requests) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let times = {
        let mut requests = requests.lock().expect("is not poisoned");
        let times = requests.entry(path.clone()).or_insert(0);
        *times += 1;
        *times
    };
    let Some((head, body)) = page(&path, times) else { return Ok(()) };
    write!(stream, "HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// Status and headers, and the body. None: the connection is closed without an answer.
fn page(path: &str, times: usize) -> Option<(&'static str, String)> {
    const HTML: &str = "200 OK\r\nContent-Type: text/html";
    Some(match path {
        "/robots.txt" => ("200 OK\r\nContent-Type: text/plain", "User-agent: *\nDisallow: /private/\n".to_owned()),
        "/" => {
            let paths = ["a", "pdf", "big", "moved", "away", "private/x", "dead", "none", "odd"];
            let links: String = paths.iter().flat_map(|path| ["<a href='/", *path, "'>x</a>"]).collect();
            (HTML, format!("<title>Home</title>visit{times} {links}<a href='http://other.example/'>other</a>"))
        }
        "/a" => (HTML, format!("<title>A</title>visit{times} <a href='/b'>b</a>")),
        "/b" => (HTML, format!("<title>B</title>visit{times}")),
        "/pdf" => ("200 OK\r\nContent-Type: application/pdf", "%PDF".to_owned()),
        "/big" => (HTML, "x".repeat(600 << 10)),
        "/moved" => ("302 Found\r\nLocation: /b\r\nContent-Type: text/html", String::new()),
        "/away" => {
            ("301 Moved Permanently\r\nLocation: http://other.example/\r\nContent-Type: text/html", String::new())
        }
        "/odd" => ("200 OK\r\nContent-Type: TEXT/HTML; charset=utf-8", "<p>odd \u{1} \u{7f} case".to_owned()),
        "/dead" => return None,
        _ => ("404 Not Found\r\nContent-Type: text/html", "<title>Gone</title>nothing".to_owned()),
    })
}
