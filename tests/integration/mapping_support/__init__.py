"""What the integration tests of the mapping share: odd rows, Debezium's rendering of them, random expressions."""
