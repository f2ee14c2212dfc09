//! Integration tests: the real binary, real processes.

#![allow(clippy::print_stdout, reason = "a test says its seed and what it did")]

mod arrows;
mod bad_input;
mod double_fault;
mod graph;
mod health;
mod loops;
mod node_ends;
mod rounds;
mod run;
mod streams;
mod support;
mod trust;
