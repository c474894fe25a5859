# Our own plugins/module_utils appear here at run time.

from typing import Any

def __getattr__(name: str) -> Any: ...  # noqa: ANN401 -- whatever that module is
