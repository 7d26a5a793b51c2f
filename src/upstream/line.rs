//! Who waits for room on a connection, and who is called next.

use std::collections::VecDeque;
use std::task::Waker;

/// A waiting line: first come, first served, but who asks for one thing goes ahead of who asks for many. Those take
/// whatever room they find, and the one would stand behind all of it.
#[derive(Default)]
pub(super) struct Line {
    once: Queue,
    more: Queue,
    /// Calls since the last one that had to go to those who ask for more.
    since: usize,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waker>,
    /// How many have been called so far, over all time.
    called: u64,
}

/// How much a session asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// One request, with nothing behind it.
    Once,
    /// Further requests stand behind the one that waits.
    More,
}

/// A place in the line of one connection. Who keeps it does not stand there twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InLine {
    /// Which connection's line.
    connection: u64,
    asks: Asks,
    /// How many stood or had stood before, over all time.
    number: u64,
}

impl Line {
    /// Stands at the end, unless `in_line` is a place that has not been called; `waker` is woken when it is.
    pub(super) fn join(
        &mut self,
        connection: u64,
        asks: Asks,
        waker: Waker,
        in_line: &mut Option<InLine>,
    ) {
        let stands = in_line
            .is_some_and(|it| it.connection == connection && it.number >= self.of(it.asks).called);
        if !stands {
            let queue = self.of(asks);
            let number = queue.called + queue.waiting.len() as u64;
            queue.waiting.push_back(waker);
            *in_line = Some(InLine {
                connection,
                asks,
                number,
            });
        }
    }

    /// Calls as many as there are, and at most `count`.
    pub(super) fn call(&mut self, count: usize) {
        let (once, more) = (self.once.waiting.len(), self.more.waiting.len());
        let count = count.min(once + more);
        let calls = self.since + count;
        let to_more = more.min(calls / ONE_IN);
        self.since = calls % ONE_IN;
        let to_once = once.min(count - to_more);
        self.once.call(to_once);
        self.more.call(count - to_once);
    }

    fn of(&mut self, asks: Asks) -> &mut Queue {
        match asks {
            Asks::Once => &mut self.once,
            Asks::More => &mut self.more,
        }
    }
}

impl Queue {
    fn call(&mut self, count: usize) {
        self.called += count as u64;
        for waker in self.waiting.drain(..count) {
            waker.wake();
        }
        if self.waiting.is_empty() && self.waiting.capacity() > KEPT {
            self.waiting = VecDeque::new();
        }
    }
}

/// One in so many calls goes to who asks for more, however many ask for one thing.
const ONE_IN: usize = 4;
/// A queue that was longer gives its memory back.
const KEPT: usize = 64;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::Mutex;
    use std::task::Wake;

    use super::*;

    /// Notes that it was called.
    struct Named(&'static str, Arc<Mutex<Vec<&'static str>>>);

    impl Wake for Named {
        fn wake(self: Arc<Self>) {
            self.1.lock().unwrap().push(self.0);
        }
    }

    #[derive(Default)]
    struct Scene {
        line: Line,
        called: Arc<Mutex<Vec<&'static str>>>,
    }

    impl Scene {
        fn join(&mut self, name: &'static str, asks: Asks, in_line: &mut Option<InLine>) {
            let named = Named(name, Arc::clone(&self.called));
            self.line
                .join(7, asks, Waker::from(Arc::new(named)), in_line);
        }

        fn call(&mut self, count: usize) -> Vec<&'static str> {
            self.line.call(count);
            std::mem::take(&mut *self.called.lock().unwrap())
        }
    }

    #[test]
    fn they_are_called_in_the_order_of_their_coming_who_asks_once_before_who_asks_for_more() {
        let mut scene = Scene::default();
        for (name, asks) in [
            ("a", Asks::More),
            ("b", Asks::More),
            ("c", Asks::Once),
            ("d", Asks::Once),
        ] {
            scene.join(name, asks, &mut None);
        }
        assert_eq!(scene.call(3), ["c", "d", "a"]);
        assert_eq!(scene.call(usize::MAX), ["b"]);
        assert!(scene.call(usize::MAX).is_empty());
    }

    #[test]
    fn who_asks_for_more_is_called_whatever_the_others_do() {
        let mut scene = Scene::default();
        scene.join("more", Asks::More, &mut None);
        let calls: Vec<_> = (0..ONE_IN)
            .flat_map(|_| {
                scene.join("once", Asks::Once, &mut None);
                scene.call(1)
            })
            .collect();
        assert_eq!(calls, ["once", "once", "once", "more"]);
    }

    #[test]
    fn nobody_stands_in_line_twice() {
        let mut scene = Scene::default();
        let mut place = None;
        scene.join("a", Asks::More, &mut place);
        scene.join("a", Asks::Once, &mut place);
        assert_eq!(scene.call(usize::MAX), ["a"]);
        scene.join("a", Asks::Once, &mut place);
        assert_eq!(scene.call(usize::MAX), ["a"]);
    }
}
