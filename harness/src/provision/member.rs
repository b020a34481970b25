//! Finding in a package the file that a public host serves under another path.

/// The file of a package that stands for what a host has at `path`; `files` are those of the package.
///
/// In this order: the same path; a path that ends with it, as `dist/` before it; a file of the same name; the
/// same for the whole of what is asked for in small (`a.js` for `a.min.js`), which hosts make on request.
/// Among several the one that lies least deep, of those the one in a folder for browsers.
pub(super) fn find<'a>(files: &'a [String], path: &str) -> Option<&'a str> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let whole = path.replacen(".min.", ".", 1);
    let whole_name = name.replacen(".min.", ".", 1);
    same(files, path)
        .or_else(|| ending(files, path))
        .or_else(|| ending(files, name))
        .or_else(|| same(files, &whole))
        .or_else(|| ending(files, &whole))
        .or_else(|| ending(files, &whole_name))
}

fn same<'a>(files: &'a [String], path: &str) -> Option<&'a str> {
    files.iter().map(String::as_str).find(|file| *file == path)
}

fn ending<'a>(files: &'a [String], path: &str) -> Option<&'a str> {
    let ending = format!("/{path}");
    files
        .iter()
        .map(String::as_str)
        .filter(|file| *file == path || file.ends_with(&ending))
        .min_by_key(|file| (file.matches('/').count(), rank(file), *file))
}

/// Folders in which packages keep what pages take as it is, the usual ones first.
fn rank(file: &str) -> usize {
    const FOR_BROWSERS: [&str; 6] = ["dist", "client-dist", "build", "umd", "browser", "lib"];
    let folder = file.split('/').next().unwrap_or_default();
    let known = FOR_BROWSERS.iter().position(|known| *known == folder);
    known.unwrap_or(FOR_BROWSERS.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[&str], path: &str) -> Option<String> {
        let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
        find(&files, path).map(str::to_owned)
    }

    #[test]
    fn the_same_path_comes_first() {
        let files = ["dist/a.js", "a.js"];
        assert_eq!(found(&files, "a.js").as_deref(), Some("a.js"));
    }

    #[test]
    fn a_path_below_a_folder_for_browsers_is_found() {
        let files = [
            "src/js/a.min.js",
            "dist/js/a.min.js",
            "dist/esm/js/a.min.js",
        ];
        assert_eq!(
            found(&files, "js/a.min.js").as_deref(),
            Some("dist/js/a.min.js")
        );
        let files = ["lib/socket.io.js", "client-dist/socket.io.js"];
        assert_eq!(
            found(&files, "socket.io.js").as_deref(),
            Some("client-dist/socket.io.js")
        );
    }

    #[test]
    fn what_is_minified_on_request_is_found_minified_elsewhere_or_whole() {
        let files = ["src/ua-parser.js", "dist/ua-parser.min.js"];
        assert_eq!(
            found(&files, "src/ua-parser.min.js").as_deref(),
            Some("dist/ua-parser.min.js")
        );
        let files = ["src/ua-parser.js"];
        assert_eq!(
            found(&files, "src/ua-parser.min.js").as_deref(),
            Some("src/ua-parser.js")
        );
    }

    #[test]
    fn no_other_name_stands_for_a_file() {
        let files = ["dist/jquery.slim.min.js", "dist/xjquery.min.js"];
        assert_eq!(found(&files, "jquery.min.js"), None);
    }
}
