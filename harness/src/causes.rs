//! Errors, told with what caused them.

use std::error::Error;

/// An error's words, with those of what caused it: `cannot start the gateway: no port: …`.
pub(crate) fn with_causes(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    let words: Vec<String> = causes.map(ToString::to_string).collect();
    words.join(": ")
}
