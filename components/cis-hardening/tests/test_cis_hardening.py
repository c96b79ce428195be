"""What the role promises, of the files of an image and of one that runs."""

import pytest
from testinfra.host import Host

CLOSED = {
    "/etc/shadow": (0o640, "shadow"),
    "/etc/gshadow": (0o640, "shadow"),
    "/etc/passwd": (0o644, "root"),
    "/etc/cron.d": (0o700, "root"),
    "/etc/cron.daily": (0o700, "root"),
}


@pytest.mark.parametrize("path", CLOSED)
def test_file_is_closed_to_others(host: Host, path: str) -> None:
    mode, group = CLOSED[path]
    file = host.file(path)
    assert (file.mode, file.user, file.group) == (mode, "root", group)


@pytest.mark.parametrize("module", ["cramfs", "hfsplus", "usb-storage", "sctp"])
def test_module_cannot_be_loaded(host: Host, module: str) -> None:
    rules = host.file("/etc/modprobe.d/60-cis-hardening.conf").content_string.splitlines()
    assert f"install {module} /bin/false" in rules
    assert f"blacklist {module}" in rules


def test_kernel_settings_are_numbers(host: Host) -> None:
    lines = host.file("/etc/sysctl.d/60-cis-hardening.conf").content_string.splitlines()
    settings = dict(line.split(" = ") for line in lines)
    assert settings["kernel.randomize_va_space"] == "2"
    assert settings["net.ipv4.conf.all.accept_redirects"] == "0"
    assert all(value.isdigit() for value in settings.values())


@pytest.mark.parametrize(
    "line", ["PASS_MAX_DAYS\t365", "PASS_MIN_DAYS\t1", "ENCRYPT_METHOD\tYESCRYPT", "UMASK\t027"]
)
def test_login_settings_stand_once(host: Host, line: str) -> None:
    lines = host.file("/etc/login.defs").content_string.splitlines()
    name, _ = line.split()
    assert [text for text in lines if text.split()[:1] == [name]] == [line]


def test_banner_names_no_system(host: Host) -> None:
    banner = host.file("/etc/issue.net").content_string
    assert banner.strip()
    assert "Debian" not in banner
    assert host.file("/etc/issue").content_string == banner


def test_nobody_may_use_su(host: Host) -> None:
    assert host.group("sugroup").exists
    assert host.group("sugroup").members == []
    lines = host.file("/etc/pam.d/su").content_string.splitlines()
    rules = [line.split() for line in lines if line.startswith("auth")]
    assert rules[0][:3] == ["auth", "sufficient", "pam_rootok.so"]
    assert rules[1] == ["auth", "required", "pam_wheel.so", "use_uid", "group=sugroup"]


def test_new_files_of_a_login_are_closed_to_others(host: Host) -> None:
    assert host.check_output("env -i bash -lc umask").endswith("27")


def test_empty_passwords_are_not_taken(host: Host) -> None:
    for name in ("auth", "account", "password", "session"):
        words = host.file(f"/etc/pam.d/common-{name}").content_string.split()
        assert "pam_unix.so" in words
        assert "nullok" not in words


def test_passwords_are_checked_and_remembered_before_they_are_set(host: Host) -> None:
    lines = host.file("/etc/pam.d/common-password").content_string.splitlines()
    modules = [line.split() for line in lines if line.startswith("password")]
    names = [word for words in modules for word in words if word.startswith("pam_")]
    assert names[:3] == ["pam_pwquality.so", "pam_pwhistory.so", "pam_unix.so"]


def test_sshd_reads_these_settings_first(host: Host) -> None:
    if not host.file("/etc/ssh/sshd_config").exists:
        pytest.skip("there is no SSH server")
    lines = host.file("/etc/ssh/sshd_config").content_string.splitlines()
    assert lines[0] == "# BEGIN cis-hardening"
    assert lines.index("# END cis-hardening") < lines.index("Include /etc/ssh/sshd_config.d/*.conf")


def test_ansible_left_nothing(host: Host) -> None:
    assert not host.file("/root/.ansible").exists
    assert host.check_output("find /tmp /var/tmp -name '*ansible*'") == ""


@pytest.mark.booted
def test_journal_is_kept(host: Host) -> None:
    assert host.service("systemd-journald").is_running
    assert host.file("/var/log/journal").is_directory


@pytest.mark.booted
def test_core_dumps_are_off(host: Host) -> None:
    assert host.check_output("runuser -u nobody -- sh -c 'ulimit -H -c'") == "0"


@pytest.mark.machine
def test_every_kernel_setting_is_in_force(host: Host) -> None:
    lines = host.file("/etc/sysctl.d/60-cis-hardening.conf").content_string.splitlines()
    wanted = dict(line.split(" = ") for line in lines)
    assert {name: str(host.sysctl(name)) for name in wanted} == wanted


@pytest.mark.machine
@pytest.mark.parametrize("module", ["cramfs", "sctp"])
def test_forbidden_module_is_not_loaded(host: Host, module: str) -> None:
    assert host.run(f"modprobe {module}").rc != 0
    assert module not in host.check_output("cut -d ' ' -f 1 /proc/modules").splitlines()


@pytest.mark.machine
def test_root_can_become_another_user_and_others_cannot(host: Host) -> None:
    assert host.check_output("su -s /bin/sh -c 'id -un' nobody") == "nobody"
    assert host.run("runuser -u nobody -- su -c id root </dev/null").rc != 0
