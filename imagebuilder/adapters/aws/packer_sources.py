"""AmazonSources: what Packer started and made at AWS, looked at and taken away."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from imagebuilder.adapters.aws.clients import Boto, keep_quiet
from imagebuilder.domain.ids import RunId
from imagebuilder.domain.packer import PackerSource
from imagebuilder.ports.live_builds import LivePlace, PlaceNotFound, PlacesUnavailable

# ruff: noqa: PLC0415 - a third of a second that what needs no AWS need not wait

_RUN_TAG = "imagebuilder-run"
_ALIVE = ["pending", "running", "shutting-down", "stopping", "stopped"]


class AmazonSources:
    """Asks EC2 with the credentials, region and endpoint that a source gives to Packer."""

    def __init__(self, secret_of: Callable[[str], bytes]) -> None:
        """Have the values of references from secret_of."""
        self._secret_of = secret_of

    def target_of(self, source: PackerSource, place: LivePlace) -> str:
        """Give the target an image is at: aws:ACCOUNT/REGION.

        Raises: PlaceNotFound: there is no such image; PlacesUnavailable.
        """
        if not _is_amazons(source):
            return f"{source.type}:{place.region}" if place.region else source.type
        with self._translated(source):
            found = self._client(source, place.region).describe_images(Owners=["self"])
            images = [each for each in found["Images"] if each["ImageId"] == place.id]
        if not images:
            raise PlaceNotFound(source.name, place)
        return f"aws:{images[0]['OwnerId']}/{place.region}"

    def withdraw(self, source: PackerSource, place: LivePlace) -> Sequence[str]:
        """Take an image away, with its snapshots; what is at other places stays and is told."""
        if not _is_amazons(source):
            return [f"{place.id} of source {source.name} stays: nobody here can take it away"]
        with self._translated(source):
            client = self._client(source, place.region)
            images = client.describe_images(Owners=["self"])["Images"]
            return _without_images(client, [i for i in images if i["ImageId"] == place.id])

    def clear(
        self, source: PackerSource, run_id: RunId, named: Sequence[str], *, is_recorded: bool
    ) -> Sequence[str]:
        """Take away what a run started of a source, and what it was making; tell each.

        `named` are the names of groups and keys that Packer told. Of a run that recorded a version
        the images stay.
        """
        if not _is_amazons(source):
            return []
        with self._translated(source):
            client = self._client(source, None)
            lines = _without_instances(client, run_id)
            for region in () if is_recorded else (None, *self._copied_to(source)):
                lines += _without_images_of(self._client(source, region), run_id)
            lines += _without_volumes(client, run_id)
            for name in named:
                lines += _without_group(client, name) + _without_key(client, name)
        return lines

    def _copied_to(self, source: PackerSource) -> Sequence[str]:
        """Give the regions that a source's image is copied to."""
        # Packer takes a text with commas for a list.
        regions = source.settings.get("ami_regions", "")
        if isinstance(regions, str):
            whole = self._setting(source, "ami_regions") or ""
            return [region.strip() for region in whole.split(",") if region.strip()]
        places = range(len(regions)) if isinstance(regions, Sequence) else ()
        found = [self._setting(source, "ami_regions", place) for place in places]
        return [region for region in found if region]

    @contextmanager
    def _translated(self, source: PackerSource) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError

        try:
            yield
        except ResponseParserError as error:
            reason = "What AWS answered cannot be read; it may be cut off."
            raise PlacesUnavailable(source.name, reason) from error
        except (BotoCoreError, ClientError) as error:
            raise PlacesUnavailable(source.name, str(error)) from error

    def _client(self, source: PackerSource, region: str | None) -> Boto:
        import boto3
        from botocore.config import Config

        session = boto3.session.Session(
            aws_access_key_id=self._setting(source, "access_key"),
            aws_secret_access_key=self._setting(source, "secret_key"),
            aws_session_token=self._setting(source, "token"),
            profile_name=self._setting(source, "profile"),
            region_name=region or self._setting(source, "region"),
        )
        retries = {"total_max_attempts": 5, "mode": "standard"}
        config = Config(connect_timeout=10, read_timeout=60, retries=retries)
        session = self._assumed(source, session, config)
        keep_quiet(session.events)
        endpoint = self._setting(source, "custom_endpoint_ec2")
        return session.client("ec2", endpoint_url=endpoint, config=config)

    def _assumed(self, source: PackerSource, session: Boto, config: Boto) -> Boto:
        """Give the session of the role that a source takes on, or the one that it has."""
        import boto3

        role = self._setting(source, "assume_role", "role_arn")
        if not role:
            return session
        external_id = self._setting(source, "assume_role", "external_id")
        more = {"ExternalId": external_id} if external_id else {}
        keep_quiet(session.events, more.values())
        taken = session.client("sts", config=config).assume_role(
            RoleArn=role, RoleSessionName="imagebuilder", **more
        )["Credentials"]
        return boto3.session.Session(
            aws_access_key_id=taken["AccessKeyId"],
            aws_secret_access_key=taken["SecretAccessKey"],
            aws_session_token=taken["SessionToken"],
            region_name=session.region_name,
        )

    def _setting(self, source: PackerSource, *path: str | int) -> str | None:
        if reference := source.references.get(path):
            return self._secret_of(reference).decode()
        value: Boto = source.settings
        for part in path:
            if isinstance(part, int):
                value = value[part]
            else:
                value = value.get(part) if isinstance(value, Mapping) else None
        return value if isinstance(value, str) and value else None


