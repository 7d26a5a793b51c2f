//! Attempts in a row, each with a fault by chance, under load; and one attempt for each place at which the sidecar can
//! die. After some of them the load is ended and judged by what the database holds, and begins anew.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::fault::{Fault, Request, What};
use super::kit::Reply;
use super::load::Load;
use super::random::Random;
use super::round::{Excuses, Round, attempt};
use super::world::{Side, World};

/// Attempts between two judgements.
const CHAPTER: usize = 12;
/// Attempts of one run, where `HANDOVER_FAULTS` does not say so.
const ATTEMPTS: usize = 24;
/// Chances of an attempt without a fault: one in so many.
const GOOD_ONE_IN: usize = 5;
/// Attempts for a place that is not passed: on a busy machine a bound may come before the answer that leads there.
const TRIES: usize = 3;

/// `HANDOVER_FAULTS=300` makes 300 attempts; `HANDOVER_SEED` makes those of an earlier run again.
pub fn by_chance() {
    let seed = number("HANDOVER_SEED").unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        since.subsec_nanos().into()
    });
    let attempts = number("HANDOVER_FAULTS").map_or(ATTEMPTS, |number| number as usize);
    let mut random = Random::new(seed);
    let trials = (0..attempts).map(|_| {
        let good = random.once_in(GOOD_ONE_IN);
        Trial {
            from: None,
            fault: (!good).then(|| Fault::random(&mut random)),
        }
    });
    let again = format!("HANDOVER_SEED={seed} HANDOVER_FAULTS={attempts} dev/test --test faults");
    let tally = run(&trials.collect::<Vec<_>>(), &again);
    tally.tell(&again);
    // A campaign whose faults do not come about shows nothing.
    assert!(
        tally.struck * 10 >= tally.faults * 6,
        "only {} of {} faults came about",
        tally.struck,
        tally.faults
    );
}

/// The sidecar dies at each place that it passes in a cutover, in a rollback, and in a cutover that is undone.
pub fn at_every_place() {
    let mut world = World::ready();
    let mut trials: Vec<Trial> = Vec::new();
    for behind in [None, None, Some((What::Refuse, Request::Detach))] {
        let from = world.active();
        for place in places(&mut world, behind) {
            let known = trials
                .iter()
                .any(|trial| trial.fault.as_ref().is_some_and(|it| it.is_at(&place)));
            if !known {
                trials.push(Trial {
                    from: Some(from),
                    fault: Some(Fault::death(&place, behind)),
                });
            }
        }
    }
    drop(world);
    assert!(trials.len() > 50, "too few places: {}", trials.len());
    if let Ok(only) = std::env::var("HANDOVER_ONLY") {
        trials.retain(|trial| {
            let fault = trial.fault.as_ref().map(ToString::to_string);
            fault.is_some_and(|fault| fault.contains(&only))
        });
    }
    let again = "HANDOVER_ONLY='the place' dev/test --test faults every_place";
    let mut missed = Vec::new();
    for _ in 0..TRIES {
        let tally = run(&trials, again);
        tally.tell(again);
        missed = tally.missed;
        let was_missed = |fault: &Fault| missed.contains(&fault.to_string());
        trials.retain(|trial| trial.fault.as_ref().is_some_and(was_missed));
        if trials.is_empty() {
            break;
        }
    }
    assert_eq!(missed, Vec::<String>::new(), "each place is passed");
}

/// The places of one attempt, each once, whatever the numbers in them are.
fn places(world: &mut World, behind: Option<(What, Request)>) -> Vec<String> {
    let left = world.active();
    if let Some((what, request)) = behind {
        Fault::at_request(what, request, Duration::ZERO).lay(world, left);
    }
    let admin = world.sidecar.admin();
    let passed = world.places_of(|| {
        let answer = match left {
            Side::Source => admin.cutover(),
            Side::Target => admin.rollback(),
        };
        assert_eq!(answer.status, 200, "{}", answer.text);
    });
    world.heal();
    world.recover().unwrap_or_else(|text| panic!("{text}"));
    let mut found: Vec<String> = Vec::new();
    for place in passed.iter().map(|place| generalize(place)) {
        if !found.contains(&place) {
            found.push(place);
        }
    }
    found
}

/// An attempt that is to be made.
struct Trial {
    /// The side that is to be left; where it is not active, an attempt without a fault comes before. None: whichever is.
    from: Option<Side>,
    fault: Option<Fault>,
}

