"""The command `legalcloud`: one module in `commands/` for each verb."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from legalcloud import __version__, commands
from legalcloud.errors import LegalcloudError


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="legalcloud",
        description="Plan, check and prove a Hong Kong Legal Cloud store.",
        epilog="exit codes: 0 good, 1 findings, 2 wrong usage or input, 3 could not tell, 4 not authentic",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for command in commands.ALL:
        command.add_parser(verbs)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    try:
        code: int = args.run(args)
    except LegalcloudError as error:
        print(f"legalcloud {args.verb}: {error}", file=sys.stderr)  # noqa: T201 -- a command speaks to a person
        print(f"  remedy: {error.hint}", file=sys.stderr)  # noqa: T201 -- a command speaks to a person
        return int(error.exit_code)
    return int(code)
