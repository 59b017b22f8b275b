package embedded

// KafkaDir is the embedded broker's folder in the data directory: without it there are no topics.
const KafkaDir = kafkaDir

// ClickHouseDir is the embedded engine's folder in the data directory: without it there are no views.
const ClickHouseDir = clickHouseDir
