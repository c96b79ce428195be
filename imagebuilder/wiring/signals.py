"""Settings become what is seen and said of runs: their files, notices, and people's words."""

import socket
from functools import cached_property
from typing import TYPE_CHECKING

from imagebuilder.settings import secret_of
from imagebuilder.wiring.catalogue import CatalogueWiring

# ruff: noqa: PLC0415 - what a command does not need is not imported, for the start-up time
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from imagebuilder.adapters.sql.notices import SqlNoticeStore
    from imagebuilder.adapters.system.locks import FileLocks
    from imagebuilder.adapters.system.run_files import FolderRunFiles
    from imagebuilder.domain.ids import PipelineName, RunId
    from imagebuilder.domain.pipeline import NoticeKind, NoticeTarget
    from imagebuilder.ports.notices import Notifier
    from imagebuilder.services.following import Following
    from imagebuilder.services.notifying import Notifying
    from imagebuilder.services.overseeing import Overseeing
    from imagebuilder.services.sweeping import Sweeping


class SignalWiring(CatalogueWiring):
    """The part of the services that speaks with people and programs about runs."""

    @cached_property
    def sweeping(self) -> "Sweeping":
        """Puts records right after a process was killed."""
        from imagebuilder.services.sweeping import Here, Sweeping

        here = Here(place=self._place, clear=self._clear)
        return Sweeping(self.runs, self.locks, self.clock, here)

    def _clear(self) -> None:
        """Take away the work of the dead, and log what of it was elsewhere."""
        from imagebuilder.adapters.local.workplace import sweep

        if (self._home / "packer").is_dir():
            from logging import getLogger

            from imagebuilder.wiring.packer import packer_traces

            for line in packer_traces(self._home, self._recorded).take_away():
                getLogger("imagebuilder.packer").warning("%s", line)
        sweep(self._home / "work")

    def _recorded(self, run_id: "RunId") -> "Collection[str] | None":
        """Give the images elsewhere that a run recorded; None while that is open."""
        from imagebuilder.services.pipelines.elsewhere import recorded_images

        return recorded_images(self.runs, self.versions, run_id)

    @property
    def _place(self) -> str:
        """Where the locks of this process are: another home, or machine, has others."""
        return f"{socket.gethostname()}:{self._home}"

    @cached_property
    def following(self) -> "Following":
        """Shows what runs print while they print it."""
        from time import sleep

        from imagebuilder.services.following import Following

        return Following(self.runs, self.run_files, pause=sleep, tidy=self.sweeping.sweep)

    @cached_property
    def run_files(self) -> "FolderRunFiles":
        """The logs of runs."""
        from imagebuilder.adapters.system.run_files import FolderRunFiles

        return FolderRunFiles(self._home / "runs")

    @cached_property
    def locks(self) -> "FileLocks":
        """Who is at work."""
        from imagebuilder.adapters.system.locks import FileLocks

        return FileLocks(self._home / "locks")

    @cached_property
    def overseeing(self) -> "Overseeing":
        """Does what people want of runs."""
        from imagebuilder.services.overseeing import Overseeing, Watch

        watch = Watch(
            runs=self.runs,
            recorded=self._recorded,
            teller=self.notifying,
            audit=self.audit,
            transactions=self._database,
            clock=self.clock,
        )
        return Overseeing(watch, self.settings.actor)

    @cached_property
    def notifying(self) -> "Notifying":
        """Keeps notices, and delivers them."""
        from imagebuilder.services.notifying import Mailroom, Notifying

        room = Mailroom(
            notices=self.notices,
            targets=self._notice_targets,
            notifiers=self._notifiers,
            versions=self.versions,
            clock=self.clock,
            ids=self._ids,
        )
        return Notifying(room)

    def deliver_notices(self) -> None:
        """Tell what is due to be told, and log what could not be."""
        from logging import getLogger

        from imagebuilder.domain.notice import shown

        for missed in self.notifying.deliver().failed:
            told = "a notice is given up" if missed.next_at is None else "a notice did not arrive"
            more = {
                "pipeline": missed.pipeline,
                "run": missed.run_id or "",
                "to": shown(missed.target),
                "attempts": missed.attempts,
                "error": missed.error,
            }
            getLogger("imagebuilder.notices").warning("%s", told, extra=more)

    @cached_property
    def notices(self) -> "SqlNoticeStore":
        """What is to be told."""
        from imagebuilder.adapters.sql.notices import SqlNoticeStore

        return SqlNoticeStore(self._database)

    def _notice_targets(self, pipeline: "PipelineName") -> "Sequence[NoticeTarget]":
        """Give whom a pipeline tells; nobody when it is not in force any more."""
        from imagebuilder.ports.pipelines import PipelineNotFound

        try:
            return self.pipelines.get(pipeline).pipeline.notify
        except PipelineNotFound:
            return ()

    @cached_property
    def _notifiers(self) -> "Mapping[NoticeKind, Notifier]":
        from imagebuilder.adapters.aws.notices import EventBridgeNotifier, SnsNotifier
        from imagebuilder.adapters.mail.email import EmailNotifier, MailServer
        from imagebuilder.adapters.web.connections import Ways
        from imagebuilder.adapters.web.webhook import WebhookNotifier
        from imagebuilder.domain.pipeline import NoticeKind

        given = self.settings.notices
        server = MailServer(
            host=given.mail.host,
            port=given.mail.port,
            sender=given.mail.sender,
            user=given.mail.user,
            password=given.mail.password,
        )
        ways = Ways(hosts=given.hosts, proxy=self.settings.downloads.proxy)
        return {
            NoticeKind.WEBHOOK: WebhookNotifier(self.clock, secret_of, ways),
            NoticeKind.EMAIL: EmailNotifier(server, secret_of),
            NoticeKind.SNS: SnsNotifier(given.aws_endpoint),
            NoticeKind.EVENTBRIDGE: EventBridgeNotifier(given.aws_endpoint),
        }
