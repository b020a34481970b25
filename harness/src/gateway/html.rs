//! Rewriting a page of the target: its public addresses, and the probe in front of its scripts.

use std::cell::{Cell, RefCell};

use lol_html::errors::RewritingError;
use lol_html::html_content::{ContentType, Element};
use lol_html::{MemorySettings, RewriteStrSettings, Settings, doc_text, element, rewrite_str};
use serde_json::json;

use super::limits::MOST_REWRITING;
use super::mirror;

/// What stands in the probe's script for its settings.
pub(super) const CONFIG: &str = "/*GYMCHECK_CONFIG*/{}";

/// The probe as an element of a page.
pub(super) struct ProbeElement {
    /// For a page that says nothing of scripts.
    pub(super) plain: String,
    /// For a page whose Content-Security-Policy says which scripts may be in it.
    pub(super) named: String,
    /// What names it there.
    pub(super) nonce: String,
}

/// The probe as an element of a page, with the settings of one listener. `None` if the script has
/// no place for them.
pub(super) fn probe_element(
    script: &str,
    token: &str,
    path: &str,
    nonce: String,
) -> Option<ProbeElement> {
    // A page's parser ends the element at the first `</script`, wherever it stands.
    let config = json!({ "token": token, "path": path }).to_string();
    let config = config.replace("</", "<\\/");
    let script = script
        .contains(CONFIG)
        .then(|| script.replace(CONFIG, &config))?;
    Some(ProbeElement {
        plain: format!("<script>{script}</script>"),
        named: format!("<script nonce=\"{nonce}\">{script}</script>"),
        nonce,
    })
}

/// The page with its public addresses led to the mirror, and with the probe, if it gets one, as the
/// first thing in its head (without a head: before its first element or text).
pub(super) fn rewrite(page: &str, probe: Option<&str>) -> Result<String, RewritingError> {
    // What marks the order of the bytes is not of the page, and must stay in front of it.
    const MARK: char = '\u{feff}';
    if let Some(page) = page.strip_prefix(MARK) {
        return Ok(format!("{MARK}{}", rewrite(page, probe)?));
    }
    let probe = Cell::new(probe);
    let elements = element!("*", |element| {
        // Whatever comes after `<html>` is the head, or makes the parser open it.
        if element.tag_name() != "html"
            && let Some(probe) = probe.take()
        {
            match element.tag_name().as_str() {
                "head" => element.prepend(probe, ContentType::Html),
                _ => element.before(probe, ContentType::Html),
            }
        }
        rewrite_addresses(element)
    });
    let text = doc_text!(|text| {
        if !text.as_str().trim().is_empty()
            && let Some(probe) = probe.take()
        {
            text.before(probe, ContentType::Html);
        }
        Ok(())
    });
    let settings = RewriteStrSettings::new()
        .with_strict(false)
        .append_element_content_handler(elements)
        .append_document_content_handler(text);
    let rewritten = rewrite_within_memory(page, settings)?;
    // Whatever comes behind the end of a page could be taken for the rest of a tag that it breaks off in.
    Ok(match probe.take() {
        Some(probe) => format!("{probe}{rewritten}"),
        None => rewritten,
    })
}

/// The public addresses that a page makes a browser load from, in their order.
pub(super) fn public_addresses(page: &str) -> Result<Vec<String>, RewritingError> {
    let found = RefCell::new(Vec::new());
    let elements = element!("*", |element| {
        if let Some((attribute, _)) = public_address(element)
            && !opens_connections(element)
        {
            let address = element.get_attribute(attribute).unwrap_or_default();
            found.borrow_mut().push(address.trim().to_owned());
        }
        Ok(())
    });
    let settings = RewriteStrSettings::new()
        .with_strict(false)
        .append_element_content_handler(elements);
    rewrite_within_memory(page, settings)?;
    Ok(found.take())
}

fn rewrite_within_memory(
    page: &str,
    settings: RewriteStrSettings<'_, '_>,
) -> Result<String, RewritingError> {
    let memory = MemorySettings::new().with_max_allowed_memory_usage(MOST_REWRITING);
    rewrite_str(page, Settings::from(settings).with_memory_settings(memory))
}

fn rewrite_addresses(element: &mut Element<'_, '_>) -> lol_html::HandlerResult {
    let Some((attribute, mirrored)) = public_address(element) else {
        return Ok(());
    };
    if opens_connections(element) {
        // The element itself stays: without it, the rest of the page could be read in another way.
        element.remove_attribute(attribute);
        return Ok(());
    }
    // What stands in for a file need not be it to the letter, and the browser would refuse it.
    element.remove_attribute("integrity");
    Ok(element.set_attribute(attribute, &mirrored)?)
}

/// The attribute that holds a public address, and where the mirror answers for that.
fn public_address(element: &Element<'_, '_>) -> Option<(&'static str, String)> {
    let attribute = match element.tag_name().as_str() {
        "script" | "img" => "src",
        "link" => "href",
        _ => return None,
    };
    let address = element.get_attribute(attribute)?;
    Some((attribute, mirror::mirrored(&address)?))
}

