//! Reading the addresses of public hosts: which package of a registry has what is served there.
//!
//! By rule, not by a list of single libraries: a host says name and version in its paths in one of a few
//! ways, and the package of that name and version in the npm registry is what the host serves from.

use url::Url;

/// What is asked for at a public address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PublicFile {
    /// A file of an npm package.
    OfPackage(PackageAddress),
    /// A file of Pyodide, which comes with its packages.
    OfPyodide {
        /// Which Pyodide.
        version: String,
        /// The address of the folder with its files, with a slash at its end.
        folder: String,
    },
    /// A stylesheet of web fonts.
    Fonts(Vec<FontFamily>),
}

/// A file of an npm package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PackageAddress {
    /// What the package may be called, the likeliest first.
    pub(super) names: Vec<String>,
    /// A version, or a range of them as the host understands it: `5`, `^1.2`; the newest, if it says none.
    pub(super) version: Option<String>,
    /// The file's path as the host has it; the package says itself which file, if there is none.
    pub(super) path: Option<String>,
    /// Whether the files beside it are at the addresses beside it.
    pub(super) has_neighbours: bool,
}

/// A family of web fonts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FontFamily {
    pub(super) name: String,
    pub(super) styles: Vec<FontStyle>,
}

/// A style of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FontStyle {
    pub(super) italic: bool,
    pub(super) weight: u16,
}

const NORMAL: FontStyle = FontStyle {
    italic: false,
    weight: 400,
};

/// Why no rule leads from an address to a package.
pub(super) const NO_RULE: &str = "no rule leads from it to a package of a registry";

/// The address as it is kept: with `https`, without fragment.
pub(super) fn written(address: &str) -> Option<String> {
    let address = address.trim();
    let rest = ["https://", "http://", "//"]
        .iter()
        .find_map(|scheme| address.strip_prefix(scheme))?;
    let mut url = Url::parse(&format!("https://{rest}")).ok()?;
    url.set_fragment(None);
    Some(url.into())
}

/// What is asked for at an address as [`written`] gives it; `None` if no rule knows.
pub(super) fn read(address: &str) -> Option<PublicFile> {
    let url = Url::parse(address).ok()?;
    let path = url.path().trim_start_matches('/');
    let file = match url.host_str()? {
        "cdn.jsdelivr.net" => match path.split_once('/')? {
            ("npm", rest) => PublicFile::OfPackage(named_with_version(rest)?),
            ("pyodide", rest) => return pyodide(address, rest),
            _ => return None,
        },
        "unpkg.com" => PublicFile::OfPackage(named_with_version(path)?),
        "cdnjs.cloudflare.com" | "ajax.googleapis.com" => {
            PublicFile::OfPackage(in_folders(path.strip_prefix("ajax/libs/")?)?)
        }
        "cdn.socket.io" => PublicFile::OfPackage(socket_io(path)?),
        "code.jquery.com" => PublicFile::OfPackage(jquery(path)?),
        "fonts.googleapis.com" => return fonts(&url).map(PublicFile::Fonts),
        host if host.ends_with("bootstrapcdn.com") => PublicFile::OfPackage(in_folders(path)?),
        _ => return None,
    };
    Some(match file {
        PublicFile::OfPackage(package) => as_pyodide(address, package),
        PublicFile::OfPyodide { .. } | PublicFile::Fonts(_) => file,
    })
}

/// `NAME@VERSION/path`, `@SCOPE/NAME@VERSION/path`; version and path can be left out.
fn named_with_version(path: &str) -> Option<PackageAddress> {
    let mut parts = path.splitn(if path.starts_with('@') { 3 } else { 2 }, '/');
    let mut package = parts.next()?.to_owned();
    if package.starts_with('@') {
        package = format!("{package}/{}", parts.next()?);
    }
    let path = parts.next().filter(|path| !path.is_empty());
    let at = package.get(1..)?.find('@').map(|at| at + 1);
    let (name, version) = match at {
        Some(at) => (&package[..at], Some(&package[at + 1..])),
        None => (package.as_str(), None),
    };
    // Made by the host on request, and in no package.
    if path.is_some_and(|path| path.contains("+esm")) {
        return None;
    }
    address_of(vec![name.to_owned()], version, path, path.is_some())
}

