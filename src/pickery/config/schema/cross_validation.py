"""What a cross-validation compares, on how many folds, and who does the work."""

from typing import Annotated, Literal

from pydantic import Field

from pickery.config.schema.base import Kind, Settings, Text

Number = int | float
Numbers = Annotated[tuple[Number, ...], Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]

Name = Annotated[Text | tuple[Text, Text], Kind("the name of a setting or a list of two [a,b]", many=True)]
Start = Annotated[
    Number | tuple[Number, Number], Kind("a number or, for two parameters, a list of two", text=False, many=True)
]
Times = Annotated[
    Count | tuple[Count, Count],
    Kind("a whole number of at least 1 or, for two parameters, a list of two", text=False, many=True),
]
Values = Annotated[
    Numbers | tuple[Numbers, Numbers] | None,
    Kind("null, a list of numbers [a,b] or, for two parameters, two lists [[a,b],[c,d]]", text=False, many=True),
]


class CrossValidationGroup(Settings):
    """What is compared, on how many folds, and who does the work."""

    parameter: Name = Field(
        "learning_rate",
        description="The setting that is varied: any number that changes the result, with or without its group. A "
        "list of two varies both together, in every combination.",
    )
    initial: Start = Field(0.0001, description="The first value.")
    increment: Start = Field(0.0001, description="From each value to the next; may be negative. Decimals are exact.")
    times: Times = Field(3, description="Number of values. A single number counts for each of two parameters.")
    values: Values = Field(
        None,
        description="The values themselves, in place of initial, increment and times: [0.0001,0.001], or "
        "[[0.0001,0.001],[2,3,4]] for two parameters.",
    )
    folds: int = Field(
        2,
        ge=1,
        description="Number of folds: the picked micrographs are split into so many parts, and each value is trained "
        "once for each, on all others. 1: once, on the ordinary split, which needs held-out micrographs.",
    )
    workers: int = Field(
        1,
        ge=1,
        description="Trainings at a time on this machine; they divide its GPUs or, without any, its cores.",
    )
    worker: int | None = Field(
        None,
        ge=0,
        description="Number of this process among several that were started by hand or by --multirun and share the "
        "work: it names the process and chooses its GPU. null: not one of several.",
    )
    storage: Text | None = Field(
        None,
        description="Address of a database that says who trains what, such as postgresql://host/name; its password is "
        "safer in the environment (PGPASSWORD) than here. null: a file in the cross-validation's folder.",
    )
    pruning: Literal["none", "halving"] = Field(
        "none",
        description="Whether values that fall behind are stopped early. halving: after a share of the epochs only the "
        "better half goes on, and so on until two are left.",
    )
    retry: bool = Field(False, description="Whether trainings that failed earlier are tried again.")