/// Whether a link only tells the browser to get in touch with a host.
fn opens_connections(element: &Element<'_, '_>) -> bool {
    let relations = element.get_attribute("rel").unwrap_or_default();
    relations.split_ascii_whitespace().any(|relation| {
        ["preconnect", "dns-prefetch"]
            .iter()
            .any(|hint| relation.eq_ignore_ascii_case(hint))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBE: &str = "<script>probe()</script>";

    fn rewritten(page: &str) -> String {
        rewrite(page, Some(PROBE)).expect("readable")
    }

    #[test]
    fn a_page_keeps_to_its_own_origin() {
        let page = r#"<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="UTF-8">
  <link rel="preconnect" href="https://fonts.gstatic.example" crossorigin>
  <link href="https://fonts.example/css2?family=Press+Start+2P&family=Roboto:wght@400;700" rel="stylesheet">
  <script src="https://cdn.example/npm/ua@1.0.38/src/ua.min.js" integrity="sha384-abc"></script>
  <script src="/static/js/index.js" type="module" integrity="sha384-def"></script>
</head>
<body><img src='//cdn.example/a.png'><a href="https://elsewhere.example/">away</a></body>
</html>"#;
        insta::assert_snapshot!(rewritten(page), @r#"
        <!DOCTYPE html>
        <html lang="en">
        <head><script>probe()</script>
          <meta charset="UTF-8">
          <link rel="preconnect" crossorigin>
          <link href="/__gymcheck/mirror/fonts.example/css2?family=Press+Start+2P&family=Roboto:wght@400;700" rel="stylesheet">
          <script src="/__gymcheck/mirror/cdn.example/npm/ua@1.0.38/src/ua.min.js"></script>
          <script src="/static/js/index.js" type="module" integrity="sha384-def"></script>
        </head>
        <body><img src="/__gymcheck/mirror/cdn.example/a.png"><a href="https://elsewhere.example/">away</a></body>
        </html>
        "#);
    }

    #[test]
    fn a_rewritten_page_is_read_as_it_was_before() {
        // Found by trying pages with mistakes: in MathML a link has an end of its own, and where it was
        // taken out, the second script was none any more, and what stood in it became a part of the page.
        let page = r#"<math><link rel="preconnect" href="https://a.example"><script src=b>
<body><p></math><link rel="preconnect" href="https://a.example"><script src=b>
<body><img src="https://a.example/c.png">"#;
        let left = public_addresses(&rewritten(page)).expect("readable");
        assert_eq!(left, [""; 0]);
    }

    #[test]
    fn the_public_addresses_of_a_page_are_found() {
        let page = r#"<link rel="preconnect" href="https://fonts.example">
<link rel="stylesheet" href="https://fonts.example/css2?family=A&family=B">
<script src=" //cdn.example/a.js "></script><script src="/static/b.js"></script>"#;
        assert_eq!(
            public_addresses(page).expect("readable"),
            [
                "https://fonts.example/css2?family=A&family=B",
                "//cdn.example/a.js"
            ]
        );
    }

    #[test]
    fn the_probe_comes_before_everything() {
        let cases = [
            (
                "<head><script>a()</script></head>",
                "<head>{}<script>a()</script></head>",
            ),
            ("<!doctype html><p>a", "<!doctype html>{}<p>a"),
            (
                "<html><body>a</body></html>",
                "<html>{}<body>a</body></html>",
            ),
            (
                "<script>a()</script><head></head>",
                "{}<script>a()</script><head></head>",
            ),
            ("nothing but text", "{}nothing but text"),
            // A mark of the byte order in front is no text of the page.
            (
                "\u{feff}<!doctype html><p>a",
                "\u{feff}<!doctype html>{}<p>a",
            ),
            ("\u{feff}", "\u{feff}{}"),
            (" <!doctype html>text<p>", " <!doctype html>{}text<p>"),
            // The end of it is no element, and must not become one.
            (
                "<img src='https://a.example/' ",
                "{}<img src='https://a.example/' ",
            ),
            (
                "a<img src='https://a.example/' ",
                "{}a<img src='https://a.example/' ",
            ),
        ];
        for (page, expected) in cases {
            assert_eq!(rewritten(page), expected.replace("{}", PROBE));
        }
    }

    #[test]
    fn a_part_of_a_page_gets_no_probe() {
        assert_eq!(rewrite("<p>a</p>", None).expect("readable"), "<p>a</p>");
    }

    #[test]
    fn the_probe_gets_its_settings() {
        let script = "start(/*GYMCHECK_CONFIG*/{});";
        let element = probe_element(script, "t</script>", "/p", "n".into()).expect("a place");
        let rest = r#">start({"path":"/p","token":"t<\/script>"});</script>"#;
        assert_eq!(element.plain, format!("<script{rest}"));
        assert_eq!(element.named, format!("<script nonce=\"n\"{rest}"));
        assert!(probe_element("start({});", "t", "/p", "n".into()).is_none());
    }
}
