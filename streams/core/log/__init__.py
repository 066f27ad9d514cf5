"""A source log: Debezium's JSON of one connector in one topic, in commit order."""
