//! What the nodes of a grid have, as its status tells: slots, each for a browser, and the sessions in them.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use crate::spec::BrowserKind;

/// The session that stands in a slot for which one is just being made.
const RESERVED: &str = "reserved";

/// The slots of all nodes. There are none where the endpoint is no grid.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Offer {
    slots: Vec<Slot>,
}

/// A place for one session at a node.
#[derive(Debug, PartialEq)]
struct Slot {
    /// The address of the node.
    node: String,
    /// Whether the node takes new sessions: one that is about to end keeps those that it has.
    is_open: bool,
    /// What a session there has.
    stereotype: Value,
    session: Option<Held>,
}

/// A session in a slot.
#[derive(Debug, PartialEq)]
struct Held {
    id: String,
    /// What it was called by who asked for it.
    name: Option<String>,
}

impl Offer {
    /// Reads the value of an answer to `GET /status`. What is not as a grid writes it is not there.
    pub(super) fn read(status: &Value) -> Offer {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let all = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let mut slots = Vec::new();
        for node in all(&status["nodes"]) {
            for slot in all(&node["slots"]) {
                let session = &slot["session"];
                slots.push(Slot {
                    node: text(&node["uri"]).unwrap_or_default(),
                    is_open: node["availability"] == "UP",
                    stereotype: slot["stereotype"].clone(),
                    session: text(&session["sessionId"]).map(|id| Held {
                        id,
                        name: text(&session["capabilities"]["se:name"]),
                    }),
                });
            }
        }
        Offer { slots }
    }

    /// Whether it tells of slots at all.
    pub(super) fn has_slots(&self) -> bool {
        !self.slots.is_empty()
    }

    /// Those that have a browser of this kind with the standard capabilities that are wished for, and how many
    /// of them are free.
    pub(super) fn count(&self, kind: BrowserKind, wishes: &Map<String, Value>) -> (usize, usize) {
        let open = self.slots.iter().filter(|slot| slot.is_open);
        let fit = open.filter(|slot| slot.has(kind, wishes));
        fit.fold((0, 0), |(all, free), slot| {
            (all + 1, free + usize::from(slot.session.is_none()))
        })
    }

    /// How many runs at once have the slots for their players.
    pub(super) fn runs_at_once(&self, browsers: &[BrowserKind]) -> Option<u8> {
        if !self.has_slots() {
            return None;
        }
        let none = Map::new();
        let slots = |kind: &BrowserKind| self.count(*kind, &none).0;
        // A run takes two of one kind at worst: where each of two runs has got one of them, both wait for another.
        let fewest = browsers.iter().map(slots).min().unwrap_or_default();
        Some(u8::try_from(fewest / 2).unwrap_or(u8::MAX).max(1))
    }

    /// The address of the node where a session is.
    pub(super) fn node_of(&self, session: &str) -> Option<&str> {
        let holds = |slot: &&Slot| slot.session.as_ref().is_some_and(|held| held.id == session);
        self.slots.iter().find(holds).map(|slot| slot.node.as_str())
    }

    /// The sessions of this name.
    pub(super) fn named(&self, name: &str) -> Vec<&str> {
        let held = self.slots.iter().filter_map(|slot| slot.session.as_ref());
        held.filter(|held| held.name.as_deref() == Some(name))
            .map(|held| held.id.as_str())
            .collect()
    }

    /// Whether a session is just being made somewhere, whose name nobody knows yet.
    pub(super) fn is_reserving(&self) -> bool {
        let mut held = self.slots.iter().filter_map(|slot| slot.session.as_ref());
        held.any(|held| held.id == RESERVED)
    }
}

impl Slot {
    /// A grid compares names and platforms without regard to case, and more than is looked at here: of what it has
    /// not got for sure, this is all.
    fn has(&self, kind: BrowserKind, wishes: &Map<String, Value>) -> bool {
        let is = |name: &str, wanted: &str| {
            let has = self.stereotype[name].as_str();
            has.is_none_or(|has| has.eq_ignore_ascii_case(wanted))
        };
        let version = wishes.get("browserVersion").and_then(Value::as_str);
        is("browserName", &kind.to_string()) && version.is_none_or(|it| is("browserVersion", it))
    }
}

