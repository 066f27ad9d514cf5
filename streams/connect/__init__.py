"""Debezium connectors over Kafka Connect's REST API: folders in, plan and apply, lint, pre-flight, status."""
