//! What the runner needs of a link. A trait, so that a test can put a link in its place that hangs, lies or is slow.

use std::future::Future;
use std::time::Duration;

use crate::link::preflight::{self, Clients, Finding};
use crate::link::{Abilities, CaughtUp, Direction, Error, Link, Position, Report, Watched};
use crate::terms::Side;

/// A link, as the runner uses it. The methods are those of [`Link`]; each may be dropped half-way.
#[allow(missing_docs)] // named and described at `Link`
pub trait Replication: Send {
    fn driver_name(&self) -> &'static str;
    fn abilities(&self, direction: Direction) -> Abilities;
    fn provide(&mut self) -> impl Future<Output = Result<(), Error>> + Send;
    fn prepare(&mut self, direction: Direction) -> impl Future<Output = Result<(), Error>> + Send;
    fn observe(&mut self, direction: Direction) -> impl Future<Output = Report> + Send;
    fn position(
        &mut self,
        direction: Direction,
    ) -> impl Future<Output = Result<Position, Error>> + Send;
    fn caught_up(
        &mut self,
        direction: Direction,
        position: &Position,
    ) -> impl Future<Output = Result<CaughtUp, Error>> + Send;
    fn fence(
        &mut self,
        direction: Direction,
        lasting: Duration,
    ) -> impl Future<Output = Result<(), Error>> + Send;
    fn unfence(&mut self, direction: Direction) -> impl Future<Output = Result<(), Error>> + Send;
    fn detach(
        &mut self,
        direction: Direction,
        applied: Option<&Position>,
    ) -> impl Future<Output = Result<(), Error>> + Send;
    fn reverse(&mut self, direction: Direction) -> impl Future<Output = Result<(), Error>> + Send;
    fn write_marker(
        &mut self,
        direction: Direction,
        value: &str,
    ) -> impl Future<Output = Result<(), Error>> + Send;
    fn marker_seen(
        &mut self,
        direction: Direction,
        value: &str,
    ) -> impl Future<Output = Result<bool, Error>> + Send;
    fn held_back(
        &mut self,
        direction: Direction,
    ) -> impl Future<Output = Result<Option<String>, Error>> + Send;
    fn begin_counting(&mut self, side: Side) -> impl Future<Output = Result<(), Error>> + Send;
    fn counted(&mut self, side: Side)
    -> impl Future<Output = Result<Option<String>, Error>> + Send;
    fn receives_writes(
        &mut self,
        side: Side,
    ) -> impl Future<Output = Result<Option<String>, Error>> + Send;
    fn watch(&mut self, direction: Direction) -> impl Future<Output = Watched> + Send;
    fn hand_back(&mut self) -> impl Future<Output = Result<(), Error>> + Send;
    fn is_empty(&mut self, side: Side) -> impl Future<Output = Result<bool, Error>> + Send;
    fn same_server(&mut self) -> impl Future<Output = Result<bool, Error>> + Send;
    fn preflight(
        &mut self,
        direction: Direction,
        clients: &Clients,
    ) -> impl Future<Output = Vec<Finding>> + Send;
}

impl Replication for Link {
    fn driver_name(&self) -> &'static str {
        Link::driver_name(self)
    }

    fn abilities(&self, direction: Direction) -> Abilities {
        Link::abilities(self, direction)
    }

    async fn provide(&mut self) -> Result<(), Error> {
        Link::provide(self).await
    }

    async fn prepare(&mut self, direction: Direction) -> Result<(), Error> {
        Link::prepare(self, direction).await
    }

    async fn observe(&mut self, direction: Direction) -> Report {
        Link::observe(self, direction).await
    }

    async fn position(&mut self, direction: Direction) -> Result<Position, Error> {
        Link::position(self, direction).await
    }

    async fn caught_up(
        &mut self,
        direction: Direction,
        position: &Position,
    ) -> Result<CaughtUp, Error> {
        Link::caught_up(self, direction, position).await
    }

    async fn fence(&mut self, direction: Direction, lasting: Duration) -> Result<(), Error> {
        Link::fence(self, direction, lasting).await
    }

    async fn unfence(&mut self, direction: Direction) -> Result<(), Error> {
        Link::unfence(self, direction).await
    }

    async fn detach(
        &mut self,
        direction: Direction,
        applied: Option<&Position>,
    ) -> Result<(), Error> {
        Link::detach(self, direction, applied).await
    }

    async fn reverse(&mut self, direction: Direction) -> Result<(), Error> {
        Link::reverse(self, direction).await
    }

    async fn write_marker(&mut self, direction: Direction, value: &str) -> Result<(), Error> {
        Link::write_marker(self, direction, value).await
    }

    async fn marker_seen(&mut self, direction: Direction, value: &str) -> Result<bool, Error> {
        Link::marker_seen(self, direction, value).await
    }

    async fn held_back(&mut self, direction: Direction) -> Result<Option<String>, Error> {
        Link::held_back(self, direction).await
    }

    async fn begin_counting(&mut self, side: Side) -> Result<(), Error> {
        Link::begin_counting(self, side).await
    }

    async fn counted(&mut self, side: Side) -> Result<Option<String>, Error> {
        Link::counted(self, side).await
    }

    async fn receives_writes(&mut self, side: Side) -> Result<Option<String>, Error> {
        Link::receives_writes(self, side).await
    }

    async fn watch(&mut self, direction: Direction) -> Watched {
        Link::watch(self, direction).await
    }

    async fn hand_back(&mut self) -> Result<(), Error> {
        Link::hand_back(self).await
    }

    async fn is_empty(&mut self, side: Side) -> Result<bool, Error> {
        Link::is_empty(self, side).await
    }

    async fn same_server(&mut self) -> Result<bool, Error> {
        Link::same_server(self).await
    }

    async fn preflight(&mut self, direction: Direction, clients: &Clients) -> Vec<Finding> {
        preflight::check(self, direction, clients).await
    }
}
