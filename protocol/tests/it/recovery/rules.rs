//! One test for each rule of the definition.
