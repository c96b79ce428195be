"""What Packer prints, as it was seen of 1.6.6."""

from imagebuilder.adapters.packer.events import Event, Made, event_of, told


def _told(*lines: str) -> object:
    return told(event for event in map(event_of, lines) if event is not None)


def test_event_when_it_is_escaped_then_is_read_field_by_field() -> None:
    event = event_of("1795970465,,ui,message,    n: one%!(PACKER_COMMA) two\\nthree\n")

    assert event == Event("", "ui", ("message", "    n: one, two\nthree"))
    assert event.said == "    n: one, two\nthree"


def test_event_when_a_line_tells_none_then_there_is_none() -> None:
    assert [event_of(line) for line in ("", "panic: oh,no,it", "1795970465,half")] == [None] * 3


def test_told_when_the_manifest_lists_an_artifact_again_then_it_counts_once() -> None:
    lines = [
        f"1,web,artifact,{number},{rest}"
        for number in (0, 1)
        for rest in (
            "builder-id,mitchellh.amazonebs",
            "id,eu-west-1:ami-1%!(PACKER_COMMA)us-east-1:ami-2",
            "files-count,0",
            "end",
        )
    ]

    assert _told("1,web,artifact-count,2", *lines) == told([]).__class__(
        made=(Made("web", "mitchellh.amazonebs", "eu-west-1:ami-1,us-east-1:ami-2", ()),),
        errors={},
    )


def test_told_when_a_build_failed_then_gives_its_message_and_no_error_of_a_script() -> None:
    said = told(
        [
            Event("", "ui", ("error", "    web: a script printed this to its errors")),
            Event("", "error-count", ("1",)),
            Event("web", "error", ("Script exited with status 3",)),
        ]
    )

    assert (said.made, said.errors) == ((), {"web": "Script exited with status 3"})


def test_told_when_a_build_made_files_then_names_them() -> None:
    said = told(
        [
            Event("box", "artifact", ("0", "id", "VM")),
            Event("box", "artifact", ("0", "files-count", "1")),
            Event("box", "artifact", ("0", "file", "0", "out-box/disk")),
        ]
    )

    assert said.made == (Made("box", "", "VM", ("out-box/disk",)),)
