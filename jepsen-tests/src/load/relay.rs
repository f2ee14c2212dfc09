//! The worker of the harness: plays any role of `Relay`, in any recovery mode, and writes down what it does.
//!
//! What it sends depends on nothing but the number of rounds and what it received, so that any two runs of a session
//! that keep Rekindle's promise are equal, message by message.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rekindle_worker::{Message, Mode, Worker};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::outside::{Pen, What};

/// The protocol.
pub const PROTOCOL: &str = "module relay;

type <json> \"number\" from \"relay\" as Number;

global protocol Relay(role A, role B, role C) {
  rec Round {
    choice at A {
      work(Number) from A to B;
      half(Number) from B to C;
      back() from C to A;
      continue Round;
    } or {
      bye() from A to B;
      bye() from B to C;
    }
  }
}
";

/// A checkpoint every so many rounds.
const SAVE_EVERY: u64 = 8;

/// What the worker is told on its command line.
#[derive(Clone, Debug, clap::Args)]
pub struct Part {
    /// Folder of the outside logs
    #[arg(long)]
    pub folder: PathBuf,
    /// Rounds that role A makes
    #[arg(long)]
    pub rounds: u64,
    /// Milliseconds between rounds
    #[arg(long)]
    pub pause: u64,
}

/// What a role knows between rounds, and saves.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Memory {
    rounds: u64,
    sum: u64,
}

/// Plays the role that the supervisor asks for, over these streams.
pub fn play(part: &Part, input: impl BufRead, output: impl Write) -> Result<()> {
    let worker = Worker::new(input, output)?;
    let host = std::env::var("REKINDLE_JEPSEN_HOST").unwrap_or_default();
    let mut pen = Pen::open(&part.folder, worker.session(), worker.role(), worker.incarnation(), &host)?;
    let start = What::Start { base: worker.base(), position: worker.position(), alone: pen.alone() };
    pen.write(start)?;
    let memory = worker.checkpoint::<Memory>()?.unwrap_or_default();
    let role = worker.role().to_owned();
    let mut player = Player { worker, pen, memory };
    let result = match role.as_str() {
        "A" => player.first(part),
        "B" => player.second(),
        "C" => player.third(),
        other => bail!("Relay has no role `{other}`"),
    }?;
    player.pen.write(What::Finish { result })?;
    Ok(())
}

struct Player<R, W> {
    worker: Worker<R, W>,
    pen: Pen,
    memory: Memory,
}

impl<R: BufRead, W: Write> Player<R, W> {
    fn first(&mut self, part: &Part) -> Result<Value> {
        while self.memory.rounds < part.rounds {
            std::thread::sleep(Duration::from_millis(part.pause));
            self.send("B", "work", &json!(self.memory.rounds * 7 + 1))?;
            self.receive("C")?;
            self.memory.rounds += 1;
            self.save()?;
        }
        self.send("B", "bye", &Value::Null)?;
        Ok(json!(self.memory.rounds))
    }

    fn second(&mut self) -> Result<Value> {
        loop {
            let message = self.receive("A")?;
            if message.label == "bye" {
                self.send("C", "bye", &Value::Null)?;
                return Ok(json!(self.memory.sum));
            }
            let work: u64 = message.decode()?;
            self.memory.sum = self.memory.sum.wrapping_mul(31).wrapping_add(work) % 1_000_003;
            self.memory.rounds += 1;
            self.send("C", "half", &json!(self.memory.sum))?;
            self.save()?;
        }
    }

    /// Needs nothing but the name of its state, so it can play `stateless`.
    fn third(&mut self) -> Result<Value> {
        let mut sending = self.worker.next().iter().any(|event| event == "A!back");
        loop {
            if !sending && self.receive("B")?.label == "bye" {
                return Ok(Value::Null);
            }
            self.send("A", "back", &Value::Null)?;
            sending = false;
            self.memory.rounds += 1;
            self.save()?;
        }
    }

    fn send(&mut self, to: &str, label: &str, payload: &Value) -> Result<()> {
        let what = What::Send { peer: to.to_owned(), label: label.to_owned(), payload: payload.clone() };
        self.pen.write(what)?;
        self.worker.send(to, label, payload).with_context(|| format!("cannot send `{label}`"))
    }

    fn receive(&mut self, from: &str) -> Result<Message> {
        self.pen.write(What::Ask)?;
        let message = self.worker.receive_from(from)?;
        let what = What::Receive {
            peer: message.from.clone(),
            label: message.label.clone(),
            payload: message.payload.clone(),
        };
        self.pen.write(what)?;
        Ok(message)
    }

    fn save(&mut self) -> Result<()> {
        let saves = matches!(self.worker.mode(), Mode::Checkpoint | Mode::Replay);
        if saves && self.memory.rounds.is_multiple_of(SAVE_EVERY) {
            self.worker.save_checkpoint(&self.memory)?;
        }
        Ok(())
    }
}

/// Plays over standard input and output.
pub fn play_stdio(part: &Part) -> Result<()> {
    play(part, io::stdin().lock(), io::stdout())
}