def _is_amazons(source: PackerSource) -> bool:
    return source.type.startswith("amazon-")


def _of_run(run_id: RunId) -> dict[str, Any]:
    return {"Name": f"tag:{_RUN_TAG}", "Values": [run_id]}


def _without_instances(client: Boto, run_id: RunId) -> list[str]:
    filters = [_of_run(run_id), {"Name": "instance-state-name", "Values": _ALIVE}]
    pages = client.get_paginator("describe_instances").paginate(Filters=filters)
    found = [i for page in pages for each in page["Reservations"] for i in each["Instances"]]
    ids = [instance["InstanceId"] for instance in found]
    groups = {g["GroupName"] for i in found for g in i["SecurityGroups"]}
    if not ids:
        return []
    client.terminate_instances(InstanceIds=ids)
    client.get_waiter("instance_terminated").wait(InstanceIds=ids)
    lines = [f"instance {known_as} was terminated" for known_as in ids]
    for name in sorted(groups):
        lines += _without_group(client, name)
    return lines


def _without_images_of(client: Boto, run_id: RunId) -> list[str]:
    # Until it is ready, an image has no label but its name.
    tag = {"Key": _RUN_TAG, "Value": run_id}
    images = client.describe_images(Owners=["self"])["Images"]
    return _without_images(
        client,
        [i for i in images if run_id in i.get("Name", "") or tag in i.get("Tags", [])],
    )


def _without_images(client: Boto, images: Sequence[Boto]) -> list[str]:
    lines = []
    for image in images:
        _done(client.deregister_image, ImageId=image["ImageId"])
        lines.append(f"image {image['ImageId']} was deregistered")
        for mapping in image.get("BlockDeviceMappings", []):
            snapshot = mapping.get("Ebs", {}).get("SnapshotId")
            if snapshot:
                _done(client.delete_snapshot, SnapshotId=snapshot)
                lines.append(f"snapshot {snapshot} was deleted")
    return lines


def _without_volumes(client: Boto, run_id: RunId) -> list[str]:
    filters = [_of_run(run_id), {"Name": "status", "Values": ["available"]}]
    lines = []
    for volume in client.describe_volumes(Filters=filters)["Volumes"]:
        _done(client.delete_volume, VolumeId=volume["VolumeId"])
        lines.append(f"volume {volume['VolumeId']} was deleted")
    return lines


def _without_group(client: Boto, name: str) -> list[str]:
    """Delete a security group, if it is one that Packer made for a build."""
    if not name.startswith("packer_"):
        return []
    filters = [{"Name": "group-name", "Values": [name]}]
    groups = client.describe_security_groups(Filters=filters)["SecurityGroups"]
    for group in groups:
        _done(client.delete_security_group, GroupId=group["GroupId"])
    return [f"security group {name} was deleted" for _ in groups]


def _without_key(client: Boto, name: str) -> list[str]:
    filters = [{"Name": "key-name", "Values": [name]}]
    keys = client.describe_key_pairs(Filters=filters)["KeyPairs"]
    for key in keys:
        client.delete_key_pair(KeyName=key["KeyName"])
    return [f"key pair {name} was deleted" for _ in keys]


def _done(call: Callable[..., Any], **asked: str) -> None:
    """Do what takes something away; that it is gone already is as good."""
    from botocore.exceptions import ClientError

    try:
        call(**asked)
    except ClientError as error:
        if "NotFound" not in error.response["Error"]["Code"]:
            raise
