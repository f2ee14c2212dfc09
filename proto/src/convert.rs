//! Between wire and domain: requests become commands, state becomes views, causes become sentences.

pub mod cause;
pub mod request;
pub mod view;

use rekindle_protocol::recovery::policy::{Mode, Retention};

use crate::v1;

/// The wire's name of a recovery mode.
pub fn mode_to_wire(mode: Mode) -> v1::Mode {
    match mode {
        Mode::Restart => v1::Mode::Restart,
        Mode::Checkpoint => v1::Mode::Checkpoint,
        Mode::Stateless => v1::Mode::Stateless,
        Mode::Replay => v1::Mode::Replay,
    }
}

/// The recovery mode that the wire names.
pub fn mode_from_wire(mode: v1::Mode) -> Mode {
    match mode {
        v1::Mode::Restart => Mode::Restart,
        v1::Mode::Checkpoint => Mode::Checkpoint,
        v1::Mode::Stateless => Mode::Stateless,
        v1::Mode::Replay => Mode::Replay,
    }
}

/// The wire's name of a retention.
pub fn retention_to_wire(retention: Retention) -> v1::Retention {
    match retention {
        Retention::Volatile => v1::Retention::Volatile,
        Retention::Retained => v1::Retention::Retained,
        Retention::Durable => v1::Retention::Durable,
    }
}

/// The retention that the wire names.
pub fn retention_from_wire(retention: v1::Retention) -> Retention {
    match retention {
        v1::Retention::Volatile => Retention::Volatile,
        v1::Retention::Retained => Retention::Retained,
        v1::Retention::Durable => Retention::Durable,
    }
}
