package embedded

// KafkaDir is the embedded broker's folder in the data directory: without it there are no topics.
const KafkaDir = kafkaDir
