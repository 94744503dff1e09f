//! Every metric name and every label value: what dashboards and alerts may rely on.
//!
//! `loghound_<room>_<what>_<unit>[_total]`, base units, no label for anything users can invent (file, pod, user,
//! template). A label's values are all listed here and exist at 0 from the start, so that a rate over them is right
//! from the first scrape on.

/// What a number is, as Prometheus prints it in `# HELP`.
pub struct Name {
    pub name: &'static str,
    pub help: &'static str,
}

const fn name(name: &'static str, help: &'static str) -> Name {
    Name { name, help }
}

// Events balance: received = indexed + quarantined + duplicate + dead-lettered + those still between journal and index.
// They count from when the data directory was made; all but the received ones are told at each commit.
pub const EVENTS_RECEIVED: Name =
    name("loghound_ingest_events_received_total", "events in batches that were made durable and acknowledged");
pub const EVENTS_INDEXED: Name = name("loghound_store_events_indexed_total", "events added to the shard of their day");
pub const EVENTS_QUARANTINED: Name = name(
    "loghound_store_events_quarantined_total",
    "events whose time cannot be believed or is not kept any more, added to the quarantine",
);
pub const EVENTS_DUPLICATE: Name =
    name("loghound_decode_events_duplicate_total", "events dropped as repeats of an event already taken");
pub const EVENTS_DEAD_LETTERED: Name =
    name("loghound_decode_events_dead_lettered_total", "events whose body could not be decoded, kept as dead letters");
pub const EVENTS_RECOVERED: Name =
    name("loghound_decode_events_recovered_total", "events read again from the journal after a start");

pub const BATCHES: Name = name("loghound_ingest_batches_total", "batches made durable and acknowledged");
pub const RECEIVED_BYTES: Name = name("loghound_ingest_received_bytes_total", "bytes of those batches as received");
pub const ACK_SECONDS: Name =
    name("loghound_ingest_ack_seconds", "from a window's last byte to its acknowledgement being sent");
pub const CONNECTIONS: Name = name("loghound_ingest_connections", "open Beats connections");
pub const CONNECTIONS_OPENED: Name = name("loghound_ingest_connections_opened_total", "Beats connections accepted");
pub const CONNECTIONS_CLOSED: Name =
    name("loghound_ingest_connections_closed_total", "Beats connections closed, by reason");
pub const BUDGET_BYTES: Name = name("loghound_ingest_budget_bytes", "memory that admitted windows hold");
pub const BUDGET_LIMIT_BYTES: Name =
    name("loghound_ingest_budget_limit_bytes", "memory that admitted windows may hold");
pub const KEEPALIVES: Name =
    name("loghound_ingest_keepalives_total", "keep-alive acknowledgements sent to waiting senders");

pub const KAFKA_MESSAGES: Name =
    name("loghound_ingest_kafka_messages_total", "messages of Kafka that were made durable");
pub const KAFKA_LAG: Name = name(
    "loghound_ingest_kafka_lag_messages",
    "messages of the assigned partitions of all Kafka inputs that are not taken yet",
);
pub const KAFKA_PARTITIONS: Name =
    name("loghound_ingest_kafka_partitions", "partitions that are assigned to this process");
pub const KAFKA_PAUSED: Name =
    name("loghound_ingest_kafka_paused_inputs", "inputs that pause their partitions because the journal has no room");
pub const KAFKA_REBALANCES: Name =
    name("loghound_ingest_kafka_rebalances_total", "times that partitions were assigned or revoked");
pub const KAFKA_TROUBLES: Name = name(
    "loghound_ingest_kafka_troubles_total",
    "times that a broker, the group or a commit failed; the log says which",
);
pub const KAFKA_EMPTY: Name =
    name("loghound_ingest_kafka_empty_messages_total", "messages without a value, passed over");

pub const JOURNAL_BYTES: Name = name("loghound_journal_bytes", "bytes the journal takes on disk");
pub const JOURNAL_LIMIT_BYTES: Name = name("loghound_journal_limit_bytes", "bytes the journal may take on disk");
pub const JOURNAL_FSYNC_SECONDS: Name = name("loghound_journal_fsync_seconds", "one group commit's fdatasync");
pub const JOURNAL_BLOCKED: Name =
    name("loghound_journal_blocked", "1 while senders wait for journal space, by size limit or disk reserve");
