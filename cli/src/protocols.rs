//! Reading protocol files for the front end, which itself does no I/O.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rekindle_files::Links;
use rekindle_protocol::diagnostics::{Colour, Report};
use rekindle_protocol::program::{Dialect, Program, load_as};

/// Most of a module's size; what is larger could not be registered either.
const MODULE_BYTES: u64 = 16 << 20;

/// Reads a module and all that it imports.
///
/// The outer error is about the file itself, the inner one about what stands in it.
pub(crate) fn read(file: &Path, include: &[PathBuf]) -> Result<Result<Program, Report>> {
    read_as(Dialect::Lenient, file, include)
}

/// Like [`read`], in a dialect.
pub(crate) fn read_as(dialect: Dialect, file: &Path, include: &[PathBuf]) -> Result<Result<Program, Report>> {
    let main = utf8(file)?;
    let include = include.iter().map(|folder| utf8(folder)).collect::<Result<Vec<_>>>()?;
    // The main file must be there and be text; whether an imported one is, is for the front end to say.
    module(&main).with_context(|| format!("cannot read the protocol {}", file.display()))?;
    Ok(load_as(dialect, &main, &include, &mut |path| module(path).ok()))
}

/// The text of a module.
pub(crate) fn module(path: &str) -> std::io::Result<String> {
    rekindle_files::read_text(Path::new(path), MODULE_BYTES, Links::Followed)
}

/// The path as text, as it crosses the wire.
fn utf8(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).with_context(|| format!("the path {} is not UTF-8", path.display()))
}

/// What is wrong with a protocol, as an error that shows every finding.
#[derive(Debug)]
pub(crate) struct Invalid(Report);

impl Invalid {
    /// With or without colour.
    pub(crate) fn render(&self, colour: bool) -> String {
        self.0.render(if colour { Colour::On } else { Colour::Off })
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Invalid {}

/// A report as an error.
pub(crate) fn invalid(report: Report) -> anyhow::Error {
    anyhow::Error::new(Invalid(report))
}