#[derive(Debug, Default)]
struct Tally {
    attempts: usize,
    faults: usize,
    struck: usize,
    /// Faults that did not come about.
    missed: Vec<String>,
    done: usize,
    longest: Duration,
    outcomes: BTreeMap<String, usize>,
    took: Duration,
}

impl Tally {
    fn note(&mut self, round: &Round, fault: Option<&Fault>) {
        self.attempts += 1;
        self.faults += usize::from(fault.is_some());
        self.struck += usize::from(round.struck);
        self.missed
            .extend(fault.filter(|_| !round.struck).map(ToString::to_string));
        self.longest = self.longest.max(round.longest);
        let outcome = round.outcome.as_deref().unwrap_or("died");
        let word = outcome.split(' ').next().unwrap_or_default().to_owned();
        *self.outcomes.entry(word).or_default() += 1;
    }

    fn tell(&self, again: &str) {
        eprintln!(
            "{} attempts, {} faults of which {} struck, {:?}; {} operations done, all accounted for; no client waited \
             longer than {:?} for a held write; {:?}; again: {again}",
            self.attempts,
            self.faults,
            self.struck,
            self.outcomes,
            self.done,
            self.longest,
            self.took
        );
    }
}

fn run(trials: &[Trial], again: &str) -> Tally {
    let began = Instant::now();
    let mut world = World::ready();
    let mut tally = Tally::default();
    for (number, chapter) in trials.chunks(CHAPTER).enumerate() {
        let load = Load::start(world.sidecar.addr("app"), &format!("chapter{number}"));
        assert!(load.clients() >= 50);
        let (mut told, mut excuses) = (Vec::new(), Excuses::default());
        let fail = |told: &[String], text: &str| -> ! {
            panic!("{text}\nattempts:\n{}\nagain: {again}", told.join("\n"))
        };
        for (index, trial) in chapter.iter().enumerate() {
            let fault = &trial.fault;
            if trial.from.is_some_and(|from| from != world.active())
                && let Err(text) = attempt(&mut world, &load, None, &mut excuses)
            {
                fail(&told, &text);
            }
            let what = fault
                .as_ref()
                .map_or_else(|| "no fault".to_owned(), ToString::to_string);
            told.push(format!("{}: {what}", number * CHAPTER + index));
            let from = Instant::now();
            match attempt(&mut world, &load, fault.as_ref(), &mut excuses) {
                Ok(round) => {
                    tally.note(&round, fault.as_ref());
                    told.push(format!("   {round:?} in {:?}", from.elapsed()));
                    if std::env::var_os("HANDOVER_DEBUG").is_some()
                        && fault.is_some()
                        && !round.struck
                    {
                        eprintln!("{}", world.sidecar.log());
                    }
                    if std::env::var_os("HANDOVER_TELL").is_some() {
                        eprintln!("{}", told[told.len() - 2..].join("\n"));
                    }
                }
                Err(text) => fail(&told, &text),
            }
        }
        match load.judge(world.server(world.active())) {
            Ok(done) => tally.done += done,
            Err(text) => fail(&told, &text),
        }
        assert!(world.sides_are_equal(), "the sides differ; {told:#?}");
        let mut app = super::kit::Client::connect(world.sidecar.addr("app"));
        assert_eq!(app.call(&["FLUSHALL"]), Reply::ok());
    }
    tally.took = began.elapsed();
    tally
}

pub fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is not a number")),
    )
}

/// The name of an order or event without what differs from attempt to attempt.
fn generalize(place: &str) -> String {
    // What a look sees and what was asked for is one thing today and another tomorrow.
    for vague in ["at LinkReported", "at Asked("] {
        if place.starts_with(vague) {
            return vague.to_owned();
        }
    }
    // Why an attempt was undone depends on what came first, a bound or an answer.
    let place = place.split("reasons: [").next().unwrap_or(place);
    let mut general = String::new();
    for part in place.split_inclusive(|character: char| !character.is_ascii_alphabetic()) {
        let word = part.trim_end_matches(|character: char| !character.is_ascii_alphabetic());
        let rest = &part[word.len()..];
        general.push_str(word);
        if rest.chars().any(|character| character.is_ascii_digit()) {
            if !general.ends_with('*') {
                general.push('*');
            }
        } else {
            general.push_str(rest);
        }
    }
    general
}