pub const JOURNAL_DAMAGES: Name =
    name("loghound_journal_damages_total", "damaged places found in journal files; the log has file and offset");
pub const JOURNAL_ERRORS: Name = name("loghound_journal_write_errors_total", "journal writes that failed");

pub const PARSE_RECORDS: Name = name("loghound_parse_records_total", "records by the grammar that parsed them");
pub const PARSE_UNPARSED: Name =
    name("loghound_parse_unparsed_total", "lines that no grammar fits, kept whole and searchable, by why");

pub const GRAMMAR_RELOADS: Name =
    name("loghound_parse_grammar_reloads_total", "changed grammar files, by whether they were taken");
pub const TEMPLATES: Name = name("loghound_parse_templates", "templates that are known now");
pub const TEMPLATES_BYTES: Name = name("loghound_parse_templates_bytes", "memory that templates take");
pub const TEMPLATES_NEW: Name = name("loghound_parse_templates_new_total", "templates seen for the first time");
pub const TEMPLATES_JOINED: Name =
    name("loghound_parse_templates_joined_total", "templates that turned out to be one with an older one");
pub const TEMPLATES_EVICTED: Name =
    name("loghound_parse_templates_evicted_total", "templates forgotten to stay within the memory allowed");

pub const ANOMALIES: Name = name("loghound_detect_anomalies_total", "anomalies found, by severity");
pub const DETECT_FEEDBACK: Name =
    name("loghound_detect_feedback", "anomalies that people gave a label, by detector, model version and label");
pub const DETECT_PRECISION: Name = name(
    "loghound_detect_precision_ratio",
    "useful anomalies among those that people called useful or false alarms, by detector and model version",
);
pub const DETECT_SERIES: Name = name("loghound_detect_series", "series that are watched");
pub const DETECT_SERVICES: Name = name("loghound_detect_services", "services that are watched");
pub const DETECT_BYTES: Name = name("loghound_detect_bytes", "memory that the detectors' series take");
pub const DETECT_RECORDS: Name = name("loghound_detect_records_total", "records that the detectors took");
pub const DETECT_LATE: Name =
    name("loghound_detect_late_records_total", "records that came after their minute was judged");
pub const DETECT_EVICTED: Name =
    name("loghound_detect_evicted_series_total", "series given up to stay within the memory allowed");
pub const DETECT_NOT_COVERED: Name =
    name("loghound_detect_not_covered_records_total", "records of services that there was no memory to watch");

pub const INCIDENTS_OPEN: Name = name("loghound_alert_incidents", "incidents that are open");
pub const ALERTS_OPEN: Name = name("loghound_alert_alerts", "alerts that receivers were told of and that are not over");
pub const OUTBOX_WAITING: Name = name("loghound_alert_outbox_messages", "messages that wait for their receiver");
pub const DELIVERIES: Name = name("loghound_alert_attempts_total", "attempts to deliver a message, by what came of it");
pub const DELIVERY_SECONDS: Name =
    name("loghound_alert_delivery_seconds", "from the decision to tell a receiver to its having taken the message");
pub const RULE_ERRORS: Name = name("loghound_alert_rule_errors_total", "queries of rules that failed");
pub const CANARY_SECONDS: Name = name(
    "loghound_alert_canary_seconds",
    "from the line that goes in every minute to the delivery of the message it leads to",
);
pub const CANARY_TIMESTAMP: Name =
    name("loghound_alert_canary_timestamp_seconds", "when such a message was delivered last; 0 before the first");
pub const CANARY_LINES: Name = name("loghound_alert_canary_lines_total", "such lines that went in");
pub const CANARY_FAILURES: Name = name("loghound_alert_canary_failures_total", "such lines that did not come through");

