//! A whole request where it lies: its arguments as slices of the frame.

use memchr::memchr;

use super::{Form, Shape};
use crate::resp::number;

/// A complete request in place.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The bytes from `*` to the last line end.
    frame: &'a [u8],
    /// What the scanner found out about them.
    shape: Shape,
}

/// Walks over the arguments of an array that the scanner has accepted.
#[derive(Debug, Clone)]
pub(super) struct Arguments<'a> {
    /// Begins with the header of the next argument.
    rest: &'a [u8],
}

impl<'a> Request<'a> {
    /// `shape` is what the scanner said about `frame`, and canonical; others go through [`super::canonical()`] first.
    pub fn new(frame: &'a [u8], shape: &Shape) -> Request<'a> {
        debug_assert_eq!(shape.form, Form::Canonical);
        debug_assert_eq!(frame.len(), shape.length);
        Request {
            frame,
            shape: *shape,
        }
    }

    /// The command's name as the client spelled it.
    #[inline]
    pub fn name(&self) -> &'a [u8] {
        self.argument(0).unwrap_or_default()
    }

    /// The argument at `index`; 0 is the name. The first four at once, the others by walking there.
    #[inline]
    pub fn argument(&self, index: usize) -> Option<&'a [u8]> {
        if let Some((start, end)) = self.shape.first.get(index) {
            return self.frame.get(start..end);
        }
        self.walk_to(index)
    }

    /// All arguments in order, the name first.
    pub fn arguments(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        Arguments::of(self.frame)
    }

    /// How many arguments there are, the name included.
    #[allow(clippy::len_without_is_empty)] // a request has at least its name
    pub fn len(&self) -> usize {
        self.shape.arguments as usize
    }

    /// The whole frame.
    pub fn frame(&self) -> &'a [u8] {
        self.frame
    }

    /// Finds an argument whose position was not noted.
    fn walk_to(&self, index: usize) -> Option<&'a [u8]> {
        let known = usize::from(self.shape.first.known);
        let mut arguments = match self.shape.first.get(known.wrapping_sub(1)) {
            Some((_, end)) => Arguments {
                rest: self.frame.get(end + 2..)?,
            },
            None => Arguments::of(self.frame),
        };
        arguments.nth(index - known)
    }
}

impl<'a> Arguments<'a> {
    /// The arguments of an array, canonical or loose, the name first.
    pub(super) fn of(frame: &'a [u8]) -> Arguments<'a> {
        let rest = split_line(frame).map_or(&[][..], |(_, rest)| rest);
        Arguments { rest }
    }
}

impl<'a> Iterator for Arguments<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (header, rest) = split_line(self.rest)?;
        let length = usize::try_from(number::parse(header.get(1..)?)?).ok()?;
        let argument = rest.get(..length)?;
        self.rest = rest.get(length + 2..)?;
        Some(argument)
    }
}

/// The line that `bytes` begins with, and what follows its `\r` and the byte after that.
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr(b'\r', bytes)?;
    Some((&bytes[..end], bytes.get(end + 2..)?))
}