/// `NAME/VERSION/path`. The package of some libraries is called so without the ending.
fn in_folders(path: &str) -> Option<PackageAddress> {
    let (name, rest) = path.split_once('/')?;
    let (version, path) = rest.split_once('/')?;
    let mut names = vec![name.to_owned()];
    for ending in [".js", "-js"] {
        names.extend(name.strip_suffix(ending).map(str::to_owned));
    }
    address_of(names, Some(version), Some(path), true)
}

/// `4.7.5/socket.io.min.js`.
fn socket_io(path: &str) -> Option<PackageAddress> {
    let (version, path) = path.split_once('/')?;
    let names = vec!["socket.io-client".to_owned()];
    address_of(names, Some(version), Some(path), true)
}

/// `jquery-3.7.1.min.js`, `ui/1.13.2/jquery-ui.min.js`.
fn jquery(path: &str) -> Option<PackageAddress> {
    if let Some(rest) = path.strip_prefix("ui/") {
        let (version, path) = rest.split_once('/')?;
        let names = vec!["jquery-ui".to_owned(), "jquery-ui-dist".to_owned()];
        return address_of(names, Some(version), Some(path), true);
    }
    let rest = path.strip_prefix("jquery-")?;
    let endings = [".slim.min.js", ".slim.js", ".min.js", ".js"];
    let ending = endings.iter().find(|ending| rest.ends_with(*ending))?;
    let version = rest.strip_suffix(ending)?;
    let path = format!("jquery{ending}");
    address_of(vec!["jquery".to_owned()], Some(version), Some(&path), false)
}

fn address_of(
    names: Vec<String>,
    version: Option<&str>,
    path: Option<&str>,
    has_neighbours: bool,
) -> Option<PackageAddress> {
    let names: Vec<String> = names.into_iter().filter(|name| is_name(name)).collect();
    let sound = !names.is_empty() && version.is_none_or(is_version);
    let plain = |path: &&str| path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    match path {
        Some(path) if !plain(&path) => None,
        _ => sound.then(|| PackageAddress {
            names,
            version: version.map(str::to_owned),
            path: path.map(str::to_owned),
            has_neighbours,
        }),
    }
}

/// Whether it is the name of a package and nothing else that npm takes: no path, no address, no option.
fn is_name(name: &str) -> bool {
    let plain = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    match name.strip_prefix('@') {
        None => plain(name),
        Some(scoped) => scoped
            .split_once('/')
            .is_some_and(|(scope, name)| plain(scope) && plain(name)),
    }
}

fn is_version(version: &str) -> bool {
    version.starts_with(|c: char| c.is_ascii_alphanumeric() || "^~".contains(c))
        && version
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-+.^~".contains(c))
}

/// `v0.26.2/full/FILE`.
fn pyodide(address: &str, path: &str) -> Option<PublicFile> {
    let (version, _) = path.split_once('/')?;
    let version = version.strip_prefix('v')?;
    let (folder, _) = address.rsplit_once('/')?;
    is_version(version).then(|| PublicFile::OfPyodide {
        version: version.to_owned(),
        folder: format!("{folder}/"),
    })
}

/// Pyodide as an npm package is Pyodide: its list names packages that are not in it.
fn as_pyodide(address: &str, package: PackageAddress) -> PublicFile {
    let folder = address.rsplit_once('/').map(|(folder, _)| folder);
    match (package, folder) {
        (
            PackageAddress {
                names,
                version: Some(version),
                path: Some(path),
                ..
            },
            Some(folder),
        ) if names == ["pyodide"] && !path.contains('/') => PublicFile::OfPyodide {
            version,
            folder: format!("{folder}/"),
        },
        (package, _) => PublicFile::OfPackage(package),
    }
}

