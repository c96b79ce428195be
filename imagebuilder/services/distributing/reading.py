"""Distribution documents, those in files and those that were kept with a distribution."""

from imagebuilder.documents.reader import Read, read_distribution
from imagebuilder.domain.distribution import DeliveryStep, Distribution
from imagebuilder.domain.target import DistributionSpec, Target, TargetUnknown
from imagebuilder.ports.documents import DocumentSource


class DistributionReading:
    """Reads distribution documents."""

    def __init__(self, documents: DocumentSource) -> None:
        """Read from a source of documents."""
        self._documents = documents

    def at(self, path: str) -> Read[DistributionSpec]:
        """Give the distribution at a path. Raises: DocumentUnreadable; InvalidDocument."""
        return read_distribution(self._documents.text(path), path)


def kept_spec(distribution: Distribution) -> DistributionSpec:
    """Give what the document of a distribution said when it began. Raises: InvalidDocument."""
    return read_distribution(distribution.text, distribution.path).value


def target_of(step: DeliveryStep, spec: DistributionSpec) -> Target:
    """Give the target of a step, as its carrier knows it. Raises: TargetUnknown."""
    entries = {entry.name: entry for entry in spec.targets}
    if step.entry not in entries:
        raise TargetUnknown(step.entry, tuple(entries))
    return Target(key=step.target, spec=entries[step.entry], after=step.after, where=step.where)
