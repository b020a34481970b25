//! For tests: whether JUnit XML is as `schema/junit.xsd` wants it.
//!
//! It reads as much of the language of XML schemas as that file uses: which elements may be where,
//! which attributes they may and must have, where text may be, and three types of attributes.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

const XSD: &str = include_str!("../../../schema/junit.xsd");

/// What the schema says of an element.
#[derive(Debug, Default)]
struct Rule {
    children: Vec<String>,
    /// Type, and whether it must be there.
    attributes: BTreeMap<String, (String, bool)>,
    has_text: bool,
}

/// What is wrong with a text.
///
/// # Errors
/// The first thing that the schema does not allow.
pub(super) fn check(xml: &str) -> Result<(), String> {
    let rules = rules();
    let mut reader = Reader::from_str(xml);
    let mut open: Vec<String> = Vec::new();
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(one) => {
                enter(&rules, open.last(), &one)?;
                open.push(name_of(&one));
            }
            Event::Empty(one) => enter(&rules, open.last(), &one)?,
            Event::End(_) => drop(open.pop()),
            Event::Text(text) => {
                let text = text.decode().map_err(|error| error.to_string())?;
                let is_allowed = open.last().is_none_or(|parent| rules[parent].has_text);
                if !is_allowed && !text.trim().is_empty() {
                    return Err(format!("text in {open:?}: {text}"));
                }
            }
            Event::Eof if open.is_empty() => return characters(xml),
            Event::Eof => return Err(format!("{open:?} is not closed")),
            Event::Decl(_) | Event::GeneralRef(_) => {}
            other => return Err(format!("nobody writes {other:?}")),
        }
    }
}

fn enter(
    rules: &BTreeMap<String, Rule>,
    parent: Option<&String>,
    element: &BytesStart<'_>,
) -> Result<(), String> {
    let name = name_of(element);
    let is_allowed = match parent {
        Some(parent) => rules[parent].children.contains(&name),
        None => name == "testsuites",
    };
    if !is_allowed {
        return Err(format!("{name} in {parent:?}"));
    }
    let rule = rules.get(&name).ok_or(format!("{name} is unknown"))?;
    let given = attributes(element)?;
    for (attribute, value) in &given {
        let known = rule.attributes.get(attribute);
        let (kind, _) = known.ok_or(format!("{attribute} of {name}"))?;
        if !is_of(kind, value) {
            return Err(format!("{attribute} of {name} is {value}"));
        }
    }
    for (attribute, (_, must)) in &rule.attributes {
        if *must && !given.contains_key(attribute) {
            return Err(format!("{name} without {attribute}"));
        }
    }
    Ok(())
}

fn is_of(kind: &str, value: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|one| one.is_ascii_digit());
    match kind {
        "xs:string" => true,
        "xs:nonNegativeInteger" => is_number(value),
        "xs:dateTime" => chrono::DateTime::parse_from_rfc3339(value).is_ok(),
        "seconds" => match value.split_once('.') {
            Some((whole, part)) => is_number(whole) && is_number(part),
            None => is_number(value),
        },
        other => panic!("the schema has a type that this test does not know: {other}"),
    }
}

/// The characters that XML 1.0 has; the reader lets others through.
fn characters(xml: &str) -> Result<(), String> {
    let is_allowed = |one: char| match one {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        other => other >= ' ',
    };
    match xml.chars().find(|one| !is_allowed(*one)) {
        Some(one) => Err(format!("the character {one:?}")),
        None => Ok(()),
    }
}

fn name_of(element: &BytesStart<'_>) -> String {
    String::from_utf8_lossy(element.name().as_ref()).into_owned()
}

fn attributes(element: &BytesStart<'_>) -> Result<BTreeMap<String, String>, String> {
    let given = element.attributes().map(|one| {
        let one = one.map_err(|error| error.to_string())?;
        let name = String::from_utf8_lossy(one.key.as_ref()).into_owned();
        Ok((name, String::from_utf8_lossy(&one.value).into_owned()))
    });
    given.collect()
}

fn rules() -> BTreeMap<String, Rule> {
    let mut reader = Reader::from_str(XSD);
    let mut rules: BTreeMap<String, Rule> = BTreeMap::new();
    let mut current = String::new();
    loop {
        let event = reader.read_event().expect("the schema is XML");
        let (Event::Start(one) | Event::Empty(one)) = event else {
            match event {
                Event::Eof => return rules,
                _ => continue,
            }
        };
        let of = attributes(&one).expect("the schema is XML");
        match (name_of(&one).as_str(), of.get("name"), of.get("ref")) {
            ("xs:element", Some(name), _) => {
                current.clone_from(name);
                rules.insert(name.clone(), Rule::default());
            }
            ("xs:element", None, Some(child)) => {
                rule(&mut rules, &current).children.push(child.clone())
            }
            ("xs:complexType", _, _) => {
                let is_mixed = of.get("mixed").is_some_and(|mixed| mixed == "true");
                rule(&mut rules, &current).has_text = is_mixed;
            }
            ("xs:attribute", Some(name), _) => {
                let must = of.get("use").is_some_and(|must| must == "required");
                let rule = rule(&mut rules, &current);
                rule.attributes
                    .insert(name.clone(), (of["type"].clone(), must));
            }
            _ => {}
        }
    }
}

fn rule<'a>(rules: &'a mut BTreeMap<String, Rule>, name: &str) -> &'a mut Rule {
    rules.get_mut(name).expect("an element")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="n" tests="1" failures="1" errors="0" time="1.500">
  <testsuite name="n" tests="1" failures="1" errors="0" skipped="0" timestamp="2026-01-02T03:04:05.678+00:00">
    <properties><property name="a" value="b"/></properties>
    <testcase name="n" classname="c"><failure type="fail" message="&lt;m&gt;">text &amp; more</failure></testcase>
  </testsuite>
</testsuites>
"#;

    #[test]
    fn what_the_schema_does_not_allow_is_found() {
        assert_eq!(check(GOOD), Ok(()));
        let wrong = [
            (
                "<testsuites name=\"n\"",
                "<testsuites name=\"n\" skipped=\"0\"",
            ),
            (
                "<testsuites name=\"n\" tests=\"1\"",
                "<testsuites name=\"n\"",
            ),
            ("time=\"1.500\"", "time=\"1.5 s\""),
            ("skipped=\"0\"", "skipped=\"none\""),
            ("2026-01-02T", "2 January "),
            (" classname=\"c\"", ""),
            ("type=\"fail\" ", ""),
            (
                "<property name=\"a\" value=\"b\"/>",
                "<failure type=\"a\" message=\"b\"/>",
            ),
            ("<properties>", "text<properties>"),
            ("</testcase>", "<colour/></testcase>"),
            ("</testcase>", ""),
            ("more", "\u{1}"),
            ("more", "\u{ffff}"),
            ("testsuites", "testsuite"),
        ];
        for (from, to) in wrong {
            assert!(GOOD.contains(from), "{from}");
            let bad = GOOD.replace(from, to);
            assert!(check(&bad).is_err(), "{from} -> {to}");
        }
    }
}
