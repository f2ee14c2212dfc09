//! What every server of the project is bounded by, whoever calls it.
//!
//! * [`incoming`]: how many connections there are, and how soon one has to begin to speak.
//! * [`arriving`]: how much memory messages take that have not arrived whole.

pub mod arriving;
pub mod incoming;
