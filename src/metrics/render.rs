//! The one list of metrics: names, help, labels, and where each value comes from.

use prometheus::TextEncoder;
use prometheus::proto::{
    Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType, Quantile, Summary,
};

use super::control::{ALARMS, LINK_PHASES, PHASES, Stated};
use super::histogram::Totals;
use super::labels::{
    ClassLabel, ClientError, CutoverOutcome, Direction, FindingSeverity, UpstreamError,
};
use super::registry::Registry;
use crate::terms::Side;

/// The quantiles that are given for each duration.
const QUANTILES: [f64; 3] = [0.5, 0.99, 0.999];

/// Everything in the text format.
pub(super) fn render(registry: &Registry) -> String {
    let mut families = data_path(registry);
    families.extend(durations(registry));
    families.extend(control(&registry.control().stated()));
    // A family without a value is left out: the encoder refuses it, and it would say nothing.
    families.retain(|family| !family.get_metric().is_empty());
    TextEncoder::new()
        .encode_to_string(&families)
        .unwrap_or_else(|error| {
            tracing::error!(%error, "the metrics cannot be written in the text format");
            String::new()
        })
}

/// What the workers count.
fn data_path(registry: &Registry) -> Vec<MetricFamily> {
    let listeners = || registry.listeners.iter().enumerate();
    let commands = || {
        let names = registry.commands.iter().map(String::as_str);
        names.chain(["other"]).enumerate()
    };
    let per_side = |value: &dyn Fn(usize) -> u64| {
        Side::BOTH
            .map(|side| gauge(&[("side", side.as_str())], float(value(side.index()))))
            .to_vec()
    };
    vec![
        counters(
            "handover_requests_total",
            "Requests sent to a side, by the listener they came from and the class of their command.",
            listeners().flat_map(|(listener, name)| {
                Side::BOTH.into_iter().flat_map(move |side| {
                    ClassLabel::ALL.iter().map(move |class| {
                        let labels = [
                            ("listener", name.as_str()),
                            ("side", side.as_str()),
                            ("class", class.as_str()),
                        ];
                        let n = registry.count(|s| {
                            &s.listeners[listener].requests[side.index()][class.index()]
                        });
                        counter(&labels, n)
                    })
                })
            }),
        ),
        counters(
            "handover_refused_writes_total",
            "Commands refused because they may write and their listener refuses writes until the cutover.",
            listeners().flat_map(|(listener, name)| {
                commands().filter_map(move |(index, command)| {
                    let n = registry.count(|s| &s.listeners[listener].refused[index]);
                    (n > 0).then(|| counter(&[("listener", name), ("command", command)], n))
                })
            }),
        ),
        counters(
            "handover_incompatible_commands_total",
            "Requests that the target would refuse (error) or take differently (warning), by command; a request with \
             several such traits counts once for each.",
            FindingSeverity::ALL.iter().flat_map(|severity| {
                commands().filter_map(move |(index, command)| {
                    let n = registry.count(|s| &s.incompatible[severity.index()][index]);
                    let labels = [("command", command), ("severity", severity.as_str())];
                    (n > 0).then(|| counter(&labels, n))
                })
            }),
        ),
        gauges(
            "handover_held_requests",
            "Requests that wait behind a closed gate.",
            [gauge(&[], float(registry.level(|s| &s.held)))],
        ),
        gauges(
            "handover_sessions",
            "Open client connections.",
            listeners().map(|(listener, name)| {
                gauge(
                    &[("listener", name)],
                    float(registry.level(|s| &s.listeners[listener].sessions)),
                )
            }),
        ),
        gauges(
            "handover_private_connections",
            "Upstream connections that belong to one session.",
            per_side(&|side| registry.level(|s| &s.sides[side].private_connections)),
        ),
        counters(
            "handover_bytes_total",
            "Bytes sent to a side and received from it.",
            Side::BOTH.into_iter().flat_map(|side| {
                Direction::ALL.iter().map(move |direction| {
                    let labels = [("side", side.as_str()), ("direction", direction.as_str())];
                    counter(
                        &labels,
                        registry.count(|s| &s.sides[side.index()].bytes[direction.index()]),
                    )
                })
            }),
        ),
        counters(
            "handover_upstream_errors_total",
            "Upstream connections that could not be made or did not last, by reason.",
            Side::BOTH.into_iter().flat_map(|side| {
                UpstreamError::ALL.iter().map(move |reason| {
                    let labels = [("side", side.as_str()), ("reason", reason.as_str())];
                    counter(
                        &labels,
                        registry.count(|s| &s.sides[side.index()].errors[reason.index()]),
                    )
                })
            }),
        ),
        counters(
            "handover_client_errors_total",
            "Client connections that were ended or not let in, by reason.",
            ClientError::ALL.iter().map(|reason| {
                counter(
                    &[("reason", reason.as_str())],
                    registry.count(|s| &s.client_errors[reason.index()]),
                )
            }),
        ),
    ]
}

/// What the workers time.
fn durations(registry: &Registry) -> [MetricFamily; 2] {
    let (now, base) = registry.timings();
    [
        family(
            "handover_overhead_seconds",
            "Time a request and its reply spend inside the proxy; quantiles over the last minute or two.",
            MetricType::SUMMARY,
            [summary(&[], &now.overhead, &base.overhead)],
        ),
        family(
            "handover_upstream_seconds",
            "Time from a request's departure to its reply's arrival; quantiles over the last minute or two.",
            MetricType::SUMMARY,
            Side::BOTH.map(|side| {
                summary(
                    &[("side", side.as_str())],
                    &now.upstream[side.index()],
                    &base.upstream[side.index()],
                )
            }),
        ),
    ]
}

