//! A file that users write, with its text: to say where in it something is wrong.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Error, ValueDeserializer};

use super::error::SpecError;
use super::model::{CheckSpec, SpecBody, Step};
use super::nearest::did_you_mean;
use super::words::in_plain_words;

/// A file with its text.
pub(super) struct Source {
    pub(super) path: PathBuf,
    text: String,
}

impl Source {
    pub(super) fn read(path: &Path) -> Result<Source, SpecError> {
        let text = std::fs::read_to_string(path).map_err(|source| SpecError::Io {
            path: path.to_owned(),
            source,
        })?;
        Ok(Source {
            path: path.to_owned(),
            text,
        })
    }

    /// What the file says, or its mistakes: all those of its grammar, else the first one of its
    /// parts.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, SpecError> {
        let (_, mistakes) = DeTable::parse_recoverable(&self.text);
        if !mistakes.is_empty() {
            return Err(SpecError::of_all(
                mistakes.iter().map(|mistake| self.said(mistake)).collect(),
            ));
        }
        toml::from_str(&self.text).map_err(|error| self.said(&error))
    }

    /// What a spec file says, or its mistakes: one for each of its steps and checks that has any.
    pub(super) fn parse_spec(&self) -> Result<SpecBody, SpecError> {
        self.parse()
            .map_err(|error| match self.mistakes_of_each_part() {
                mistakes if mistakes.is_empty() => error,
                mistakes => SpecError::of_all(mistakes),
            })
    }

    /// The mistakes of a spec whose grammar is right, part by part, in the order of the file.
    fn mistakes_of_each_part(&self) -> Vec<SpecError> {
        let Ok(mut document) = DeTable::parse(&self.text) else {
            return Vec::new();
        };
        let mut errors = Vec::new();
        errors.extend(mistakes_in::<Step>(document.get_mut(), "steps"));
        errors.extend(mistakes_in::<CheckSpec>(document.get_mut(), "checks"));
        let span = document.span();
        let rest = Spanned::new(span, DeValue::Table(document.into_inner()));
        errors.extend(SpecBody::deserialize(ValueDeserializer::from(rest)).err());
        errors.sort_by_key(|error| error.span().map_or(0, |span| span.start));
        errors.iter().map(|error| self.said(error)).collect()
    }

    /// What the reader of the file's format says.
    fn said(&self, error: &Error) -> SpecError {
        self.wrong_at(error.span(), in_plain_words(error.message()))
    }

    /// Something is wrong where `name` stands.
    pub(super) fn wrong(&self, name: &str, message: String) -> SpecError {
        self.wrong_at(self.place_of(name), message)
    }

    /// Something is wrong where `name` stands in this element of a list, as the third of `steps`;
    /// with the whole element, if the name does not stand there.
    pub(super) fn wrong_in(&self, place: Place, name: &str, message: String) -> SpecError {
        let document = DeTable::parse(&self.text).ok();
        let element = document.as_ref().and_then(|document| {
            let list = document.get_ref().get(place.list)?;
            list.get_ref().get(place.index)
        });
        let span = element.and_then(|element| find(element, name).or_else(|| first_key(element)));
        self.wrong_at(span.or_else(|| self.place_of(name)), message)
    }

    /// Something is wrong with the file as a whole.
    pub(super) fn wrong_as_a_whole(&self, message: String) -> SpecError {
        self.wrong_at(None, message)
    }

    pub(super) fn wrong_at(&self, span: Option<Range<usize>>, message: String) -> SpecError {
        SpecError::at(&self.path, &self.text, span, message)
    }

    /// A name of this kind must be one of the known ones.
    pub(super) fn known<'a>(
        &self,
        kind: &str,
        name: &str,
        known: impl Iterator<Item = &'a str>,
    ) -> Result<(), SpecError> {
        unknown(kind, name, known).map_or(Ok(()), |message| Err(self.wrong(name, message)))
    }

    /// The same of a name in an element of a list.
    pub(super) fn known_in<'a>(
        &self,
        place: Place,
        kind: &str,
        name: &str,
        known: impl Iterator<Item = &'a str>,
    ) -> Result<(), SpecError> {
        unknown(kind, name, known)
            .map_or(Ok(()), |message| Err(self.wrong_in(place, name, message)))
    }

    /// Where a name stands: as a text or a key, the last one, since a name is defined before it is
    /// used, and the use is what is wrong; or else anywhere.
    fn place_of(&self, name: &str) -> Option<Range<usize>> {
        let text = &self.text;
        text.rfind(&format!("\"{name}\""))
            .map(|start| start + 1)
            .or_else(|| text.rfind(name))
            .map(|start| start..start + name.len())
    }
}

/// An element of one of a file's lists of tables.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    list: &'static str,
    index: usize,
}

impl Place {
    pub(super) fn new(list: &'static str, index: usize) -> Place {
        Place { list, index }
    }
}

/// The one of these that has this name.
///
/// # Errors
/// None has: which there are, and the nearest.
pub fn one_of<T: Copy + fmt::Display>(kind: &str, name: &str, all: &[T]) -> Result<T, String> {
    let known: Vec<String> = all.iter().map(T::to_string).collect();
    let found = known.iter().position(|one| one == name);
    found.map(|place| all[place]).ok_or_else(|| {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        none_of(kind, name, &known)
    })
}

/// What is wrong with a name that is not among the known ones, if it is not.
pub(super) fn unknown<'a>(
    kind: &str,
    name: &str,
    known: impl Iterator<Item = &'a str>,
) -> Option<String> {
    let known: Vec<&str> = known.collect();
    (!known.contains(&name)).then(|| none_of(kind, name, &known))
}

fn none_of(kind: &str, name: &str, known: &[&str]) -> String {
    let nearest = did_you_mean(name, known.iter().copied());
    let expected = match known.len() {
        0 => "(there are none)".to_owned(),
        _ => known.join(", "),
    };
    format!("unknown {kind} `{name}`, expected one of: {expected}{nearest}")
}

/// Takes the elements of a list out of a document, and gives what is wrong with each.
fn mistakes_in<T: DeserializeOwned>(document: &mut DeTable<'_>, list: &str) -> Vec<Error> {
    let mut fields = document.iter_mut();
    let found = fields.find(|(key, _)| key.get_ref() == list);
    let Some(DeValue::Array(elements)) = found.map(|(_, value)| value.get_mut()) else {
        return Vec::new();
    };
    let elements = std::mem::replace(elements, DeArray::new());
    elements
        .into_iter()
        .filter_map(|element| T::deserialize(ValueDeserializer::from(element)).err())
        .collect()
}

/// Where a text or a key stands in a value, without its quotes.
fn find(value: &Spanned<DeValue<'_>>, name: &str) -> Option<Range<usize>> {
    match value.get_ref() {
        DeValue::String(text) if text == name => {
            let span = value.span();
            let quotes = usize::from(span.len() > name.len());
            Some(span.start + quotes..span.end - quotes)
        }
        DeValue::Array(elements) => elements.iter().find_map(|element| find(element, name)),
        DeValue::Table(fields) => fields.iter().find_map(|(key, value)| {
            let here = (key.get_ref() == name).then(|| key.span());
            here.or_else(|| find(value, name))
        }),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => None,
    }
}

/// Where the first key of a table stands.
fn first_key(value: &Spanned<DeValue<'_>>) -> Option<Range<usize>> {
    let keys = value.get_ref().as_table()?.keys();
    keys.map(Spanned::span).min_by_key(|span| span.start)
}
