//! Makes a schedule that shows a difference as small as it gets and still shows one: first connections go, then
//! steps, then requests, then packets.

use super::compare::Difference;
use super::schedule::Schedule;

/// Attempts that are made at most: each starts two servers and a sidecar.
const ATTEMPTS_MAX: usize = 250;

struct Shrink<F> {
    smallest: Schedule,
    difference: Difference,
    fails: F,
    attempts: usize,
}

/// `fails` plays a schedule in a world of its own and gives the difference, if it still shows.
pub fn shrink(
    schedule: Schedule,
    difference: Difference,
    fails: impl FnMut(&Schedule) -> Option<Difference>,
) -> (Schedule, Difference) {
    let mut shrink = Shrink {
        smallest: schedule,
        difference,
        fails,
        attempts: 0,
    };
    if let Some(step) = shrink.difference.step {
        // What comes later has no part in it.
        shrink.attempt(|schedule| schedule.steps.truncate(step + 1));
    }
    for connection in 0..shrink.smallest.greetings.len() {
        shrink.attempt(|schedule| {
            schedule.steps.retain(|step| step.connection != connection);
        });
    }
    loop {
        let before = (shrink.smallest.requests(), shrink.smallest.steps.len());
        shrink.drop_parts(
            |schedule| schedule.steps.len(),
            |schedule, part| {
                schedule.steps.drain(part);
            },
        );
        for step in (0..shrink.smallest.steps.len()).rev() {
            shrink.drop_parts(
                // The step itself goes with its last request.
                |schedule| (schedule.steps.get(step)).map_or(0, |step| step.requests.len()),
                |schedule, part| {
                    schedule.steps[step].requests.drain(part);
                },
            );
        }
        if before == (shrink.smallest.requests(), shrink.smallest.steps.len()) {
            break;
        }
    }
    for step in 0..shrink.smallest.steps.len() {
        shrink.drop_parts(
            |schedule| schedule.steps[step].cuts.len(),
            |schedule, part| {
                schedule.steps[step].cuts.drain(part);
            },
        );
    }
    for connection in 0..shrink.smallest.greetings.len() {
        shrink.drop_parts(
            |schedule| schedule.greetings[connection].len(),
            |schedule, part| {
                schedule.greetings[connection].drain(part);
            },
        );
    }
    (shrink.smallest, shrink.difference)
}

impl<F: FnMut(&Schedule) -> Option<Difference>> Shrink<F> {
    /// Takes away halves, then quarters and so on, of whatever `length` counts, as long as the difference shows.
    fn drop_parts(
        &mut self,
        length: impl Fn(&Schedule) -> usize,
        drop: impl Fn(&mut Schedule, std::ops::Range<usize>),
    ) {
        let mut size = length(&self.smallest);
        while size > 0 {
            let mut from = 0;
            while from < length(&self.smallest) {
                let to = (from + size).min(length(&self.smallest));
                if !self.attempt(|schedule| drop(schedule, from..to)) {
                    from = to;
                }
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
    }

    fn attempt(&mut self, change: impl FnOnce(&mut Schedule)) -> bool {
        if self.attempts >= ATTEMPTS_MAX {
            return false;
        }
        let mut smaller = self.smallest.clone();
        change(&mut smaller);
        smaller.steps.retain(|step| !step.requests.is_empty());
        self.attempts += 1;
        let Some(difference) = (self.fails)(&smaller) else {
            return false;
        };
        // Another one would be a way to lose this one.
        if difference.kind() != self.difference.kind() {
            return false;
        }
        self.smallest = smaller;
        self.difference = difference;
        true
    }
}
