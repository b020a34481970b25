//! Pictures: inside of the page for the runs that somebody will want to look at, else beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};
use sha2::{Digest, Sha256};

use super::Interest;
use crate::evidence::{Event, Fact, Log};

/// How much of the page pictures may take, in bytes of their files.
const MOST: usize = 24 << 20;

/// The pictures that the page holds, each once.
pub(super) struct Pictures {
    out: PathBuf,
    /// By the beginning of their digests, as base64.
    embedded: BTreeMap<String, String>,
    size: usize,
}

impl Pictures {
    pub(super) fn new(out: &Path) -> Pictures {
        Pictures {
            out: out.to_owned(),
            embedded: BTreeMap::new(),
            size: 0,
        }
    }

    /// Those that the page holds: name, and base64 of the PNG.
    pub(super) fn embedded(&self) -> impl Iterator<Item = (&String, &String)> {
        self.embedded.iter()
    }

    /// All pictures of a run, in their order.
    pub(super) fn of_run(&mut self, interest: Interest, log: &Log, folder: &Path) -> Markup {
        let wanted = match interest {
            Interest::Unexpected | Interest::Broken | Interest::Known => true,
            Interest::Mutant | Interest::Expected => false,
        };
        let taken: Vec<(&Event, String, &str)> =
            log.events().iter().filter_map(picture_of).collect();
        if taken.is_empty() {
            return html! { p.hint { "No picture was taken." } };
        }
        html! {
            div.pictures {
                @for (event, caption, file) in taken {
                    figure data-events=(event.seq) {
                        (self.image(&folder.join(file), wanted, &caption))
                        figcaption {
                            (seconds(event.t)) " " (event.player.as_deref().unwrap_or_default())
                            ": " (caption)
                        }
                    }
                }
            }
        }
    }

    fn image(&mut self, file: &Path, wanted: bool, caption: &str) -> Markup {
        if (wanted || !file.starts_with(&self.out))
            && let Some(name) = self.embed(file)
        {
            return html! { img data-picture=(name) alt=(caption); };
        }
        match file.strip_prefix(&self.out) {
            Ok(below) if file.is_file() => {
                html! { img loading="lazy" src=(address(below)) alt=(caption); }
            }
            _ => {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                html! { p.hint { "Not there: " code { (name) } } }
            }
        }
    }

    /// Takes a picture into the page, if it is there and there is room for it.
    fn embed(&mut self, file: &Path) -> Option<String> {
        let bytes = std::fs::read(file).ok()?;
        let name = hex::encode(&Sha256::digest(&bytes)[..8]);
        if self.embedded.contains_key(&name) {
            return Some(name);
        }
        if self.size + bytes.len() > MOST {
            return None;
        }
        self.size += bytes.len();
        self.embedded.insert(name.clone(), STANDARD.encode(bytes));
        Some(name)
    }
}

/// The picture that an event tells of: the event, what it shows, and its file.
fn picture_of(event: &Event) -> Option<(&Event, String, &str)> {
    match &event.fact {
        Fact::Screenshot(taken) => {
            let moment = taken.label.trim_start_matches("picture/").to_owned();
            Some((event, moment, &taken.file))
        }
        Fact::Pixels(pixels) => {
            let caption = format!(
                "in red, the {} pixels that differ from `{}` to `{}`",
                pixels.differing, pixels.before, pixels.after
            );
            Some((event, caption, pixels.file.as_deref()?))
        }
        _ => None,
    }
}

/// A path as a relative address.
fn address(path: &Path) -> String {
    let parts = path.components().map(|part| {
        let part = part.as_os_str().to_string_lossy();
        let escaped = part.bytes().map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        });
        escaped.collect::<String>()
    });
    parts.collect::<Vec<String>>().join("/")
}

/// When, for a person.
pub(super) fn seconds(milliseconds: f64) -> String {
    format!("{:.2} s", milliseconds / 1000.0)
}
