"""Seal and open a random block as bao would, and say how it went: for preflight, before anything is initialised."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial

from legalcloud_kms import options
from legalcloud_kms.errors import ConfigError, KmsError
from legalcloud_kms.pins import PinLatch, read
from legalcloud_kms.pkcs11 import Library
from legalcloud_kms.seal import Seal


def check(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """Take the seal's parameters as NAME=VALUE. A wrong PIN costs one try.

    Returns: exit code (0 good, 1 not) and a JSON object with reason ("good" or an error's) and message.
    """
    try:
        values = dict(_pair(argument) for argument in arguments)
        chosen = options.parse(values, environment)
        pin = partial(read, chosen.pin_source, environment)
        seal = Seal(chosen, library=Library(chosen.library), latch=PinLatch(), pin=pin)
        seal.prove()
    except KmsError as error:
        return 1, json.dumps({"reason": error.reason, "message": str(error)})
    return 0, json.dumps({"reason": "good", "message": f"key {chosen.key} seals and opens"})


def _pair(argument: str) -> tuple[str, str]:
    name, equals, value = argument.partition("=")
    if not equals:
        raise ConfigError(f"argument {argument!r} is not NAME=VALUE")
    return name, value
