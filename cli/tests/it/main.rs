//! Integration tests: the real binary, real processes.

mod arrows;
mod bad_input;
mod double_fault;
mod run;
mod support;
