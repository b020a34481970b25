//! What was said last when a run did not get on: by the pages, and by the target.

use crate::evidence::{Fact, Log, PageFact};

/// How many lines of each are told.
const LINES: usize = 6;

/// The longest line that is told, in characters.
const LONGEST: usize = 300;

/// The last errors of the pages (a Python traceback among them), and what the target's own log ends with:
/// each in lines of its own. Nothing, where nobody said anything.
pub(super) fn last_words(log: &Log) -> Vec<String> {
    let pages = log.events().iter().filter_map(|event| match &event.fact {
        Fact::Page(page) => of_page(&page.what),
        _ => None,
    });
    let server = log.events().iter().filter_map(|event| match &event.fact {
        Fact::ServerLog { line } => Some(line.as_str()),
        _ => None,
    });
    let said = [("page", last(pages)), ("server", last(server))];
    let lines = said.iter().flat_map(|(who, lines)| {
        let line = move |line: &String| format!("{who}: {line}");
        lines.iter().map(line)
    });
    lines.collect()
}

fn of_page(fact: &PageFact) -> Option<&str> {
    match fact {
        PageFact::Console { level, text } if level == "error" => Some(text),
        PageFact::Error { message, .. } | PageFact::Rejection { message, .. } => Some(message),
        _ => None,
    }
}

/// The last lines of texts, each of them once.
fn last<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in texts.flat_map(str::lines).map(str::trim_end) {
        let line: String = line.chars().take(LONGEST).collect();
        lines.retain(|known| *known != line);
        if !line.is_empty() {
            lines.push(line);
        }
    }
    lines.split_off(lines.len().saturating_sub(LINES))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Recorder;

    #[test]
    fn the_last_lines_of_each_are_told_and_each_once() {
        let recorder = Recorder::in_memory();
        for line in ["a", "b", "a", "", "c"] {
            let line = line.to_owned();
            recorder.record(Fact::ServerLog { line });
        }
        let said = last_words(&recorder.log());
        assert_eq!(said, ["server: b", "server: a", "server: c"]);
        assert!(last_words(&Log::default()).is_empty());
        let many: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        let kept = last(many.iter().map(String::as_str));
        assert_eq!(kept.len(), LINES);
        assert_eq!(kept[LINES - 1], "19");
    }
}
