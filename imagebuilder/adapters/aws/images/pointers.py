"""Pointers: parameters and launch templates that say which AMI is to be used."""

from collections.abc import Callable
from typing import Any

from imagebuilder.adapters.aws.accounts import Entrance
from imagebuilder.adapters.aws.calls import CallRefused, Calls
from imagebuilder.adapters.aws.waiting import awaited
from imagebuilder.ports.targets import PlacingFailed

_IMAGE_TYPE = "aws:ec2:image"
_READ_BACK_SECONDS = 120.0
_ABSENT = frozenset(
    ("ParameterNotFound", "InvalidLaunchTemplateName.NotFoundException",
     "InvalidLaunchTemplateId.NotFound"),
)  # fmt: skip

IsAlive = Callable[[str], bool]
"""Tells whether an AMI may be pointed to."""


class Pointers:
    """Lets pointers point, and back."""

    def __init__(self, calls: Calls) -> None:
        """Do it by calls."""
        self._calls = calls

    def parameter(self, entrance: Entrance, name: str) -> str:
        """Give what a parameter says, empty if it is not there.

        Raises: CallRefused; TargetUnavailable.
        """
        try:
            answer = self._calls.call(entrance, "ssm:GetParameter", Name=name)
        except CallRefused as refused:
            if refused.code in _ABSENT:
                return ""
            raise
        return str(answer["Parameter"]["Value"])

    def set_parameter(self, entrance: Entrance, name: str, image: str) -> None:
        """Let a parameter say an AMI; it was read back.

        Raises: PlacingFailed; CallRefused; TargetUnavailable.
        """
        if self.parameter(entrance, name) == image:
            return
        self._calls.call(
            entrance,
            "ssm:PutParameter",
            Name=name,
            Value=image,
            Type="String",
            DataType=_IMAGE_TYPE,
            Overwrite=True,
        )

        def look() -> str | None:
            return image if self.parameter(entrance, name) == image else None

        # The image is looked at after the call said yes; a value it does not like never comes.
        if awaited(self._calls, look, _READ_BACK_SECONDS) is None:
            reason = f"{name} in {entrance.key} does not say {image}, though SSM took it."
            raise PlacingFailed(entrance.key, "ssm:PutParameter", reason)

    def unset_parameter(self, entrance: Entrance, name: str, image: str, is_alive: IsAlive) -> None:
        """Let a parameter that says an AMI say the newest one before that is alive, or be gone.

        Raises: PlacingFailed; CallRefused; TargetUnavailable.
        """
        if self.parameter(entrance, name) != image:
            return
        pages = self._calls.pages(entrance, "ssm:GetParameterHistory", Name=name)
        values = [str(kept["Value"]) for page in pages for kept in page["Parameters"]]
        earlier = dict.fromkeys(value for value in reversed(values) if value != image)
        for value in earlier:
            if is_alive(value):
                self.set_parameter(entrance, name, value)
                return
        self._calls.call(entrance, "ssm:DeleteParameter", Name=name)

    def template_version(self, entrance: Entrance, template: str, image: str) -> str:
        """Give the version of a launch template by which it says an AMI, empty if there is none.

        That is the default one if it does; a later one that we did not make may be a draft.
        Raises: CallRefused; TargetUnavailable.
        """
        found = [
            version
            for version in self._versions(entrance, template)
            if version["LaunchTemplateData"].get("ImageId") == image
        ]
        default = [version for version in found if version["DefaultVersion"]]
        ours = [v for v in found if v.get("VersionDescription") == _described(image)]
        numbers = [version["VersionNumber"] for version in default or ours]
        return str(max(numbers)) if numbers else ""

    def default_version(self, entrance: Entrance, template: str) -> str:
        """Give the default version of a launch template, empty if there is no such template.

        Raises: CallRefused; TargetUnavailable.
        """
        try:
            found = self._calls.call(
                entrance, "ec2:DescribeLaunchTemplates", LaunchTemplateNames=[template]
            )["LaunchTemplates"]
        except CallRefused as refused:
            if refused.code in _ABSENT:
                return ""
            raise
        return str(found[0]["DefaultVersionNumber"]) if found else ""

    def set_template(self, entrance: Entrance, template: str, image: str, token: str) -> str:
        """Give the version of a launch template that says an AMI, now its default.

        Raises: CallRefused; TargetUnavailable.
        """
        number = self.template_version(entrance, template, image)
        default = self.default_version(entrance, template)
        if not number:
            made = self._calls.call(
                entrance,
                "ec2:CreateLaunchTemplateVersion",
                LaunchTemplateName=template,
                SourceVersion=default,
                VersionDescription=_described(image),
                LaunchTemplateData={"ImageId": image},
                ClientToken=token,
            )["LaunchTemplateVersion"]
            number = str(made["VersionNumber"])
        if default != number:
            self._set_default(entrance, template, number)
        return number

    def unset_template(
        self, entrance: Entrance, template: str, image: str, is_alive: IsAlive
    ) -> None:
        """Let the default version of a launch template be no version that says an AMI.

        It is then the newest earlier one whose AMI is alive, if there is one. No version is
        deleted: groups of machines may name it by its number.
        Raises: CallRefused; TargetUnavailable.
        """
        default = self.default_version(entrance, template)
        if not default or default != self.template_version(entrance, template, image):
            return
        earlier = [
            int(version["VersionNumber"])
            for version in self._versions(entrance, template)
            if version["VersionNumber"] < int(default)
            and is_alive(version["LaunchTemplateData"].get("ImageId", ""))
        ]
        if earlier:
            self._set_default(entrance, template, str(max(earlier)))

    def _set_default(self, entrance: Entrance, template: str, number: str) -> None:
        self._calls.call(
            entrance,
            "ec2:ModifyLaunchTemplate",
            LaunchTemplateName=template,
            DefaultVersion=number,
        )

    def _versions(self, entrance: Entrance, template: str) -> list[Any]:
        try:
            pages = self._calls.pages(
                entrance, "ec2:DescribeLaunchTemplateVersions", LaunchTemplateName=template
            )
            return [version for page in pages for version in page["LaunchTemplateVersions"]]
        except CallRefused as refused:
            if refused.code in _ABSENT:
                return []
            raise


def _described(image: str) -> str:
    """Give what versions of launch templates that we make are described as."""
    return f"imagebuilder {image}"
