//! Role M: begins rounds until all pieces are counted, then checks the result.

use anyhow::ensure;
use rekindle_worker::Worker;

use crate::reducer::Total;
use crate::texts::{self, Piece};
use crate::{MAPPERS, REDUCERS};

pub(crate) fn run(worker: &mut Worker) -> anyhow::Result<()> {
    let pieces = texts::pieces()?;
    for _ in 0..pieces.len().div_ceil(MAPPERS.len()) {
        for mapper in MAPPERS {
            worker.send(mapper, "map", &())?;
        }
        for reducer in REDUCERS {
            worker.receive_from(reducer)?.expect::<()>("reduced")?;
        }
    }
    for mapper in MAPPERS {
        worker.send(mapper, "finish", &())?;
    }
    let (mut words, mut different, mut files) = (0, 0, Vec::new());
    for reducer in REDUCERS {
        let total: Total = worker.receive_from(reducer)?.expect("total")?;
        words += total.words;
        different += total.different;
        files.push(total.file);
    }
    let expected = count(&pieces)?;
    ensure!(words == expected, "the reducers have {words} words, the texts {expected}");
    worker.log(&format!("{words} words, {different} different ones: {}", files.join(", ")))?;
    Ok(())
}

/// The number of words, without anybody's help.
fn count(pieces: &[Piece]) -> anyhow::Result<u64> {
    let mut words = 0;
    for piece in pieces {
        piece.each_word(|_| words += 1)?;
    }
    Ok(words)
}
