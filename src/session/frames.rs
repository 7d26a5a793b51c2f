//! Subscriptions, MONITOR, tracking: connections on which not every frame is a reply. Here the session itself tells
//! messages from confirmations from replies, and keeps what it needs to do the same on the other side.

mod line;

use std::collections::{BTreeSet, VecDeque};

use self::line::{Drawn, Line};
use super::frame_text::{TOO_MANY, TOO_MUCH_TRACKING, Words, index, is_line, is_monitor_line};
use super::private::Got;
use super::relay::{End, Park, Session};
use super::reply::Client;
use super::route::{Asked, Step};
use super::ticket::{Handling, Purpose, Shown, Ticket};
use super::tracking::Tracking;
use crate::command::{Effect, Subscription};
use crate::gate::Intent;
use crate::metrics::Gauge;
use crate::resp::encode::{self, Protocol};
use crate::resp::reply::Kind;
use crate::upstream::{Loss, Pipeline};

/// What a session with messages keeps.
#[derive(Default)]
pub(super) struct Frames {
    /// The connection in frames mode, by its number.
    connection: Option<u64>,
    /// Channels, patterns, shard channels.
    subscriptions: [BTreeSet<Vec<u8>>; 3],
    /// Bytes of their names.
    bytes: usize,
    /// Its invalidations go to a connection that cannot be found on the other side.
    unmovable: bool,
    /// Whether it monitors.
    monitor: Monitor,
    /// CLIENT TRACKING, as it was asked for.
    pub(super) tracking: Tracking,
    /// What the connection owes, oldest first.
    expected: VecDeque<Expected>,
    /// The beginning of a large reply that the session wants to see.
    partial: Vec<u8>,
    /// The line between the sides.
    line: Line,
    gauge: Option<Gauge>,
}

/// How far MONITOR has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Monitor {
    /// It was not sent, or refused.
    #[default]
    Off,
    /// It has no reply yet.
    Asked,
    /// Each command that the server executes brings a line.
    On,
}

/// A reply that is owed.
enum Expected {
    /// One frame.
    Reply(Ticket),
    /// Confirmations of one request.
    Confirmations {
        /// The request's number.
        number: u64,
        /// How many are left; none where the server decides (UNSUBSCRIBE from everything).
        left: Option<usize>,
        /// Of what.
        kind: Subscription,
    },
}

impl Frames {
    /// Whether the session has a connection in frames mode.
    pub(super) fn is_on(&self) -> bool {
        self.connection.is_some()
    }

    /// Whether `connection` is it.
    pub(super) fn is_on_connection(&self, connection: u64) -> bool {
        self.connection == Some(connection)
    }

    /// Whether a reply is owed on the connection.
    pub(super) fn owes(&self) -> bool {
        !self.expected.is_empty()
    }

    /// One more reply is owed.
    pub(super) fn expect_reply(&mut self, ticket: Ticket) {
        self.expected.push_back(Expected::Reply(ticket));
    }

    /// The session is as new.
    pub(super) fn turn_off(&mut self) {
        *self = Frames::default();
    }

    /// Nothing is prepared on the other side any more.
    pub(super) fn forget_line(&mut self) {
        self.line = Line::default();
        self.unmovable = false;
    }

    /// Whether the session is subscribed to `channel`.
    pub(super) fn hears(&self, channel: &[u8]) -> bool {
        self.subscriptions[index(Subscription::Channel)].contains(channel)
    }

    /// What must be sent on a fresh connection, behind `out`, to have the same messages there.
    fn replay(&self, mut out: Vec<u8>) -> Vec<u8> {
        for (names, command) in
            self.subscriptions
                .iter()
                .zip([b"SUBSCRIBE".as_slice(), b"PSUBSCRIBE", b"SSUBSCRIBE"])
        {
            for name in names {
                encode::command(&[command, name], &mut out);
            }
        }
        out
    }

    fn count(&self) -> usize {
        self.subscriptions.iter().map(BTreeSet::len).sum()
    }
}

