//! Quirks as Redis does not write it: what it reads all the same, and what it closes the connection for.

use super::Generator;
use crate::schedule::{Nature, Request, Text};
use crate::world::Quirks;

/// Lines that are requests.
const INLINE: &[&[u8]] = &[
    b"PING\r\n",
    b"PING\n",
    b"  PING  \r\n",
    b"\tPING\r\n",
    b"PING \"a b\"\r\n",
    b"ECHO 'a\\'b'\r\n",
    b"ECHO \"\\x41\\n\\\"\"\r\n",
    b"ECHO \"\\xZZ\"\r\n",
    b"SET str:0 \"\"\r\n",
    b"GET str:0\r\n",
    b"set str:1 '\x7f\x01' \r\n",
    b"\r\nGET str:1\r\n",
    b"MULTI\r\nSET str:2 in\r\nEXEC\r\n",
    b"\"GET\" str:2\r\n",
    b"\"\" str:2\r\n",
    b"a b c d e f g h i j\r\n",
    b"DEL a b c d e f g h i j k l m n\r\n",
    b"ECHO a\x0bb\r\n",
];
/// Nothing, in many forms.
const EMPTY: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"*0\r\n",
    b"*-1\r\n",
    b"*-10\r\n",
    b"\r\n\r\n*0\r\n",
];
/// Not written as it should be, and read by Redis.
const LOOSE: &[&[u8]] = &[
    b" \r\n",
    b"set str:1 '\xff\x01' \r\n",
    b"*1\r\n$4\r\nPINGxx",
    b"*1\rx$4\ryPING\r\n",
    b"*2\r\n$4\r\nECHO\r\n$3\r\nabc\n\n",
    b"*2\r\n$3\r\nGET\r\n$5\r\nstr:0\r\r",
    b"*1\r\n$0\r\n\r\n",
    b"*2\r\n$0\r\n\r\n$1\r\na\r\n",
];
/// Closes the connection.
const BROKEN: &[&[u8]] = &[
    b"*x\r\n",
    b"*\r\n",
    b"*01\r\n$4\r\nPING\r\n",
    b"*+1\r\n$4\r\nPING\r\n",
    b"* 1\r\n$4\r\nPING\r\n",
    b"*1 \r\n$4\r\nPING\r\n",
    b"*1\r\n$04\r\nPING\r\n",
    b"*1\r\n$+4\r\nPING\r\n",
    b"*1\r\n$-1\r\n",
    b"*1\r\n$\r\n",
    b"*1\r\nPING\r\n",
    b"*1\r\n:4\r\n",
    b"*1\r\n\r\n$4\r\nPING\r\n",
    b"*1\r\n*1\r\n",
    b"*2\r\n$4\r\nECHO\r\n+abc\r\n",
    b"*1\r\n$536870913\r\n",
    b"*1\r\n$9223372036854775808\r\n",
    b"*2147483648\r\n",
    b"*9223372036854775807\r\n",
    b"*99999999999999999999\r\n",
    b"PING \"open\r\n",
    b"PING 'open\r\n",
    b"PING \"a\"b\r\n",
    b"ECHO 'a'b\r\n",
    b"ECHO 'it''s'\r\n",
    b"G\"E\"T str:2\r\n",
];
/// Closes the connection, and with it replies that are still to be written: in a step of its own.
const HTTP: &[&[u8]] = &[
    b"POST / HTTP/1.1\r\n",
    b"Host: here\r\n",
    b"*1\r\n$4\r\npost\r\n",
    b"*2\r\n$5\r\nhost:\r\n$1\r\nx\r\n",
];
/// Half of a request: what comes next on this connection is the rest of it.
const HALF: &[&[u8]] = &[
    b"*3\r\n$3\r\nSET\r\n$5\r\nstr:0\r\n$100\r\n",
    // Long enough to swallow the name of what comes next: COMMAND alone lists a hash table.
    b"*2\r\n$4\r\nECHO\r\n$18\r\nabc",
    b"*2\r\n$4\r\nECHO",
    b"*1048577\r\n",
    b"*2\r",
    b"*",
];
/// The same, where what makes it whole has its line ends where they belong.
const HALF_LINE: &[&[u8]] = &[b"*", b"ECHO 'a b", b"*1\r\n$"];

impl Generator<'_> {
    /// Odd, and read.
    pub(super) fn odd_framing(&mut self, out: &mut Vec<Request>) {
        match self.random.below(10) {
            0..4 => out.push(self.bytes(INLINE)),
            4..6 => out.push(self.bytes(EMPTY)),
            6..8 if self.quirks != Quirks::Valkey => out.push(self.bytes(LOOSE)),
            _ => {
                let at = out.len();
                self.data(out);
                if let Some(request) = out.get_mut(at)
                    && let Text::Words(words) = &request.text
                {
                    *request = Request::raw(inline(words));
                }
            }
        }
    }

    /// Ends the connection, or leaves it in the middle of something.
    pub(super) fn malformed(&mut self, out: &mut Vec<Request>) {
        let request = match self.random.below(12) {
            0..6 => self.bytes(BROKEN),
            6 => Request::line("QUIT"),
            7 => {
                out.clear();
                self.bytes(HTTP)
            }
            8..11 if self.quirks != Quirks::Valkey => self.bytes(HALF),
            8..11 => self.bytes(HALF_LINE),
            _ => {
                // Longer than a line may be, without an end: with one, it depends on what is read together.
                let start = self
                    .random
                    .pick(&["ECHO ", "*1\r\n$", "*", "*1\r\n$4\r\nPING\r\n*"]);
                let filler = "1".repeat(70_000);
                return out.push(Request::raw(format!("{start}{filler}")));
            }
        };
        out.push(request);
        if self.random.once_in(3) {
            out.push(Request::line("PING"));
        }
    }

    fn bytes(&mut self, from: &[&[u8]]) -> Request {
        let bytes = from[self.random.below(from.len())];
        Request::raw(bytes).nature(Nature::Usual)
    }
}

/// The same as a line of quoted words.
fn inline(words: &[Vec<u8>]) -> Vec<u8> {
    let mut line = Vec::new();
    for word in words {
        if word.is_empty() || !word.iter().all(u8::is_ascii_alphanumeric) {
            line.push(b'"');
            for byte in word {
                line.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
            }
            line.push(b'"');
        } else {
            line.extend_from_slice(word);
        }
        line.push(b' ');
    }
    line.extend_from_slice(b"\r\n");
    line
}