/// Both ways in which a page asks for fonts: `css2?family=A:ital,wght@0,400;1,700&family=B` and
/// `css?family=A:400,700italic|B`.
fn fonts(url: &Url) -> Option<Vec<FontFamily>> {
    let asked = url.query_pairs().filter(|(name, _)| name == "family");
    let families: Option<Vec<FontFamily>> = match url.path() {
        "/css2" => asked.map(|(_, family)| family_of(&family)).collect(),
        "/css" => asked
            .flat_map(|(_, families)| {
                let families = families.split('|').map(old_family_of);
                families.collect::<Vec<_>>()
            })
            .collect(),
        _ => return None,
    };
    families.filter(|families| !families.is_empty())
}

fn family_of(family: &str) -> Option<FontFamily> {
    let Some((name, styles)) = family.split_once(':') else {
        return font_family(family, vec![NORMAL]);
    };
    let (axes, tuples) = styles.split_once('@').unwrap_or((styles, ""));
    let axes: Vec<&str> = axes.split(',').collect();
    let value = |tuple: &str, axis: &str| {
        let at = axes.iter().position(|one| *one == axis)?;
        tuple.split(',').nth(at).map(str::to_owned)
    };
    let mut styles = Vec::new();
    for tuple in tuples.split(';') {
        let italic = match axes.as_slice() {
            ["ital"] => tuple != "0",
            _ => value(tuple, "ital").is_some_and(|italic| italic == "1"),
        };
        let weight = value(tuple, "wght").unwrap_or_else(|| "400".to_owned());
        styles.extend(weights(&weight)?.map(|weight| FontStyle { italic, weight }));
    }
    font_family(name, styles)
}

/// The weights that `400` or a range, as `100..900`, stands for: of a range what text is mostly set in.
fn weights(text: &str) -> Option<impl Iterator<Item = u16>> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    let usual = [400, 700].into_iter();
    let within = usual.filter(move |weight| first != last && (first..=last).contains(weight));
    Some(within.chain((first == last).then_some(first)))
}

fn old_family_of(family: &str) -> Option<FontFamily> {
    let (name, styles) = family.split_once(':').unwrap_or((family, "400"));
    let style = |text: &str| {
        let weight = text.trim_end_matches("italic").trim_end_matches('i');
        let italic = weight != text;
        let weight = match weight {
            "" | "regular" => 400,
            "bold" | "b" => 700,
            number => number.parse().ok()?,
        };
        Some(FontStyle { italic, weight })
    };
    font_family(name, styles.split(',').map(style).collect::<Option<_>>()?)
}

fn font_family(name: &str, mut styles: Vec<FontStyle>) -> Option<FontFamily> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == ' ' || c == '-';
    styles.sort_unstable();
    styles.dedup();
    let sound = !name.is_empty() && name.chars().all(plain) && !styles.is_empty();
    sound.then(|| FontFamily {
        name: name.to_owned(),
        styles,
    })
}

