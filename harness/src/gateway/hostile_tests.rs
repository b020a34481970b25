//! What the gateway reads of targets and pages, tried on whatever they may send.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::html;
use super::limits;
use super::parcel::Packing;
use crate::evidence::{Direction, Event, Fact, Origin, WireFact};
use fuzz::{holds, with_mistakes};
use tokio_tungstenite::tungstenite::Message;

#[path = "../../tests/support/fuzz.rs"]
mod fuzz;

/// The beginnings of messages, and what they are made of.
const PACKETS: [&str; 9] = [
    r#"0{"sid":"a","upgrades":[],"pingTimeout":5000,"pingInterval":1000}"#,
    "2probe",
    r#"40/admin?token=1,{"sid":"b"}"#,
    r#"4212["p2p_game_ended",{"game_id":"g-é","frames":[1,-1.5e3,null,true]}]"#,
    r#"452-["packed",{"_placeholder":true,"num":0},[{"_placeholder":true,"num":1}]]"#,
    r#"461-/a,7[{"_placeholder":true,"num":0}]"#,
    r#"43/a,1["ok"]"#,
    r#"44{"message":"no"}"#,
    "41",
];
const WORDS: &[&str] = &[
    "[",
    "]",
    "{",
    "}",
    "\"",
    "\\",
    ",",
    ":",
    "[[[[[[[[[[[[[[[[",
    "{\"a\":",
    "-",
    "/",
    "?",
    "9999999999999999999999",
    "1e999",
    "\u{0}",
    "\\ud800",
    "{\"_placeholder\":true,\"num\":0}",
];
const MESSAGE_PACK: [&[u8]; 3] = [
    b"\x85\xa6frames\x93\x01\xff\xcb\x3f\xf8\0\0\0\0\0\0\x00\xc3\xa4none\xc0\xa3inf\xcb\x7f\xf0\0\0\0\0\0\0\xa3raw\xc4\x02\x01\x02",
    b"\x93\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xd3\x80\0\0\0\0\0\0\0\xd4\x05\x01",
    b"\xdd\xff\xff\xff\xff\x91\x91\x91\x91\x91\x81\xc0\x91",
];

fn message() -> impl Strategy<Value = Message> {
    let packets = PACKETS.iter().map(|packet| packet.as_bytes().to_vec());
    let packed = MESSAGE_PACK.iter().map(|bytes| bytes.to_vec());
    prop_oneof![
        with_mistakes(packets.collect(), WORDS).prop_map(|text| Message::text(text.as_text())),
        with_mistakes(packed.collect(), &["\u{11}", "\u{1}"])
            .prop_map(|bytes| Message::binary(bytes.0)),
    ]
}

fn line(fact: Fact) -> String {
    let event = Event {
        seq: 0,
        t: 0.0,
        player: Some("survivor".into()),
        fact,
    };
    serde_json::to_string(&event).expect("it can be written")
}

#[test]
fn what_is_written_of_any_packet_is_bounded_and_can_be_read_again() {
    holds(&vec(message(), 0..6), |messages| {
        let sent: usize = messages.iter().map(Message::len).sum();
        let mut packing = Packing::default();
        let mut parcels: Vec<_> = messages
            .iter()
            .filter_map(|message| packing.add(message.clone()))
            .collect();
        parcels.extend(packing.unfinished());
        let passed: usize = parcels.iter().map(|parcel| parcel.messages.len()).sum();
        assert_eq!(passed, messages.len(), "nothing is lost");
        let mut written = 0;
        for parcel in parcels {
            let line = line(Fact::Wire(WireFact {
                connection: 1,
                direction: Direction::ToClient,
                origin: Origin::Natural,
                packet: parcel.packet,
            }));
            written += line.len();
            let read: Result<Event, _> = serde_json::from_str(&line);
            read.expect("it can be read again");
        }
        // Each message has its fixed parts; each byte may be a number of more digits, or an escape.
        assert!(
            written <= 2_000 * (messages.len() + 1) + 32 * sent,
            "{sent} {written}"
        );
    });
}

