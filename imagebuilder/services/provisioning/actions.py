"""Actions: who does the work of each action module.

ExecuteDocument is not among them: it runs components, which is the runner's own work.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias

from imagebuilder.domain.component import ActionName, ComponentStep
from imagebuilder.domain.errors import Refused
from imagebuilder.ports.actions import Action
from imagebuilder.services.provisioning.asserting import AssertAction
from imagebuilder.services.provisioning.executing import bash_script
from imagebuilder.services.provisioning.filing import file_actions
from imagebuilder.services.provisioning.packages import InstallPackages, UpdateOs
from imagebuilder.services.provisioning.refusals import SayingNo
from imagebuilder.services.provisioning.restarting import RebootAction
from imagebuilder.services.provisioning.scripts import ScriptAction, stdout_outputs

Actions: TypeAlias = Mapping[ActionName, Action]


class ActionUnavailable(Refused):
    """A step wants an action module that cannot be run here."""

    code = "action-unavailable"

    def __init__(self, step: ComponentStep) -> None:
        """Say whether it is for another system, or has nobody who does it."""
        if step.action.is_windows_only:
            context = f"{step.action} is for Windows, and images here are Linux."
            hint = "Take the step out, or guard it with an if on {{ context:osPlatform }}."
        else:
            context = f"Nobody does the work of {step.action} where this component runs."
            hint = "Use another action, or run the component where this one is there."
        super().__init__(
            f"Step {step.name} ({step.action}) cannot be run.",
            context=context,
            hint=hint,
            origin=step.origin,
        )


def own_actions(added: Actions | None = None) -> Actions:
    """Give who does what; `added` are those that adapters do."""
    return MappingProxyType(
        {
            ActionName.EXECUTE_BASH: ScriptAction(bash_script, stdout_outputs),
            ActionName.ASSERT: AssertAction(),
            **file_actions(),
            ActionName.REBOOT: RebootAction(),
            ActionName.UPDATE_OS: SayingNo(UpdateOs()),
            ActionName.INSTALL_PACKAGES: SayingNo(InstallPackages()),
            **(added or {}),
        }
    )
