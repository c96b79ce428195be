"""Package URLs: the one name that advisories and bills have for a package, whatever their standard.

Source: package-url specification, types deb and rpm.
"""

from urllib.parse import quote

from imagebuilder.domain.bill import Release
from imagebuilder.domain.package import InstalledPackage
from imagebuilder.domain.versions import PackageOrder


def package_url(package: InstalledPackage, release: Release) -> str:
    """Give the URL of a package of a release; one of no known distribution has no namespace."""
    order = PackageOrder.of(package.architecture)
    kind = "rpm" if order is PackageOrder.RPM else "deb"
    namespace = f"{release.distribution}/" if release.distribution else ""
    qualifiers = [("arch", package.architecture)]
    if release.codename:
        qualifiers.append(("distro", release.codename))
    asked = "&".join(f"{name}={_quoted(value)}" for name, value in qualifiers)
    return f"pkg:{kind}/{namespace}{_quoted(package.name)}@{_quoted(package.version)}?{asked}"


def _quoted(text: str) -> str:
    return quote(text, safe=".-_~:")
