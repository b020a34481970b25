//! What is wrong with a spec, a mutant or a requirement, and where.

use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use thiserror::Error;

use super::nearest::nearest;

/// A mistake in a file that users write, or in a name that they give. It leads to exit status 2.
#[derive(Debug, Error)]
pub enum SpecError {
    /// The text of a file is not what it should be.
    #[error("{}:{line}:{column}: {message}", .path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong, and what was expected.
        message: String,
        /// The file's lines around it, with what is wrong underlined; empty where it is the file as
        /// a whole.
        frame: String,
    },
    /// A file or folder could not be read.
    #[error("cannot read {}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no checkout with specs and fixtures.
    #[error(
        "{} is no checkout of gymcheck: it has no specs/requirements.toml. Specs and fixtures are \
         read from GYMCHECK_ROOT, from the checkout at or above the working folder, or from the one \
         that this program was built from: work in a checkout, or name its folder with GYMCHECK_ROOT",
        .path.display()
    )]
    NoCheckout {
        /// The folder that was looked at last.
        path: PathBuf,
    },
    /// A user's own folder of specs is not there.
    #[error(
        "there is no folder {path}: --specs takes the folder of your own specs, \
         {path}/CONCERN/NAME.toml; `gymcheck new CONCERN/NAME --specs {path}` makes it, with a first \
         spec",
        path = .path.display()
    )]
    NoFolder {
        /// The folder.
        path: PathBuf,
    },
    /// A name that nothing has.
    #[error("there is no {kind} `{name}`; {suggestion}")]
    UnknownName {
        /// What was looked for: `spec`, `mutant`.
        kind: &'static str,
        /// The name.
        name: String,
        /// The nearest known name, or all of them.
        suggestion: String,
    },
    /// A mutant that is not tried.
    #[error("the mutant `{name}` is proven equivalent, and is not tried: {proof}")]
    Equivalent {
        /// Its name.
        name: String,
        /// The proof.
        proof: String,
    },
    /// A mutant that a call names beside specs that are none of its own.
    #[error(
        "the mutant `{name}` would not be tried: it belongs to {specs}, and this call names other specs; name \
         one that it belongs to as well, or leave it out"
    )]
    NotTried {
        /// Its name.
        name: String,
        /// The specs that must find it.
        specs: String,
    },
    /// A folder that should hold something holds nothing.
    #[error("{} holds no {kind}: with nothing to run, nothing can pass", .path.display())]
    Nothing {
        /// The folder.
        path: PathBuf,
        /// What it should hold.
        kind: &'static str,
    },
    /// Several mistakes, in the order in which the files were read.
    #[error("{}", one_a_line(mistakes))]
    Several {
        /// Two or more.
        mistakes: Vec<SpecError>,
    },
}

