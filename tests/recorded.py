"""Versions of real recipes, recorded as if they had been built: nothing is made for them.

Their layers are empty folders and their artifact is a few bytes, but all that decides whether to
build again is as a build records it.
"""

from collections.abc import Mapping
from dataclasses import replace

from imagebuilder.bootstrap import Application
from imagebuilder.domain.artifact import Artifact
from imagebuilder.domain.digest import Canonical, Digest
from imagebuilder.domain.ground import Ground
from imagebuilder.domain.ids import RunId
from imagebuilder.domain.image import ImageVersion, ParentEdge, RecordedLayer, VersionDraft
from imagebuilder.domain.kept import kept_mapping
from imagebuilder.domain.package import InstalledPackage
from imagebuilder.domain.plan import Plan
from imagebuilder.domain.recipe import ArtifactFormat
from imagebuilder.domain.resolution import resolve
from imagebuilder.domain.updates import PlannedUpdate, UpdateScope, upgrades_document
from imagebuilder.services.pipelines.planning import BuildRequest
from tests.build import a_digest

NOTHING_TO_UPGRADE = {"Update": PlannedUpdate(scopes=(UpdateScope(),))}
"""What an UpdateOS step called Update answers when all is as new as it can be."""
ARTIFACT = b"a small disk"

PATCHES = """\
name: patches
schemaVersion: 1.0
phases: [{name: build, steps: [{name: Update, action: UpdateOS}]}]
"""
PAGE = """\
name: page
schemaVersion: 1.0
parameters: [{text: {type: string, default: hello}}]
phases: [{name: build, steps: [{name: Do, action: ExecuteBash, inputs: {commands: ["true"]}}]}]
"""


def record_as_built(
    application: Application, path: str, packages: Mapping[str, str], *, above: str = ""
) -> ImageVersion:
    """Record the next version of a recipe, with all packages as new as the archives have them.

    Shape: `packages` maps a name to its version; UpdateOS saw all of them but the one `above`.
    """
    prepared = application.planning.prepare(BuildRequest(recipe_path=path))
    plan, question = prepared.plan, prepared.plan.open_question
    answers = {} if question is None else {question.question: NOTHING_TO_UPGRADE}
    if answers:
        known = {q: answer for q, answer in answers.items() if q is not None}
        plan = resolve(replace(prepared.ingredients, known_upgrades=known))
    installed = tuple(
        InstalledPackage(
            name=name, version=version, architecture="amd64", source=name, source_version=version
        )
        for name, version in packages.items()
    )
    seen = {(p.name, "amd64"): p.version for p in installed if p.name != above}
    ground = Ground(architecture="amd64", packages=seen)
    document: dict[str, Canonical] = {
        **kept_mapping(plan.document()),
        "upgrades": {str(q): upgrades_document(answer) for q, answer in answers.items()},
        "grounds": {str(q): ground.document(installed) for q in answers},
    }
    parent = plan.parent
    digest = application.blobs.put(ARTIFACT)
    return application.cataloguing.record(
        VersionDraft(
            image=plan.image,
            asked=plan.recipe_version,
            # A run records one version, however often it is asked to.
            run_id=RunId(f"run-{plan.image}-{plan.digest.short}"),
            plan_digest=plan.digest,
            definition_digest=plan.definition,
            plan=document,
            parent=ParentEdge(
                asked=parent.asked, identity=parent.identity, version_id=parent.version_id
            ),
            disk_digest=digest,
            artifacts=(
                Artifact(
                    format=ArtifactFormat.TAR,
                    digest=digest,
                    size_bytes=len(ARTIFACT),
                    virtual_size_bytes=len(ARTIFACT),
                ),
            ),
            layers=_layers(application, plan),
            packages=installed,
            reports=(),
            documents=prepared.documents,
            indexes=prepared.indexes,
        )
    )


def _layers(application: Application, plan: Plan) -> tuple[RecordedLayer, ...]:
    below = [
        RecordedLayer(name="below", key=a_digest(f"key of {c}"), content=c, size_bytes=1)
        for c in plan.parent.contents
    ]
    own = [
        RecordedLayer(
            name=layer.name,
            key=layer.key,
            content=Digest.of_bytes(f"content of {layer.key}".encode()),
            size_bytes=1,
            component_version=str(layer.component.version) if layer.component else "",
            component_digest=layer.component.digest if layer.component else None,
            parameters=layer.parameters,
        )
        for layer in plan.layers
        if layer.key is not None and not layer.is_empty
    ]
    trees = application.settings.home / "layers/trees"
    for layer in (*below, *own):
        (trees / layer.content.hex).mkdir(parents=True, exist_ok=True)
    return (*below, *own)
