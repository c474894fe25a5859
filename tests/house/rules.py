"""The rules of the house, all of them."""

from __future__ import annotations

from tests.house import code_rules, role_rules, task_rules, text_rules
from tests.house.tree import Rule

_ALL: tuple[Rule, ...] = (
    task_rules.no_failure_is_swallowed,
    task_rules.no_task_uses_a_shell,
    task_rules.every_secret_is_hidden,
    task_rules.tasks_carry_the_name_of_their_file,
    role_rules.specs_equal_defaults,
    role_rules.variables_begin_with_the_role,
    role_rules.roles_name_no_group,
    role_rules.roles_call_no_role,
    role_rules.a_playbook_reaches_every_role,
    text_rules.no_registry_is_named,
    text_rules.no_path_of_one_machine,
    text_rules.nothing_is_forced,
    text_rules.runbooks_are_finished,
    text_rules.inventories_hold_no_secret,
    code_rules.modules_document_themselves,
    code_rules.modules_predict,
    code_rules.files_stay_short_and_are_nouns,
    code_rules.reference_is_current,
)

RULES = {rule.__name__: rule for rule in _ALL}