impl Session {
    /// SUBSCRIBE, UNSUBSCRIBE and their kin; MONITOR; CLIENT TRACKING.
    pub(super) fn subscribe(&mut self, asked: Asked<'_>) -> Result<Step, End> {
        if self.worker.gate.policy().stage.holds_writes() {
            return Ok(self.hold());
        }
        if asked.verdict.effect == Effect::ClientTracking && self.side_of_reads_alone().is_some() {
            return Ok(self.refuse_here(
                "CLIENT TRACKING is not available where reads and writes go to different sides",
            ));
        }
        let side = match self.admit(asked, Intent::Stay) {
            Ok((side, _)) => side,
            Err(step) => return Ok(step),
        };
        if self.is_left_behind(side) {
            return Ok(self.hold());
        }
        if !self.frames.is_on() && self.client.unanswered() > 0 {
            self.client.signal_when_answered();
            return Ok(Step::Parked(Park::Order));
        }
        let names = asked.request.len() - 1;
        let limits = self.worker.limits();
        if let Effect::Subscribe(_) = asked.verdict.effect
            && (self.frames.count() + names > limits.subscriptions
                || self.frames.bytes + asked.frame().len() > limits.subscription_bytes)
        {
            return Ok(self.answer(TOO_MANY));
        }
        if asked.verdict.effect == Effect::Monitor && asked.request.len() == 1 {
            match self.frames.monitor {
                Monitor::Off => {}
                Monitor::Asked => {
                    self.client.signal_when_answered();
                    return Ok(Step::Parked(Park::Order));
                }
                // Servers give no second one a reply, and whoever waited for it would wait for ever.
                Monitor::On => return Ok(Step::Done),
            }
        }
        let tracks = asked.verdict.effect == Effect::ClientTracking;
        if tracks && self.frames.tracking.is_asked() {
            self.client.signal_when_answered();
            return Ok(Step::Parked(Park::Order));
        }
        if tracks && !self.frames.tracking.has_room() {
            return Ok(self.answer(TOO_MUCH_TRACKING));
        }
        let pipeline = match self.private_connection(side)? {
            Got::Connection(pipeline) => pipeline,
            Got::Park(park) => return Ok(Step::Parked(park)),
            Got::None(reply) => return Ok(self.answer(&reply)),
        };
        if !self.frames.is_on() && pipeline.outstanding() > 0 {
            // What it owes is a reply to the proxy itself: of an UNWATCH or DISCARD that the client did not send.
            return Ok(self.wait_for_room(&pipeline));
        }
        self.enter_frames(&pipeline);
        self.count(side, asked.verdict.class);
        // What is prepared on the other side no longer matches; it is prepared again.
        self.sides.drop_ahead();
        self.frames.forget_line();
        let number = self.client.number(1);
        pipeline.append_unowed(asked.frame());
        let expected = match asked.verdict.effect {
            Effect::Subscribe(kind) if names > 0 => Expected::Confirmations {
                number,
                left: Some(names),
                kind,
            },
            Effect::Unsubscribe(kind) => Expected::Confirmations {
                number,
                left: (names > 0).then_some(names),
                kind,
            },
            effect => {
                let handling = match effect {
                    Effect::ClientTracking => {
                        self.frames.tracking.ask(asked.frame());
                        Handling::Show(Purpose::Tracking)
                    }
                    Effect::Monitor => {
                        self.frames.monitor = Monitor::Asked;
                        Handling::Show(Purpose::Monitor)
                    }
                    _ => Handling::Relay,
                };
                Expected::Reply(Ticket {
                    number,
                    handling,
                    permit: None,
                    read_at: self.read_at,
                    head: Vec::new(),
                })
            }
        };
        self.frames.expected.push_back(expected);
        pipeline.flush();
        Ok(Step::Done)
    }

    /// From here on not every frame on the session's connection is a reply. Nothing may be owed on it.
    pub(super) fn enter_frames(&mut self, pipeline: &Pipeline<Client>) {
        if !self.frames.is_on() {
            self.watch_frames(pipeline);
            self.frames.connection = Some(pipeline.number());
            self.frames.gauge = Some(self.worker.metrics.subscribed());
        }
    }

    /// A frame on one of the session's connections in frames mode.
    pub(super) fn frame(&mut self, connection: u64, kind: Kind, frame: &[u8]) -> Result<(), End> {
        if self.sides.is_ahead(connection) {
            return self.frame_ahead(frame);
        }
        if !self.frames.is_on_connection(connection) {
            // Another session redirects its invalidations to this one.
            if kind == Kind::Push && self.sides.is_private(connection) {
                self.client.message(frame);
            }
            return Ok(());
        }
        if self.frames.line.old_side == Drawn::Asked
            && is_line(frame, self.who.protocol, self.frames.count() > 0)
        {
            self.frames.line.old_side = Drawn::Yes;
            return Ok(());
        }
        match self.meaning(kind, frame) {
            Meaning::Message => {
                self.client.message(frame);
                Ok(())
            }
            Meaning::Confirmation(name, word) => {
                self.confirmed(frame, name, &word);
                Ok(())
            }
            Meaning::Reply => self.reply_in_frames(frame),
        }
    }

