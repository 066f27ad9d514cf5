"""What exception.v1 has open of a lane, read beside the lane's work: it may be long."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from schemas.codec import Codec
from schemas.errors import PoisonRecord
from schemas.records import ExceptionRecord, ExceptionStatus
from streams.agents.runtime.log_reader import LogReader
from streams.agents.runtime.topic_desk import TopicDesk
from streams.core.lane.faults import STAGE
from streams.core.lane.render import EXCEPTION_TOPIC


class OpenExceptions:
    """Implements `streams.core.lane.told.OpenOnTopic` for one owner; each reading begins when it is first asked for."""

    def __init__(self, source: str, codec: Codec, kafka: str) -> None:
        self._prefix, self._codec, self._kafka = f"{STAGE}/{source}/", codec, kafka
        self._threads = ThreadPoolExecutor(1, thread_name_prefix=EXCEPTION_TOPIC)
        self._reading: Future[set[str]] | None = None

    def __call__(self) -> set[str] | None:
        """Raises EnvironmentFault when Kafka does not answer."""
        if self._reading is None:
            self._reading = self._threads.submit(self._read)
        if not self._reading.done():
            return None
        read, self._reading = self._reading, None
        return read.result()

    def _read(self) -> set[str]:
        if TopicDesk(self._kafka).describe(EXCEPTION_TOPIC) is None:
            return set()
        found: set[str] = set()
        reader = LogReader(self._kafka)
        try:
            for record in reader.read(EXCEPTION_TOPIC, 0, *reader.bounds(EXCEPTION_TOPIC, 0)):
                identity = (record.key or b"").decode(errors="replace")
                if not identity.startswith(self._prefix):
                    continue
                found.discard(identity)
                if self._is_open(record.value):
                    found.add(identity)
        finally:
            reader.close()
        return found

    def _is_open(self, value: bytes | None) -> bool:
        """What cannot be read is nobody's to say."""
        try:
            record = None if value is None else self._codec.decode(EXCEPTION_TOPIC, value)
        except PoisonRecord:
            return False
        return isinstance(record, ExceptionRecord) and record.status is ExceptionStatus.OPEN
