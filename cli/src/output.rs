//! Data on standard output, as text or JSON, and colour that can be switched off.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::args::{Colour, Format, Global};

/// Where a command's answer goes.
pub(crate) struct Output {
    format: Format,
    colour: bool,
    colour_on_stderr: bool,
    /// Nobody reads standard output any more.
    closed: AtomicBool,
}

/// What a piece of text is, which decides how it looks.
#[derive(Clone, Copy)]
pub(crate) enum Tone {
    /// A failure.
    Bad,
    /// Success.
    Good,
    /// A restart, a change.
    Change,
    /// Of less interest.
    Dim,
    /// A name to find.
    Strong,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Tone::Bad => AnsiColor::Red.on_default().bold(),
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Change => AnsiColor::Yellow.on_default(),
            Tone::Dim => Style::new().dimmed(),
            Tone::Strong => Style::new().bold(),
        }
    }
}

fn wanted(colour: Colour, terminal: bool) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match colour {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => terminal && !refused,
    }
}

/// Whether the log may use colour.
pub(crate) fn colour_on_stderr(colour: Colour) -> bool {
    wanted(colour, io::stderr().is_terminal())
}

impl Output {
    /// As the flags say.
    pub(crate) fn new(global: &Global) -> Self {
        Output {
            format: global.output,
            colour: wanted(global.color, io::stdout().is_terminal()),
            colour_on_stderr: colour_on_stderr(global.color),
            closed: AtomicBool::new(false),
        }
    }

    /// The format that was asked for; one that the command has.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Whether people are to read it.
    pub(crate) fn is_text(&self) -> bool {
        self.format == Format::Text
    }

    /// Whether text on standard output may be coloured.
    pub(crate) fn colour(&self) -> bool {
        self.colour
    }

    /// Whether text on standard error may be coloured.
    pub(crate) fn colour_on_stderr(&self) -> bool {
        self.colour_on_stderr
    }

    /// `text` in a tone, if colour is on.
    pub(crate) fn paint(&self, tone: Tone, text: impl std::fmt::Display) -> String {
        paint(self.colour, tone, text)
    }

    /// The same, for standard error.
    pub(crate) fn paint_error(&self, tone: Tone, text: impl std::fmt::Display) -> String {
        paint(self.colour_on_stderr, tone, text)
    }

    /// One line of text.
    ///
    /// A reader that went away (`rekindle … | head`) wants no more of it; the work goes on, and the exit status is that
    /// of the work. Any other failure is an error: what is printed is not whole then.
    pub(crate) fn line(&self, text: impl std::fmt::Display) -> io::Result<()> {
        if self.is_closed() {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed.store(true, Ordering::Relaxed);
                Ok(())
            }
            outcome => outcome.map_err(|error| not_whole(&error)),
        }
    }

    /// Whether the reader of standard output was found gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// One value: as a JSON object on one line, or as the text that `text` makes of it.
    pub(crate) fn value<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
        Ok(self.line(self.render(value, text)?)?)
    }

    /// What [`Output::value`] prints, without a line break at its end.
    pub(crate) fn render<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> serde_json::Result<String> {
        if self.is_text() {
            let text = text(value);
            Ok(text.trim_end_matches('\n').to_owned())
        } else {
            serde_json::to_string(value)
        }
    }
}

/// The error for output that could not be written.
pub(crate) fn not_whole(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot write to standard output, what it got is not whole: {error}"))
}

fn paint(colour: bool, tone: Tone, text: impl std::fmt::Display) -> String {
    if colour {
        let style = tone.style();
        format!("{style}{text}{style:#}")
    } else {
        text.to_string()
    }
}

/// Rows in columns, the first row being the headings.
pub(crate) fn columns(rows: &[Vec<String>]) -> String {
    let mut widths = Vec::new();
    for row in rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}
