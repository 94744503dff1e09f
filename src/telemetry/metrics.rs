//! Typed handles on every metric. Hot code adds once a batch, not once a record.

use std::collections::HashMap;

use prometheus::{
    Encoder, Error, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

use super::names::{self, Name};

/// Seconds, from half a millisecond (an fsync on a fast disk) to a minute.
const SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];

/// A counter for each of a fixed set of label values; anything else counts as the last of them.
pub struct Labelled {
    by_value: HashMap<&'static str, IntCounter>,
    last: IntCounter,
}

impl Labelled {
    pub fn of(&self, value: &str) -> &IntCounter {
        self.by_value.get(value).unwrap_or(&self.last)
    }
}

/// All of loghound's numbers, registered once a process.
pub struct Metrics {
    registry: Registry,
    pub events_received: IntCounter,
    pub events_indexed: IntCounter,
    pub events_quarantined: IntCounter,
    pub events_duplicate: IntCounter,
    pub events_dead_lettered: IntCounter,
    pub events_recovered: IntCounter,
    pub batches: IntCounter,
    pub received_bytes: IntCounter,
    pub ack_seconds: Histogram,
    pub connections: IntGauge,
    pub connections_opened: IntCounter,
    /// By [`names::CLOSE_REASONS`].
    pub connections_closed: Labelled,
    pub budget_bytes: IntGauge,
    pub budget_limit_bytes: IntGauge,
    pub keepalives: IntCounter,
    pub kafka_messages: IntCounter,
    pub kafka_lag: IntGauge,
    pub kafka_partitions: IntGauge,
    pub kafka_paused: IntGauge,
    pub kafka_rebalances: IntCounter,
    pub kafka_troubles: IntCounter,
    pub kafka_empty: IntCounter,
    pub journal_bytes: IntGauge,
    pub journal_limit_bytes: IntGauge,
    pub journal_fsync_seconds: Histogram,
    pub journal_blocked: IntGauge,
    pub journal_damages: IntCounter,
    pub journal_errors: IntCounter,
    /// By [`names::GRAMMARS`].
    pub parse_records: Labelled,
    /// By [`names::UNPARSED`].
    pub parse_unparsed: Labelled,
    pub grammar_reloads: Labelled,
    pub templates: IntGauge,
    pub templates_bytes: IntGauge,
    pub templates_new: IntCounter,
    pub templates_joined: IntCounter,
    pub templates_evicted: IntCounter,
    /// By [`names::SEVERITIES`].
    pub anomalies: Labelled,
    pub detect_feedback: IntGaugeVec,
    pub detect_precision: GaugeVec,
    pub detect_series: IntGauge,
    pub detect_services: IntGauge,
    pub detect_bytes: IntGauge,
    pub detect_records: IntCounter,
    pub detect_late: IntCounter,
    pub detect_evicted: IntCounter,
    pub detect_not_covered: IntCounter,
    pub incidents_open: IntGauge,
    pub alerts_open: IntGauge,
    pub outbox_waiting: IntGauge,
    /// By [`names::DELIVERY_RESULTS`].
    pub deliveries: Labelled,
    pub delivery_seconds: Histogram,
    pub rule_errors: IntCounter,
    pub canary_seconds: Histogram,
    pub canary_timestamp: Gauge,
    pub canary_lines: IntCounter,
    pub canary_failures: IntCounter,
    pub commit_seconds: Histogram,
    pub commit_errors: IntCounter,
    pub searchable_lag_seconds: Histogram,
    pub shards: IntGauge,
    pub shards_deleted: Labelled,
    pub shards_set_aside: IntGauge,
    pub shards_sealed: IntCounter,
    pub http_refused: Labelled,
    pub records_expired: IntCounter,
    pub shards_warmed: IntCounter,
    queries: IntCounterVec,
    query_seconds: HistogramVec,
    pub queries_running: IntGauge,
    pub tails: IntGauge,
    pub tail_skipped: IntCounter,
    pub disk_free_bytes: IntGauge,
}

