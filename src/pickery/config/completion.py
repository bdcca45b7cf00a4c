"""Completion by the Tab key: what may follow on a line, and the scripts by which bash, zsh and fish ask for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pickery.config.commands import COMMANDS, NAMES
from pickery.config.errors import ConfigError

FILES = ":files"
"""Stands for the names of files, which the shell itself completes after the last ``=``."""

_FLAGS = ("--multirun", "--cfg", "--package", "--resolve", "--info", "--config-dir", "--help")
_FLAG_VALUES = {
    "--cfg": ("job", "hydra", "all"),
    "-c": ("job", "hydra", "all"),
    "--info": ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
    "-i": ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
    "--config-dir": (FILES,),
    "-cd": (FILES,),
    "--completion": ("bash", "zsh", "fish"),
}

_BASH = """\
# Made by: pickery --completion bash
_pickery() {
    local line=${COMP_LINE:0:COMP_POINT} word found i -
    set -f  # the line's words, as they stand
    local words=($line)
    [[ $line == *[[:space:]] ]] && words+=("")
    word=${words[${#words[@]}-1]}
    mapfile -t found < <("$1" --complete "${words[@]:1}" 2>/dev/null)
    if [[ ${found[0]} == :files ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "${word#*=}")
        return
    fi
    # bash takes a word apart at = and : and completes only its last part
    local done=
    [[ $COMP_WORDBREAKS == *=* && $word == *=* ]] && done=${word%"${word##*=}"}
    COMPREPLY=("${found[@]#"$done"}")
    [[ ${#found[@]} -eq 1 && ${found[0]} == *[=.] ]] && compopt -o nospace 2>/dev/null
}
complete -F _pickery pickery
"""

_ZSH = """\
#compdef pickery
# Made by: pickery --completion zsh
_pickery() {
    local -a found unfinished finished
    found=("${(@f)$("${(Q)words[1]}" --complete "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
    if [[ $found[1] == :files ]]; then
        compset -P '*='
        _files
        return
    fi
    unfinished=(${(M)found:#*[=.]})
    finished=(${found:#*[=.]})
    compadd -S '' -a unfinished
    compadd -a finished
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
if [[ $funcstack[1] == _pickery ]]; then _pickery "$@"; else compdef _pickery pickery; fi
"""

_FISH = """\
# Made by: pickery --completion fish
function __pickery_complete
    set -l before (commandline -opc)
    set -l word (commandline -ct)
    set -l found ($before[1] --complete $before[2..-1] "$word" 2>/dev/null)
    if test "$found[1]" = ":files"
        set -l key (string match -r '^[^=]*=' -- "$word")
        set -l files (__fish_complete_path (string replace -r '^[^=]*=' '' -- "$word") | string replace -r '\\t.*' '')
        printf '%s\\n' "$key"$files
    else
        printf '%s\\n' $found
    end
end
complete -c pickery -f -a '(__pickery_complete)'
"""

_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def script(shell: str) -> str:
    """Give the script that teaches a shell to complete pickery's lines.

    Raises
    ------
    ConfigError
        When the shell is none of bash, zsh and fish.
    """
    if shell not in _SCRIPTS:
        raise ConfigError([f"--completion {shell}: there are scripts for {', '.join(_SCRIPTS)}."])
    return _SCRIPTS[shell]


def complete(line: Sequence[str]) -> list[str]:
    """Give the words that the last one of a line may become.

    Parameters
    ----------
    line
        The words after ``pickery`` up to the cursor; the last one, which may be empty, is to be completed.

    Returns
    -------
    list of str
        Whole words. One that ends with ``=`` or ``.`` wants to go on. `FILES` alone: any file after the last ``=``.
    """
    *before, word = line or [""]
    if before and before[-1] in _FLAG_VALUES:
        found = list(_FLAG_VALUES[before[-1]])
    elif not before:
        found = [*COMMANDS, "--help", "--version", "--completion"]
    elif before[0] == "help":
        found = list(COMMANDS)
    elif before[0] not in COMMANDS:
        found = []
    elif word.startswith("-"):
        found = list(_FLAGS)
    elif _wants_name(before[0], before[1:], word):
        found = [FILES]
    elif "=" in word:
        found = list(_values(before[0], word))
    else:
        found = list(_names(before[0], word, before[1:]))
    return [FILES] if FILES in found else [candidate for candidate in found if candidate.startswith(word)]


def _wants_name(command: str, before: Sequence[str], word: str) -> bool:
    """Whether a command that begins with names of files lacks one, and this is not the beginning of a setting."""
    if command not in NAMES or "=" in word:
        return False
    from pickery.config import catalogue

    given = [other for other in before if "=" not in other and not other.startswith("-")]
    begun = any(key.startswith(word) for key in catalogue.settings(command)) and "." in word
    return len(given) < len(NAMES[command]) and not begun and word not in catalogue.settings(command)


def _names(command: str, word: str, before: Sequence[str]) -> Iterator[str]:
    from pickery.config import catalogue

    given = {other.partition("=")[0].lstrip("+") for other in before}
    keys = [key for key in catalogue.settings(command) if key not in given]
    if "." in word:
        yield from (f"{key}=" for key in keys)
        return
    yield from (f"{group}=" for group in catalogue.choosable(command) if group not in given)
    yield from (f"{group}." for group in catalogue.groups(command))
    yield from (f"{key}=" for key in keys if "." not in key)


def _values(command: str, word: str) -> Iterator[str]:
    from pickery.config import catalogue
    from pickery.config.schema.base import as_word, choices, is_files

    key, _, value = word.partition("=")
    listed, comma, _ = value.rpartition(",")  # several values, for a sweep
    if key in catalogue.choosable(command):
        known = catalogue.options(key)
    elif (field := catalogue.settings(command).get(key)) is None:
        return
    elif is_files(field):
        known = [FILES]
    elif key == "cross_validation.parameter":
        known = list(catalogue.variable(command))
    else:
        known = [as_word(choice) for choice in choices(field)]
    yield from (FILES if option == FILES else f"{key}={listed}{comma}{option}" for option in known)