/// What the control side states. A value that is not known has no sample, rather than a wrong one.
fn control(stated: &Stated) -> Vec<MetricFamily> {
    let values = &stated.values;
    let one_of = |label: &'static str, all: &[&'static str], present: &str| {
        all.iter()
            .map(|&name| gauge(&[(label, name)], flag(name == present)))
            .collect::<Vec<_>>()
    };
    let seconds =
        |duration: Option<std::time::Duration>| duration.map(|d| gauge(&[], d.as_secs_f64()));
    vec![
        gauges(
            "handover_link_lag_bytes",
            "Bytes of the replication stream that the filled side has not applied.",
            values.lag_bytes.map(|bytes| gauge(&[], float(bytes))),
        ),
        gauges(
            "handover_link_lag_seconds",
            "Age of the newest write that the filled side has applied.",
            seconds(values.lag),
        ),
        gauges(
            "handover_link_copied_bytes",
            "Bytes of the full copy that the filled side has received.",
            values.copied_bytes.map(|bytes| gauge(&[], float(bytes))),
        ),
        gauges(
            "handover_link_copy_bytes",
            "Bytes of the full copy altogether.",
            values.copy_bytes.map(|bytes| gauge(&[], float(bytes))),
        ),
        gauges(
            "handover_link_phase",
            "1 for the phase in which the replication link is.",
            one_of("phase", &LINK_PHASES, values.link_phase),
        ),
        counters(
            "handover_link_resyncs_total",
            "Times the link has begun its full copy anew.",
            [counter(&[], values.resyncs)],
        ),
        gauges(
            "handover_alarm",
            "1 for each alarm that is raised: a person must look at it.",
            ALARMS
                .iter()
                .zip(values.alarms)
                .map(|(&name, raised)| gauge(&[("alarm", name)], flag(raised)))
                .collect::<Vec<_>>(),
        ),
        gauges(
            "handover_active_side",
            "1 for the side that owns writes.",
            one_of(
                "side",
                &Side::BOTH.map(Side::as_str),
                values.active_side.as_str(),
            ),
        ),
        gauges(
            "handover_phase",
            "1 for the phase in which the migration is.",
            one_of("phase", &PHASES, values.phase),
        ),
        counters(
            "handover_cutover_total",
            "Cutovers and rollbacks that ended, by outcome.",
            CutoverOutcome::ALL.iter().map(|outcome| {
                counter(
                    &[("outcome", outcome.as_str())],
                    stated.outcomes[outcome.index()],
                )
            }),
        ),
        gauges(
            "handover_write_pause_seconds",
            "How long writes paused in the newest cutover or rollback.",
            seconds(values.write_pause),
        ),
        gauges(
            "handover_read_pause_seconds",
            "How long reads paused in the newest cutover or rollback.",
            seconds(values.read_pause),
        ),
        gauges(
            "handover_max_pause_seconds",
            "How long a cutover or a rollback may pause writes, as it is configured.",
            seconds(values.max_pause),
        ),
        gauges(
            "handover_build_info",
            "Always 1; the version is in the label.",
            [gauge(&[("version", env!("CARGO_PKG_VERSION"))], 1.0)],
        ),
    ]
}

fn counters(name: &str, help: &str, metrics: impl IntoIterator<Item = Metric>) -> MetricFamily {
    family(name, help, MetricType::COUNTER, metrics)
}

fn gauges(name: &str, help: &str, metrics: impl IntoIterator<Item = Metric>) -> MetricFamily {
    family(name, help, MetricType::GAUGE, metrics)
}

fn family(
    name: &str,
    help: &str,
    kind: MetricType,
    metrics: impl IntoIterator<Item = Metric>,
) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics.into_iter().collect());
    family
}

fn counter(labels: &[(&str, &str)], value: u64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(float(value));
    let mut metric = labelled(labels);
    metric.set_counter(counter);
    metric
}

fn gauge(labels: &[(&str, &str)], value: f64) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    let mut metric = labelled(labels);
    metric.set_gauge(gauge);
    metric
}

/// Count and sum of everything, quantiles of what came since `base`; no quantiles where nothing did.
fn summary(labels: &[(&str, &str)], now: &Totals, base: &Totals) -> Metric {
    let mut summary = Summary::default();
    summary.set_sample_count(now.count());
    summary.set_sample_sum(now.sum_seconds());
    let values = now.quantiles_since(base, &QUANTILES).unwrap_or_default();
    summary.set_quantile(
        QUANTILES
            .iter()
            .zip(values)
            .map(|(&quantile, value)| {
                let mut entry = Quantile::default();
                entry.set_quantile(quantile);
                entry.set_value(value);
                entry
            })
            .collect(),
    );
    let mut metric = labelled(labels);
    metric.set_summary(summary);
    metric
}

fn labelled(labels: &[(&str, &str)]) -> Metric {
    Metric::from_label(
        labels
            .iter()
            .map(|&(name, value)| {
                let mut pair = LabelPair::default();
                pair.set_name(name.to_owned());
                pair.set_value(value.to_owned());
                pair
            })
            .collect(),
    )
}

fn flag(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

#[allow(clippy::cast_precision_loss)] // the text format has only floats; exact up to 2^53
fn float(value: u64) -> f64 {
    value as f64
}
