"""Log records as hclog writes them, so that bao takes over level and fields: one JSON object a line on stderr."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

LEVELS = {logging.DEBUG: "debug", logging.INFO: "info", logging.WARNING: "warn"}


class HclogFormatter(logging.Formatter):
    """Fields come as `extra={"fields": {...}}`. Nobody may hand over a PIN, a plaintext or a key."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        line = {
            "@level": LEVELS.get(record.levelno, "error"),
            "@message": record.getMessage(),
            "@module": "kms-pkcs11",
            "@timestamp": moment.isoformat(timespec="microseconds"),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure(level: int = logging.INFO) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(HclogFormatter())
    logging.basicConfig(level=level, handlers=[handler])
    logging.getLogger("asyncio").setLevel(logging.WARNING)
