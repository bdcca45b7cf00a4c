"""Rows of text under named columns: what STAR files and separated tables have in common once they are split."""

from array import array
from collections.abc import Sequence
from pathlib import Path
from sys import intern

import numpy as np
from numpy.typing import NDArray

from pickery.errors import InputError
from pickery.formats.contract import LARGEST_NUMBER, PickTable


class TextTable:
    """A table whose cells are still text; keeps only the columns that are wanted, and every row's line number.

    Parameters
    ----------
    path
        The file, for messages.
    columns
        All columns in the file's order.
    wanted
        The columns to keep, those that the file has.
    """

    def __init__(self, path: Path, columns: Sequence[str], wanted: Sequence[str]) -> None:
        self.path = path
        self.columns = tuple(columns)
        self.cells: dict[str, list[str]] = {name: [] for name in wanted if name in self.columns}
        self._kept = [(self.columns.index(name), cells) for name, cells in self.cells.items()]
        self._line_numbers = array("q")

    def __len__(self) -> int:
        return len(self._line_numbers)

    def append(self, fields: Sequence[str], line_number: int) -> None:
        """Add a row.

        Raises
        ------
        InputError
            It has too few or too many fields.
        """
        if len(fields) != len(self.columns) and (len(fields) < len(self.columns) or any(fields[len(self.columns) :])):
            raise InputError(
                f"{self.path} has {len(fields)} values in row {len(self) + 1} (line {line_number}) under"
                f" {len(self.columns)} columns: complete the row, or quote names with blanks in them."
            )
        for index, cells in self._kept:
            cells.append(fields[index])
        self._line_numbers.append(line_number)

    def numbers(self, column: str, *, optional: bool = False) -> NDArray[np.float64]:
        """Give a column as numbers.

        Parameters
        ----------
        optional
            Whether a cell may be empty or nan (it is then nan).

        Raises
        ------
        InputError
            A cell is no finite number, or one above `LARGEST_NUMBER`; the message has its row.
        """
        cells = self.cells[column]
        if optional:
            cells = [cell if cell.strip() else "nan" for cell in cells]
        try:
            numbers = np.array([float(cell) for cell in cells], np.float64)
        except ValueError:
            bad = next(index for index, cell in enumerate(cells) if not _is_number(cell))
        else:
            small = np.abs(numbers) <= LARGEST_NUMBER
            wrong = ~(small | np.isnan(numbers)) if optional else ~small
            if not wrong.any():
                return numbers
            bad = int(wrong.argmax())
            if np.isfinite(numbers[bad]):
                raise InputError(f"{self._cell(bad, column)} is '{cells[bad]}', beyond any image: correct the row.")
        raise InputError(f"{self._cell(bad, column)} is '{cells[bad]}', no finite number: correct or remove the row.")

    def names(self, column: str) -> tuple[str, ...]:
        """Give a column as names, none of them empty.

        Raises
        ------
        InputError
            A name is missing; the message has its row.
        """
        names = tuple(intern(cell.strip()) for cell in self.cells[column])  # one copy for all picks of a micrograph
        if "" in names:
            raise InputError(f"{self._cell(names.index(''), column)} is empty: name the micrograph or remove the row.")
        return names

    def _cell(self, index: int, column: str) -> str:
        return f"{self.path}: {column} in row {index + 1} (line {self._line_numbers[index]})"


def picks_of(table: TextTable, *, x: str, y: str, score: str, micrograph: str, name: str = "") -> PickTable:
    """Make picks of the columns named; a table without `micrograph` is all on the micrograph called `name`."""
    return PickTable(
        micrograph=table.names(micrograph) if micrograph in table.cells else (name,) * len(table),
        x=table.numbers(x),
        y=table.numbers(y),
        score=table.numbers(score, optional=True) if score in table.cells else np.full(len(table), np.nan),
        source=str(table.path),
    )


def shortest(value: float) -> str:
    """Write a number so that reading gives the same again, whole ones without ".0"."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))


def decimals(value: float) -> str:
    """Write a coordinate to a millionth of a pixel, without an exponent, which some programs cannot read."""
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
