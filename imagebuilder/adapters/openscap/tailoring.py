"""Tailorings: a profile without rules that are not our policy, and with values of our own.

They are written by us, for the tool that comes with OpenSCAP puts this machine's paths into them.
Source: NIST IR 7275 revision 4 (XCCDF 1.2), 6.7.
"""

from collections.abc import Mapping
from xml.sax.saxutils import escape, quoteattr

from imagebuilder.adapters.openscap.datastream import names_in, short_name
from imagebuilder.domain.content import ContentPack, ContentProfile, RuleUnknown
from imagebuilder.domain.spelling import nearest
from imagebuilder.ports.scanning import ScanRequest

_XCCDF = "http://checklists.nist.gov/xccdf/1.2"
_PREFIX = "xccdf_imagebuilder_tailoring_"
_ANY_TIME = "1970-01-01T00:00:00"
"""A tailoring has to have one, and the same words are to be the same bytes."""


def tailored_id(profile: ContentProfile) -> str:
    """Give the id of the profile that a tailoring makes of another."""
    return f"xccdf_imagebuilder_profile_{profile.name}"


def tailoring(request: ScanRequest, profile: ContentProfile) -> bytes | None:
    """Write what a request asks for beyond its profile; None when that is nothing.

    Raises: RuleUnknown; ContentUnreadable.
    """
    asked = request.compliance
    if not asked.unselect and not asked.variables:
        return None
    names = names_in(request.file)
    rules = sorted({_id("rule", name, names.rules, request.pack) for name in asked.unselect})
    values = {
        _id("variable", name, names.values, request.pack): value
        for name, value in asked.variables.items()
    }
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<Tailoring xmlns={quoteattr(_XCCDF)} id={quoteattr(_PREFIX + profile.name)}>",
        f"  <benchmark href={quoteattr(f'{request.pack.name}-ds.xml')}/>",
        f'  <version time="{_ANY_TIME}">1</version>',
        f"  <Profile id={quoteattr(tailored_id(profile))} extends={quoteattr(profile.id)}>",
        f"    <title>{escape(profile.title or profile.name)}, tailored</title>",
        *(f'    <select idref={quoteattr(rule)} selected="false"/>' for rule in rules),
        *(
            f"    <set-value idref={quoteattr(id_)}>{escape(values[id_])}</set-value>"
            for id_ in sorted(values)
        ),
        "  </Profile>",
        "</Tailoring>",
        "",
    ]
    return "\n".join(lines).encode()


def _id(what: str, name: str, known: Mapping[str, str], pack: ContentPack) -> str:
    found = known.get(short_name(name))
    if found is None:
        raise RuleUnknown(what, name, pack, nearest(short_name(name), known))
    return found
