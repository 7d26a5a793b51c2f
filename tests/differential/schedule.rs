//! What is sent: steps, one after the other, each the requests of one connection and the packets they are cut into.
//! Printed it is what a person needs to do the same by hand.

use std::fmt;

/// One comparison.
#[derive(Debug, Clone, Default)]
pub struct Schedule {
    /// What each connection says first, whenever it is opened.
    pub greetings: Vec<Vec<Request>>,
    pub steps: Vec<Step>,
}

/// What one connection sends before anybody else may go on.
#[derive(Debug, Clone)]
pub struct Step {
    pub connection: usize,
    pub requests: Vec<Request>,
    /// Where packets end, ascending. Beyond the last request they mean nothing.
    pub cuts: Vec<Cut>,
}

/// The end of a packet.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    /// Bytes of the step before it.
    pub at: usize,
    /// What happens before the next one is sent.
    pub then: Then,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Nothing: the two may well be read together.
    GoOn,
    /// The proxy is seen to have read everything.
    Settle,
}

/// One request; or bytes that only look like it.
#[derive(Debug, Clone)]
pub struct Request {
    pub text: Text,
    pub nature: Nature,
}

#[derive(Debug, Clone)]
pub enum Text {
    /// An array of bulk strings.
    Words(Vec<Vec<u8>>),
    /// As it is.
    Bytes(Vec<u8>),
    /// Requests that mean nothing apart.
    Together(Vec<Request>),
}

/// What the runner must know of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    Usual,
    /// Touches no data: may wait behind a blocked request, whose end does not say when it runs.
    Harmless,
    /// May block for a moment, at most.
    EndsSoon,
    /// Its reply holds numbers that name a connection: every integer of this step is taken for one.
    NamesConnection,
}

impl Step {
    pub fn bytes(&self) -> Vec<u8> {
        self.requests.iter().flat_map(Request::bytes).collect()
    }

    pub fn is_harmless(&self) -> bool {
        self.requests
            .iter()
            .all(|request| request.nature == Nature::Harmless)
    }

    pub fn has(&self, nature: Nature) -> bool {
        self.requests.iter().any(|request| request.nature == nature)
    }
}

impl Request {
    pub fn words(words: Vec<Vec<u8>>) -> Request {
        Request {
            text: Text::Words(words),
            nature: Nature::Usual,
        }
    }

    /// The words of a line without quotes.
    pub fn line(line: &str) -> Request {
        Request::words(line.split(' ').map(|word| word.as_bytes().into()).collect())
    }

    pub fn raw(bytes: impl Into<Vec<u8>>) -> Request {
        Request {
            text: Text::Bytes(bytes.into()),
            nature: Nature::Usual,
        }
    }

    pub fn together(requests: Vec<Request>) -> Request {
        Request {
            text: Text::Together(requests),
            nature: Nature::Usual,
        }
    }

    #[must_use]
    pub fn nature(mut self, nature: Nature) -> Request {
        self.nature = nature;
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        match &self.text {
            Text::Bytes(bytes) => bytes.clone(),
            Text::Together(requests) => requests.iter().flat_map(Request::bytes).collect(),
            Text::Words(words) => {
                let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
                for word in words {
                    bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
                    bytes.extend_from_slice(word);
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes
            }
        }
    }
}

impl Schedule {
    pub fn requests(&self) -> usize {
        self.steps.iter().map(|step| step.requests.len()).sum()
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (connection, greeting) in self.greetings.iter().enumerate() {
            let used = self.steps.iter().any(|step| step.connection == connection);
            for request in greeting.iter().filter(|_| used) {
                writeln!(out, "  connection {connection} first:  {request}")?;
            }
        }
        for (number, step) in self.steps.iter().enumerate() {
            for request in &step.requests {
                writeln!(
                    out,
                    "  {number:3} connection {}:  {request}",
                    step.connection
                )?;
            }
            let length = step.bytes().len();
            let cuts: Vec<String> = (step.cuts.iter())
                .filter(|cut| cut.at < length)
                .map(|cut| match cut.then {
                    Then::GoOn => cut.at.to_string(),
                    Then::Settle => format!("{}!", cut.at),
                })
                .collect();
            if !cuts.is_empty() {
                writeln!(
                    out,
                    "      of {length} bytes, packets end at {} (!: seen to be read)",
                    cuts.join(" ")
                )?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Request {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Text::Bytes(bytes) => write!(out, "bytes b\"{}\"", shortened(bytes)),
            Text::Together(requests) => {
                for (at, request) in requests.iter().enumerate() {
                    write!(out, "{}{request}", if at == 0 { "" } else { " ; " })?;
                }
                Ok(())
            }
            Text::Words(words) => {
                for (at, word) in words.iter().enumerate() {
                    let blank = if at == 0 { "" } else { " " };
                    let plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b'"';
                    if !word.is_empty() && word.iter().all(plain) {
                        write!(out, "{blank}{}", shortened(word))?;
                    } else {
                        write!(out, "{blank}\"{}\"", shortened(word))?;
                    }
                }
                Ok(())
            }
        }
    }
}

/// Longest text that is printed whole.
const PRINTED_BYTES_MAX: usize = 300;

/// Bytes as one reads them; of many, the beginning and how many there are.
pub fn shortened(bytes: &[u8]) -> String {
    if bytes.len() <= PRINTED_BYTES_MAX {
        return bytes.escape_ascii().to_string();
    }
    let beginning = bytes[..PRINTED_BYTES_MAX].escape_ascii();
    format!("{beginning}[{} bytes in all]", bytes.len())
}
