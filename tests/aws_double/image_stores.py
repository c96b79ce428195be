"""Images stored in buckets as one object: each takes its time, and is told of by its image."""

from typing import Final

from tests.aws_double.images import owned
from tests.aws_double.operations import Answer, Asked, operation
from tests.aws_double.refusals import Refusal

_RUNNING: Final = "InProgress"
_UNSEEN: Final = "unseen"


@operation("ec2", "CreateStoreImageTask")
def create_store_image_task(asked: Asked) -> Answer:
    """Begin to store an image in a bucket of the caller's."""
    image, bucket = (
        owned(asked, asked.parameters["ImageId"], "available"),
        asked.parameters["Bucket"],
    )
    if bucket not in asked.moto("s3").buckets:
        raise Refusal("InvalidBucket.NotFound", f"The bucket {bucket} does not exist.")
    tasks = asked.world.store_tasks
    there = [t for t in tasks if t["Bucket"] == bucket and t["AmiId"] == image.id]
    if any(task["StoreTaskState"] != "Failed" for task in there):
        said = f"The object {image.id}.bin is in {bucket} already."
        raise Refusal("InvalidObject.AlreadyExists", said)
    key = f"{image.id}.bin"
    tasks.append(
        {
            "AmiId": image.id,
            "Bucket": bucket,
            "S3objectKey": key,
            "StoreTaskState": _RUNNING,
            "ProgressPercentage": 0,
            "TaskStartTime": asked.world.clock.now(),
            _UNSEEN: True,
        }
    )
    return {"ObjectKey": key}


@operation("ec2", "DescribeStoreImageTasks")
def describe_store_image_tasks(asked: Asked) -> Answer:
    """Tell how far images are stored; each is seen at the second look, and done at the third."""
    wanted = [owned(asked, image_id).id for image_id in asked.get("ImageIds") or []]
    listed = [task for task in asked.world.store_tasks if task["AmiId"] in wanted]
    seen = [task for task in listed if not task.pop(_UNSEEN, False)]
    said = [dict(task) for task in seen]
    for task in seen:
        if task["StoreTaskState"] == "Failed":
            continue
        task["StoreTaskState"], task["ProgressPercentage"] = "Completed", 100
    return {"StoreImageTaskResults": said}
