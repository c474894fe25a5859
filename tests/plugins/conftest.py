"""Lets our modules find what they share before any of them is imported."""

from __future__ import annotations

import tests.plugins.node_module  # noqa: F401 -- adds plugins/module_utils to ansible.module_utils