impl fmt::Display for Offer {
    /// As `2 × chrome 156 on linux, 1 × firefox`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        for slot in self.slots.iter().filter(|slot| slot.is_open) {
            let told = |name: &str, before: &str| match slot.stereotype[name].as_str() {
                Some(told) => format!("{before}{told}"),
                None => String::new(),
            };
            let kind = format!(
                "{}{}{}",
                told("browserName", ""),
                told("browserVersion", " "),
                told("platformName", " on ")
            );
            *kinds.entry(kind).or_default() += 1;
        }
        if kinds.is_empty() {
            return f.write_str("nothing");
        }
        let each = kinds
            .iter()
            .map(|(kind, count)| format!("{count} × {kind}"));
        f.write_str(&each.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status() -> Value {
        let slot = |name: &str, session: Value| json!({"session": session, "stereotype": {"browserName": name, "platformName": "linux"}});
        let held = json!({"sessionId": "s1", "capabilities": {"se:name": "mine"}});
        let reserved = json!({"sessionId": "reserved", "capabilities": {}});
        json!({"ready": true, "nodes": [
            {"uri": "http://10.0.0.2:5555", "availability": "UP", "slots": [
                slot("chrome", held),
                slot("chrome", Value::Null),
            ]},
            {"uri": "http://10.0.0.3:5555", "availability": "UP", "slots": [
                slot("firefox", reserved),
            ]},
            {"uri": "http://10.0.0.4:5555", "availability": "DRAINING", "slots": [
                slot("firefox", Value::Null),
                slot("firefox", json!({"sessionId": "s2", "capabilities": {"se:name": "old"}})),
            ]},
        ]})
    }

    #[test]
    fn a_status_tells_of_slots_and_of_what_is_in_them() {
        let offer = Offer::read(&status());
        let none = Map::new();
        assert_eq!(offer.count(BrowserKind::Chrome, &none), (2, 1));
        assert_eq!(offer.count(BrowserKind::Firefox, &none), (1, 0));
        assert_eq!(offer.node_of("s1"), Some("http://10.0.0.2:5555"));
        assert_eq!(offer.named("mine"), ["s1"]);
        // A node that takes nothing new has what it had.
        assert_eq!(offer.node_of("s2"), Some("http://10.0.0.4:5555"));
        assert_eq!(offer.named("old"), ["s2"]);
        assert!(offer.named("yours").is_empty() && offer.is_reserving());
        assert_eq!(
            offer.to_string(),
            "2 × chrome on linux, 1 × firefox on linux"
        );
        use BrowserKind::{Chrome, Firefox};
        assert_eq!(offer.runs_at_once(&[Chrome]), Some(1));
        assert_eq!(offer.runs_at_once(&[Chrome, Firefox]), Some(1));
        let slot = json!({"session": null, "stereotype": {"browserName": "chrome"}});
        let mut status = status();
        status["nodes"][0]["slots"] = vec![slot; 5].into();
        assert_eq!(Offer::read(&status).runs_at_once(&[Chrome]), Some(2));
    }

    #[test]
    fn what_is_no_grid_has_no_slots() {
        let offer = Offer::read(&json!({"ready": true, "message": "ready for new sessions."}));
        assert!(!offer.has_slots());
        assert_eq!(offer.runs_at_once(&[BrowserKind::Chrome]), None);
        assert_eq!(offer.to_string(), "nothing");
    }

    #[test]
    fn another_version_is_not_had_and_one_that_is_not_told_may_be() {
        let wish = |version: &str| {
            let wish = json!({"browserVersion": version});
            wish.as_object().unwrap().clone()
        };
        let slot = |stereotype: Value| Slot {
            node: String::new(),
            is_open: true,
            stereotype,
            session: None,
        };
        let told = slot(json!({"browserName": "chrome", "browserVersion": "156"}));
        assert!(told.has(BrowserKind::Chrome, &wish("156")));
        assert!(!told.has(BrowserKind::Chrome, &wish("155")));
        let untold = slot(json!({"browserName": "Chrome"}));
        assert!(untold.has(BrowserKind::Chrome, &wish("155")));
        assert!(!untold.has(BrowserKind::Firefox, &Map::new()));
    }
}
