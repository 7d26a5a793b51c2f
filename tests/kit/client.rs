//! A client connection that sends what it is told, byte by byte if need be.

use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::reply::Reply;
use super::wait::LIMIT;

/// One connection. Every wait has a limit ([`LIMIT`] unless set otherwise), after which the test fails.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Client {
        Client::try_connect(address)
            .unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"))
    }

    pub fn try_connect(address: SocketAddr) -> io::Result<Client> {
        let stream = TcpStream::connect_timeout(&address, LIMIT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        let reader = BufReader::new(stream.try_clone()?);
        Ok(Client { stream, reader })
    }

    /// Another limit for each following wait.
    pub fn set_limit(&mut self, limit: Duration) {
        self.stream.set_read_timeout(Some(limit)).unwrap();
        self.stream.set_write_timeout(Some(limit)).unwrap();
    }

    /// One request, one reply.
    pub fn call(&mut self, request: &[&str]) -> Reply {
        self.try_call(request)
            .unwrap_or_else(|error| panic!("{request:?}: {error}"))
    }

    pub fn try_call(&mut self, request: &[&str]) -> io::Result<Reply> {
        self.stream.write_all(&encode(request))?;
        self.try_read_reply()
    }

    /// As [`Client::pipeline`], for connections that may fail.
    pub fn try_pipeline(&mut self, requests: &[&[&str]]) -> io::Result<Vec<Reply>> {
        let bytes: Vec<u8> = requests
            .iter()
            .flat_map(|request| encode(request))
            .collect();
        self.stream.write_all(&bytes)?;
        requests.iter().map(|_| self.try_read_reply()).collect()
    }

    /// All requests in one write, then their replies.
    pub fn pipeline(&mut self, requests: &[&[&str]]) -> Vec<Reply> {
        self.send_raw(
            &requests
                .iter()
                .flat_map(|request| encode(request))
                .collect::<Vec<_>>(),
        );
        requests.iter().map(|_| self.read_reply()).collect()
    }

    /// One request; the reply is read later.
    pub fn send(&mut self, request: &[&str]) {
        self.send_raw(&encode(request));
    }

    /// Bytes as they are.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// As [`Client::send_raw`], for a connection that may have ended.
    pub fn try_send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next reply or push.
    pub fn read_reply(&mut self) -> Reply {
        self.try_read_reply()
            .unwrap_or_else(|error| panic!("no reply: {error}"))
    }

    pub fn try_read_reply(&mut self) -> io::Result<Reply> {
        Reply::read(&mut self.reader, &mut Vec::new())
    }

    /// The next reply as the bytes it came in.
    pub fn read_raw_reply(&mut self) -> Vec<u8> {
        let mut raw = Vec::new();
        Reply::read(&mut self.reader, &mut raw).unwrap_or_else(|error| panic!("no reply: {error}"));
        raw
    }

    /// So many bytes, whatever they are.
    pub fn read_bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let read = self.reader.read_exact(&mut bytes);
        read.unwrap_or_else(|error| panic!("not {count} bytes: {error}"));
        bytes
    }

    /// Whether a reply comes within `limit`; it is left unread. To show that something waits, keep `limit` short.
    pub fn has_reply_within(&mut self, limit: Duration) -> bool {
        if !self.reader.buffer().is_empty() {
            return true;
        }
        self.stream.set_read_timeout(Some(limit)).unwrap();
        let readable = matches!(self.stream.peek(&mut [0]), Ok(1));
        self.stream.set_read_timeout(Some(LIMIT)).unwrap();
        readable
    }

    /// Everything until the far end closes the connection.
    pub fn read_to_close(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.reader.read_to_end(&mut rest) {
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => {
                panic!("not closed: {error}")
            }
            Ok(_) | Err(_) => rest,
        }
    }

    /// Sends no more (the far end reads the end of the stream) and goes on reading.
    pub fn close_sending(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// This end's address, as CLIENT LIST shows it where no proxy stands between.
    pub fn local_addr(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }
}

/// A request as an array of bulk strings.
pub fn encode(request: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", request.len()).into_bytes();
    for argument in request {
        bytes.extend_from_slice(format!("${}\r\n{argument}\r\n", argument.len()).as_bytes());
    }
    bytes
}