impl FontFamily {
    /// The npm package that has its files.
    pub(super) fn package(&self) -> String {
        let name = self.name.to_ascii_lowercase().replace(' ', "-");
        format!("@fontsource/{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `NAMES VERSION PATH`, with `!` where neighbours are not where they would be.
    fn told(address: &str) -> String {
        match read(&written(address).expect("a public address")) {
            None => "no rule".to_owned(),
            Some(PublicFile::OfPackage(package)) => format!(
                "{} {} {}{}",
                package.names.join("|"),
                package.version.as_deref().unwrap_or("-"),
                package.path.as_deref().unwrap_or("-"),
                if package.has_neighbours { "" } else { "!" },
            ),
            Some(PublicFile::OfPyodide { version, folder }) => {
                format!("pyodide {version} {folder}")
            }
            Some(PublicFile::Fonts(families)) => families
                .iter()
                .map(|family| {
                    let styles = family.styles.iter().map(|style| {
                        format!("{}{}", style.weight, if style.italic { "i" } else { "" })
                    });
                    format!(
                        "{} {}",
                        family.package(),
                        styles.collect::<Vec<_>>().join(",")
                    )
                })
                .collect::<Vec<_>>()
                .join(" "),
        }
    }

    #[test]
    fn the_usual_hosts_say_name_version_and_path() {
        let cases = [
            (
                "https://cdn.jsdelivr.net/npm/ua-parser-js@1.0.38/src/ua-parser.min.js",
                "ua-parser-js 1.0.38 src/ua-parser.min.js",
            ),
            (
                "//cdn.jsdelivr.net/npm/@tailwindcss/browser@4/dist/index.global.js#x",
                "@tailwindcss/browser 4 dist/index.global.js",
            ),
            ("https://cdn.jsdelivr.net/npm/chart.js", "chart.js - -!"),
            ("http://unpkg.com/htmx.org@2.0.8", "htmx.org 2.0.8 -!"),
            (
                "https://cdnjs.cloudflare.com/ajax/libs/three.js/0.160.0/three.min.js",
                "three.js|three 0.160.0 three.min.js",
            ),
            (
                "https://cdnjs.cloudflare.com/ajax/libs/socket.io/4.7.2/socket.io.js",
                "socket.io 4.7.2 socket.io.js",
            ),
            (
                "https://ajax.googleapis.com/ajax/libs/jquery/3.7.1/jquery.min.js",
                "jquery 3.7.1 jquery.min.js",
            ),
            (
                "https://cdn.socket.io/4.7.5/socket.io.min.js",
                "socket.io-client 4.7.5 socket.io.min.js",
            ),
            (
                "https://code.jquery.com/jquery-3.6.0.slim.min.js",
                "jquery 3.6.0 jquery.slim.min.js!",
            ),
            (
                "https://maxcdn.bootstrapcdn.com/bootstrap/4.5.2/css/bootstrap.min.css",
                "bootstrap 4.5.2 css/bootstrap.min.css",
            ),
        ];
        for (address, expected) in cases {
            assert_eq!(told(address), expected, "{address}");
        }
    }

    #[test]
    fn pyodide_is_known_by_its_own_path_and_as_a_package() {
        assert_eq!(
            told("https://cdn.jsdelivr.net/pyodide/v0.27.7/full/pyodide.js"),
            "pyodide 0.27.7 https://cdn.jsdelivr.net/pyodide/v0.27.7/full/"
        );
        assert_eq!(
            told("https://cdn.jsdelivr.net/npm/pyodide@0.26.4/pyodide.js"),
            "pyodide 0.26.4 https://cdn.jsdelivr.net/npm/pyodide@0.26.4/"
        );
    }

    #[test]
    fn fonts_are_read_in_both_ways() {
        let address = "https://fonts.googleapis.com/css2?family=Press+Start+2P&family=Roboto:ital,wght@0,400;1,700&display=swap";
        assert_eq!(
            told(address),
            "@fontsource/press-start-2p 400 @fontsource/roboto 400,700i"
        );
        assert_eq!(
            told("https://fonts.googleapis.com/css2?family=Inter:wght@100..900"),
            "@fontsource/inter 400,700"
        );
        assert_eq!(
            told("https://fonts.googleapis.com/css?family=Open+Sans:400,700italic|Lato"),
            "@fontsource/open-sans 400,700i @fontsource/lato 400"
        );
    }

    #[test]
    fn what_no_rule_knows_is_not_guessed() {
        for address in [
            "https://cdn.tailwindcss.com",
            "https://cdn.jsdelivr.net/gh/someone/something@1/a.js",
            "https://cdn.jsdelivr.net/npm/d3@7/+esm",
            "https://cdn.jsdelivr.net/npm/..%2fx@1/a.js",
            "https://cdn.jsdelivr.net/npm/a@git+ssh:x/a.js",
            "https://unpkg.com/-g@1/a.js",
            "https://cdnjs.cloudflare.com/ajax/libs/jquery/3.7.1",
            "https://fonts.googleapis.com/icon?family=Material+Icons",
            "https://fonts.googleapis.com/css2?display=swap",
            "https://example.org/jquery/3.7.1/jquery.js",
        ] {
            assert_eq!(told(address), "no rule", "{address}");
        }
        assert_eq!(written("/static/a.js"), None);
    }
}
