"""Which regions an account may use."""

from tests.aws_double.operations import Answer, Asked, operation


@operation("ec2", "DescribeRegions")
def describe_regions(asked: Asked) -> Answer:
    """List the regions that are enabled for the caller, or all."""
    listed = []
    for region in asked.moto("ec2").describe_regions(asked.get("RegionNames")):
        is_enabled = asked.world.accounts.is_enabled(asked.account, region.name)
        if is_enabled or asked.get("AllRegions") or asked.get("RegionNames"):
            is_always = region.opt_in_status == "opt-in-not-required"
            enabled = "opt-in-not-required" if is_always else "opted-in"
            status = enabled if is_enabled else "not-opted-in"
            said = {"RegionName": region.name, "Endpoint": region.endpoint, "OptInStatus": status}
            listed.append(said)
    return {"Regions": listed}
