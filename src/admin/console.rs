//! The console: a page for people, embedded in the program, without a build step and without anything from elsewhere. It
//! is a client of the API like any other, and holds no secret, so it is served to everybody who can connect.
//!
//! Read next: `console/page.html`, `console/main.js`.

use axum::Router;
use axum::http::{HeaderName, header};
use axum::response::IntoResponse;
use axum::routing::get;

/// A file of the page.
struct File {
    /// Where it is served.
    path: &'static str,
    /// Its content type.
    kind: &'static str,
    /// Itself.
    text: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Every file. The page names the others by these paths, relative to its own, so that it works below any prefix.
const FILES: [File; 8] = [
    file("/", HTML, include_str!("console/page.html")),
    file("/console/page.css", CSS, include_str!("console/page.css")),
    file("/console/main.js", SCRIPT, include_str!("console/main.js")),
    file("/console/api.js", SCRIPT, include_str!("console/api.js")),
    file("/console/dom.js", SCRIPT, include_str!("console/dom.js")),
    file(
        "/console/words.js",
        SCRIPT,
        include_str!("console/words.js"),
    ),
    file(
        "/console/chart.js",
        SCRIPT,
        include_str!("console/chart.js"),
    ),
    file(
        "/console/cards.js",
        SCRIPT,
        include_str!("console/cards.js"),
    ),
];

/// What a browser is told beside each file: nothing from elsewhere, nothing inline, in nobody's frame, and asked for
/// anew each time, since the next version of the program has another page.
const HEADERS: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-cache"),
];

const fn file(path: &'static str, kind: &'static str, text: &'static str) -> File {
    File { path, kind, text }
}

/// The page and its parts.
pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.into_iter().fold(Router::new(), |router, file| {
        let answer =
            async move || (HEADERS, [(header::CONTENT_TYPE, file.kind)], file.text).into_response();
        router.route(file.path, get(answer))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every `name="value"` of the page, and every module that a script imports.
    fn references(file: &File) -> Vec<String> {
        let quoted = |after: &str, end: char| -> Vec<String> {
            let found = file.text.split(after).skip(1);
            found
                .filter_map(|rest| rest.split(end).next())
                .map(str::to_owned)
                .collect()
        };
        [
            quoted("src=\"", '"'),
            quoted("href=\"", '"'),
            quoted("from \"", '"'),
        ]
        .concat()
    }

    #[test]
    fn the_page_needs_its_own_files_and_nothing_else() {
        for file in &FILES {
            for reference in references(file) {
                if reference.starts_with("data:") || reference.starts_with('#') {
                    continue;
                }
                let name = reference
                    .trim_start_matches("./")
                    .trim_start_matches("console/");
                let path = format!("/console/{name}");
                assert!(
                    FILES.iter().any(|file| file.path == path),
                    "{}: {reference}",
                    file.path
                );
            }
            // The one address in it names a vocabulary, and is never asked for.
            let text = file.text.replace("http://www.w3.org/2000/svg", "");
            assert!(
                !text.contains("http://") && !text.contains("https://"),
                "{}",
                file.path
            );
        }
        let of_page = references(&FILES[0]);
        let parts = of_page.iter().filter(|it| it.starts_with("console/"));
        assert_eq!(parts.count(), 2, "style and script: {of_page:?}");
    }

    #[test]
    fn what_comes_from_the_network_is_never_taken_for_markup() {
        for file in FILES.iter().filter(|file| file.kind == SCRIPT) {
            for way in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
            ] {
                assert!(!file.text.contains(way), "{} uses {way}", file.path);
            }
        }
    }
}
