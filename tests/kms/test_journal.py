"""The plugin's log: one JSON object a line, as hclog reads it."""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime

from legalcloud_kms import journal


def test_a_record_is_one_line_that_hclog_reads() -> None:
    record = logging.LogRecord("x", logging.WARNING, __file__, 1, "seal of %s\nfailed", ("kms",), None)
    record.fields = {"reason": "pin-wrong"}

    line = journal.HclogFormatter().format(record)
    read = json.loads(line)

    assert "\n" not in line
    assert (read["@level"], read["@message"], read["reason"]) == ("warn", "seal of kms\nfailed", "pin-wrong")
    assert datetime.fromisoformat(read["@timestamp"]).utcoffset() is not None


def test_a_bug_is_logged_with_its_traceback_in_the_same_line() -> None:
    try:
        raise RuntimeError("bug")
    except RuntimeError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", (), sys.exc_info())

    line = journal.HclogFormatter().format(record)

    assert "\n" not in line
    assert "RuntimeError: bug" in json.loads(line)["traceback"]
