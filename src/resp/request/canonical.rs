//! Writes a request anew that Redis understands but others might not.

use super::view::Arguments;
use super::{Form, ProtocolError, Shape, inline};
use crate::resp::encode;

/// Encodes a frame of any form as an array of bulk strings; `shape` is what the scanner said about `frame`.
pub fn canonical(frame: &[u8], shape: &Shape) -> Result<Vec<u8>, ProtocolError> {
    // Arguments rarely outgrow what framed them; where they do, the buffer does.
    let mut out = Vec::with_capacity(frame.len());
    match shape.form {
        Form::Canonical => out.extend_from_slice(frame),
        Form::Loose => {
            encode::array_header(u64::from(shape.arguments), &mut out);
            for argument in Arguments::of(frame) {
                encode::bulk(argument, &mut out);
            }
        }
        Form::Inline => {
            encode::array_header(u64::from(shape.arguments), &mut out);
            inline::split(frame, |argument| encode::bulk(argument, &mut out))?;
        }
    }
    Ok(out)
}