impl Metrics {
    /// Fails only when two metrics share a name, which a test would have found.
    pub fn new() -> Result<Self, Error> {
        let registry = Registry::new();
        let make = Maker { registry: &registry };
        let queries = make.counters(&names::QUERIES, &["route", "result"])?;
        let query_seconds =
            HistogramVec::new(histogram_options(&names::QUERY_SECONDS), &["route"]).and_then(|m| make.register(m))?;
        for route in names::QUERY_ROUTES {
            query_seconds.with_label_values(&[route]);
            for result in names::QUERY_RESULTS {
                queries.with_label_values(&[route, result]);
            }
        }
        let info = make.register(IntGaugeVec::new(
            Opts::new(names::BUILD_INFO.name, names::BUILD_INFO.help),
            &["version", "os", "arch"],
        )?)?;
        info.with_label_values(&[env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH]).set(1);
        let start = make.register(Gauge::new(names::START_TIME.name, names::START_TIME.help)?)?;
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        start.set(since_epoch.as_secs_f64());
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(Self {
            events_received: make.counter(&names::EVENTS_RECEIVED)?,
            events_indexed: make.counter(&names::EVENTS_INDEXED)?,
            events_quarantined: make.counter(&names::EVENTS_QUARANTINED)?,
            events_duplicate: make.counter(&names::EVENTS_DUPLICATE)?,
            events_dead_lettered: make.counter(&names::EVENTS_DEAD_LETTERED)?,
            events_recovered: make.counter(&names::EVENTS_RECOVERED)?,
            batches: make.counter(&names::BATCHES)?,
            received_bytes: make.counter(&names::RECEIVED_BYTES)?,
            ack_seconds: make.histogram(&names::ACK_SECONDS)?,
            connections: make.gauge(&names::CONNECTIONS)?,
            connections_opened: make.counter(&names::CONNECTIONS_OPENED)?,
            connections_closed: make.labelled(&names::CONNECTIONS_CLOSED, "reason", names::CLOSE_REASONS)?,
            budget_bytes: make.gauge(&names::BUDGET_BYTES)?,
            budget_limit_bytes: make.gauge(&names::BUDGET_LIMIT_BYTES)?,
            keepalives: make.counter(&names::KEEPALIVES)?,
            kafka_messages: make.counter(&names::KAFKA_MESSAGES)?,
            kafka_lag: make.gauge(&names::KAFKA_LAG)?,
            kafka_partitions: make.gauge(&names::KAFKA_PARTITIONS)?,
            kafka_paused: make.gauge(&names::KAFKA_PAUSED)?,
            kafka_rebalances: make.counter(&names::KAFKA_REBALANCES)?,
            kafka_troubles: make.counter(&names::KAFKA_TROUBLES)?,
            kafka_empty: make.counter(&names::KAFKA_EMPTY)?,
            journal_bytes: make.gauge(&names::JOURNAL_BYTES)?,
            journal_limit_bytes: make.gauge(&names::JOURNAL_LIMIT_BYTES)?,
            journal_fsync_seconds: make.histogram(&names::JOURNAL_FSYNC_SECONDS)?,
            journal_blocked: make.gauge(&names::JOURNAL_BLOCKED)?,
            journal_damages: make.counter(&names::JOURNAL_DAMAGES)?,
            journal_errors: make.counter(&names::JOURNAL_ERRORS)?,
            parse_records: make.labelled(&names::PARSE_RECORDS, "grammar", names::GRAMMARS)?,
            parse_unparsed: make.labelled(&names::PARSE_UNPARSED, "why", names::UNPARSED)?,
            grammar_reloads: make.labelled(&names::GRAMMAR_RELOADS, "result", names::RELOADS)?,
            templates: make.gauge(&names::TEMPLATES)?,
            templates_bytes: make.gauge(&names::TEMPLATES_BYTES)?,
            templates_new: make.counter(&names::TEMPLATES_NEW)?,
            templates_joined: make.counter(&names::TEMPLATES_JOINED)?,
            templates_evicted: make.counter(&names::TEMPLATES_EVICTED)?,
            anomalies: make.labelled(&names::ANOMALIES, "severity", names::SEVERITIES)?,
            detect_feedback: make.register(IntGaugeVec::new(
                Opts::new(names::DETECT_FEEDBACK.name, names::DETECT_FEEDBACK.help),
                &["detector", "version", "label"],
            )?)?,
            detect_precision: make.register(GaugeVec::new(
                Opts::new(names::DETECT_PRECISION.name, names::DETECT_PRECISION.help),
                &["detector", "version"],
            )?)?,
            detect_series: make.gauge(&names::DETECT_SERIES)?,
            detect_services: make.gauge(&names::DETECT_SERVICES)?,
            detect_bytes: make.gauge(&names::DETECT_BYTES)?,
            detect_records: make.counter(&names::DETECT_RECORDS)?,
            detect_late: make.counter(&names::DETECT_LATE)?,
            detect_evicted: make.counter(&names::DETECT_EVICTED)?,
            detect_not_covered: make.counter(&names::DETECT_NOT_COVERED)?,
            incidents_open: make.gauge(&names::INCIDENTS_OPEN)?,
            alerts_open: make.gauge(&names::ALERTS_OPEN)?,
            outbox_waiting: make.gauge(&names::OUTBOX_WAITING)?,
            deliveries: make.labelled(&names::DELIVERIES, "result", names::DELIVERY_RESULTS)?,
            delivery_seconds: make.histogram(&names::DELIVERY_SECONDS)?,
            rule_errors: make.counter(&names::RULE_ERRORS)?,
            canary_seconds: make.histogram(&names::CANARY_SECONDS)?,
            canary_timestamp: make.register(Gauge::new(names::CANARY_TIMESTAMP.name, names::CANARY_TIMESTAMP.help)?)?,
            canary_lines: make.counter(&names::CANARY_LINES)?,
            canary_failures: make.counter(&names::CANARY_FAILURES)?,
            commit_seconds: make.histogram(&names::COMMIT_SECONDS)?,
            commit_errors: make.counter(&names::COMMIT_ERRORS)?,
            searchable_lag_seconds: make.histogram(&names::SEARCHABLE_LAG_SECONDS)?,
            shards: make.gauge(&names::SHARDS)?,
            shards_deleted: make.labelled(&names::SHARDS_DELETED, "reason", names::REMOVALS)?,
            shards_set_aside: make.gauge(&names::SHARDS_DAMAGED)?,
            records_expired: make.counter(&names::RECORDS_EXPIRED)?,
            http_refused: make.labelled(&names::HTTP_REFUSED, "why", names::REFUSALS)?,
            shards_sealed: make.counter(&names::SHARDS_SEALED)?,
            shards_warmed: make.counter(&names::SHARDS_WARMED)?,
            queries,
            query_seconds,
            queries_running: make.gauge(&names::QUERIES_RUNNING)?,
            tails: make.gauge(&names::TAILS)?,
            tail_skipped: make.counter(&names::TAIL_SKIPPED)?,
            disk_free_bytes: make.gauge(&names::DISK_FREE_BYTES)?,
            registry,
        })
    }

