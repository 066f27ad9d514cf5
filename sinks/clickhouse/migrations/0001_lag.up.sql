CREATE TABLE publications (
    minute DateTime('UTC') COMMENT 'of acknowledged_us, or of sent_us for what was parked',
    channel LowCardinality(String),
    kind LowCardinality(String) COMMENT 'inventory | order',
    key String COMMENT 'sku or order id',
    source_version Int64,
    rule_version Int64,
    staleness_step UInt16,
    sequence UInt32,
    id String,
    state LowCardinality(String) COMMENT 'acknowledged | parked',
    attempts UInt32,
    source LowCardinality(String) COMMENT 'what made this version: a source, clock, rule, staleness, again',
    answer String,
    status Nullable(String),
    quantities Map(String, Decimal(38, 9)) COMMENT 'location (* network) to what was told, in the stock unit',
    changed Array(LowCardinality(String)) COMMENT 'locations whose quantity differs from what was told before',
    committed_us Nullable(Int64),
    captured_us Nullable(Int64),
    laned_us Nullable(Int64),
    promised_us Nullable(Int64),
    picked_up_us Nullable(Int64),
    sent_us Nullable(Int64),
    acknowledged_us Nullable(Int64),
    topic_offset Int64,
    committed DateTime64(6, 'UTC') ALIAS fromUnixTimestamp64Micro(committed_us),
    acknowledged DateTime64(6, 'UTC') ALIAS fromUnixTimestamp64Micro(acknowledged_us)
)
ENGINE = ReplacingMergeTree(topic_offset)
PARTITION BY toYYYYMM(minute)
ORDER BY (minute, channel, kind, key, source_version, rule_version, staleness_step, sequence)
COMMENT 'One row per thing told to a channel; read with FINAL';

CREATE TABLE lag (
    minute DateTime('UTC') COMMENT 'of the acknowledgement',
    hop LowCardinality(String),
    source LowCardinality(String),
    location LowCardinality(String) COMMENT '* counts every publication once; others those that changed there',
    channel LowCardinality(String),
    kind LowCardinality(String),
    bucket UInt16 COMMENT 'sinks.core.histogram: (1.04^(bucket-1), 1.04^bucket] microseconds',
    count UInt64,
    longest_us Int64
)
ENGINE = ReplacingMergeTree(count)
PARTITION BY toYYYYMM(minute)
ORDER BY (minute, hop, source, location, channel, kind, bucket)
COMMENT 'Log-bucket histograms by minute, a pure function of publications; they merge by summing count; read with FINAL';

CREATE TABLE progress (
    stage LowCardinality(String),
    source LowCardinality(String),
    partition UInt32,
    version Int64,
    input_offset Int64,
    source_position String,
    source_time_us Nullable(Int64),
    complete Bool,
    holding Bool,
    uncertain Bool,
    stated_us Int64
)
ENGINE = ReplacingMergeTree(stated_us)
ORDER BY (stage, source, partition)
COMMENT 'How far each stage is; read with FINAL';

CREATE TABLE exceptions (
    id String,
    version Int64,
    stage LowCardinality(String),
    source LowCardinality(String),
    code LowCardinality(String),
    status LowCardinality(String) COMMENT 'open | retried | closed',
    subject String,
    detail String,
    action String,
    count UInt32,
    opened_us Int64,
    updated_us Int64,
    closed_us Nullable(Int64),
    topic_offset Int64
)
ENGINE = ReplacingMergeTree(topic_offset)
ORDER BY id
COMMENT 'Every exception with its lifecycle; read with FINAL';

CREATE TABLE consumed (
    topic LowCardinality(String),
    partition UInt32,
    next_offset Int64,
    stated_us Int64
)
ENGINE = ReplacingMergeTree(stated_us)
ORDER BY (topic, partition)
COMMENT 'Offset from which the metrics worker reads on, written after what stands before it';
