//! Binary attachments, as the evidence tells them.

use rmpv::Value as MessagePack;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::limits::{DEEPEST, LARGEST_READ_ATTACHMENT};

/// What the evidence says instead of a binary attachment: its length in bytes, its SHA-256 and,
/// where all of it is one MessagePack value, that value.
pub(super) fn describe(bytes: &[u8]) -> Value {
    let mut told = summary(bytes);
    if let Some(value) = message_pack(bytes) {
        told["msgpack"] = to_json(value);
    }
    json!({ "$binary": told })
}

fn summary(bytes: &[u8]) -> Value {
    json!({ "bytes": bytes.len(), "sha256": hex::encode(Sha256::digest(bytes)) })
}

fn message_pack(bytes: &[u8]) -> Option<MessagePack> {
    // What is larger or deeper is told by length and hash alone, as any other bytes are.
    if bytes.len() > LARGEST_READ_ATTACHMENT {
        return None;
    }
    let mut rest = bytes;
    let value = rmpv::decode::read_value_with_max_depth(&mut rest, DEEPEST).ok()?;
    rest.is_empty().then_some(value)
}

fn to_json(value: MessagePack) -> Value {
    match value {
        MessagePack::Nil => Value::Null,
        MessagePack::Boolean(value) => value.into(),
        MessagePack::Integer(value) => match (value.as_i64(), value.as_u64()) {
            (Some(value), _) => value.into(),
            (None, value) => value.into(),
        },
        MessagePack::F32(value) => number(value.into()),
        MessagePack::F64(value) => number(value),
        MessagePack::String(value) => String::from_utf8_lossy(value.as_bytes()).into(),
        MessagePack::Binary(bytes) => json!({ "$binary": summary(&bytes) }),
        MessagePack::Array(items) => items.into_iter().map(to_json).collect(),
        MessagePack::Map(entries) => Value::Object(object(entries)),
        MessagePack::Ext(kind, bytes) => {
            let mut told = summary(&bytes);
            told["type"] = kind.into();
            json!({ "$extension": told })
        }
    }
}

fn object(entries: Vec<(MessagePack, MessagePack)>) -> Map<String, Value> {
    let key = |key: MessagePack| match to_json(key) {
        Value::String(text) => text,
        other => other.to_string(),
    };
    entries
        .into_iter()
        .map(|(name, value)| (key(name), to_json(value)))
        .collect()
}

/// JSON has no infinities and no NaN: they are told by their names.
fn number(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or_else(|| value.to_string().into(), Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(bytes: &[u8]) -> Value {
        describe(bytes)["$binary"]["msgpack"].clone()
    }

    #[test]
    fn message_pack_is_told_as_json() {
        // {"frames": [1, -1, 1.5], 0: true, "none": nil, "inf": infinity, "raw": <2 bytes>}
        let bytes = b"\x85\xa6frames\x93\x01\xff\xcb\x3f\xf8\0\0\0\0\0\0\x00\xc3\xa4none\xc0\
                      \xa3inf\xcb\x7f\xf0\0\0\0\0\0\0\xa3raw\xc4\x02\x01\x02";
        let value = told(bytes);
        assert_eq!(value["frames"], json!([1, -1, 1.5]));
        assert_eq!(value["0"], json!(true));
        assert_eq!(value["none"], Value::Null);
        assert_eq!(value["inf"], json!("inf"));
        assert_eq!(value["raw"]["$binary"]["bytes"], 2);
    }

    #[test]
    fn large_integers_and_extensions_keep_their_value() {
        let bytes = b"\x93\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xd3\x80\0\0\0\0\0\0\0\xd4\x05\x01";
        let value = told(bytes);
        assert_eq!(value[0], json!(u64::MAX));
        assert_eq!(value[1], json!(i64::MIN));
        assert_eq!(value[2]["$extension"]["type"], 5);
    }

    #[test]
    fn other_bytes_are_told_by_length_and_hash_alone() {
        let told = describe(b"\x89PNG\r\n\x1a\n");
        assert_eq!(told["$binary"]["bytes"], 8);
        assert_eq!(
            told["$binary"]["sha256"],
            "4c4b6a3be1314ab86138bef4314dde022e600960d8689a2c8f8631802d20dab6"
        );
        assert!(told["$binary"].get("msgpack").is_none());
    }
}
