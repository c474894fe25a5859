# What our modules use of Ansible's own, which ships no types; above all that two calls never return.

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

class AnsibleModule:
    params: dict[str, Any]
    check_mode: bool
    tmpdir: str
    _diff: bool
    _name: str
    def __init__(
        self,
        argument_spec: Mapping[str, Any],
        *,
        mutually_exclusive: Sequence[Sequence[str]] | None = None,
        required_together: Sequence[Sequence[str]] | None = None,
        required_one_of: Sequence[Sequence[str]] | None = None,
        required_if: Sequence[Sequence[Any]] | None = None,
        required_by: Mapping[str, str | Sequence[str]] | None = None,
        supports_check_mode: bool = False,
        no_log: bool = False,
        add_file_common_args: bool = False,
    ) -> None: ...
    def exit_json(self, **kwargs: Any) -> NoReturn: ...  # noqa: ANN401 -- any result is allowed
    def fail_json(self, msg: str, **kwargs: Any) -> NoReturn: ...  # noqa: ANN401 -- any result is allowed
    def warn(self, warning: str) -> None: ...
    def log(self, msg: str) -> None: ...
    def debug(self, msg: str) -> None: ...
    def get_bin_path(self, arg: str, required: bool = False, opt_dirs: Sequence[str] | None = None) -> str: ...
    def run_command(
        self,
        args: Sequence[str] | str,
        check_rc: bool = False,
        data: str | bytes | None = None,
        binary_data: bool = False,
        cwd: str | None = None,
        environ_update: Mapping[str, str] | None = None,
        encoding: str | None = "utf-8",
        handle_exceptions: bool = True,
    ) -> tuple[int, Any, Any]: ...
    def atomic_move(self, src: str, dest: str, unsafe_writes: bool = False) -> None: ...
    def load_file_common_arguments(self, params: Mapping[str, Any], path: str | None = None) -> dict[str, Any]: ...
    def set_fs_attributes_if_different(
        self,
        file_args: Mapping[str, Any],
        changed: bool,
        diff: dict[str, Any] | None = None,
        expand: bool = True,
    ) -> bool: ...
    def sha256(self, filename: str) -> str | None: ...
    def add_cleanup_file(self, path: str) -> None: ...

def missing_required_lib(library: str, reason: str | None = None, url: str | None = None) -> str: ...

env_fallback: Callable[..., Any]
