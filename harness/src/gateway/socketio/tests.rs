//! The payloads are those of a Flask-SocketIO server and of the clients that talked with it, but
//! for those that no right server sends.

use serde_json::json;

use super::*;

fn read(text: &str) -> Packet {
    match Reader::default().text(text) {
        Read::Packet(packet) => packet,
        other => panic!("{text} is a whole packet, not {other:?}"),
    }
}

fn reason(packet: Packet) -> String {
    match packet {
        Packet::Unreadable { reason, .. } => reason,
        other => panic!("{other:?} was read"),
    }
}

fn event(namespace: &str, name: &str, args: Value, ack: Option<i64>) -> Packet {
    Packet::Event {
        namespace: namespace.into(),
        name: name.into(),
        args: list(Some(args)).expect("a list"),
        ack,
    }
}

#[test]
fn engine_packets() {
    let open = r#"0{"sid":"tUGLNFkKCAkvoF9RAAAA","upgrades":[],"pingTimeout":5000,"pingInterval":1000,"maxPayload":1000000}"#;
    let Packet::Open { data } = read(open) else {
        panic!("the handshake was not read");
    };
    assert_eq!(data["pingInterval"], 1000);
    assert_eq!(read("1"), Packet::Close);
    assert_eq!(read("2"), Packet::Ping);
    assert_eq!(read("3probe"), Packet::Pong);
    assert_eq!(read("5"), Packet::Upgrade);
    assert_eq!(read("6"), Packet::Noop);
}

#[test]
fn namespaces_are_entered_and_left() {
    let connect = |namespace: &str, data| Packet::Connect {
        namespace: namespace.into(),
        data,
    };
    assert_eq!(read("40"), connect("/", Value::Null));
    assert_eq!(
        read(r#"40{"who":"me"}"#),
        connect("/", json!({"who": "me"}))
    );
    assert_eq!(
        read(r#"40/admin,{"sid":"TOIw8PCV-n9uNsD_AAAC"}"#),
        connect("/admin", json!({"sid": "TOIw8PCV-n9uNsD_AAAC"}))
    );
    assert_eq!(read("40/admin?token=1,"), connect("/admin", Value::Null));
    let namespace = "/admin".to_owned();
    assert_eq!(read("41/admin,"), Packet::Disconnect { namespace });
    let namespace = "/".to_owned();
    assert_eq!(read("41"), Packet::Disconnect { namespace });
    assert_eq!(
        read(r#"44/nowhere,"Unable to connect""#),
        Packet::ConnectError {
            namespace: "/nowhere".into(),
            data: json!("Unable to connect"),
        }
    );
}

#[test]
fn events_and_their_acknowledgements() {
    assert_eq!(
        read(r#"42["frames"]"#),
        event("/", "frames", json!([]), None)
    );
    assert_eq!(
        read(r#"42/admin,7["hello",{"x":1}]"#),
        event("/admin", "hello", json!([{"x": 1}]), Some(7))
    );
    assert_eq!(
        read(r#"43/admin,7["",400]"#),
        Packet::Ack {
            namespace: "/admin".into(),
            id: 7,
            args: vec![json!(""), json!(400)],
        }
    );
}

#[test]
fn attachments_take_their_places() {
    let mut reader = Reader::default();
    let head = r#"452-["packed",{"_placeholder":true,"num":0},{"game_id":"g-\u00e9"},{"_placeholder":true,"num":1}]"#;
    assert_eq!(reader.text(head), Read::Begun);
    assert!(reader.is_midway());
    // Engine.IO's own packets may come between.
    assert_eq!(reader.text("2"), Read::Packet(Packet::Ping));
    let packed = b"\x82\xa4rows\x91\x93\x01\xcb@\x04\x00\x00\x00\x00\x00\x00\xc0\xa1k\x81\x00\xc3";
    assert_eq!(reader.binary(packed), Read::Attachment);
    let Read::Completed(Packet::Event { name, args, .. }) = reader.binary(b"\x89PNG") else {
        panic!("the event was not completed");
    };
    assert!(!reader.is_midway());
    assert_eq!(name, "packed");
    let told = &args[0]["$binary"];
    assert_eq!(told["bytes"], 24);
    assert_eq!(
        told["msgpack"],
        json!({"rows": [[1, 2.5, null]], "k": {"0": true}})
    );
    assert_eq!(args[1], json!({"game_id": "g-é"}));
    assert_eq!(args[2]["$binary"]["bytes"], 4);
    assert!(args[2]["$binary"].get("msgpack").is_none());
}

#[test]
fn attachments_of_acknowledgements_lie_deep() {
    let mut reader = Reader::default();
    let head = r#"461-0["ok",{"n":3,"raw":{"_placeholder":true,"num":0}}]"#;
    assert_eq!(reader.text(head), Read::Begun);
    let Read::Completed(Packet::Ack { id: 0, args, .. }) = reader.binary(b"\x01\x02") else {
        panic!("the acknowledgement was not completed");
    };
    assert_eq!(args[1]["raw"]["$binary"]["bytes"], 2);
}

#[test]
fn what_is_no_packet_says_why() {
    for (text, expected) in [
        ("", "an empty message"),
        ("9", "no packet of Engine.IO 4"),
        ("1x", "no packet of Engine.IO 4"),
        ("é", "no packet of Engine.IO 4"),
        ("4", "no packet of Socket.IO 5"),
        ("4é", "no packet of Socket.IO 5"),
        ("42", "its arguments are no list"),
        ("42[]", "an event without a name"),
        ("43[1]", "an acknowledgement without a number"),
        ("45[1]", "a binary packet without a number of attachments"),
        ("45x-[1]", "its number of attachments is none"),
        ("4299999999999999999999[\"a\"]", "its number is too large"),
    ] {
        assert_eq!(reason(read(text)), expected, "{text}");
    }
    assert!(reason(read("42[\"a\"")).starts_with("no JSON: "));
    assert!(reason(read("0")).starts_with("no JSON: "));
}

#[test]
fn attachments_that_fit_nothing_say_why() {
    let unread = |read| match read {
        Read::Packet(packet) | Read::Completed(packet) => reason(packet),
        other => panic!("{other:?}"),
    };
    let mut reader = Reader::default();
    assert_eq!(
        unread(reader.binary(b"a")),
        "a binary message that no packet announces"
    );
    reader.text(r#"451-["a",{"_placeholder":true,"num":1}]"#);
    assert_eq!(
        unread(reader.binary(b"a")),
        "a placeholder for no attachment"
    );
    reader.text(r#"451-["a",{"_placeholder":true,"num":0}]"#);
    assert_eq!(
        unread(reader.text(r#"42["b"]"#)),
        r#"text in place of an attachment of Event in /: ["a",{"_placeholder":true,"num":0}]"#
    );
    assert!(!reader.is_midway());
    reader.text(r#"452-["a",{"_placeholder":true,"num":0}]"#);
    let unfinished = reader.unfinished().expect("two attachments are missing");
    assert_eq!(reason(unfinished), "2 of its attachments never came");
}

#[test]
fn what_is_written_can_be_read() {
    let args = [json!({"game_id": "g-é"}), json!(null)];
    let text = event_text("p2p_game_ended", &args);
    assert_eq!(read(&text), event("/", "p2p_game_ended", json!(args), None));
}
