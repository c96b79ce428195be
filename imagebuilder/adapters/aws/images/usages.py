"""ImageUsages: what runs of an AMI in its account, or would be started of it."""

from collections.abc import Iterator, Mapping
from typing import Any

from imagebuilder.adapters.aws.accounts import Entrance
from imagebuilder.adapters.aws.calls import CallRefused, Calls
from imagebuilder.adapters.aws.images.finishing import TEMPLATE, TEMPLATE_VERSION
from imagebuilder.domain.distribution import Placement
from imagebuilder.ports.targets import Usage

_LIVING = ("pending", "running", "stopping", "stopped", "shutting-down")
_GONE = frozenset(("InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateId.VersionNotFound"))


class ImageUsages:
    """Finds what uses AMIs."""

    def __init__(self, calls: Calls) -> None:
        """Ask by calls."""
        self._calls = calls

    def of(self, entrance: Entrance, placement: Placement) -> Iterator[Usage]:
        """Give what uses a placed AMI; the pointer that was set with it is none of them.

        Raises: CallRefused; TargetUnavailable.
        """
        image = placement.external_id
        own = (placement.traits.get(TEMPLATE, ""), placement.traits.get(TEMPLATE_VERSION, ""))
        yield from self._instances(entrance, image)
        for name, number in self._template_versions(entrance, image):
            if (name, number) != own:
                yield Usage(what=f"launch template {name} version {number}")
        yield from self._configurations(entrance, image)
        yield from self._groups(entrance, image)

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

    def _template_versions(self, entrance: Entrance, image: str) -> Iterator[tuple[str, str]]:
        """Give the versions that new machines are made of: the default and the newest."""
        for page in self._calls.pages(entrance, "ec2:DescribeLaunchTemplates"):
            for template in page["LaunchTemplates"]:
                numbers = {template["DefaultVersionNumber"], template["LatestVersionNumber"]}
                asked = sorted(map(str, numbers))
                for version in self._versions(entrance, template["LaunchTemplateId"], *asked):
                    if version["LaunchTemplateData"].get("ImageId") == image:
                        name = str(template["LaunchTemplateName"])
                        yield name, str(version["VersionNumber"])

    def _configurations(self, entrance: Entrance, image: str) -> Iterator[Usage]:
        """Give what groups were made of before there were launch templates."""
        for page in self._calls.pages(entrance, "autoscaling:DescribeLaunchConfigurations"):
            for configuration in page["LaunchConfigurations"]:
                if configuration["ImageId"] == image:
                    name = configuration["LaunchConfigurationName"]
                    yield Usage(what=f"launch configuration {name}")

    def _groups(self, entrance: Entrance, image: str) -> Iterator[Usage]:
        for page in self._calls.pages(entrance, "autoscaling:DescribeAutoScalingGroups"):
            for group in page["AutoScalingGroups"]:
                if self._starts(entrance, group, image):
                    yield Usage(what=f"Auto Scaling group {group['AutoScalingGroupName']}")

    def _starts(self, entrance: Entrance, group: Mapping[str, Any], image: str) -> bool:
        """Tell whether a group starts machines of an AMI, whichever version its template names."""
        mixed = group.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
        overrides = mixed.get("Overrides", [])
        if any(override.get("ImageId") == image for override in overrides):
            return True
        named = [group.get("LaunchTemplate"), mixed.get("LaunchTemplateSpecification")]
        named += [override.get("LaunchTemplateSpecification") for override in overrides]
        asked = {
            (template["LaunchTemplateId"], template.get("Version") or "$Default")
            for template in named
            if template
        }
        return any(
            version["LaunchTemplateData"].get("ImageId") == image
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
