//! What the documents say of formats is what the code reads.

use std::collections::BTreeSet;

use gymcheck::evidence::{Event, Fact, Header, Packet, PageFact};
use gymcheck::run::find_root;
use serde::de::DeserializeOwned;
use serde_json::json;

fn document() -> String {
    std::fs::read_to_string(find_root().join("docs/evidence.md")).expect("the document")
}

/// The names of an enum's variants, as the reader of its tag knows them.
fn variants<T: DeserializeOwned>(tag: &str) -> BTreeSet<String> {
    let unknown = serde_json::from_value::<T>(json!({ tag: "no such thing" }));
    let error = unknown.err().expect("there is no such variant").to_string();
    let (_, known) = error.split_once("expected").expect("what was expected");
    known
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// What stands in backticks at the end of headings that begin with this.
fn headings(beginning: &str) -> BTreeSet<String> {
    let document = document();
    let headings = document
        .lines()
        .filter_map(|line| line.strip_prefix(beginning));
    headings
        .map(|name| name.trim_matches('`').to_owned())
        .collect()
}

#[test]
fn each_kind_of_event_is_described_and_nothing_else() {
    let kinds: BTreeSet<String> = headings("### ")
        .into_iter()
        .filter(|heading| !heading.contains(':'))
        .collect();
    assert_eq!(kinds, variants::<Fact>("kind"));
    assert_eq!(headings("### `page`: "), variants::<PageFact>("event"));
    assert_eq!(headings("### `wire`: "), variants::<Packet>("type"));
}

#[test]
fn each_example_is_an_event_of_the_kind_above_it() {
    let document = document();
    let mut heading = "";
    let mut examples = 0;
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("### ") {
            heading = line;
        }
        if line != "```json" {
            continue;
        }
        let example = lines.next().expect("an example");
        let event: Event = serde_json::from_str(example)
            .unwrap_or_else(|error| panic!("{heading}: {error}: {example}"));
        let value = serde_json::to_value(&event).expect("JSON");
        let names = [&value["kind"], &value["event"], &value["packet"]["type"]];
        let named = names.iter().filter_map(|name| name.as_str());
        let last = heading.rsplit('`').nth(1).expect("a name");
        assert!(
            named.into_iter().any(|name| name == last),
            "{heading}: {example}"
        );
        examples += 1;
    }
    assert!(examples > 50, "{examples}");
}

#[test]
fn the_header_is_the_one_that_is_read() {
    let document = document();
    let header = document
        .lines()
        .find(|line| line.starts_with("{\"gymcheck_evidence\""));
    serde_json::from_str::<Header>(header.expect("a header")).expect("it can be read");
}
