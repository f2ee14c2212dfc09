//! Role I: builds the index, writes it at the end.

use std::path::Path;

use anyhow::{Context, bail};
use rekindle_examples::setting;
use rekindle_worker::Worker;

use crate::index::Index;
use crate::message::{Document, Progress, Summary};

pub(crate) fn run(worker: &mut Worker) -> anyhow::Result<()> {
    let file = setting::text("INDEX").unwrap_or_else(|| "crawler-index.json".to_owned());
    let mut index = Index::default();
    loop {
        let first = worker.receive_from("P1")?;
        match first.label.as_str() {
            "text" => {
                let documents: [Document; 2] = [first.decode()?, worker.receive_from("P2")?.expect("text")?];
                documents.into_iter().flatten().for_each(|document| index.add(document));
                worker.send("M", "indexed", &Progress { pages: index.pages() })?;
            }
            "stop" => {
                worker.receive_from("P2")?.expect::<()>("stop")?;
                index.write(Path::new(&file)).with_context(|| format!("writing the index to {file}"))?;
                let summary = Summary {
                    pages: index.pages(),
                    broken: index.broken(),
                    words: index.words(),
                    links: index.links(),
                    index: file,
                };
                worker.send("M", "summary", &summary)?;
                return Ok(());
            }
            other => bail!("the indexer does not know the message `{other}`"),
        }
    }
}
