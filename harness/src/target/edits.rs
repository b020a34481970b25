//! Named edits to what the target serves: repairs and mutants.

use thiserror::Error;

/// One change to one file that the target serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The name of the mutant or repair that asks for it.
    pub name: String,
    /// The end of the file's path, in whole segments, as `static/js/index.js`; for a Python file its
    /// path in the package, as `server/app.py`.
    pub file: String,
    /// The text to find. A run of white space in it stands for any run of white space, line ends
    /// included; white space at its two ends does not count.
    pub find: String,
    /// What to put in its place, as it stands.
    pub replace: String,
}

impl Edit {
    /// Whether it changes what the server itself runs, and not what it serves to pages.
    #[must_use]
    pub fn is_of_the_server(&self) -> bool {
        self.file.ends_with(".py")
    }

    /// Whether it concerns the file that an address names (path without query).
    #[must_use]
    pub fn concerns(&self, path: &str) -> bool {
        let file = self.file.trim_start_matches('/');
        path.strip_suffix(file)
            .is_some_and(|before| before.is_empty() || before.ends_with('/'))
    }
}

/// Why an edit could not be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EditError {
    /// The edit names no text to find.
    #[error("the edit {edit} of {file} has nothing to find; give it the text that it replaces")]
    Empty {
        /// The edit's name.
        edit: String,
        /// Its file.
        file: String,
    },
    /// The text is not there.
    #[error(
        "the edit {edit} finds none of its text in {file}, which begins {start:?}; the target may \
         have changed there: adapt the edit to it"
    )]
    NotFound {
        /// The edit's name.
        edit: String,
        /// Its file.
        file: String,
        /// How the text that is sought begins.
        start: String,
    },
    /// The text is there more than once.
    #[error(
        "the edit {edit} finds its text in {file} {found} times, which begins {start:?}; make the \
         text longer, so that it occurs once"
    )]
    Ambiguous {
        /// The edit's name.
        edit: String,
        /// Its file.
        file: String,
        /// How the text that is sought begins.
        start: String,
        /// How often it is there.
        found: usize,
    },
}

/// The text with the edit made.
///
/// # Errors
/// The edit's text is empty, is not in `text`, or is there more than once.
pub fn apply_edit(text: &str, edit: &Edit) -> Result<String, EditError> {
    let words: Vec<&str> = edit.find.split_whitespace().collect();
    let start = edit.find.trim().chars().take(60).collect();
    let (name, file) = (edit.name.clone(), edit.file.clone());
    if words.is_empty() {
        return Err(EditError::Empty { edit: name, file });
    }
    let places: Vec<(usize, usize)> = text
        .char_indices()
        .filter_map(|(begin, _)| Some((begin, begin + length_of_match(&text[begin..], &words)?)))
        .collect();
    match places[..] {
        [] => Err(EditError::NotFound {
            edit: name,
            file,
            start,
        }),
        [(begin, end)] => Ok([&text[..begin], &edit.replace, &text[end..]].concat()),
        _ => Err(EditError::Ambiguous {
            edit: name,
            file,
            start,
            found: places.len(),
        }),
    }
}

/// How long the match of these words is at the beginning of the text, if they match there.
fn length_of_match(text: &str, words: &[&str]) -> Option<usize> {
    let mut rest = text;
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            let next = rest.trim_start();
            if next.len() == rest.len() {
                return None;
            }
            rest = next;
        }
        rest = rest.strip_prefix(word)?;
    }
    Some(text.len() - rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(find: &str, replace: &str) -> Edit {
        Edit {
            name: "no-cleanup".into(),
            file: "static/js/index.js".into(),
            find: find.into(),
            replace: replace.into(),
        }
    }

    #[test]
    fn white_space_is_any_white_space() {
        let text = "function end() {\n\tgame.close( );\r\n    done();\n}\n";
        let edited = apply_edit(text, &edit("  game.close( );\n done(); ", "/* $0 */"));
        assert_eq!(edited, Ok("function end() {\n\t/* $0 */\n}\n".into()));
    }

    #[test]
    fn white_space_must_be_there_and_only_there() {
        assert!(apply_edit("a  b", &edit("a b", "c")).is_ok());
        assert!(apply_edit("ab", &edit("a b", "c")).is_err());
        assert!(apply_edit("a b", &edit("ab", "c")).is_err());
    }

    #[test]
    fn text_that_is_not_there_is_an_error() {
        let error = apply_edit("let a = 1;", &edit("game.close()", "")).expect_err("not there");
        insta::assert_snapshot!(error, @r#"the edit no-cleanup finds none of its text in static/js/index.js, which begins "game.close()"; the target may have changed there: adapt the edit to it"#);
    }

    #[test]
    fn text_that_is_there_twice_is_an_error() {
        let error = apply_edit("a();\na();", &edit("a();", "")).expect_err("twice");
        assert!(matches!(error, EditError::Ambiguous { found: 2, .. }));
        // Occurrences that overlap count as well.
        let error = apply_edit("}}}", &edit("}}", "")).expect_err("twice");
        assert!(matches!(error, EditError::Ambiguous { found: 2, .. }));
    }

    #[test]
    fn nothing_to_find_is_an_error() {
        assert!(matches!(
            apply_edit("a", &edit(" \n", "")),
            Err(EditError::Empty { .. })
        ));
    }

    #[test]
    fn a_file_is_named_by_whole_segments() {
        let edit = edit("a", "b");
        assert!(edit.concerns("/static/js/index.js"));
        assert!(edit.concerns("/mug/static/js/index.js"));
        assert!(!edit.concerns("/other-static/js/index.js"));
        assert!(!edit.concerns("/static/js/index.js.map"));
    }
}