fn one_a_line(mistakes: &[SpecError]) -> String {
    let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

impl SpecError {
    /// An error at a place in a file.
    pub(crate) fn at(
        path: &Path,
        text: &str,
        span: Option<Range<usize>>,
        message: String,
    ) -> SpecError {
        let frame = span
            .clone()
            .map_or_else(String::new, |span| frame(text, span));
        let offset = span.map_or(0, |span| span.start).min(text.len());
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .map_or(0, |rest| rest.chars().count())
            + 1;
        SpecError::InFile {
            path: path.to_owned(),
            line,
            column,
            message,
            frame,
        }
    }

    /// Mistakes as one; there must be at least one.
    pub(crate) fn of_all(mut mistakes: Vec<SpecError>) -> SpecError {
        match mistakes.len() {
            1 => mistakes.remove(0),
            _ => SpecError::Several { mistakes },
        }
    }

    /// Each mistake for itself.
    #[must_use]
    pub fn each(&self) -> Vec<&SpecError> {
        match self {
            SpecError::Several { mistakes } => mistakes.iter().flat_map(SpecError::each).collect(),
            SpecError::InFile { .. }
            | SpecError::Io { .. }
            | SpecError::NoCheckout { .. }
            | SpecError::NoFolder { .. }
            | SpecError::UnknownName { .. }
            | SpecError::Equivalent { .. }
            | SpecError::NotTried { .. }
            | SpecError::Nothing { .. } => vec![self],
        }
    }

    /// The file or folder that is wrong, if one is.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            SpecError::InFile { path, .. }
            | SpecError::Io { path, .. }
            | SpecError::NoCheckout { path }
            | SpecError::NoFolder { path }
            | SpecError::Nothing { path, .. } => Some(path),
            SpecError::UnknownName { .. }
            | SpecError::Equivalent { .. }
            | SpecError::NotTried { .. }
            | SpecError::Several { .. } => None,
        }
    }

    /// The lines of the file around what is wrong, underlined and in colours, if there is such a
    /// place.
    #[must_use]
    pub fn frame(&self) -> Option<&str> {
        match self {
            SpecError::InFile { frame, .. } if !frame.is_empty() => Some(frame),
            _ => None,
        }
    }

    /// An unknown name, with the nearest known one.
    #[must_use]
    pub fn unknown<'a>(
        kind: &'static str,
        name: &str,
        known: impl Iterator<Item = &'a str>,
    ) -> SpecError {
        let mut known: Vec<&str> = known.collect();
        let suggestion = match nearest(name, known.iter().copied()) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None if known.is_empty() => format!("there is no {kind} at all"),
            None => {
                known.sort_unstable();
                format!("known: {}", known.join(", "))
            }
        };
        SpecError::UnknownName {
            kind,
            name: name.to_owned(),
            suggestion,
        }
    }
}

/// The lines of a text around a place, underlined.
fn frame(text: &str, span: Range<usize>) -> String {
    let end = span.end.clamp(span.start, text.len());
    let line_ends = text[..end].rfind('\n').filter(|at| *at > span.start);
    // What spans many lines is shown by its first.
    let end = match line_ends {
        Some(_) => text[span.start..end]
            .find('\n')
            .map_or(end, |length| span.start + length),
        None => end,
    };
    let place = AnnotationKind::Primary.span(span.start..end);
    let group = Group::with_level(Level::ERROR).element(Snippet::source(text).annotation(place));
    Renderer::styled().render(&[group])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_by_line_and_column_and_shown() {
        let text = "title = \"A\"\n\n[[steps]]\njion = {}\n";
        let start = text.find("jion").expect("it is there");
        let error = SpecError::at(
            Path::new("a.toml"),
            text,
            Some(start..start + 4),
            "w".into(),
        );
        assert_eq!(error.to_string(), "a.toml:4:1: w");
        let frame = anstream::adapter::strip_str(error.frame().expect("a frame")).to_string();
        assert!(frame.contains("4 | jion = {}\n"), "{frame}");
        assert!(frame.contains("| ^^^^"), "{frame}");
        let whole = SpecError::at(Path::new("a.toml"), text, None, "w".into());
        assert_eq!(whole.to_string(), "a.toml:1:1: w");
        assert!(whole.frame().is_none());
    }

    #[test]
    fn a_place_at_the_end_or_over_many_lines_is_shown_too() {
        let text = "a = [\n1,\n2\n";
        for span in [text.len()..text.len(), 0..text.len(), 4..text.len() + 9] {
            let error = SpecError::at(Path::new("a.toml"), text, Some(span.clone()), "w".into());
            assert!(
                error.frame().is_some_and(|frame| !frame.is_empty()),
                "{span:?}"
            );
        }
    }

    #[test]
    fn several_mistakes_are_told_each_in_a_line() {
        let one = |name: &str| SpecError::unknown("spec", name, ["known"].into_iter());
        let inner = SpecError::of_all(vec![one("b"), one("c")]);
        let all = SpecError::of_all(vec![one("a"), inner]);
        assert_eq!(all.each().len(), 3);
        assert_eq!(all.to_string().lines().count(), 3);
        assert!(matches!(
            SpecError::of_all(vec![one("a")]),
            SpecError::UnknownName { .. }
        ));
    }
}
