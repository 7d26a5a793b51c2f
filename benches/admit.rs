//! How long the gate takes to admit a request, and to take its permit back.

use std::hint::black_box;
use std::rc::Rc;

use criterion::{Criterion, criterion_group, criterion_main};
use handover::gate::{Admission, Gate, Intent, Local, ReadRoute, Routes, WriteRoute};
use handover::terms::Side;

fn admit(bench: &mut Criterion) {
    let gate = Gate::new(Side::Source, 1);
    let local = Local::new(&gate, 0);
    let near = Routes {
        reads: ReadRoute::Target,
        writes: WriteRoute::Refuse,
        ..Routes::default()
    };
    for (case, routes, intent) in [
        ("a read", Routes::default(), Intent::Read),
        ("a write", Routes::default(), Intent::Write),
        (
            "a command that waits",
            Routes::default(),
            Intent::WaitAndWrite,
        ),
        ("a read near by", near, Intent::Read),
        ("a write that is refused", near, Intent::Write),
    ] {
        bench.bench_function(&format!("admit {case}"), |bench| {
            bench.iter(|| one(&local, black_box(routes), black_box(intent)));
        });
    }
    bench.bench_function("admit a run of 64 writes under one permit", |bench| {
        bench.iter(|| {
            let mut permit = one(&local, Routes::default(), Intent::Write);
            for _ in 1..64 {
                if let (Some(run), Some(next)) =
                    (&mut permit, one(&local, Routes::default(), Intent::Write))
                {
                    let _ = black_box(run.absorb(next));
                }
            }
            permit
        });
    });
}

fn one(local: &Rc<Local>, routes: Routes, intent: Intent) -> Option<handover::gate::Permit> {
    match local.admit(routes, intent) {
        Admission::Forward(_, permit) => Some(permit),
        Admission::Hold | Admission::Refuse => None,
    }
}

criterion_group!(benches, admit);
criterion_main!(benches);
