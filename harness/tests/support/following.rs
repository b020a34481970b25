//! Reading the evidence of a run while it goes on.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde_json::Value;

/// The evidence of a run, as far as it was read.
#[derive(Default)]
pub(crate) struct Following {
    /// Its events.
    pub(crate) events: Vec<Value>,
    /// How much of its file that is, in bytes.
    read: u64,
    /// How many of them were asked by [`Following::newly`].
    asked: usize,
}

impl Following {
    /// Reads what has come, but for a line that is just being written. There may be no file yet.
    pub(crate) fn read_on(&mut self, run: &Path) {
        let Ok(mut file) = File::open(run.join("evidence.jsonl")) else {
            return;
        };
        file.seek(SeekFrom::Start(self.read)).expect("a place");
        let mut text = String::new();
        // In the midst of a line there may be half a character.
        let _ = file.read_to_string(&mut text);
        let lines = text.split_inclusive('\n');
        for line in lines.filter(|line| line.ends_with('\n')) {
            // The first line is no event.
            if self.read > 0 {
                self.events.push(serde_json::from_str(line).expect("JSON"));
            }
            self.read += line.len() as u64;
        }
    }

    /// From here on all events are asked anew.
    pub(crate) fn start_over(&mut self) {
        self.asked = 0;
    }

    /// The first event among those not asked before of which it is true.
    pub(crate) fn newly(&mut self, question: impl Fn(&Value) -> bool) -> Option<Value> {
        let new = &self.events[self.asked..];
        self.asked = self.events.len();
        new.iter().find(|event| question(event)).cloned()
    }
}

/// Whether an event is a player's.
pub(crate) fn is_of(event: &Value, player: &str) -> bool {
    event["player"] == player
}

/// Whether an event tells that a player's page has played more than so many frames.
pub(crate) fn is_in_game(event: &Value, player: &str, frames: u64) -> bool {
    is_of(event, player)
        && event["event"] == "game_progress"
        && event["frame"].as_u64().is_some_and(|frame| frame > frames)
}
