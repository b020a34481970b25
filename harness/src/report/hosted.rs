//! What a hosted CI shows of a call: annotations beside its log, and the summary on the job's page.

use std::io::Write as _;
use std::path::PathBuf;

use super::files::ReportError;
use super::results::Results;
use super::summary::summary;
use super::told::{Told, shortened, told};

/// How many annotations of each kind a hosted CI shows.
const SHOWN: usize = 10;

/// Tells a hosted CI: annotations in its log (where `GITHUB_ACTIONS` is `true`), and the summary in the
/// file that it names (`GITHUB_STEP_SUMMARY`).
///
/// # Errors
/// The summary's file cannot be written.
pub fn tell_hosted_ci(results: &Results) -> Result<(), ReportError> {
    if std::env::var("GITHUB_ACTIONS").is_ok_and(|value| value == "true") {
        for line in annotations(results) {
            anstream::println!("{line}");
        }
    }
    match std::env::var_os("GITHUB_STEP_SUMMARY") {
        Some(file) if !file.is_empty() => append(results, file.into()),
        Some(_) | None => Ok(()),
    }
}

/// Appends the summary: what earlier calls of the same step said stays.
fn append(results: &Results, path: PathBuf) -> Result<(), ReportError> {
    let mut options = std::fs::OpenOptions::new();
    let file = options.append(true).create(true).open(&path);
    let written = file.and_then(|mut file| file.write_all(summary(results).as_bytes()));
    written.map_err(|source| ReportError::StepSummary { path, source })
}

/// Errors for whatever makes the exit status another than 0, warnings for known defects.
fn annotations(results: &Results) -> Vec<String> {
    let warnings = results.defects.iter().map(|one| Told {
        title: format!(
            "known defect: {} {} of {} on {}",
            one.requirement, one.check, one.spec, one.pair
        ),
        account: format!("{}; seen: {}", one.reason, one.account),
    });
    let mut lines = annotations_of("error", &told(results));
    lines.extend(annotations_of("warning", &warnings.collect::<Vec<_>>()));
    lines
}

/// No more than are shown; the last one says how many more there are.
fn annotations_of(kind: &str, all: &[Told]) -> Vec<String> {
    let shown = match all.len() {
        few if few <= SHOWN => few,
        _ => SHOWN - 1,
    };
    let (shown, rest) = all.split_at(shown);
    let lines = shown.iter();
    let mut lines: Vec<String> = lines
        .map(|one| annotation(kind, &one.title, &shortened(&one.account)))
        .collect();
    if !rest.is_empty() {
        let rest = format!("and {} more, see summary.md and report.html", rest.len());
        lines.push(annotation(kind, "gymcheck", &rest));
    }
    lines
}

/// A workflow command: percent signs, line ends, and in its properties colons and commas are escaped.
fn annotation(kind: &str, title: &str, text: &str) -> String {
    let data = |text: &str| {
        text.replace('%', "%25")
            .replace('\r', "%0D")
            .replace('\n', "%0A")
    };
    let title = data(title).replace(':', "%3A").replace(',', "%2C");
    format!("::{kind} title={title}::{}", data(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::summary::tests::results;
    use crate::verdict::Verdict;

    #[test]
    fn annotations_are_escaped() {
        let mut results = results(1, Verdict::Pass);
        results.runs[0].spec = "a\r\n::add-mask::b, 50 %".to_owned();
        assert_eq!(
            annotations(&results),
            [
                "::error title=P2P-01 c fail%3A a%0D%0A%3A%3Aadd-mask%3A%3Ab%2C 50 %25 on \
                 chrome+chrome::100 %25: <b>, `x` | y%0Az"
            ]
        );
    }

    #[test]
    fn no_more_annotations_are_printed_than_a_hosted_ci_shows() {
        for (count, kind) in [
            (10, "error"),
            (14, "error"),
            (10, "warning"),
            (14, "warning"),
        ] {
            let expected = match kind {
                "error" => Verdict::Pass,
                _ => Verdict::Fail,
            };
            let lines = annotations(&results(count, expected));
            let start = format!("::{kind} title=");
            assert!(
                lines.iter().all(|line| line.starts_with(&start)),
                "{lines:?}"
            );
            assert_eq!(lines.len(), SHOWN);
            let rest =
                format!("::{kind} title=gymcheck::and 5 more, see summary.md and report.html");
            assert_eq!(lines[9] == rest, count == 14, "{}", lines[9]);
        }
    }

    #[test]
    fn what_an_earlier_call_of_the_step_said_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("summary");
        let results = results(1, Verdict::Pass);
        append(&results, file.clone()).expect("written");
        append(&results, file.clone()).expect("written");
        let text = std::fs::read_to_string(file).expect("it is there");
        assert_eq!(text, summary(&results).repeat(2));
        let error = append(&results, folder.path().join("no/such/folder"));
        let error = error.expect_err("nothing can be written there").to_string();
        assert!(error.contains("no/such/folder"), "{error}");
    }
}
