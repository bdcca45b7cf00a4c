"""What is reported, and where the page goes."""

from pydantic import Field

from pickery.config.schema.base import Place, Settings


class ReportGroup(Settings):
    """The run and its page."""

    run: Place | None = Field(
        None, description="The folder of a finished training or cross-validation: the word after the command. Required."
    )
    out: Place | None = Field(
        None, description="The page's file, or a folder for it. null: report.html in the run's folder."
    )
    track: bool = Field(
        True, description="Whether the page is also kept with the tracked run, where it is opened among its artifacts."
    )
