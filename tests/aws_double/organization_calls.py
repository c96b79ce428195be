"""The tree of an organization is told to its management account and its delegates alone."""

from typing import Final

from moto.organizations.models import organizations_backends

from tests.aws_double.operations import Asked, PassedOn, operation
from tests.aws_double.organization import standing
from tests.aws_double.refusals import Refusal

_TREE: Final = (
    "DescribeAccount", "DescribeOrganizationalUnit", "ListAccounts", "ListAccountsForParent",
    "ListChildren", "ListOrganizationalUnitsForParent", "ListParents", "ListRoots",
)  # fmt: skip


def read_tree(asked: Asked) -> None:
    """Let moto tell of the tree, if the caller may know it."""
    stands = standing(asked.account)
    if stands is None:
        said = "Your account is not a member of an organization."
        raise Refusal("AWSOrganizationsNotInUseException", said)
    management = stands.arn.split(":")[4]
    backend = organizations_backends[management]["aws"]
    delegates = {admin.account.id for admin in backend.admins}
    if asked.account not in {management, *delegates}:
        said = "You don't have permissions to access this resource."
        raise Refusal("AccessDeniedException", said)
    raise PassedOn(account=management)


for _name in _TREE:
    operation("organizations", _name)(read_tree)
