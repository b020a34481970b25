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

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;

    use super::*;
    use crate::spec::{CheckSpec, SpecBody, Step};

    fn said<T: DeserializeOwned>(text: &str) -> String {
        let error = toml::from_str::<T>(text).err().expect("a mistake");
        in_plain_words(error.message())
    }

    #[test]
    fn no_word_of_the_program_is_in_what_a_user_is_told() {
        let mistakes = [
            said::<Step>("join = \"x\""),
            said::<Step>("join = {}\nplay = { until = \"mid-game\" }"),
            said::<Step>("arrive = { player = [\"survivor\"], at = \"end\" }"),
            said::<Step>(
                "inject = { as = \"r\", player = \"survivor\", event = \"p2p_pause\", times = 0 }",
            ),
            said::<CheckSpec>("requirement = \"r\"\nask = \"form-answered\""),
            said::<SpecBody>("title = \"t\"\nchecks = []\nexperiment = { steps = \"60\" }"),
            said::<SpecBody>("title = \"t\"\nchecks = []\npairs = \"chrome+chrome\""),
            said::<SpecBody>("title = \"t\"\nchecks = []\nexperiment = 3"),
        ];
        insta::assert_snapshot!(mistakes.join("\n"), @r#"
        invalid type: string "x", expected a table, as { … }
        expected one name here with what belongs to it, found several: each step is a table [[steps]] of its own
        expected a name, or a table with a name as its key
        invalid value: integer `0`, expected a whole number, 1 or more
        expected a table with this name as its key, as { name = {} }
        invalid type: string "60", expected a whole number, 0 or more
        invalid type: string "chrome+chrome", expected a list, as ["…"]
        invalid type: integer `3`, expected a table, as { … }
        "#);
    }
}