    /// A piece of a large reply on the session's connection in frames mode.
    pub(super) fn frame_piece(
        &mut self,
        connection: u64,
        bytes: &[u8],
        ends: bool,
    ) -> Result<(), End> {
        if !self.frames.is_on_connection(connection) {
            return Ok(());
        }
        if let Some(Expected::Reply(Ticket {
            number,
            handling: Handling::Relay,
            ..
        })) = self.frames.expected.front()
        {
            let number = *number;
            if ends {
                self.frames.expected.pop_front();
                self.client.answer(number, bytes);
            } else {
                self.client.part_of_answer(number, bytes, false);
            }
            return Ok(());
        }
        let most = self.client.waiting_bytes_most();
        if self.frames.partial.len() + bytes.len() > most {
            return Err(End::Lost(Loss::TooLarge(most)));
        }
        self.frames.partial.extend_from_slice(bytes);
        if ends {
            let frame = std::mem::take(&mut self.frames.partial);
            return self.reply_in_frames(&frame);
        }
        Ok(())
    }

    fn meaning(&self, kind: Kind, frame: &[u8]) -> Meaning {
        let is_push = match (kind, self.who.protocol) {
            (Kind::Push, _) => true,
            (Kind::Array, Protocol::Resp2) => {
                self.frames.count() > 0 || self.expects_confirmation()
            }
            (Kind::Simple, _) => {
                return if self.frames.monitor != Monitor::Off && is_monitor_line(frame) {
                    Meaning::Message
                } else {
                    Meaning::Reply
                };
            }
            _ => false,
        };
        if !is_push {
            return Meaning::Reply;
        }
        let mut words = Words::of(frame);
        let word = words.next().unwrap_or_default();
        match word {
            b"subscribe" | b"psubscribe" | b"ssubscribe" | b"unsubscribe" | b"punsubscribe"
            | b"sunsubscribe"
                if self.expects_confirmation() =>
            {
                Meaning::Confirmation(words.next().map(<[u8]>::to_vec), word.to_vec())
            }
            b"message" | b"pmessage" | b"smessage" => Meaning::Message,
            _ if kind == Kind::Push => Meaning::Message,
            _ => Meaning::Reply,
        }
    }

    fn expects_confirmation(&self) -> bool {
        matches!(
            self.frames.expected.front(),
            Some(Expected::Confirmations { .. })
        )
    }

    fn confirmed(&mut self, frame: &[u8], name: Option<Vec<u8>>, word: &[u8]) {
        let Some(Expected::Confirmations { number, left, kind }) = self.frames.expected.front_mut()
        else {
            return;
        };
        let (number, set) = (*number, &mut self.frames.subscriptions[index(*kind)]);
        let all = set.len().max(1);
        // Confirmations are sent even where replies are off.
        self.client.unmute(number);
        let remaining = left.unwrap_or(all) - 1;
        *left = Some(remaining);
        if let Some(name) = name {
            let length = name.len();
            if word.starts_with(b"un") || word[1..].starts_with(b"un") {
                if set.remove(&name) {
                    self.frames.bytes -= length;
                }
            } else if set.insert(name) {
                self.frames.bytes += length;
            }
        }
        if remaining == 0 {
            self.frames.expected.pop_front();
            self.client.answer(number, frame);
        } else {
            self.client.part_of_answer(number, frame, true);
        }
    }

    pub(super) fn monitor_answered(&mut self, number: u64, reply: &[u8]) {
        self.frames.monitor = if reply.starts_with(b"+") {
            Monitor::On
        } else {
            Monitor::Off
        };
        self.client.answer(number, reply);
    }

    fn reply_in_frames(&mut self, frame: &[u8]) -> Result<(), End> {
        match self.frames.expected.pop_front() {
            Some(Expected::Reply(Ticket {
                number, handling, ..
            })) => match handling {
                Handling::Relay => self.client.answer(number, frame),
                Handling::Swallow => {}
                Handling::Show(purpose) | Handling::Pass(purpose) => {
                    return self.look_at(Shown::Reply {
                        number,
                        purpose,
                        reply: frame.into(),
                    });
                }
            },
            // An error in the place of confirmations: one reply for the whole request.
            Some(Expected::Confirmations { number, .. }) => self.client.answer(number, frame),
            None => {
                return Err(End::Lost(Loss::Protocol(
                    "a frame that nobody asked for".to_owned(),
                )));
            }
        }
        Ok(())
    }
}

/// What a frame on such a connection is.
enum Meaning {
    Message,
    /// Of a subscription: its name, and the word that says what was done.
    Confirmation(Option<Vec<u8>>, Vec<u8>),
    Reply,
}
