//! What is wrong with a spec, a mutant or a requirement, and where.

use std::ops::Range;
use std::path::PathBuf;

use thiserror::Error;

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
    },
    /// A file or folder could not be read.
    #[error("cannot read {}; run gymcheck in its own checkout, or name the checkout's folder with GYMCHECK_ROOT", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
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
    /// A folder that should hold something holds nothing.
    #[error("{} holds no {kind}: with nothing to run, nothing can pass", .path.display())]
    Nothing {
        /// The folder.
        path: PathBuf,
        /// What it should hold.
        kind: &'static str,
    },
}

impl SpecError {
    /// An error at a place in a file.
    pub(crate) fn at(
        path: &std::path::Path,
        text: &str,
        span: Option<Range<usize>>,
        message: String,
    ) -> SpecError {
        let offset = span.map_or(0, |span| span.start).min(text.len());
        let before = &text[..offset];
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
        known.sort_by_key(|candidate| strsim::damerau_levenshtein(candidate, name));
        let suggestion = match known.first() {
            Some(nearest) if strsim::normalized_damerau_levenshtein(nearest, name) > 0.5 => {
                format!("did you mean `{nearest}`?")
            }
            _ => {
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

/// The known name that is most like a wrong one. What is left of a long name is like it, too.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> &'a str {
    let like = |candidate: &&str| strsim::jaro_winkler(candidate, name);
    known
        .max_by(|one, other| like(one).total_cmp(&like(other)))
        .unwrap_or_default()
}
