//! Messages between roles.
//!
//! A channel is an ordered pair of roles. Its sender's supervisor keeps an [`outbox::Outbox`], its receiver's supervisor
//! an [`inbox::Inbox`]; messages are numbered from 1. Between supervisors they travel over a [`carrier`], which ends in
//! the [`service`] of the other side; between two roles of one agent they are handed over directly.

pub(crate) mod carrier;
pub(crate) mod digest;
pub(crate) mod fence;
pub(crate) mod inbox;
pub(crate) mod message;
pub(crate) mod outbox;
pub(crate) mod service;
