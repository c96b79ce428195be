"""Grounding: what is installed in an image, and what its apt was told of it.

Source: dpkg-query(1), db:Status-Abbrev; apt_preferences(5), the names of its files.
"""

from collections.abc import Iterator

from imagebuilder.domain.ground import Ground
from imagebuilder.domain.package import InstalledPackage
from imagebuilder.ports.machine import Script

_LIST = (
    "dpkg-query -W -f '${db:Status-Abbrev}|"
    "${Package}|${Version}|${Architecture}|${source:Package}|${source:Version}\\n'"
)

_THERE = frozenset("UFWti")
"""Unpacked, half-configured, waiting for triggers of others or its own, installed."""
_END = "@@ end"
GROUND_SCRIPT = Script(
    text=f"""if [ ! -s /var/lib/dpkg/status ] || ! command -v apt-get >/dev/null; then exit 0; fi
for source in /etc/apt/sources.list.d/*; do if [ -s "$source" ]; then exit 0; fi; done
if apt-config dump | grep -q '^APT::Default-Release '; then exit 0; fi
echo "@@ architecture $(dpkg --print-architecture)"
{_LIST}
echo '@@ preferences'
for file in /etc/apt/preferences /etc/apt/preferences.d/*; do
  case "${{file##*/}}" in *.pref) ;; *.*) continue ;; esac
  if [ -f "$file" ]; then cat "$file"; echo; fi
done
echo '{_END}'
""",
    timeout_seconds=60,
)
"""Its output is what `ground_in` reads. An image whose apt has archives or a default release of its
own says nothing, and so does one without apt: what such a one would upgrade only it can tell."""


def ground_in(output: str) -> Ground | None:
    """Give the ground that a script told of, None when it told of none."""
    head, _, rest = output.partition("\n")
    if not head.startswith("@@ architecture ") or not rest.endswith(f"\n{_END}\n"):
        return None
    listed, _, preferences = rest.removesuffix(f"{_END}\n").partition("@@ preferences\n")
    empty = Ground(architecture=head.split()[-1])
    rows = [(state, empty.key(p.name, p.architecture), p.version) for state, p in _rows(listed)]
    return Ground(
        architecture=empty.architecture,
        packages={key: version for _, key, version in rows},
        marked=frozenset(key for state, key, _ in rows if state.startswith("h")),
        preferences=preferences.strip(),
    )


def _rows(output: str) -> Iterator[tuple[str, InstalledPackage]]:
    for line in output.splitlines():
        row = line.split("|")
        # The second letter says what is there; the first only what is wanted, such as on hold.
        # What has yet to be configured apt upgrades like all else.
        if row[0][1:2] in _THERE:
            yield (
                row[0],
                InstalledPackage(
                    name=row[1],
                    version=row[2],
                    architecture=row[3],
                    source=row[4],
                    source_version=row[5],
                ),
            )
