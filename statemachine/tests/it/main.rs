//! Tests of the replicated state machine.

mod fixture;
mod garbage;
mod images;
mod interleavings;
mod limits;
mod scripts;
mod trace;
mod world;
