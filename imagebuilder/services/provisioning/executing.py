"""Executing: what ExecuteBash comes to as shell text for the image.

Source: AWS Task Orchestrator and Executor, ExecuteBash: all commands are one script, whose exit
status is that of its last command.
"""

from collections.abc import Sequence

from imagebuilder.ports.actions import ActionCall
from imagebuilder.ports.machine import Script
from imagebuilder.services.provisioning.scripts import mapping_of, texts_of


def bash_script(call: ActionCall) -> Sequence[Script]:
    """Give the script of ExecuteBash."""
    commands = texts_of(mapping_of(call.inputs), "commands")
    return [Script(text="\n".join(commands) + "\n", interpreter="/bin/bash")]
