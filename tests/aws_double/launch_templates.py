"""Versions of launch templates: made from one another, and once for each token."""

from typing import Any

from moto.ec2.utils import parse_user_data

from tests.aws_double.operations import Answer, Asked, PassedOn, operation
from tests.aws_double.parameters import resolved
from tests.aws_double.refusals import Refusal


def _template(asked: Asked) -> Any:
    template_id, name = asked.get("LaunchTemplateId"), asked.get("LaunchTemplateName")
    if bool(template_id) == bool(name):
        said = "Either LaunchTemplateId or LaunchTemplateName must be given, not both."
        raise Refusal("InvalidParameterCombination", said)
    if template_id:
        return asked.moto("ec2").get_launch_template(template_id)
    return asked.moto("ec2").get_launch_template_by_name(name)


@operation("ec2", "CreateLaunchTemplateVersion")
def create_launch_template_version(asked: Asked) -> Answer:
    """Make a version: what is said of it, on top of the version that it is made from."""
    template, token = _template(asked), asked.get("ClientToken")
    place = (asked.account, asked.region, f"{template.id}/{token}")
    tokens = asked.world.template_tokens
    if token and place in tokens:
        number, parameters = tokens[place]
        if parameters != dict(asked.parameters):
            said = "The client token was used with other parameters."
            raise Refusal("IdempotentParameterMismatch", said)
        return _told(template, template.get_version(number))
    source = asked.get("SourceVersion")
    before = template.get_version(source).data if source else {}
    new = dict(asked.get("LaunchTemplateData") or {})
    if new.get("UserData"):
        new["UserData"] = parse_user_data(new["UserData"])
    merged = {name: value for name, value in before.items() if value is not None} | new
    version = template.create_version(merged, asked.get("VersionDescription"))
    if token:
        tokens[place] = (version.number, dict(asked.parameters))
    return _told(template, version)


def _told(template: Any, version: Any) -> Answer:
    return {"LaunchTemplateVersion": _version(template, version, dict(version.data))}


def _version(template: Any, version: Any, said: dict[str, Any]) -> dict[str, Any]:
    return {
        "CreateTime": version.create_time,
        "DefaultVersion": template.is_default(version),
        "LaunchTemplateData": {name: value for name, value in said.items() if value is not None},
        "LaunchTemplateId": template.id,
        "LaunchTemplateName": template.name,
        "VersionDescription": version.description or "",
        "VersionNumber": version.number,
    }


@operation("ec2", "DescribeLaunchTemplateVersions")
def describe_launch_template_versions(asked: Asked) -> Answer:
    """List versions; with the images that parameters point to when that is asked for."""
    if not asked.get("ResolveAlias"):
        raise PassedOn
    template = _template(asked)
    wanted = asked.get("Versions") or [version.number for version in template.versions]
    listed = []
    for named in wanted:
        version = template.get_version(named)
        said = dict(version.data)
        if said.get("ImageId"):
            said["ImageId"] = resolved(asked, said["ImageId"])
        listed.append(_version(template, version, said))
    return {"LaunchTemplateVersions": listed}
