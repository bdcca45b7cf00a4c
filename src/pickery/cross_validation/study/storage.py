"""Where a study is kept: a journal in the cross-validation's folder, or a database. Errors in the user's words."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from pickery.cross_validation.study.chains import StudyDamagedError
from pickery.cross_validation.study.journal import Journal
from pickery.cross_validation.study.locks import FolderLock
from pickery.errors import InputError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.storages.journal import BaseJournalBackend

JOURNAL: Final = "study.journal"

ADDRESS: Final = "give a database's address, such as sqlite:///study.db or postgresql://user@host/database"

ATTEMPTS: Final = 4
BUSY_S: Final = 60.0
"""How long SQLite waits for another process."""


def open_storage(folder: Path, lock: FolderLock, address: str | None) -> tuple[BaseStorage, str]:
    """Open the storage, and make it if there is none.

    Parameters
    ----------
    folder
        The cross-validation's folder.
    lock
        The folder's lock.
    address
        Address of a database; None for the journal.

    Returns
    -------
    storage : optuna.storages.BaseStorage
        The storage.
    place : str
        What to call it in messages.

    Raises
    ------
    InputError
        When it cannot be used.
    """
    from optuna.storages import JournalStorage

    if address is not None:
        # a password is not for the terminal or the log
        place = "cross_validation.storage=" + re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", address)
        return _database(address, place), place
    place = str(folder / JOURNAL)
    with in_words(place):
        journal = Journal(folder / JOURNAL, lock)
        try:
            return JournalStorage(cast("BaseJournalBackend", journal)), place
        except InputError:
            raise
        except (AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:  # Optuna checks nothing
            raise StudyDamagedError(" ".join(str(error).split())[:100] or type(error).__name__) from error


@contextmanager
def in_words(place: str) -> Iterator[None]:
    """Tell in the user's words that a storage cannot be read or written."""
    try:
        yield
    except StudyDamagedError as error:
        mend = "give another" if place.startswith("cross_validation.storage=") else "remove it"
        raise InputError(
            f"{place} is damaged ({error}): {mend} and give the same command again; trainings that are finished are "
            "found in their folders and not repeated"
        ) from error
    except _errors() as error:
        raise InputError(
            f"{place} cannot be read or written ({_reason(error)}): "
            "mend that and give the same command again, which goes on from here"
        ) from error


def _database(address: str, place: str) -> BaseStorage:
    from optuna.exceptions import StorageInternalError
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

    # the cross-validation of another folder may be making the tables of the same database
    passing = (IntegrityError, OperationalError, ProgrammingError, StorageInternalError)
    options: dict[str, Any] = {"pool_pre_ping": True}  # hours lie between two questions; a connection may be gone
    if address.startswith("sqlite"):
        if address.partition("://")[2] in ("", "/", "/:memory:"):
            raise InputError(f"{place} would be another database in every process: name a file, sqlite:///study.db")
        options["connect_args"] = {"timeout": BUSY_S}
    for attempt in range(ATTEMPTS):
        try:
            return RDBStorage(address, engine_kwargs=options)
        except Exception as error:  # whatever a driver raises
            if attempt + 1 < ATTEMPTS and isinstance(error, passing):
                time.sleep(random.uniform(0.2, 1.0))
                continue
            mend = "install that" if isinstance(error, ImportError) else ADDRESS
            raise InputError(
                f"{place} cannot be used ({_reason(error)}): {mend}, or leave it out for a file in the folder"
            ) from error
    raise AssertionError


def _errors() -> tuple[type[Exception], ...]:
    """Give what a storage raises; asked only after an error, since these take long to import."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    return (OSError, StorageInternalError, SQLAlchemyError)


def _reason(error: BaseException) -> str:
    """Say in a line what is at the root of an error; what the system says, wherever in the chain it says it."""
    while not (isinstance(error, OSError) and error.strerror):
        if (deeper := error.__cause__ or error.__context__) is None:
            break
        error = deeper
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split())[:200] or type(error).__name__
