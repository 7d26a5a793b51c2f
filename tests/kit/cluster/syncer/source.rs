//! One source, followed as a replica follows it: PSYNC, the snapshot, the stream; a connection that was lost is taken up
//! again where the target stands, if the source can.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::sync::{Notify, mpsc};
use tokio::time::sleep;

use super::apply::{Queued, apply};
use super::load::load;
use super::progress::{Hardship, Progress, SourceStatus};
use super::wire::{Connection, Failure, Reader, Writer, encode};
use super::{Source, Target};

/// Between two attempts to reach a source.
const RETRY: Duration = Duration::from_millis(100);
/// How often the source is told how far it has been read, as replicas do.
const ACKNOWLEDGE: Duration = Duration::from_secs(1);
/// Commands that are read and not applied yet; a source that sends more has to wait.
const QUEUE: usize = 1 << 16;

/// Why a source is not followed any more.
#[derive(Debug)]
pub enum Ending {
    /// Everything has to be copied anew, from all sources.
    StartOver,
    /// It cannot go on without a person.
    GiveUp { source: usize, why: String },
}

/// How far a stream has been applied.
#[derive(Debug)]
struct Position {
    replication_id: String,
    applied: u64,
}

/// Why a connection to the source is over.
enum Broken {
    /// To be tried again from the same position.
    Lost(String),
    Ended(Ending),
}

/// Follows one source.
#[derive(Debug, Clone)]
pub struct Follower {
    /// Its place among the sources.
    pub index: usize,
    pub source: Source,
    pub target: Target,
    pub progress: Arc<Progress>,
    pub hardship: Arc<Hardship>,
}

impl Follower {
    /// Follows it until it cannot.
    pub async fn follow(self) -> Ending {
        let mut position = None;
        loop {
            match self.session(&mut position).await {
                Broken::Ended(ending) => return ending,
                Broken::Lost(why) => {
                    self.progress.change(self.index, |it| {
                        it.status = SourceStatus::OutOfSync;
                        it.last_error = Some(why);
                    });
                    sleep(RETRY).await;
                }
            }
        }
    }

    /// One connection to the source, from its beginning to its end.
    async fn session(&self, position: &mut Option<Position>) -> Broken {
        let full_copies = self.hardship.now().full_copies;
        let mut sufferings = self.hardship.watch();
        tokio::select! {
            broken = self.converse(position) => broken,
            _ = sufferings.wait_for(|now| now.full_copies != full_copies) => {
                Broken::Ended(Ending::StartOver)
            }
        }
    }

    async fn converse(&self, position: &mut Option<Position>) -> Broken {
        let mut source = match self.introduce().await {
            Ok(connection) => connection,
            Err(failure) => return self.broken(failure),
        };
        let mut target = match self.target.connect().await {
            Ok(connection) => connection,
            Err(failure) => return self.broken(failure),
        };
        let answer = match ask_for_the_stream(&mut source, position.as_ref()).await {
            Ok(answer) => answer,
            Err(failure) => return self.broken(failure),
        };
        let words: Vec<&str> = answer.split(' ').collect();
        match (&words[..], position.as_mut()) {
            (["+FULLRESYNC", ..], Some(_)) => return Broken::Ended(Ending::StartOver),
            (["+FULLRESYNC", id, offset], None) => {
                if let Err(failure) = self.copy(&mut source.reader, &mut target).await {
                    // What has been copied is half a copy.
                    return match failure {
                        Failure::Lost(_) => Broken::Ended(Ending::StartOver),
                        Failure::Refused(_) => self.broken(failure),
                    };
                }
                *position = Some(Position {
                    replication_id: (*id).to_owned(),
                    applied: offset.parse().unwrap(),
                });
            }
            (["+CONTINUE"], Some(_)) => {}
            (["+CONTINUE", id], Some(position)) => (*id).clone_into(&mut position.replication_id),
            // A master that is loading, or has lost its own master.
            _ if answer.starts_with("-LOADING") || answer.starts_with("-NOMASTERLINK") => {
                return Broken::Lost(answer);
            }
            _ => return self.give_up(answer),
        }
        let position = position.as_mut().expect("set above");
        self.stream(source, &mut target, position).await
    }

    /// Connects and authenticates.
    async fn introduce(&self) -> Result<Connection, Failure> {
        let Source {
            host,
            port,
            user,
            password,
            encryption,
        } = &self.source;
        let mut connection = Connection::open_as(host, *port, encryption.as_ref()).await?;
        match (user.as_deref(), password) {
            (_, None) => {}
            (None, Some(password)) => drop(connection.call(&["AUTH", password]).await?),
            (Some(user), Some(password)) => drop(connection.call(&["AUTH", user, password]).await?),
        }
        connection.call(&["PING"]).await?;
        connection
            .call(&["REPLCONF", "capa", "eof", "capa", "psync2"])
            .await?;
        Ok(connection)
    }

