"""Instances of a group replaced, step by step: each look at a refresh is a step.

moto keeps the groups; it launches the instances of the new version when a refresh has succeeded.
"""

import uuid
from datetime import datetime, timedelta
from typing import Any, Final

from tests.aws_double.launching import launchable, template_of
from tests.aws_double.operations import Answer, Asked, operation
from tests.aws_double.parameters import resolved
from tests.aws_double.refusals import Refusal
from tests.aws_double.world import Refresh

_ACTIVE: Final = {"Pending", "InProgress", "RollbackInProgress", "Cancelling"}
_MOVING_VERSIONS: Final = {"$Latest", "$Default"}
_STEP_PERCENT: Final = 25


def _invalid(said: str) -> Refusal:
    return Refusal("ValidationError", said)


def _group(asked: Asked) -> Any:
    name = asked.parameters["AutoScalingGroupName"]
    group = asked.moto("autoscaling").autoscaling_groups.get(name)
    if group is None:
        raise _invalid("AutoScalingGroup name not found - null")
    return group


def _of(asked: Asked) -> list[Refresh]:
    place = (asked.account, asked.region, asked.parameters["AutoScalingGroupName"])
    return asked.world.refreshes.setdefault(place, [])


def _active(asked: Asked) -> Refresh:
    refreshes = _of(asked)
    if not refreshes or refreshes[0].status not in _ACTIVE:
        said = "There is no active instance refresh for this Auto Scaling group."
        raise Refusal("ActiveInstanceRefreshNotFound", said)
    return refreshes[0]


@operation("autoscaling", "StartInstanceRefresh")
def start_instance_refresh(asked: Asked) -> Answer:
    """Begin to replace the instances of a group."""
    group, refreshes = _group(asked), _of(asked)
    if refreshes and refreshes[0].status in _ACTIVE:
        said = "An Instance Refresh is already in progress and blocks the execution of this one."
        raise Refusal("InstanceRefreshInProgress", said)
    preferences, desired = asked.get("Preferences") or {}, asked.get("DesiredConfiguration")
    _check_rollback(asked, preferences, desired)
    _check_percentages(preferences)
    refresh = Refresh(
        id=str(uuid.uuid4()),
        group=group.name,
        began_at=asked.world.clock.now(),
        instances=len(group.instance_states),
        preferences=dict(preferences),
        desired=desired,
    )
    refreshes.insert(0, refresh)
    return {"InstanceRefreshId": refresh.id}


def _check_rollback(asked: Asked, preferences: Any, desired: Any) -> None:
    template = (desired or {}).get("LaunchTemplate")
    said = template_of(asked, template)
    if not preferences.get("AutoRollback"):
        return
    if not template:
        raise _invalid("AutoRollback needs a DesiredConfiguration with a launch template.")
    if template.get("Version", "$Default") in _MOVING_VERSIONS:
        raise _invalid(
            "AutoRollback cannot go with the launch template version $Latest or $Default."
        )
    if str(said.get("ImageId", "")).startswith("resolve:ssm:"):
        raise _invalid("AutoRollback cannot go with an image that a parameter names.")


def _check_percentages(preferences: Any) -> None:
    least, most = preferences.get("MinHealthyPercentage"), preferences.get("MaxHealthyPercentage")
    if most is not None and (least is None or not 0 <= most - least <= 100 or most < 100):
        raise _invalid("MaxHealthyPercentage must be 100 to 200, within 100 of the minimum.")
    points = preferences.get("CheckpointPercentages") or []
    if points != sorted(set(points)) or any(not 1 <= point <= 100 for point in points):
        raise _invalid("CheckpointPercentages must ascend from 1 to 100.")


@operation("autoscaling", "DescribeInstanceRefreshes")
def describe_instance_refreshes(asked: Asked) -> Answer:
    """List the refreshes of a group, the newest first; each look lets the first go on."""
    _group(asked)
    wanted = asked.get("InstanceRefreshIds")
    refreshes = [one for one in _of(asked) if not wanted or one.id in wanted]
    if wanted and len(refreshes) < len(wanted):
        raise _invalid("InstanceRefreshIds not found")
    for refresh in refreshes[:1]:
        _step(asked, refresh)
    return {"InstanceRefreshes": [_told(refresh) for refresh in refreshes]}


