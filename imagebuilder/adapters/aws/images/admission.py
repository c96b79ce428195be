"""Admission: accounts get leave to copy an AMI, all those at once that ask at a time.

Hundreds of copies are begun together, and each account would change the same AMI: changes of one
place are few a second.
"""

from threading import Lock

from imagebuilder.adapters.aws.accounts import Entrance
from imagebuilder.adapters.aws.calls import CallRefused, Calls
from imagebuilder.adapters.aws.images.permissions import Permissions
from imagebuilder.adapters.aws.images.sight import ImageSight


class Admission:
    """Gives accounts leave; safe for many threads."""

    def __init__(self, calls: Calls) -> None:
        """Do it by calls."""
        self._sight = ImageSight(calls)
        self._permissions = Permissions(calls)
        self._asking: set[tuple[str, str]] = set()
        self._given: set[tuple[str, str]] = set()
        self._giving = Lock()

    def admit(self, home: Entrance, image: str, account: str) -> None:
        """See that an account may copy an AMI of home. Raises: CallRefused; TargetUnavailable."""
        self._asking.add((image, account))
        with self._giving:
            if (image, account) in self._given:
                return
            together = {account, *(who for asked, who in tuple(self._asking) if asked == image)}
            self._asking -= {(image, who) for who in together}
            shown = self._sight.available(home, image, "ec2:DescribeImages")
            try:
                self._permissions.grant(home, shown, *sorted(together))
            except CallRefused:
                if together == {account}:
                    raise
                together = {account}  # another one may be why it is refused
                self._permissions.grant(home, shown, account)
            self._given |= {(image, who) for who in together}

    def forget(self, image: str) -> None:
        """Give leave anew the next time that it is asked for."""
        with self._giving:
            self._given = {pair for pair in self._given if pair[0] != image}