    /// The snapshot, from the source to the target.
    async fn copy(&self, source: &mut Reader, target: &mut Connection) -> Result<(), Failure> {
        self.progress
            .change(self.index, |it| it.status = SourceStatus::Syncing);
        let mut announced = source.line().await?;
        while announced.is_empty() {
            announced = source.line().await?;
        }
        let snapshot = match (announced.strip_prefix("$EOF:"), announced.strip_prefix('$')) {
            (Some(mark), _) => source.until(mark.as_bytes()).await?,
            (None, Some(length)) => source.exactly(length.parse().unwrap()).await?,
            (None, None) => return Err(Failure::Refused(announced)),
        };
        load(
            snapshot,
            target,
            (&self.progress, self.index),
            &self.hardship,
        )
        .await
    }

    /// The stream, until the connection ends; what has been read by then is applied.
    async fn stream(
        &self,
        source: Connection,
        target: &mut Connection,
        position: &mut Position,
    ) -> Broken {
        self.progress.change(self.index, |it| {
            it.status = SourceStatus::InSync;
            it.last_error = None;
            it.replication_id = Some(position.replication_id.clone());
            it.read = position.applied;
            it.applied = position.applied;
        });
        let losses = self.hardship.now().losses;
        let mut sufferings = self.hardship.watch();
        let asked = Notify::new();
        let (queue, queued) = mpsc::channel(QUEUE);
        let begin = position.applied;
        let reading = async {
            let why = tokio::select! {
                why = self.read(source.reader, queue, begin, &asked) => why,
                why = self.acknowledge(source.writer, &asked) => why,
                _ = sufferings.wait_for(|now| now.losses != losses) => "cut".to_owned(),
            };
            Ok(why)
        };
        let progress = (&*self.progress, self.index);
        let applying = apply(
            queued,
            target,
            &mut position.applied,
            progress,
            &self.hardship,
        );
        match tokio::try_join!(reading, applying) {
            Ok((why, ())) => Broken::Lost(format!("connection to the source lost: {why}")),
            // The target's server is gone, and what it has applied is not known.
            Err(Failure::Lost(_)) => Broken::Ended(Ending::StartOver),
            Err(failure) => self.broken(failure),
        }
    }

    /// Reads commands into the queue; gives why it ended.
    async fn read(
        &self,
        mut source: Reader,
        queue: mpsc::Sender<Queued>,
        begin: u64,
        asked: &Notify,
    ) -> String {
        source.bytes_read = 0;
        loop {
            let command = match source.command().await {
                Ok(command) => command,
                Err(error) => return error.to_string(),
            };
            let end = begin + source.bytes_read;
            self.progress.change(self.index, |it| it.read = end);
            if command
                .first()
                .is_some_and(|name| name.eq_ignore_ascii_case(b"REPLCONF"))
            {
                asked.notify_one();
            }
            let came = Instant::now();
            if queue.send(Queued { command, end, came }).await.is_err() {
                return "nobody applies".to_owned();
            }
        }
    }

    /// Tells the source how far it has been read, now, each second and when it asks; gives why it ended.
    async fn acknowledge(&self, mut source: Writer, asked: &Notify) -> String {
        loop {
            let read = self.progress.sources()[self.index].read.to_string();
            let acknowledgement = encode(&["REPLCONF", "ACK", &read]);
            let written = match source.write_all(&acknowledgement).await {
                Ok(()) => source.flush().await,
                failed => failed,
            };
            if let Err(error) = written {
                return error.to_string();
            }
            tokio::select! {
                () = sleep(ACKNOWLEDGE) => {}
                () = asked.notified() => {}
            }
        }
    }

    /// A refusal needs a person; an end does not.
    fn broken(&self, failure: Failure) -> Broken {
        match failure {
            Failure::Lost(error) => Broken::Lost(error.to_string()),
            Failure::Refused(why) => self.give_up(why),
        }
    }

    fn give_up(&self, why: String) -> Broken {
        Broken::Ended(Ending::GiveUp {
            source: self.index,
            why,
        })
    }
}

/// PSYNC, and the line that answers it.
async fn ask_for_the_stream(
    source: &mut Connection,
    position: Option<&Position>,
) -> Result<String, Failure> {
    let (id, offset) = match position {
        None => ("?".to_owned(), "-1".to_owned()),
        Some(Position {
            replication_id,
            applied,
        }) => (replication_id.clone(), (applied + 1).to_string()),
    };
    source
        .writer
        .write_all(&encode(&["PSYNC", &id, &offset]))
        .await?;
    source.writer.flush().await?;
    loop {
        let line = source.reader.line().await?;
        // It sends bare newlines while it works on the answer.
        if !line.is_empty() {
            return Ok(line);
        }
    }
}