def _told(refresh: Refresh) -> dict[str, Any]:
    left = refresh.instances - refresh.instances * refresh.percent // 100
    said = {
        "InstanceRefreshId": refresh.id,
        "AutoScalingGroupName": refresh.group,
        "Status": refresh.status,
        "StatusReason": refresh.reason or None,
        "StartTime": refresh.began_at,
        "EndTime": refresh.ended_at,
        "PercentageComplete": refresh.percent,
        "InstancesToUpdate": left,
        "Preferences": refresh.preferences,
        "DesiredConfiguration": refresh.desired,
    }
    return {name: value for name, value in said.items() if value is not None}


def _step(asked: Asked, refresh: Refresh) -> None:
    now = asked.world.clock.now()
    match refresh.status:
        case "Pending":
            refresh.status = "InProgress"
        case "Cancelling":
            refresh.status, refresh.ended_at = "Cancelled", now
        case "RollbackInProgress":
            refresh.status, refresh.ended_at, refresh.percent = "RollbackSuccessful", now, 0
        case "InProgress" if not (refresh.waits_until and refresh.waits_until > now):
            _replace_some(asked, refresh, now)


def _replace_some(asked: Asked, refresh: Refresh, now: datetime) -> None:
    if problem := _unhealthy(asked, refresh):
        refresh.reason = problem
        if refresh.preferences.get("AutoRollback"):
            refresh.status = "RollbackInProgress"
        else:
            refresh.status, refresh.ended_at = "Failed", now
        return
    points = refresh.preferences.get("CheckpointPercentages") or []
    stop = min((point for point in points if point > refresh.percent), default=100)
    refresh.percent = min(refresh.percent + _STEP_PERCENT, stop)
    if refresh.percent in points and refresh.percent < 100:
        delay = refresh.preferences.get("CheckpointDelay", 3600)
        refresh.waits_until = now + timedelta(seconds=delay)
        refresh.reason = f"Waiting {delay} s at the checkpoint of {refresh.percent} %."
    if refresh.percent == 100:
        refresh.status, refresh.ended_at, refresh.reason = "Successful", now, ""
        _apply(asked, refresh)


def _unhealthy(asked: Asked, refresh: Refresh) -> str:
    """Say why new instances do not become healthy; nothing if they do."""
    template = (refresh.desired or {}).get("LaunchTemplate")
    named = template_of(asked, template).get("ImageId")
    if not named:
        return ""
    image = resolved(asked, named)
    if image in asked.world.failing_images:
        return f"Instances of {image} failed their health checks."
    try:
        launchable(asked, image)
    except Refusal as refused:
        return f"No instance could be launched: {refused}"
    return ""


def _apply(asked: Asked, refresh: Refresh) -> None:
    """Let the group have the new version, and new instances of it."""
    moto, group = asked.moto("autoscaling"), _group(asked)
    template = (refresh.desired or {}).get("LaunchTemplate")
    if template:
        group._set_launch_configuration(None, dict(template), None)
    count = group.desired_capacity
    for state in list(group.instance_states):
        moto.terminate_instance(state.instance.id, should_decrement=False)
    group.set_desired_capacity(count)


@operation("autoscaling", "CancelInstanceRefresh")
def cancel_instance_refresh(asked: Asked) -> Answer:
    """Replace no more; what was replaced stays."""
    refresh = _active(asked)
    refresh.status = "Cancelling"
    return {"InstanceRefreshId": refresh.id}


@operation("autoscaling", "RollbackInstanceRefresh")
def rollback_instance_refresh(asked: Asked) -> Answer:
    """Replace what was replaced by what was there before."""
    refresh = _active(asked)
    template = (refresh.desired or {}).get("LaunchTemplate")
    if not template or template.get("Version", "$Default") in _MOVING_VERSIONS:
        said = "There is no fixed version to go back from."
        raise Refusal("IrreversibleInstanceRefresh", said)
    refresh.status = "RollbackInProgress"
    return {"InstanceRefreshId": refresh.id}
