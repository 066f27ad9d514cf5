"""Print what may be promised, from any application: needs confluent-kafka, fastavro and requests, nothing of onhand."""

import functools
import io
import json
import sys
from typing import Any

import fastavro
import requests
from confluent_kafka import Consumer

kafka, registry_url, group = sys.argv[1:]


@functools.cache
def schema(schema_id: int) -> Any:
    return fastavro.parse_schema(json.loads(requests.get(f"{registry_url}/schemas/ids/{schema_id}").json()["schema"]))


consumer = Consumer({"bootstrap.servers": kafka, "group.id": group, "auto.offset.reset": "earliest"})
consumer.subscribe(["inventory.atp.v1"])
newest: dict[bytes, int] = {}
while True:
    message = consumer.poll(1.0)
    if message is None or message.error():
        continue
    sku, value = message.key() or b"", message.value()
    if value is None:
        print(sku.decode(), "is gone", flush=True)
        continue
    written = schema(int.from_bytes(value[1:5], "big"))
    promise: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), written, None)
    if promise["complete"] and promise["version"] > newest.get(sku, -1):
        newest[sku] = promise["version"]
        print(sku.decode(), promise["network"]["available_now"], "available to promise", flush=True)
