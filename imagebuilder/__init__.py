"""Self-hosted golden images: recipes become layers, disks, tests passed and versions recorded.

This is the map of the house. Imports run down only; `lint-imports` holds every module to it.

    cli            the door: commands, tables, exit codes              singular nouns
    api            the door for programs: hooks over HTTP              plural nouns
    bootstrap      settings -> wired services; the only place that knows both sides
    wiring         the parts of bootstrap that have files of their own
    settings       every knob, read once from file and environment
    services       use cases; ports come in through the constructor    -ing words
    adapters       the world, one folder for each part; strangers to each other and to services
                     system (programs, files, clock), local (layers, disks, QEMU), sql,
                     confined (testinfra, ansible), dbos (durable runs), apscheduler (the clock),
                     web, aws, libvirt, mail, prometheus, signing,
                     advisories, openscap, packer
    ports          the roles services need, as Protocols, and the errors they may raise
    documents      text people write <-> domain; YAML and JSON Schema live only here
    formats        bytes that standards demand <-> domain
    domain         nouns and pure rules; no clock, no file, no network, no log

The river: each arrow makes a new frozen value, which carries the digest of the one before.

    text -> Recipe, Component -> Plan -> Layers -> Artifact -> evidence -> ImageVersion -> lineage

A pipeline lets it flow by itself: Pipeline -> Trigger -> Run -> Decision -> stages -> Notice.
It flows on to where images are used: ImageVersion, DistributionSpec -> Target -> Placement.

A module of `domain` looks upstream only: a recipe never knows an image.

Where to begin reading: `domain.recipe` (what an image is made of), `domain.plan` (what will be
done), `services.pipelines.journey` (a build by hand, whole) and `.running` (a pipeline's, stage by
stage), `services.distributing` (on to clouds and shelves), `bootstrap` (who stands behind which
port). An error is found by its code in docs/errors.md; its class stands beside the noun it speaks
of.

Nothing is imported here, so that `imagebuilder --version` is instant.
"""

__version__ = "0.1.0"
