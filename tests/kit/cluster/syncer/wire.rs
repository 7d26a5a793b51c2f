//! RESP as the syncer speaks it: it calls servers, and reads a stream of commands while it counts every byte.

use std::io;
use std::net::SocketAddr;

use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, ReadHalf,
    WriteHalf, split,
};
use tokio::net::{TcpStream, ToSocketAddrs};

use super::tls::Encryption;

/// What a server said.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Simple(String),
    Error(String),
    Integer(i64),
    Bulk(Vec<u8>),
    Null,
    Array(Vec<Value>),
}

/// Why a call brought nothing.
#[derive(Debug)]
pub enum Failure {
    /// The connection ended, or never came about.
    Lost(io::Error),
    /// The server refused; its own words.
    Refused(String),
}

/// What a connection runs over.
pub trait Road: AsyncRead + AsyncWrite + Send + Unpin + std::fmt::Debug {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + std::fmt::Debug> Road for T {}

/// The writing half.
pub type Writer = WriteHalf<Box<dyn Road>>;

/// One connection.
#[derive(Debug)]
pub struct Connection {
    pub reader: Reader,
    pub writer: Writer,
    /// This end's address.
    pub local_address: SocketAddr,
}

/// The reading half.
#[derive(Debug)]
pub struct Reader {
    stream: BufReader<ReadHalf<Box<dyn Road>>>,
    /// Bytes read since the connection was made, or since the count was taken.
    pub bytes_read: u64,
}

impl Connection {
    /// Tries each address that the name has, as the system's resolver gives them.
    pub async fn open(address: impl ToSocketAddrs) -> io::Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let local_address = stream.local_addr()?;
        Ok(Connection::over(Box::new(stream), local_address))
    }

    /// The same over TLS, where that is how the far end is reached.
    pub async fn open_as(
        host: &str,
        port: u16,
        encryption: Option<&Encryption>,
    ) -> io::Result<Connection> {
        let Some(encryption) = encryption else {
            return Connection::open((host, port)).await;
        };
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        let local_address = stream.local_addr()?;
        let stream = encryption.connect(stream, host).await?;
        Ok(Connection::over(Box::new(stream), local_address))
    }

    fn over(road: Box<dyn Road>, local_address: SocketAddr) -> Connection {
        let (reader, writer) = split(road);
        Connection {
            reader: Reader {
                stream: BufReader::with_capacity(64 << 10, reader),
                bytes_read: 0,
            },
            writer,
            local_address,
        }
    }

    /// One command, one reply; an error reply is a refusal.
    pub async fn call<A: AsRef<[u8]>>(&mut self, command: &[A]) -> Result<Value, Failure> {
        self.writer.write_all(&encode(command)).await?;
        self.writer.flush().await?;
        match self.reader.value().await? {
            Value::Error(text) => Err(Failure::Refused(text)),
            value => Ok(value),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Lost(error)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Lost(error) => write!(f, "connection error: {error}"),
            Failure::Refused(text) => write!(f, "{text}"),
        }
    }
}

impl Reader {
    /// One reply.
    pub async fn value(&mut self) -> io::Result<Value> {
        let line = self.line().await?;
        let (kind, rest) = line
            .split_at_checked(1)
            .ok_or_else(|| malformed("an empty line"))?;
        match kind {
            "+" => Ok(Value::Simple(rest.to_owned())),
            "-" => Ok(Value::Error(rest.to_owned())),
            ":" => Ok(Value::Integer(number(rest)?)),
            "$" | "*" if rest == "-1" => Ok(Value::Null),
            "$" => self.bulk(rest).await.map(Value::Bulk),
            "*" => {
                let mut items = Vec::new();
                for _ in 0..number::<usize>(rest)? {
                    items.push(Box::pin(self.value()).await?);
                }
                Ok(Value::Array(items))
            }
            _ => Err(malformed(&line)),
        }
    }

    /// One command of a replication stream: an array of bulk strings.
    pub async fn command(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let line = self.line().await?;
        // A master that has nothing else to say sends bare newlines.
        let Some(count) = line.strip_prefix('*') else {
            return if line.is_empty() {
                Ok(Vec::new())
            } else {
                Err(malformed(&line))
            };
        };
        let mut arguments = Vec::new();
        for _ in 0..number::<usize>(count)? {
            let line = self.line().await?;
            let length = line.strip_prefix('$').ok_or_else(|| malformed(&line))?;
            arguments.push(self.bulk(length).await?);
        }
        Ok(arguments)
    }

    /// A line without its end.
    pub async fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        let length = self.stream.read_until(b'\n', &mut line).await?;
        if line.pop() != Some(b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.bytes_read += length as u64;
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        String::from_utf8(line).map_err(|_| malformed("not UTF-8"))
    }

    /// Exactly so many bytes.
    pub async fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).await?;
        self.bytes_read += length as u64;
        Ok(bytes)
    }

    /// Everything up to `mark`, which is taken and left out. Nothing follows it in what has arrived.
    pub async fn until(&mut self, mark: &[u8]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(mark) {
            let read = self.stream.read_buf(&mut bytes).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.bytes_read += read as u64;
        }
        bytes.truncate(bytes.len() - mark.len());
        Ok(bytes)
    }

    async fn bulk(&mut self, length: &str) -> io::Result<Vec<u8>> {
        let length = number::<usize>(length)?;
        let mut bytes = self.exactly(length + 2).await?;
        bytes.truncate(length);
        Ok(bytes)
    }
}

/// A command as an array of bulk strings.
pub fn encode<A: AsRef<[u8]>>(command: &[A]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", command.len()).into_bytes();
    for argument in command {
        let argument = argument.as_ref();
        bytes.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        bytes.extend_from_slice(argument);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

fn number<N: std::str::FromStr>(text: &str) -> io::Result<N> {
    text.parse().map_err(|_| malformed(text))
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not RESP: {what:?}"))
}
