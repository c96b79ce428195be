"""Keys that snapshots are encrypted with."""

from collections.abc import Sequence

from imagebuilder.adapters.aws.accounts import Entrance, partition_of
from imagebuilder.adapters.aws.calls import Calls
from imagebuilder.adapters.aws.clients import Boto


class Keys:
    """Knows keys, as an account sees them."""

    def __init__(self, calls: Calls) -> None:
        """Ask by calls."""
        self._calls = calls

    def told(self, entrance: Entrance, named: str) -> Boto:
        """Give what is told of a key. Raises: CallRefused; TargetUnavailable."""
        return self._calls.call(entrance, "kms:DescribeKey", KeyId=named)["KeyMetadata"]

    def is_default(self, entrance: Entrance) -> bool:
        """Tell whether all that is new there is encrypted. Raises: as `told`."""
        answer = self._calls.call(entrance, "ec2:GetEbsEncryptionByDefault")
        return bool(answer["EbsEncryptionByDefault"])

    def default(self, entrance: Entrance) -> str:
        """Give the key that is used there where none is named. Raises: as `told`."""
        return str(self._calls.call(entrance, "ec2:GetEbsDefaultKmsKeyId")["KmsKeyId"])

    def wanted(self, entrance: Entrance, named: str) -> str:
        """Give the ARN of the key of a new snapshot, empty where it is not encrypted.

        Raises: as `told`.
        """
        if not named and not self.is_default(entrance):
            return ""
        return str(self.told(entrance, named or self.default(entrance))["Arn"])

    def of_snapshots(self, entrance: Entrance, snapshots: Sequence[str]) -> str:
        """Give the key that snapshots are encrypted with, empty where they are not.

        Raises: as `told`.
        """
        if not snapshots:  # AWS would tell of all that there are
            return ""
        found = self._calls.call(entrance, "ec2:DescribeSnapshots", SnapshotIds=list(snapshots))[
            "Snapshots"
        ]
        return next((str(one["KmsKeyId"]) for one in found if one.get("KmsKeyId")), "")


def key_arn(named: str, entrance: Entrance) -> str:
    """Give the name of an account's key by which others know it."""
    if named.startswith("arn:"):
        return named
    kind = "" if named.startswith("alias/") else "key/"
    partition = partition_of(entrance.region)
    return f"arn:{partition}:kms:{entrance.region}:{entrance.account}:{kind}{named}"