#[test]
fn the_largest_depths_that_are_taken_can_be_read_again() {
    let levels = limits::DEEPEST - 1;
    let place = r#"{"_placeholder":true,"num":0}"#;
    let nested = format!(
        "{}{place}{}",
        "[".repeat(levels - 1),
        "]".repeat(levels - 1)
    );
    let mut packing = Packing::default();
    assert!(
        packing
            .add(Message::text(format!("451-[{nested}]")))
            .is_none()
    );
    let mut packed = vec![0x91; limits::DEEPEST - 1];
    packed.push(0xc0);
    let parcel = packing
        .add(Message::binary(packed))
        .expect("it is complete");
    assert_eq!(packing.excess(), None);
    let line = line(Fact::Wire(WireFact {
        connection: 1,
        direction: Direction::ToClient,
        origin: Origin::Natural,
        packet: parcel.packet,
    }));
    let read: Result<Event, _> = serde_json::from_str(&line);
    read.expect("it can be read again");
}

const PAGES: [&str; 3] = [
    r#"<!doctype html><html><head><script src="https://cdn.example/a.js" integrity="x"></script>
<link rel="preconnect" href="https://fonts.example"><link rel=stylesheet href='//cdn.example/b.css?a=1&amp;b'></head>
<body><!-- a --><img src="https://cdn.example/c.png"><template><script>a("</b>")</script></template></body></html>"#,
    "<p>a<svg><style><![CDATA[ x ]]></style></svg><table><tr><select><option>",
    "nothing but text",
];
const TAGS: &[&str] = &[
    "<",
    ">",
    "</",
    "<!--",
    "-->",
    "<head>",
    "</head>",
    "<script>",
    "</script>",
    "<html ",
    "=\"",
    "'",
    "&#x",
    "<script src=https://cdn.example/a.js>",
    "<noscript>",
    "<plaintext>",
    "<textarea>",
    "<svg>",
    "<math>",
    "<img src=\"https://a.example/\"src=\"//b\">",
];

#[test]
fn any_page_gets_the_probe_once_and_leaves_no_public_address() {
    const PROBE: &str = "<script>probe({});</script>";
    let pages = PAGES.iter().map(|page| page.as_bytes().to_vec());
    let pages = with_mistakes(pages.collect(), TAGS);
    holds(&pages, |page| {
        let page = page.as_text();
        let rewritten = html::rewrite(&page, Some(PROBE)).expect("any text is a page");
        let times = |text: &str| text.matches(PROBE).count();
        assert_eq!(times(&rewritten), times(&page) + 1, "{rewritten}");
        let left = html::public_addresses(&rewritten).expect("any text is a page");
        assert_eq!(left, Vec::<String>::new(), "{rewritten}");
        assert!(rewritten.len() <= PROBE.len() + 40 * page.len() + 100);
    });
}

#[test]
fn the_depth_of_what_can_be_read_is_that_of_its_values() {
    fn of(value: &serde_json::Value) -> usize {
        match value {
            serde_json::Value::Array(items) => 1 + items.iter().map(of).max().unwrap_or(0),
            serde_json::Value::Object(entries) => 1 + entries.values().map(of).max().unwrap_or(0),
            _ => 0,
        }
    }
    let texts = PACKETS.iter().map(|packet| {
        let json = packet.find(['[', '{']).unwrap_or(0);
        packet.as_bytes()[json..].to_vec()
    });
    let texts = with_mistakes(texts.collect(), WORDS);
    let tried = std::cell::RefCell::new(BTreeMap::new());
    holds(&texts, |text| {
        let text = text.as_text();
        if let Ok(value) = serde_json::from_str(&text) {
            // An object that names an entry twice keeps the last one only.
            assert!(limits::depth(&text) >= of(&value), "{text}");
            *tried.borrow_mut().entry(of(&value)).or_insert(0) += 1;
        }
    });
    assert!(tried.borrow().len() > 1);
}
