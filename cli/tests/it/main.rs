//! Integration tests: the real binary, real processes.

#![allow(clippy::print_stdout, reason = "a test says its seed and what it did")]

mod arrows;
mod bad_input;
mod double_fault;
mod graph;
mod health;
mod node_ends;
mod run;
mod streams;
mod support;
