"""The role of the onboarding template may do what imagebuilder calls, and no more than that."""

import re

from tests.architecture.house import PACKAGE, ROOT, python_files

ANYBODY = {"sts:AssumeRole", "sts:GetCallerIdentity"}
"""Allowed by the role that is assumed, or to whoever has credentials."""
INDIRECT = {
    "ebs:ListChangedBlocks", "kms:CreateGrant", "kms:Decrypt",
    "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncrypt*",
}  # fmt: skip
"""What AWS does with keys and, to store an AMI in a bucket, with snapshots in our name."""


def test_the_template_then_allows_each_call_and_nothing_else() -> None:
    code = "\n".join(file.read_text() for file in python_files(PACKAGE / "adapters/aws"))
    called = set(re.findall(r'"((?:ec2|ebs|kms|ssm|sts|organizations|autoscaling):\w+)"', code))
    template = (ROOT / "docs/aws-onboarding.yaml").read_text()
    listed = r"\b((?:ec2|ebs|kms|ssm|organizations|autoscaling):[A-Z]\w+\*?)"
    conditions = {"ec2:CreateAction", "kms:ViaService", "kms:GrantIsForAWSResource"}

    allowed = set(re.findall(listed, template)) - conditions

    assert called - ANYBODY == allowed - INDIRECT
