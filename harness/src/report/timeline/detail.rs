//! What an event says, in a bearable length.

use serde_json::Value;

use crate::evidence::Event;

/// How long a text may be.
const TEXT: usize = 80;
/// How many elements of a list are shown, and how many fields of an object.
const ELEMENTS: usize = 8;
/// How deep objects and lists are shown.
const DEPTH: usize = 4;
/// How long all of it may be.
const ALL: usize = 300;

/// What an event says, as JSON that was cut to a bearable length.
pub(in crate::report) fn detail(event: &Event) -> String {
    let mut value = serde_json::to_value(&event.fact).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.remove("kind");
        fields.remove("page_t");
    }
    let text = match shorten(value, 0) {
        Value::Object(fields) if fields.is_empty() => String::new(),
        value => value.to_string(),
    };
    cut(&text, ALL)
}

fn shorten(value: Value, depth: usize) -> Value {
    match value {
        Value::String(text) => Value::String(cut(&text, TEXT)),
        Value::Array(_) | Value::Object(_) if depth >= DEPTH => Value::String("…".to_owned()),
        Value::Array(elements) => {
            let count = elements.len();
            let shown = elements.into_iter().take(ELEMENTS);
            let mut shown: Vec<Value> = shown.map(|one| shorten(one, depth + 1)).collect();
            if count > ELEMENTS {
                shown.push(Value::String(format!("… {} more", count - ELEMENTS)));
            }
            Value::Array(shown)
        }
        Value::Object(fields) => {
            let count = fields.len();
            let shown = fields.into_iter().take(ELEMENTS);
            let mut shown: serde_json::Map<String, Value> = shown
                .map(|(key, one)| (key, shorten(one, depth + 1)))
                .collect();
            if count > ELEMENTS {
                shown.insert("…".to_owned(), Value::from(count - ELEMENTS));
            }
            Value::Object(shown)
        }
        other => other,
    }
}

/// A text of so many characters at most.
pub(in crate::report) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_long_deep_or_many_is_cut() {
        let value = json!({
            "text": "x".repeat(500),
            "list": (0..20).collect::<Vec<u32>>(),
            "deep": {"a": {"b": {"c": {"d": 1}}}},
        });
        let short = shorten(value, 0);
        assert_eq!(
            short["text"].as_str().map(|text| text.chars().count()),
            Some(TEXT + 1)
        );
        assert_eq!(short["list"].as_array().map(Vec::len), Some(ELEMENTS + 1));
        assert_eq!(short["list"][8], "… 12 more");
        assert_eq!(short["deep"]["a"]["b"]["c"], "…");
    }

    #[test]
    fn a_cut_falls_between_characters() {
        assert_eq!(cut("ääää", 2), "ää…");
        assert_eq!(cut("ää", 2), "ää");
    }
}
