"""Templates: what Packer is told to build, in JSON, which every version of it reads.

Source: Packer 1.6.6, "Templates"; of later versions "JSON Templates". No secret stands in one: they
are variables, whose values are in a file of their own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from imagebuilder.adapters.packer.manifest import MANIFEST
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.kept import kept_mapping, kept_rows, kept_text
from imagebuilder.domain.packer import PackerSource, SettingPath
from imagebuilder.ports.live_builds import LiveOrder, SourceRefused

RUN_LABEL = "imagebuilder-run"
"""The tag of what a build started or made, by which it is found when nobody else is there."""

DISK_NAME = "disk"
_KEY_FILE = "ssh_private_key_file"
_OURS = ("name", "type", "output_directory", "vm_name")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalHardware:
    """What a machine that is started here gets beside its settings.

    `public_key`, when there is one, is let in as root; `key` is the file with its other half.
    """

    accelerator: str
    disk: PurePath | None = None
    public_key_credential: str = ""
    key: PurePath | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """All that a template is made of.

    Shape: `variables` maps where a reference stands, source first, to the name of its variable.
    """

    order: LiveOrder
    hook: Sequence[str]
    hardware: LocalHardware
    variables: Mapping[tuple[str, SettingPath], str] = field(default_factory=dict)


def template_of(given: Composition) -> Canonical:
    """Give the template. Raises: SourceRefused: a source sets what is ours to set."""
    names = sorted(given.variables.values())
    return {
        "variables": dict.fromkeys(names, ""),
        "sensitive-variables": names,
        "builders": [_builder(given, source) for source in given.order.sources],
        "provisioners": [
            {
                "type": "shell-local",
                "inline_shebang": "/bin/sh -eu",
                "inline": list(given.hook),
                "except": [s.name for s in given.order.sources if not has_machine(s)],
            }
        ],
        # Packer takes a finished image back when a post-processor fails: this one writes a file
        # into our own folder, and no other is there.
        "post-processors": [{"type": "manifest", "output": MANIFEST, "strip_path": False}],
    }


def has_machine(source: PackerSource) -> bool:
    """Whether there is a machine to log in to."""
    return source.type != "file" and source.settings.get("communicator") != "none"


def key_files(template: Canonical) -> Mapping[str, Path]:
    """Give the files of the keys that sources are logged in to with. Shape: source -> file."""
    return {
        kept_text(builder, "name"): Path(kept_text(builder, _KEY_FILE))
        for builder in kept_rows(kept_mapping(template), "builders")
        if isinstance(builder.get(_KEY_FILE), str)
    }


def output_folder(source: str) -> str:
    """Give the folder that a local builder writes to, below the one that it is started in."""
    return f"out-{source}"


def _builder(given: Composition, source: PackerSource) -> Canonical:
    for name in _OURS:
        if name in source.settings:
            raise SourceRefused("imagebuilder", f"{name} of source {source.name} is not to be set.")
    settings = {
        name: _with_variables(value, given.variables, source.name, (name,))
        for name, value in source.settings.items()
    }
    own = {"type": source.type, "name": source.name}
    if source.type.startswith("amazon-"):
        return {**_of_amazon(given.order, source, settings), **own}
    if source.type == "qemu":
        usual = dict(_of_qemu(given.hardware))
        if "disk_size" in settings:
            usual.pop("skip_resize_disk", None)
        return {**usual, **settings, **_always_of_qemu(source), **own}
    return {**settings, **own}


def _of_amazon(
    order: LiveOrder, source: PackerSource, settings: Mapping[str, Canonical]
) -> Mapping[str, Canonical]:
    """Give settings with a name for the image, and with labels on all that is started and made."""
    label = {RUN_LABEL: order.run_id}
    labelled: dict[str, Canonical] = {
        name: {**_mapping_at(settings, name), **added}
        for name, added in (
            # An image may have a name that tells nobody of whom it is.
            ("tags", {**order.labels, **label}),
            ("snapshot_tags", {**order.labels, **label}),
            ("run_tags", label),
            ("run_volume_tags", label),
        )
    }
    usual: dict[str, Canonical] = {
        "ami_name": f"{order.image}-{order.run_id}-{source.name}"[:128],
        "ssh_timeout": "10m",
        # The key of the build is nobody's in an image.
        "ssh_clear_authorized_keys": True,
    }
    return {**usual, **settings, **labelled}


def _mapping_at(settings: Mapping[str, Canonical], name: str) -> Mapping[str, Canonical]:
    found = settings.get(name, {})
    if not isinstance(found, Mapping):
        raise SourceRefused("imagebuilder", f"{name} is no mapping of labels to their values.")
    return found


def _of_qemu(hardware: LocalHardware) -> Mapping[str, Canonical]:
    """Give what a source need not say."""
    usual: dict[str, Canonical] = {
        "accelerator": hardware.accelerator,
        "headless": True,
        "format": "qcow2",
        "memory": 1024,
        "boot_wait": "1s",
        "ssh_timeout": "10m",
        "shutdown_timeout": "5m",
    }
    # Of its own accord Packer would open the port to the whole network.
    arguments = [["-netdev", "user,id=user.0,hostfwd=tcp:127.0.0.1:{{ .SSHHostPort }}-:22"]]
    usual["qemuargs"] = arguments
    disk, key = hardware.disk, hardware.key
    if disk is None:
        return usual
    usual |= {
        "disk_image": True,
        "iso_url": str(disk),
        # It was verified by us, by its own digest, just now.
        "iso_checksum": "none",
        "ssh_username": "root",
        # Of its own accord Packer would make it one of 40 GiB.
        "skip_resize_disk": True,
    }
    if key is not None:
        usual |= {
            _KEY_FILE: str(key),
            "shutdown_command": _FORGET_AND_END,
            "qemuargs": [
                *arguments,
                ["-smbios", f"type=11,value={hardware.public_key_credential}"],
            ],
        }
    return usual


def _always_of_qemu(source: PackerSource) -> Mapping[str, Canonical]:
    return {"output_directory": output_folder(source.name), "vm_name": DISK_NAME}


# What the build and its boot put there, and is of no machine that is started from the image; the
# comment of our key is that word.
_FORGET_AND_END = (
    "sed -i '/ imagebuilder$/d' /root/.ssh/authorized_keys"
    " && { [ -s /root/.ssh/authorized_keys ] || rm -f /root/.ssh/authorized_keys; }"
    " && rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub /var/lib/systemd/random-seed"
    " && : > /etc/machine-id && sync && systemctl poweroff"
)


def _with_variables(
    value: Canonical,
    variables: Mapping[tuple[str, SettingPath], str],
    source: str,
    path: SettingPath,
) -> Canonical:
    """Give a value with a variable in the place of every reference."""
    name = variables.get((source, path))
    if name is not None:
        return f"{{{{user `{name}`}}}}"
    if isinstance(value, Mapping):
        return {k: _with_variables(v, variables, source, (*path, k)) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_with_variables(v, variables, source, (*path, i)) for i, v in enumerate(value)]
    return value
