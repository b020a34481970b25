//! What the reader of a file's format says, in words for people who do not know its program.

use super::nearest::with_nearest;

/// What serde and toml say, and what a user can make of it.
const WORDS: [(&str, &str); 11] = [
    ("unknown variant", "unknown name"),
    (
        "wanted exactly 1 element, more than 1 element",
        "expected one name here with what belongs to it, found several: each step is a table [[steps]] \
         of its own",
    ),
    (
        "wanted exactly 1 element, found 0 elements",
        "expected a name here with what belongs to it, found none",
    ),
    (
        "wanted string or table",
        "expected a name, or a table with a name as its key",
    ),
    (
        "invalid type: unit variant, expected newtype variant",
        "expected a table with this name as its key, as { name = {} }",
    ),
    (
        "expected newtype variant",
        "expected a table with this name as its key",
    ),
    ("expected a sequence", "expected a list, as [\"…\"]"),
    ("expected a map", "expected a table, as { … }"),
    ("a nonzero u32", "a whole number, 1 or more"),
    ("a nonzero u64", "a whole number, 1 or more"),
    ("expected u32", "expected a whole number, 0 or more"),
];

/// A message of the reader, with the nearest of the names that it expected.
pub(super) fn in_plain_words(message: &str) -> String {
    let mut text = with_nearest(&message.replace('\n', "; "));
    for (theirs, ours) in WORDS {
        text = text.replace(theirs, ours);
    }
    // The name of a type of the program says nothing to those who write a file.
    match text.split_once("expected struct ") {
        Some((before, _)) => format!("{before}expected a table, as {{ … }}"),
        None => text,
    }
}
