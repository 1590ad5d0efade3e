"""The records of a W&B log as protobuf messages, as far as they are read here.

W&B's own messages do for none of this: they refuse a record for one wrong byte of text, and make
an object of each value of a row. Here texts are bytes, and the items of rows and documents stay
the bytes that they are.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from training_db.errors import MissingExtra

_MESSAGES = """
Record      history:Rows=2 summary:Changes=3 output:Stamped=4 config:Changes=5 files:Files=6
            stats:Stamped=7 artifact:Artifact=8 tbrecord:Board=9 alert:Alert=10
            telemetry:Telemetry=11 metric:Metric=12 output_raw:Stamped=13 run:Run=17 exit:Exit=18
            final:bytes=20 header:Header=21 footer:bytes=22 preempting:bytes=23
            noop_link_artifact:bytes=24 use_artifact:Used=25 environment:Environment=26
            output_logger:bytes=27 request:bytes=100
Rows        item:bytes*=1 step:Step=2
Step        num:int64=1
Item        key:bytes=1 nested_key:bytes*=2 none:int32|value=3 boolean:bool|value=4
            integer:sint64|value=5 number:double|value=6 text:bytes|value=7 json:bytes|value=8
            value_json:bytes=16
Changes     update:bytes*=1 remove:bytes*=2
Time        seconds:int64=1 nanos:int32=2
Stamped     timestamp:Time=2
Files       files:File*=1
File        path:bytes=1 policy:int32=2 type:int32=3
Artifact    run_id:bytes=1 project:bytes=2 entity:bytes=3 type:bytes=4 name:bytes=5 digest:bytes=6
            description:bytes=7 metadata:bytes=8 aliases:bytes*=11 manifest:Manifest=12
            client_id:bytes=15 tags:bytes*=19
Manifest    contents:Entry*=4
Entry       path:bytes=1 digest:bytes=2 ref:bytes=3 size:int64=4
Used        id:bytes=1 type:bytes=2 name:bytes=3
Board       log_dir:bytes=1 root_dir:bytes=3
Alert       title:bytes=1 text:bytes|value=2 level:bytes=3
Telemetry   feature:Feature=3 python_version:bytes=4 cli_version:bytes=5
Feature     shared_mode:bool=67
Metric      name:bytes=1 glob_name:bytes=2 step_metric:bytes=4 step_metric_index:int32=5
            options:Options=6 summary:Kinds=7 goal:int32=8 control:Control=9
Options     step_sync:bool=1 hidden:bool=2 defined:bool=3
Kinds       min:bool=1 max:bool=2 mean:bool=3 best:bool=4 last:bool=5 none:bool=6 copy:bool=7
            first:bool=8
Control     overwrite:bool=1
Run         run_id:bytes=1 entity:bytes=2 project:bytes=3 config:Changes=4 summary:Changes=5
            run_group:bytes=6 job_type:bytes=7 display_name:bytes=8 notes:bytes=9 tags:bytes*=10
            sweep_id:bytes=12 host:bytes=13 starting_step:int64=14 start_time:Time=17
            resumed:bool=18 telemetry:Telemetry=19 runtime:int32=20 git:Git=21 forked:bool=22
            branch_point:Branch=23
Branch      run:bytes=1 value:double=2 metric:bytes=3
Git         remote_url:bytes=1 commit:bytes=2
Exit        exit_code:int32=1 runtime:int32=2
Header      version_info:Version=1
Version     producer:bytes=1 min_consumer:bytes=2
Environment os:bytes=1 python:bytes=2 started_at:Time=3 docker:bytes=4 args:bytes*=5
            program:bytes=6 code_path:bytes=7 git:Git=9 host:bytes=12 executable:bytes=14
            colab:bytes=15 cpu_count:uint32=16 cpu_count_logical:uint32=17 gpu_type:bytes=18
            gpu_count:uint32=19 memory:Memory=21 cpu:Processor=22 gpu_nvidia:Graphics*=24
            cuda_version:bytes=25 slurm:Setting*=27 writer_id:bytes=199
Memory      total:uint64=1
Processor   model:bytes=3
Graphics    name:bytes=1 memory_total:uint64=2
Setting     key:bytes=1 value:bytes=2
"""
"""Message after message its fields: name, type (``*`` where there are several), ``|`` and a
group of which only one is there, and number. Those of a Record are such a group."""


@cache
def messages() -> dict[str, Any]:
    r"""Return the class of each message by its name.

    Raises:
        MissingExtra: The protobuf package, which comes with wandb, is not installed.

    Example:
        >>> Record = messages()["Record"]
        >>> record = Record.FromString(b"\x92\x01\x02\x08\x03")
        >>> record.WhichOneof("kind"), record.exit.exit_code
        ('exit', 3)
    """
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError as error:
        raise MissingExtra(
            "reading logs of W&B takes its package: pip install 'training-db[wandb]'"
        ) from error
    package = "training_db.log"
    file = descriptor_pb2.FileDescriptorProto(
        name="training_db/log.proto", package=package, syntax="proto2"
    )
    kinds = descriptor_pb2.FieldDescriptorProto
    for word in _MESSAGES.split():
        if ":" not in word:
            message = file.message_type.add(name=word)
            continue
        name, _, rest = word.partition(":")
        kind, _, number = rest.partition("=")
        kind, _, choice = kind.partition("|")
        choice = "kind" if message.name == "Record" else choice
        if choice and not message.oneof_decl:
            message.oneof_decl.add(name=choice)
        field = message.field.add(name=name, number=int(number))
        field.label = kinds.LABEL_REPEATED if kind.endswith("*") else kinds.LABEL_OPTIONAL
        kind = kind.rstrip("*")
        if kind[0].isupper():
            field.type, field.type_name = kinds.TYPE_MESSAGE, f".{package}.{kind}"
        else:
            field.type = getattr(kinds, f"TYPE_{kind.upper()}")
        if choice:
            field.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return {
        one.name: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"{package}.{one.name}")
        )
        for one in file.message_type
    }


def decoded(name: str, data: bytes) -> Any:
    """Return a message, or ``None`` if the bytes are none.

    Args:
        name: Which message.
        data: Its bytes.
    """
    message = messages()[name]
    try:
        return message.FromString(data)
    except _decode_error():  # is looked up only where one was raised
        return None


def _decode_error() -> type[Exception]:
    from google.protobuf.message import DecodeError

    error: type[Exception] = DecodeError
    return error


def text(value: bytes) -> str:
    """Return text that was meant to be UTF-8; what is none becomes U+FFFD."""
    return value.decode(errors="replace")
