//! JSON Schemas of the files that users write, made from the very types that read them: editors complete
//! names by them, say what each is for, and underline what is wrong.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::events::known_events;
use super::expectation::ExpectationFile;
use super::model::SpecBody;
use super::mutant::Mutant;
use super::read::Requirement;
use super::repair::Repair;
use crate::evidence::Direction;

/// The schemas' files, each with its name and its text.
#[must_use]
pub fn schema_files() -> Vec<(&'static str, String)> {
    vec![
        (
            "spec.schema.json",
            text::<SpecBody>("A spec of gymcheck: CONCERN/NAME.toml"),
        ),
        (
            "mutant.schema.json",
            text::<Mutant>("A mutant of gymcheck: mutants/NAME.toml"),
        ),
        (
            "repair.schema.json",
            text::<Repair>("A repair of gymcheck: repairs/NAME.toml"),
        ),
        (
            "expectations.schema.json",
            text::<ExpectationFile>("What is known of a target: expectations/TARGET.toml"),
        ),
        (
            "requirements.schema.json",
            text::<BTreeMap<String, Requirement>>("What must hold, by id: requirements.toml"),
        ),
    ]
}

fn text<T: JsonSchema>(title: &str) -> String {
    // What can be read is described: what has a default need not be there. Editors know draft 7.
    let settings = SchemaSettings::draft07().for_deserialize();
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), title.into());
    let text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    format!("{text}\n")
}

/// The name of a Socket.IO event of the target, whichever way it travels.
pub(super) struct EventName;

impl JsonSchema for EventName {
    fn schema_name() -> Cow<'static, str> {
        "EventName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut names: Vec<&str> = [Direction::ToClient, Direction::ToServer]
            .into_iter()
            .flat_map(known_events)
            .copied()
            .collect();
        names.sort_unstable();
        names.dedup();
        json_schema!({
            "description": "A Socket.IO event of the target.",
            "type": "string",
            "enum": names,
        })
    }
}