    /// Counts one query. `route` and `result` are of [`names::QUERY_ROUTES`] and [`names::QUERY_RESULTS`].
    pub fn query(&self, route: &'static str, result: &'static str, seconds: f64) {
        self.queries.with_label_values(&[route, result]).inc();
        self.query_seconds.with_label_values(&[route]).observe(seconds);
    }

    /// Lines that no grammar fits, whatever the reason.
    pub fn unparsed(&self) -> u64 {
        names::UNPARSED.iter().map(|why| self.parse_unparsed.of(why).get()).sum()
    }

    /// Everything in Prometheus' text format.
    pub fn render(&self) -> Result<String, Error> {
        let mut text = Vec::with_capacity(32 * 1024);
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        String::from_utf8(text).map_err(|err| Error::Msg(err.to_string()))
    }
}

struct Maker<'r> {
    registry: &'r Registry,
}

impl Maker<'_> {
    fn register<M: prometheus::core::Collector + Clone + 'static>(&self, metric: M) -> Result<M, Error> {
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counter(&self, name: &Name) -> Result<IntCounter, Error> {
        self.register(IntCounter::new(name.name, name.help)?)
    }

    fn gauge(&self, name: &Name) -> Result<IntGauge, Error> {
        self.register(IntGauge::new(name.name, name.help)?)
    }

    fn histogram(&self, name: &Name) -> Result<Histogram, Error> {
        self.register(Histogram::with_opts(histogram_options(name))?)
    }

    fn counters(&self, name: &Name, labels: &[&str]) -> Result<IntCounterVec, Error> {
        self.register(IntCounterVec::new(Opts::new(name.name, name.help), labels)?)
    }

    fn labelled(&self, name: &Name, label: &str, values: &'static [&'static str]) -> Result<Labelled, Error> {
        let counters = self.counters(name, &[label])?;
        let by_value: HashMap<_, _> = values.iter().map(|v| (*v, counters.with_label_values(&[v]))).collect();
        let last = counters.with_label_values(&[values.last().copied().unwrap_or("other")]);
        Ok(Labelled { by_value, last })
    }
}

fn histogram_options(name: &Name) -> HistogramOpts {
    HistogramOpts::new(name.name, name.help).buckets(SECONDS.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_value_exists_from_the_start_and_names_follow_the_rules() {
        let metrics = Metrics::new().unwrap();
        let text = metrics.render().unwrap();
        for reason in names::CLOSE_REASONS {
            assert!(text.contains(&format!("loghound_ingest_connections_closed_total{{reason=\"{reason}\"}} 0")));
        }
        assert!(text.contains("loghound_query_requests_total{result=\"overloaded\",route=\"facets\"} 0"));
        assert!(text.contains("loghound_build_info{"));
        for line in text.lines().filter(|l| l.starts_with("# TYPE ")) {
            let (name, kind) = line["# TYPE ".len()..].split_once(' ').unwrap();
            assert!(name.starts_with("loghound_") || name.starts_with("process_"), "{name}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(kind != "histogram" || name.ends_with("_seconds"), "{line}");
            assert!(!["_ms", "_kb", "_mib", "_percent"].iter().any(|unit| name.ends_with(unit)), "{name}");
        }
    }

    #[test]
    fn reasons_a_connection_ends_for_are_the_label_values() {
        // The room does not import the receiver; this keeps the two lists one.
        let mut names: Vec<_> = crate::ingest::beats::CloseReason::ALL.iter().map(|(_, name)| *name).collect();
        names.push("other");
        assert_eq!(names, names::CLOSE_REASONS);
    }

    #[test]
    fn a_label_value_nobody_listed_counts_as_other() {
        let metrics = Metrics::new().unwrap();
        metrics.connections_closed.of("meteor").inc();
        metrics.connections_closed.of("idle").inc_by(2);
        let text = metrics.render().unwrap();
        assert!(text.contains("closed_total{reason=\"other\"} 1"));
        assert!(text.contains("closed_total{reason=\"idle\"} 2"));
    }
}
