//! The names of sessions, as clients see them: a model for the checkers.
//!
//! A session that the harness starts for this runs nowhere (its roles ask for a local supervisor that does not exist),
//! so its name changes by what clients ask and by nothing else.

use super::Model;
use crate::history::edn::{ToEdn, string};

/// What is asked of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Start a session of this name.
    Start {
        /// The name.
        name: String,
        /// Which of several specifications; another one under a name that exists is refused.
        variant: u8,
    },
    /// Cancel it.
    Cancel {
        /// The name.
        name: String,
    },
    /// Look at it.
    Get {
        /// The name.
        name: String,
    },
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Started, or there already with the same specification.
    Started,
    /// Cancelled, or cancelled before.
    Cancelled,
    /// Seen, and it has not ended.
    SeenOpen,
    /// Seen, and it was cancelled.
    SeenCancelled,
    /// Refused: another session has the name.
    Exists,
    /// Refused: the session has ended.
    Ended,
    /// Refused: nobody has the name.
    Absent,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Name {
    /// Nothing.
    Absent,
    /// A session that waits.
    Open {
        /// Its specification.
        variant: u8,
    },
    /// A session that was cancelled.
    Cancelled {
        /// Its specification.
        variant: u8,
    },
}

/// One name.
#[derive(Clone, Copy, Debug)]
pub struct Names;

impl Call {
    /// The name that it is about.
    pub fn name(&self) -> &str {
        match self {
            Call::Start { name, .. } | Call::Cancel { name } | Call::Get { name } => name,
        }
    }
}

impl Model for Names {
    type State = Name;
    type Call = Call;
    type Answer = Answer;

    fn initial(&self) -> Name {
        Name::Absent
    }

    fn step(&self, state: &Name, call: &Call, answer: Option<&Answer>) -> Option<Name> {
        let (next, allowed): (Name, &[Answer]) = match (call, *state) {
            (Call::Start { variant, .. }, Name::Absent) => (Name::Open { variant: *variant }, &[Answer::Started]),
            (Call::Start { variant: asked, .. }, Name::Open { variant }) if *asked == variant => {
                (*state, &[Answer::Started])
            }
            (Call::Start { .. }, Name::Open { .. }) => (*state, &[Answer::Exists]),
            // A name that has ended is not a request that was answered: nothing is started under it.
            (Call::Start { .. }, Name::Cancelled { .. }) => (*state, &[Answer::Exists, Answer::Ended]),
            (Call::Cancel { .. } | Call::Get { .. }, Name::Absent) => (*state, &[Answer::Absent]),
            (Call::Cancel { .. }, Name::Open { variant }) => (Name::Cancelled { variant }, &[Answer::Cancelled]),
            (Call::Cancel { .. }, Name::Cancelled { .. }) => (*state, &[Answer::Cancelled, Answer::Ended]),
            (Call::Get { .. }, Name::Open { .. }) => (*state, &[Answer::SeenOpen]),
            (Call::Get { .. }, Name::Cancelled { .. }) => (*state, &[Answer::SeenCancelled]),
        };
        answer.is_none_or(|answer| allowed.contains(answer)).then_some(next)
    }
}

impl ToEdn for Call {
    fn function(&self) -> &'static str {
        match self {
            Call::Start { .. } => "start",
            Call::Cancel { .. } => "cancel",
            Call::Get { .. } => "get",
        }
    }

    fn value(&self) -> String {
        match self {
            Call::Start { name, variant } => format!("[{} {variant}]", string(name)),
            Call::Cancel { name } | Call::Get { name } => format!("[{}]", string(name)),
        }
    }
}

impl ToEdn for Answer {
    fn function(&self) -> &'static str {
        ""
    }

    fn value(&self) -> String {
        let keyword = match self {
            Answer::Started => ":started",
            Answer::Cancelled => ":cancelled",
            Answer::SeenOpen => ":open",
            Answer::SeenCancelled => ":was-cancelled",
            Answer::Exists => ":exists",
            Answer::Ended => ":ended",
            Answer::Absent => ":absent",
        };
        keyword.to_owned()
    }
}
