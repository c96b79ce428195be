"""No file holds a secret: no private key, no token of a cloud, no history of a shell.

Texts are looked through in /etc, /root, /home, /srv, /opt, /usr/local, /var and /tmp; key stores in
forms of their own, and what a program has packed, are not. Only names of files are told.
Variables: `allowed: [PATH]` are files that may hold what looks like one.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from testinfra.host import Host

_PLACES = "/etc /root /home /srv /opt /usr/local /var /tmp"
_LEFT_OUT = "--exclude-dir=dpkg --exclude-dir=lists --exclude-dir=cache"
_LOOKS = {
    "private key": "-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY( BLOCK)?-----",
    "AWS key": "(^|[^A-Z0-9])(AKIA|ASIA)[A-Z0-9]{16}([^A-Z0-9]|$)",
    "AWS secret": "aws_secret_access_key *[=:] *[A-Za-z0-9/+]{40}",
    "GitHub token": "(gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60})",
    "GitLab token": "glpat-[A-Za-z0-9_-]{20}",
    "Slack token": "xox[abprs]-[A-Za-z0-9-]{10}",
    "Google key": "AIza[A-Za-z0-9_-]{35}",
}
_FILES = (
    *(".aws/credentials", ".azure/accessTokens.json", ".config/gcloud/credentials.db", ".netrc"),
    *(".git-credentials", ".pgpass", ".my.cnf", ".docker/config.json", ".kube/config", ".npmrc"),
    *(".pypirc", ".vault-token", ".bash_history", ".ash_history", ".python_history", ".viminfo"),
)


@pytest.mark.parametrize("what", list(_LOOKS))
def test_no_text_holds(host: Host, variables: Mapping[str, Any], what: str) -> None:
    """Nothing that looks like one stands in a text."""
    command = f"grep -rlIZsE -D skip {_LEFT_OUT} -e %s -- $(ls -d {_PLACES} 2>&-)"
    found = host.run(command, _LOOKS[what])
    # 2 is said of files that cannot be read, and of a grep that is none.
    assert found.rc in (0, 1), found.stderr
    assert list(_others(found.stdout, variables)) == []


def test_no_file_is_where_secrets_are_kept(host: Host, variables: Mapping[str, Any]) -> None:
    """No home has a file that is there for secrets, or tells what was typed."""
    names = " -o ".join(f"-path '*/{name}'" for name in _FILES)
    homes = "$(ls -d /root /home /var/lib 2>&-)"
    found = host.check_output(f"find {homes} -type f -size +0 \\( {names} \\) -print0")
    assert list(_others(found, variables)) == []


def test_no_host_key_is_left(host: Host, variables: Mapping[str, Any]) -> None:
    """A host key in an image is everybody's."""
    found = host.check_output("find /etc -path '/etc/ssh/ssh_host_*_key' -print0")
    assert list(_others(found, variables)) == []


def _others(found: str, variables: Mapping[str, Any]) -> Iterator[str]:
    """Give the names that are not allowed; a name may hold anything but a zero."""
    allowed = variables.get("allowed", [])
    return (name for name in found.split("\0") if name and name not in allowed)
