//! The keys of the source before the traffic begins: every type, some that expire, each a function of its number, so
//! that a reader knows what it must read.
//!
//! Refuses to know: who reads.

use super::client::{Client, Failure, Reply, number, text};

/// Requests in one write while filling: large enough to keep the server busy, small enough to show progress.
const BATCH: u64 = 1000;
/// Time to live of the keys that have one: they must outlive the demo, since a reader expects them.
const EXPIRES_AFTER_SECONDS: &str = "86400";

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Text,
    ExpiringText,
    Hash,
    List,
    Set,
    SortedSet,
    Stream,
}

/// One key: its number says everything.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample(pub(super) u64);

/// Writes samples `0..keys`; `progress` is told how many are done.
pub(super) async fn fill(
    server: &mut Client,
    keys: u64,
    mut progress: impl FnMut(u64),
) -> Result<(), Failure> {
    let mut done = 0;
    while done < keys {
        let end = keys.min(done + BATCH);
        let mut owed = 0;
        for sample in (done..end).map(Sample) {
            for request in sample.writes() {
                server.push(&request.iter().map(String::as_str).collect::<Vec<_>>());
                owed += 1;
            }
        }
        server.flush().await?;
        for _ in 0..owed {
            server.receive().await?;
        }
        done = end;
        progress(done);
    }
    Ok(())
}

impl Sample {
    /// Its key.
    pub(super) fn key(self) -> String {
        format!("sample:{}", self.0)
    }

    /// A request that reads it.
    pub(super) fn read(self) -> Vec<String> {
        let key = self.key();
        let request: &[&str] = match self.holds() {
            Type::Text | Type::ExpiringText => &["GET", &key],
            Type::Hash => &["HGET", &key, "second"],
            Type::List => &["LRANGE", &key, "1", "1"],
            Type::Set => &["SISMEMBER", &key, &self.value()],
            Type::SortedSet => &["ZSCORE", &key, "member"],
            Type::Stream => &["XLEN", &key],
        };
        request.iter().map(ToString::to_string).collect()
    }

    /// Whether that request may be answered so.
    pub(super) fn is(self, reply: &Reply) -> bool {
        match (self.holds(), reply) {
            (Type::Text | Type::ExpiringText | Type::Hash, reply) => {
                text(reply) == Some(&self.value())
            }
            (Type::List, Reply::Array(items)) => {
                items.len() == 1 && text(&items[0]) == Some(&self.value())
            }
            (Type::List, _) => false,
            (Type::Set, reply) => number(reply) == Some(1),
            (Type::SortedSet, reply) => text(reply) == Some(&self.0.to_string()),
            (Type::Stream, reply) => number(reply) == Some(2),
        }
    }

    /// Of twenty keys eleven are strings, two of them with a time to live.
    fn holds(self) -> Type {
        match self.0 % 20 {
            0..=8 => Type::Text,
            9..=10 => Type::ExpiringText,
            11..=13 => Type::Hash,
            14..=15 => Type::List,
            16..=17 => Type::Set,
            18 => Type::SortedSet,
            _ => Type::Stream,
        }
    }

    /// 16 to 143 bytes.
    fn value(self) -> String {
        let length = 16 + (self.0.wrapping_mul(2_654_435_761) >> 8) % 128;
        let digits = format!("{:016x}", self.0);
        digits.chars().cycle().take(length as usize).collect()
    }

    fn writes(self) -> Vec<Vec<String>> {
        let (key, value) = (self.key(), self.value());
        let owned = |request: &[&str]| request.iter().map(ToString::to_string).collect::<Vec<_>>();
        match self.holds() {
            Type::Text => vec![owned(&["SET", &key, &value])],
            Type::ExpiringText => vec![owned(&["SET", &key, &value, "EX", EXPIRES_AFTER_SECONDS])],
            Type::Hash => vec![owned(&["HSET", &key, "first", "1", "second", &value])],
            Type::List => vec![owned(&["RPUSH", &key, "head", &value, "tail"])],
            Type::Set => vec![owned(&["SADD", &key, &value, "another"])],
            Type::SortedSet => vec![owned(&["ZADD", &key, &self.0.to_string(), "member"])],
            Type::Stream => {
                vec![
                    owned(&["XADD", &key, "*", "field", &value]),
                    owned(&["XADD", &key, "*", "field", "again"]),
                ]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::servers::tests::one_server;
    use super::*;

    #[tokio::test]
    async fn every_sample_is_read_as_it_was_written() {
        let server = one_server().await;
        let mut client = Client::connect(server.address()).await.unwrap();
        let mut told = Vec::new();
        fill(&mut client, 2100, |done| told.push(done))
            .await
            .unwrap();
        assert_eq!(told, [1000, 2000, 2100]);
        assert_eq!(number(&client.call(&["DBSIZE"]).await.unwrap()), Some(2100));
        for sample in (0..2100).map(Sample) {
            let request = sample.read();
            let reply = client
                .call(&request.iter().map(String::as_str).collect::<Vec<_>>())
                .await
                .unwrap();
            assert!(sample.is(&reply), "{request:?}: {reply:?}");
            assert!(
                !sample.is(&Reply::Null) && !Sample(sample.0 + 20).is(&reply)
                    || sample.0 % 20 >= 16
            );
        }
    }
}
