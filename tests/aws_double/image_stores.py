"""Images stored in buckets as one object: each takes its time, and is told of by its image."""

from typing import Final

from tests.aws_double.images import owned
from tests.aws_double.operations import Answer, Asked, operation
from tests.aws_double.refusals import Refusal

_RUNNING: Final = "InProgress"


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
    if any(task["Bucket"] == bucket and task["AmiId"] == image.id for task in tasks):
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
        }
    )
    return {"ObjectKey": key}


@operation("ec2", "DescribeStoreImageTasks")
def describe_store_image_tasks(asked: Asked) -> Answer:
    """Tell how far images are stored; each is done when it was looked at once."""
    wanted = [owned(asked, image_id).id for image_id in asked.get("ImageIds") or []]
    listed = [task for task in asked.world.store_tasks if task["AmiId"] in wanted]
    said = [dict(task) for task in listed]
    for task in listed:
        task["StoreTaskState"], task["ProgressPercentage"] = "Completed", 100
    return {"StoreImageTaskResults": said}
