"""Action modules: what a step of a component can do, by name, and what it gives to later steps.

How each does its work is `services.provisioning`; which inputs it takes is `documents`.

Source: AWS Task Orchestrator and Executor, "Action modules".
"""

from collections.abc import Mapping
from enum import StrEnum


class ActionName(StrEnum):
    """The action modules: AWSTOE's thirty, and ours; values are the names documents use."""

    EXECUTE_BASH = "ExecuteBash"
    EXECUTE_BINARY = "ExecuteBinary"
    EXECUTE_DOCUMENT = "ExecuteDocument"
    EXECUTE_POWERSHELL = "ExecutePowerShell"
    ASSERT = "Assert"
    S3_DOWNLOAD = "S3Download"
    S3_UPLOAD = "S3Upload"
    WEB_DOWNLOAD = "WebDownload"
    APPEND_FILE = "AppendFile"
    CREATE_FILE = "CreateFile"
    CREATE_FOLDER = "CreateFolder"
    CREATE_SYMLINK = "CreateSymlink"
    COPY_FILE = "CopyFile"
    COPY_FOLDER = "CopyFolder"
    DELETE_FILE = "DeleteFile"
    DELETE_FOLDER = "DeleteFolder"
    LIST_FILES = "ListFiles"
    MOVE_FILE = "MoveFile"
    MOVE_FOLDER = "MoveFolder"
    READ_FILE = "ReadFile"
    SET_FILE_ENCODING = "SetFileEncoding"
    SET_FILE_OWNER = "SetFileOwner"
    SET_FOLDER_OWNER = "SetFolderOwner"
    SET_FILE_PERMISSIONS = "SetFilePermissions"
    SET_FOLDER_PERMISSIONS = "SetFolderPermissions"
    INSTALL_MSI = "InstallMSI"
    UNINSTALL_MSI = "UninstallMSI"
    REBOOT = "Reboot"
    SET_REGISTRY = "SetRegistry"
    UPDATE_OS = "UpdateOS"
    INSTALL_PACKAGES = "InstallPackages"
    RUN_ANSIBLE = "RunAnsible"
    RUN_TESTINFRA = "RunTestinfra"
    COPY_TREE = "CopyTree"

    @property
    def outputs(self) -> tuple[str, ...]:
        """What later steps may refer to of a step with this action."""
        return _OUTPUTS.get(self, ())

    @property
    def is_windows_only(self) -> bool:
        """Whether no Linux machine can do it."""
        return self in _WINDOWS_ONLY


_OUTPUTS: Mapping[ActionName, tuple[str, ...]] = {
    ActionName.EXECUTE_BASH: ("stdout",),
    ActionName.EXECUTE_BINARY: ("stdout",),
    ActionName.EXECUTE_POWERSHELL: ("stdout",),
    ActionName.EXECUTE_DOCUMENT: (
        *("executedStepCount", "executionId", "failedStepCount", "failureMessage"),
        *("ignoredFailedStepCount", "logUrl", "status"),
    ),
    ActionName.RUN_ANSIBLE: ("ok", "changed", "skipped"),
    ActionName.RUN_TESTINFRA: ("passed", "failed", "skipped"),
    ActionName.UPDATE_OS: ("updates",),
    ActionName.WEB_DOWNLOAD: ("destination",),
    ActionName.RUN_ANSIBLE: ("changed", "ok", "skipped"),
    ActionName.RUN_TESTINFRA: ("failed", "passed", "skipped"),
    ActionName.LIST_FILES: ("files",),
    ActionName.READ_FILE: ("content",),
    ActionName.INSTALL_MSI: ("logFile", "msiExitCode", "stdout"),
    ActionName.UNINSTALL_MSI: ("logFile", "msiExitCode", "stdout"),
}
_WINDOWS_ONLY = frozenset(
    {ActionName.EXECUTE_POWERSHELL, ActionName.SET_REGISTRY}
    | {ActionName.INSTALL_MSI, ActionName.UNINSTALL_MSI}
)

NEED_FULL_NETWORK = frozenset(
    {ActionName.S3_DOWNLOAD, ActionName.S3_UPLOAD, ActionName.WEB_DOWNLOAD}
)
"""What no component without the full network can do."""
