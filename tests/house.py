"""The whole journey over fakes: two recipes, a component, archives and what apt says."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imagebuilder.domain.attestation import BuilderIdentity
from imagebuilder.domain.content import AddedContent
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.package import InstalledPackage, Upgrade
from imagebuilder.ports.machine import Script
from imagebuilder.services.assessing import Assessing, AssessingDesk
from imagebuilder.services.attesting import AttestationDesk, Attesting
from imagebuilder.services.authoring import Authoring
from imagebuilder.services.building.stacking import Stacking
from imagebuilder.services.building.stocktaking import Stocktaking
from imagebuilder.services.cataloguing import Cataloguing, Records
from imagebuilder.services.matching import MatchDesk, Matching
from imagebuilder.services.pipelines.desk import BuildResult, Desk, Job
from imagebuilder.services.pipelines.importing import Importing, ImportTools
from imagebuilder.services.pipelines.journey import BuildImage
from imagebuilder.services.pipelines.making import Workers
from imagebuilder.services.pipelines.planning import BuildRequest, Inventory, Planning, Preparation
from imagebuilder.services.pipelines.stages import Stages, in_one
from imagebuilder.services.pipelines.usability import Usability
from imagebuilder.services.pipelines.watching import RecordedProgress
from imagebuilder.services.provisioning.components import Means
from imagebuilder.services.sweeping import Here, Sweeping
from tests.fakes.advisories import FakeAdvisoryLibrary
from tests.fakes.archives import FakePackageArchives
from tests.fakes.attestations import FakeAttestationStore
from tests.fakes.audit import FakeAuditLog
from tests.fakes.blobs import FakeBlobStore
from tests.fakes.building import FakeLayerStore, FakePackageSources, FakeRoots, FakeWorkshop
from tests.fakes.catalogue import FakeVersionStore
from tests.fakes.channels import FakeChannelStore
from tests.fakes.claims import FakeClaimStore
from tests.fakes.clock import FakeClock, FakeIds
from tests.fakes.disks import FakeDisks
from tests.fakes.documents import FakeDocumentSource
from tests.fakes.foreign import FakeAmiSource, FakeForeignImages, FakeImageRegistry
from tests.fakes.inspection import FakeBooter, FakeContentsReader, FakeTestRunner
from tests.fakes.locks import FakeLocks
from tests.fakes.machine import Answer
from tests.fakes.progress import FakeProgress
from tests.fakes.runs import FakeRunFiles, FakeRunStore
from tests.fakes.scanning import FakeScanner
from tests.fakes.signing import FakeKeyOpener
from tests.fakes.standings import FakeStandingStore
from tests.fakes.transactions import FakeTransactions
from tests.fakes.values import FakeValues
from tests.fakes.vulnerabilities import FakeVulnerabilityStore
from tests.fakes.waivers import FakeWaiverStore
from tests.live_fakes import LiveFakes
from tests.means import some_means

BASE = "/w/recipes/base.yaml"
WEB = "/w/recipes/web.yaml"
NGINX = "/w/components/nginx.yaml"
PATCHES = "/w/components/patches.yaml"


def a_recipe_text(name: str, parent: str, components: str = "[nginx]", more: str = "") -> str:
    """Write a recipe."""
    head = f"kind: Recipe\nname: {name}\nversion: 1.0.x\nparent: {parent}\n"
    return f"{head}components: {components}\n{more}"


def a_component_text(name: str, action: str = "ExecuteBash", command: str = "install") -> str:
    """Write a component of one step."""
    inputs = f", inputs: {{commands: ['{command}']}}" if action == "ExecuteBash" else ""
    return (
        f"name: {name}\nversion: 1.0.0\nschemaVersion: 1.0\nphases:\n"
        f"  - {{name: build, steps: [{{name: Do, action: {action}{inputs}}}]}}\n"
    )


@dataclass(slots=True)
class House:
    """Wired with fakes; `pending` is what apt would upgrade, `packages` what dpkg lists.

    `complaints` are those about the shared store; `packs` is the content that was added.

    `ground` is what an image tells of the packages below UpdateOS: nothing, unless a test says so.
    """

    folder: Path
    documents: FakeDocumentSource = field(init=False)
    clock: FakeClock = field(default_factory=FakeClock)
    layers: FakeLayerStore = field(default_factory=FakeLayerStore)
    blobs: FakeBlobStore = field(default_factory=FakeBlobStore)
    versions: FakeVersionStore = field(default_factory=FakeVersionStore)
    sources: FakePackageSources = field(default_factory=FakePackageSources)
    archives: FakePackageArchives = field(default_factory=FakePackageArchives)
    audit: FakeAuditLog = field(default_factory=FakeAuditLog)
    runs: FakeRunStore = field(default_factory=FakeRunStore)
    run_files: FakeRunFiles = field(default_factory=FakeRunFiles)
    claims: FakeClaimStore = field(default_factory=FakeClaimStore)
    locks: FakeLocks = field(default_factory=FakeLocks)
    ids: FakeIds = field(default_factory=FakeIds)
    tests: FakeTestRunner = field(default_factory=FakeTestRunner)
    booter: FakeBooter = field(default_factory=FakeBooter)
    values: FakeValues = field(default_factory=FakeValues)
    progress: FakeProgress = field(default_factory=FakeProgress)
    library: FakeAdvisoryLibrary = field(default_factory=FakeAdvisoryLibrary)
    key: FakeKeyOpener = field(default_factory=FakeKeyOpener)
    packs: tuple[AddedContent, ...] = ()
    scanner: FakeScanner = field(default_factory=FakeScanner)
    controls: FakeTestRunner = field(default_factory=FakeTestRunner)
    waivers: FakeWaiverStore = field(default_factory=FakeWaiverStore)
    pending: tuple[Upgrade, ...] = ()
    packages: str = ""
    ground: str = ""
    complaints: tuple[str, ...] = ()
    unopened: ImageBuilderError | None = None
    fails: dict[str, Answer | BaseException] = field(default_factory=dict)
    roots: FakeRoots = field(init=False)
    workshop: FakeWorkshop = field(init=False)
    disks: FakeDisks = field(init=False)
    standings: FakeStandingStore = field(init=False)
    attestations: FakeAttestationStore = field(init=False)
    vulnerabilities: FakeVulnerabilityStore = field(init=False)
    channels: FakeChannelStore = field(init=False)
    contents: FakeContentsReader = field(init=False)
    live: LiveFakes = field(init=False)
    amis: FakeAmiSource = field(init=False)

    def __post_init__(self) -> None:
        """Begin with a base image, a web image on it, and two components."""
        self.documents = FakeDocumentSource(
            {
                BASE: a_recipe_text("base", "debian:bookworm", "[patches]"),
                WEB: a_recipe_text("web", "image:base@1.x"),
                NGINX: a_component_text("nginx"),
                PATCHES: a_component_text("patches", "UpdateOS"),
            }
        )
        self.standings = FakeStandingStore(self.versions)
        self.attestations = FakeAttestationStore(self.versions)
        self.vulnerabilities = FakeVulnerabilityStore(self.versions)
        self.channels = FakeChannelStore(self.versions, self.standings)
        self.versions.standings, self.versions.channels = self.standings, self.channels
        self.roots = FakeRoots(self.layers, self.clock, self._answer)
        self.workshop = FakeWorkshop(self.roots)
        self.disks = FakeDisks(self.folder)
        self.contents = FakeContentsReader(self._installed)
        self.amis = FakeAmiSource(self.folder / "given")
        self.live = LiveFakes(self.folder, self.versions, self.audit, self.clock)

    def _installed(self) -> list[InstalledPackage]:
        rows = [line.split("|") for line in self.packages.splitlines()]
        fields = ("name", "version", "architecture", "source", "source_version")
        return [
            InstalledPackage(**dict(zip(fields, row[1:], strict=True)))
            for row in rows
            if row[0][1:2] == "i"
        ]

    def _answer(self, script: Script) -> Answer:
        for text, answer in self.fails.items():
            if text in script.text:
                if isinstance(answer, BaseException):
                    raise answer
                return answer
        if "apt-get -s" in script.text:
            lines = (
                f"Inst {u.name} [{u.old_version}] ({u.new_version} Debian:12 [{u.architecture}])\n"
                for u in self.pending
            )
            return Answer(stdout="".join(lines).encode())
        if "@@ architecture" in script.text:
            return Answer(stdout=self.ground.encode())
        if "@@ installed" in script.text:
            rows = (f"{u.name} {u.architecture} {u.new_version}\n" for u in self.pending)
            return Answer(stdout=f"@@ installed\n{''.join(rows)}".encode())
        return Answer()

    @property
    def records(self) -> Records:
        """Give where versions are recorded."""
        return Records(versions=self.versions, audit=self.audit, transactions=FakeTransactions())

    @property
    def planning(self) -> Planning:
        """Give the planning over these fakes."""
        inventory = Inventory(
            documents=self.documents,
            versions=lambda: self.versions,
            usability=self.usability,
            layers=self.layers,
            blobs=self.blobs,
            sources=self.sources,
            archives=self.archives,
            values=self.values,
        )
        return Planning(Authoring(self.documents), inventory, self.clock)

    @property
    def usability(self) -> Usability:
        """Give what says which versions are usable, over these fakes."""
        return Usability(lambda: self.versions, lambda: self.standings, self.clock)

    @property
    def desk(self) -> Desk:
        """Give what decides and keeps records, over these fakes."""
        return Desk(
            authoring=Authoring(self.documents),
            planning=self.planning,
            usability=self.usability,
            cataloguing=Cataloguing(self.records, self.clock, self.ids, "ann"),
            attesting=self.attesting,
            matching=Matching(
                MatchDesk(
                    library=self.library,
                    vulnerabilities=self.vulnerabilities,
                    versions=self.versions,
                    clock=self.clock,
                )
            ),
            assessing=self.assessing,
            sweeping=Sweeping(
                self.runs, self.locks, self.clock, Here(place="here", clear=lambda: None)
            ),
            layers=self.layers,
            blobs=self.blobs,
            sources=self.sources,
            runs=self.runs,
            run_files=self.run_files,
            claims=self.claims,
            locks=self.locks,
            clock=self.clock,
            ids=self.ids,
            complaints=lambda: self.complaints,
        )

    @property
    def assessing(self) -> Assessing:
        """Give what scans images, over these fakes."""
        desk = AssessingDesk(
            packs=lambda: self.packs,
            scanner=lambda: self.scanner,
            tests=lambda: self.controls,
            waivers=lambda: self.waivers,
            blobs=self.blobs,
            clock=self.clock,
        )
        return Assessing(desk)

    @property
    def attesting(self) -> Attesting:
        """Give what signs versions with the key of `key`, over these fakes."""
        desk = AttestationDesk(
            versions=self.versions,
            runs=self.runs,
            attestations=self.attestations,
            blobs=self.blobs,
            audit=self.audit,
            transactions=FakeTransactions(),
            clock=self.clock,
            key=self.key,
            builder=BuilderIdentity(id="urn:test:builder", version="1.0"),
        )
        return Attesting(desk, "ann")

    @property
    def means(self) -> Means:
        """Give what components are run with."""
        return some_means(source=self.values)

    @property
    def workers(self) -> Workers:
        """Give what makes images, over these fakes."""
        return Workers(
            stacking=self.stacking,
            workshop=self.workshop,
            disks=self.disks,
            tests=self.tests,
            booter=self.booter,
            means=self.means,
            stocktaking=Stocktaking(self.contents, self.archives, self.blobs),
            live=self.live.shop(self.means, Stocktaking(self.contents, self.archives, self.blobs)),
        )

    @property
    def building(self) -> BuildImage:
        """Give the journey over these fakes."""
        desk, workers = self.desk, self.workers

        def make(job: Job, progress: RecordedProgress) -> BuildResult:
            return in_one(desk, workers, job, progress)

        return BuildImage(desk, make, self.importing.import_parent, "process 7")

    @property
    def importing(self) -> Importing:
        """Give what records images that others made, over these fakes; `given` is each of them."""
        tools = ImportTools(
            images=FakeForeignImages(self.folder, self.unopened),
            registry=FakeImageRegistry(self.folder / "given"),
            amis=self.amis,
            workshop=self.workshop,
            stocktaking=self.workers.stocktaking,
        )
        return Importing(self.desk, tools, "process 7")

    @property
    def stages(self) -> Stages:
        """Give the journey in parts over these fakes."""
        return Stages(self.desk, lambda: self.workers, "process 8")

    @property
    def stacking(self) -> Stacking:
        """Give the stacking over these fakes."""
        return Stacking(self.layers, self.blobs, self.clock, some_means(source=self.values))

    def build(self, path: str = WEB, **asked: Any) -> BuildResult:
        """Build a recipe a minute after whatever was before; nothing stays open or held."""
        self.clock.advance(60)
        self.progress = FakeProgress()
        try:
            return self.building.build(self.request(path, **asked), self.progress)
        finally:
            assert self.roots.open == set()
            assert self.disks.open_count == 0

    def prepare(self, path: str = WEB, **asked: Any) -> Preparation:
        """Plan a recipe."""
        return self.planning.prepare(self.request(path, **asked))

    def request(self, path: str, **asked: Any) -> BuildRequest:
        """Ask for a recipe to be built."""
        return BuildRequest(recipe_path=path, **asked)

    def built(self, path: str = WEB, **asked: Any) -> ImageVersion:
        """Build a recipe and give the version."""
        version = self.build(path, **asked).version
        assert version is not None
        return version