pub const COMMIT_SECONDS: Name = name("loghound_store_commit_seconds", "one commit of all shards");
pub const COMMIT_ERRORS: Name = name("loghound_store_commit_errors_total", "commits that failed and are tried again");
pub const SEARCHABLE_LAG_SECONDS: Name =
    name("loghound_store_searchable_lag_seconds", "from a batch's arrival to its records being searchable");
pub const SHARDS: Name = name("loghound_store_shards", "daily shards that serve");
pub const SHARDS_SEALED: Name = name("loghound_store_shards_sealed_total", "daily shards merged and sealed");
pub const SHARDS_WARMED: Name = name("loghound_store_shards_warmed_total", "daily shards moved to the warm volume");
pub const RECORDS_EXPIRED: Name =
    name("loghound_store_records_expired_total", "records deleted before their day, as store.keep says");
pub const HTTP_REFUSED: Name = name("loghound_http_refused_total", "requests without a token that may do it, by why");
pub const REFUSALS: &[&str] = &["unknown", "forbidden"];
pub const SHARDS_DELETED: Name = name("loghound_store_shards_deleted_total", "shards deleted, by reason");
pub const REMOVALS: &[&str] = &["age", "disk_use"];
pub const SHARDS_DAMAGED: Name = name("loghound_store_shards_set_aside", "daily shards set aside as damaged");

pub const QUERIES: Name = name("loghound_query_requests_total", "queries by route and result");
pub const QUERY_SECONDS: Name = name("loghound_query_seconds", "time a query took, by route");
pub const QUERIES_RUNNING: Name = name("loghound_query_running", "queries that run right now");
pub const TAILS: Name = name("loghound_query_tails", "open live tails");
pub const TAIL_SKIPPED: Name =
    name("loghound_query_tail_skipped_total", "records not shown to a tail whose client reads too slowly");

pub const DISK_FREE_BYTES: Name = name("loghound_disk_free_bytes", "free bytes on the data directory's volume");
pub const BUILD_INFO: Name = name("loghound_build_info", "always 1; the labels say what runs");
pub const START_TIME: Name = name("loghound_start_timestamp_seconds", "when this process started");

/// Values of `reason` in [`CONNECTIONS_CLOSED`]: the receiver's `CloseReason::name`; a test beside the handles compares them.
pub const CLOSE_REASONS: &[&str] = &[
    "peer",
    "cut",
    "idle",
    "old",
    "stalled",
    "malformed",
    "too_large",
    "tls_on_plain",
    "plain_on_tls",
    "handshake",
    "memory",
    "unwritable",
    "refused",
    "shutdown",
    "other",
];
/// Values of `grammar` in [`PARSE_RECORDS`]. `other` are those that a user's files describe.
pub const GRAMMARS: &[&str] = &[
    "klog",
    "envoy",
    "json",
    "cri",
    "docker",
    "syslog3164",
    "syslog5424",
    "logfmt",
    "oslo",
    "nginx",
    "apache",
    "istio",
    "other",
];
/// Values of `why` in [`PARSE_UNPARSED`].
pub const UNPARSED: &[&str] = &["no_grammar", "no_message"];
/// Values of `severity` in [`ANOMALIES`].
pub const SEVERITIES: &[&str] = &["warning", "minor", "major", "critical"];
/// Values of `result` in [`DELIVERIES`]: `failed` is tried again, `dead` is not.
pub const DELIVERY_RESULTS: &[&str] = &["delivered", "failed", "dead"];
/// Values of `result` in [`GRAMMAR_RELOADS`].
pub const RELOADS: &[&str] = &["taken", "refused"];
/// Values of `route` in [`QUERIES`] and [`QUERY_SECONDS`].
pub const QUERY_ROUTES: &[&str] = &[
    "elasticsearch",
    "search",
    "histogram",
    "facets",
    "fields",
    "context",
    "tail",
    "grammars",
    "grok",
    "reparse",
    "patterns",
    "anomalies",
    "detectors",
    "feedback",
    "models",
    "alerts",
    "shards",
    "snapshots",
    "delete",
    "audit",
];
/// Values of `result` in [`QUERIES`].
pub const QUERY_RESULTS: &[&str] = &["ok", "rejected", "deadline", "overloaded", "failed"];
