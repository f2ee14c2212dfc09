//! The rules: what each command does to a session.
//!
//! One handler per command, and below them what they share. A rule is a function of the scene, which it may only read, and
//! of what it may change: a session, some of its fields, the effects. Nothing here knows of the maps of the state.

pub(crate) mod acknowledgement;
pub(crate) mod agent_loss;
mod budget;
pub(crate) mod cancel;
pub(crate) mod checkpoint;
mod decision;
mod ending;
pub(crate) mod failure;
pub(crate) mod finish;
mod opening;
pub(crate) mod orders;
pub(crate) mod placement;
pub(crate) mod position;
pub(crate) mod scene;
pub(crate) mod start;
