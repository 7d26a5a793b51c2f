//! What this room's tests share: requests, as the scanner gives them.

use crate::resp::encode;
use crate::resp::request::{Form, Limits, Request, Scanned, Scanner, Shape, canonical};

/// Runs `deed` with a request of these words.
pub(super) fn with<T>(words: &[&[u8]], deed: impl FnOnce(&Request<'_>) -> T) -> T {
    framed(&encode::command_vec(words), deed)
}

/// Runs `deed` with a request of this line's words, split at single spaces.
pub(super) fn line<T>(line: &str, deed: impl FnOnce(&Request<'_>) -> T) -> T {
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    with(&words, deed)
}

/// Runs `deed` with the request that `bytes` are, in whatever form.
pub(super) fn framed<T>(bytes: &[u8], deed: impl FnOnce(&Request<'_>) -> T) -> T {
    let shape = scan(bytes);
    if shape.form == Form::Canonical {
        return deed(&Request::new(bytes, &shape));
    }
    let bytes = canonical(bytes, &shape).unwrap();
    deed(&Request::new(&bytes, &scan(&bytes)))
}

fn scan(bytes: &[u8]) -> Shape {
    match Scanner::default().scan(bytes, &Limits::redis()) {
        Ok(Scanned::Request(shape)) => shape,
        other => panic!("no whole request but {other:?}: {}", bytes.escape_ascii()),
    }
}
