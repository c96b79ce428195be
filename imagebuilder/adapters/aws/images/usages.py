"""ImageUsages: what runs of an AMI in its account, or would be started of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from imagebuilder.adapters.aws.accounts import Entrance
from imagebuilder.adapters.aws.calls import CallRefused, Calls
from imagebuilder.adapters.aws.images.finishing import PARAMETER, TEMPLATE, TEMPLATE_VERSION
from imagebuilder.adapters.aws.images.pointers import Pointers
from imagebuilder.domain.distribution import Placement
from imagebuilder.ports.targets import Usage

_LIVING = ("pending", "running", "stopping", "stopped", "shutting-down")
_GONE = frozenset(("InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateId.VersionNotFound"))


_RESOLVED = "resolve:ssm:"
_OF_AWS = "/aws/"


class ImageUsages:
    """Finds what uses AMIs."""

    def __init__(self, calls: Calls) -> None:
        """Ask by calls."""
        self._calls = calls
        self._pointers = Pointers(calls)

    def of(self, entrance: Entrance, placement: Placement) -> Iterator[Usage]:
        """Give what uses a placed AMI; the pointer that was set with it is none of them.

        Raises: CallRefused; TargetUnavailable.
        """
        image = placement.external_id
        own = (placement.traits.get(TEMPLATE, ""), placement.traits.get(TEMPLATE_VERSION, ""))
        # A parameter of ours goes back to the version before, as a template's default does.
        names = _Names(self._pointers, entrance, image, placement.traits.get(PARAMETER, ""))
        yield from self._instances(entrance, image)
        for name, number in self._template_versions(entrance, names):
            if (name, number) != own:
                yield Usage(what=f"launch template {name} version {number}")
        yield from self._configurations(entrance, image)
        yield from self._groups(entrance, names)

    def _instances(self, entrance: Entrance, image: str) -> Iterator[Usage]:
        pages = self._calls.pages(
            entrance,
            "ec2:DescribeInstances",
            Filters=[
                {"Name": "image-id", "Values": [image]},
                {"Name": "instance-state-name", "Values": list(_LIVING)},
            ],
        )
        for page in pages:
            for reservation in page["Reservations"]:
                for instance in reservation["Instances"]:
                    name, since = instance["InstanceId"], instance["LaunchTime"]
                    yield Usage(what=f"instance {name}", since=since)

    def _template_versions(self, entrance: Entrance, names: "_Names") -> Iterator[tuple[str, str]]:
        """Give the versions that new machines are made of: the default and the newest."""
        for page in self._calls.pages(entrance, "ec2:DescribeLaunchTemplates"):
            for template in page["LaunchTemplates"]:
                numbers = {template["DefaultVersionNumber"], template["LatestVersionNumber"]}
                asked = sorted(map(str, numbers))
                for version in self._versions(entrance, template["LaunchTemplateId"], *asked):
                    if names.mean(version["LaunchTemplateData"].get("ImageId")):
                        name = str(template["LaunchTemplateName"])
                        yield name, str(version["VersionNumber"])

    def _configurations(self, entrance: Entrance, image: str) -> Iterator[Usage]:
        """Give what groups were made of before there were launch templates."""
        for page in self._calls.pages(entrance, "autoscaling:DescribeLaunchConfigurations"):
            for configuration in page["LaunchConfigurations"]:
                if configuration["ImageId"] == image:
                    name = configuration["LaunchConfigurationName"]
                    yield Usage(what=f"launch configuration {name}")

    def _groups(self, entrance: Entrance, names: "_Names") -> Iterator[Usage]:
        for page in self._calls.pages(entrance, "autoscaling:DescribeAutoScalingGroups"):
            for group in page["AutoScalingGroups"]:
                if self._starts(entrance, group, names):
                    yield Usage(what=f"Auto Scaling group {group['AutoScalingGroupName']}")

    def _starts(self, entrance: Entrance, group: Mapping[str, Any], names: "_Names") -> bool:
        """Tell whether a group starts machines of an AMI, whichever version its template names."""
        mixed = group.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
        overrides = mixed.get("Overrides", [])
        if any(names.mean(override.get("ImageId")) for override in overrides):
            return True
        named = [group.get("LaunchTemplate"), mixed.get("LaunchTemplateSpecification")]
        named += [override.get("LaunchTemplateSpecification") for override in overrides]
        asked = {
            (template["LaunchTemplateId"], template.get("Version") or "$Default")
            for template in named
            if template
        }
        return any(
            names.mean(version["LaunchTemplateData"].get("ImageId"))
            for template, number in sorted(asked)
            for version in self._versions(entrance, template, number)
        )

    def _versions(
        self, entrance: Entrance, template: str, *numbers: str
    ) -> list[Mapping[str, Any]]:
        """Give those versions of a launch template that are there, as AWS tells of them."""
        try:
            answer = self._calls.call(
                entrance,
                "ec2:DescribeLaunchTemplateVersions",
                LaunchTemplateId=template,
                Versions=list(numbers),
            )
        except CallRefused as refused:
            if refused.code not in _GONE:
                raise
            return []  # a group whose template was deleted starts nothing
        return list(answer["LaunchTemplateVersions"])


@dataclass(frozen=True, slots=True)
class _Names:
    """What an AMI is called where machines are described: its id, or a parameter that says it.

    `own` is a parameter that does not count. Shape: `said` maps parameters to what they say.
    """

    pointers: Pointers
    entrance: Entrance
    image: str
    own: str
    said: dict[str, str] = field(default_factory=dict)

    def mean(self, text: str | None) -> bool:
        """Tell whether a text means the AMI. Raises: CallRefused; TargetUnavailable."""
        if text is None or not text.startswith(_RESOLVED):
            return text == self.image
        name = text.removeprefix(_RESOLVED)
        if name == self.own or name.startswith(_OF_AWS):
            return False
        if name not in self.said:
            self.said[name] = self.pointers.parameter(self.entrance, name)
        return self.said[name] == self.image
