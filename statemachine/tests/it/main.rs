//! Tests of the replicated state machine.

mod arrows;
mod fixture;
mod formats;
mod garbage;
mod images;
mod interleavings;
mod layers;
mod limits;
mod scripts;
mod trace;
mod views;
mod world;
