//! The known name that a wrong one was probably meant to be.

/// How much alike two names must be (1 for equal ones) so that one is taken for the other.
const ALIKE: f64 = 0.75;

/// The known name that is most like a wrong one, if any is like it at all.
///
/// What is left of a long name is like it, and so is the last part of a path: `two-games` is like
/// `reuse/two-games`. Hyphens and underscores are the same here, and so are capital letters.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let rated = known.map(|candidate| (likeness(name, candidate), candidate));
    let best = rated.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.filter(|(like, _)| *like >= ALIKE)
        .map(|(_, candidate)| candidate)
}

/// What to say behind a list of known names: the nearest one, if there is one.
pub(super) fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    match nearest(name, known) {
        Some(nearest) => format!("; did you mean `{nearest}`?"),
        None => String::new(),
    }
}

/// What serde says of an unknown field or variant, with the nearest of those that it expected.
pub(super) fn with_nearest(message: &str) -> String {
    let found = ["unknown field `", "unknown variant `"]
        .iter()
        .find_map(|beginning| message.split_once(beginning))
        .and_then(|(_, rest)| rest.split_once("`, "));
    let Some((name, expected)) = found else {
        return message.to_owned();
    };
    let known = expected.split('`').skip(1).step_by(2);
    format!("{message}{}", did_you_mean(name, known))
}

fn likeness(name: &str, candidate: &str) -> f64 {
    let whole = likeness_of_words(name, candidate);
    match candidate.rsplit_once('/') {
        Some((_, last)) if !name.contains('/') => whole.max(likeness_of_words(name, last)),
        Some(_) | None => whole,
    }
}

fn likeness_of_words(one: &str, other: &str) -> f64 {
    let plain = |text: &str| text.to_lowercase().replace('_', "-");
    let (one, other) = (plain(one), plain(other));
    strsim::jaro_winkler(&one, &other).max(strsim::normalized_damerau_levenshtein(&one, &other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_the_one_that_was_meant() {
        let known = [
            "reuse/two-games",
            "race/late-end",
            "scene-exit/partner-dies-on-survey",
            "by-ms",
            "frame_rate",
        ];
        for (wrong, meant) in [
            ("reuse/two-game", "reuse/two-games"),
            ("two-games", "reuse/two-games"),
            ("late-edn", "race/late-end"),
            (
                "scene-exit/partner-dies",
                "scene-exit/partner-dies-on-survey",
            ),
            ("by_ms", "by-ms"),
            ("Frame-Rate", "frame_rate"),
        ] {
            let found = nearest(wrong, known.into_iter());
            assert_eq!(found, Some(meant), "{wrong}");
        }
        assert_eq!(nearest("quux", known.into_iter()), None);
        assert_eq!(nearest("two-games", std::iter::empty()), None);
    }

    #[test]
    fn the_nearest_of_what_serde_expected_is_named() {
        for (said, nearest) in [
            (
                "unknown field `titel`, expected one of `title`, `plays`",
                "`title`",
            ),
            (
                "unknown variant `partnr`, expected `survivor` or `partner`",
                "`partner`",
            ),
        ] {
            let expected = format!("{said}; did you mean {nearest}?");
            assert_eq!(with_nearest(said), expected);
        }
        for nothing in [
            "unknown field `zzz`, expected one of `title`, `plays`",
            "unknown field `game`, there are no fields",
            "invalid type: integer `7`, expected a string",
        ] {
            assert_eq!(with_nearest(nothing), nothing);
        }
    }
}
