//! From text to tree: lexer, parser, syntax tree.

pub(crate) mod ast;
pub(crate) mod lexer;
pub(crate) mod names;
pub(crate) mod parser;
