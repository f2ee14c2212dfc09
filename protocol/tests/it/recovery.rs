//! Recovery: the line, the table, the plan, and sessions that crash and go on.

mod line;
mod oracle;
mod plan;
mod random;
mod rules;
mod sequence;
mod session;
mod table;
mod world;
