//! Role A: computes one operation at a time.

use anyhow::{bail, ensure};
use rekindle_worker::Worker;

/// Answers between two checkpoints: the most that are given again after a crash.
const ANSWERS_PER_CHECKPOINT: u64 = 50;

pub(crate) fn run(worker: &mut Worker) -> anyhow::Result<()> {
    // The number of answers is only for the log. For the rest a checkpoint says: go on from here.
    let mut answers: u64 = worker.checkpoint()?.unwrap_or(0);
    loop {
        let question = worker.receive_from("C")?;
        if question.label == "bye" {
            worker.log(&format!("gave {answers} answers"))?;
            worker.send("C", "bye", &())?;
            return Ok(());
        }
        let operation = question.label.clone();
        let [a, b] = question.decode()?;
        match compute(&operation, a, b)? {
            Some(value) => worker.send("C", "value", &value)?,
            None => worker.send("C", "undefined", &())?,
        }
        answers += 1;
        if answers.is_multiple_of(ANSWERS_PER_CHECKPOINT) {
            worker.save_checkpoint(&answers)?;
        }
    }
}

/// The value, or none where there is none.
fn compute(operation: &str, a: f64, b: f64) -> anyhow::Result<Option<f64>> {
    let value = match operation {
        "add" => a + b,
        "sub" => a - b,
        "mul" => a * b,
        "div" if b == 0.0 => return Ok(None),
        "div" => a / b,
        other => bail!("cannot compute `{other}`"),
    };
    ensure!(value.is_finite(), "{operation} of {a} and {b} is too large");
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn computes() {
        let compute = |operation, a, b| compute(operation, a, b).expect("an operation");
        assert_eq!(compute("add", 2.0, 3.0), Some(5.0));
        assert_eq!(compute("sub", 2.0, 3.0), Some(-1.0));
        assert_eq!(compute("mul", 2.0, 3.0), Some(6.0));
        assert_eq!(compute("div", 3.0, 2.0), Some(1.5));
        assert_eq!(compute("div", 3.0, 0.0), None);
        assert_eq!(compute("div", 3.0, -0.0), None);
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        assert!(compute("pow", 2.0, 3.0).is_err());
        // JSON has no infinity.
        assert!(compute("mul", f64::MAX, 2.0).is_err());
    }
}
