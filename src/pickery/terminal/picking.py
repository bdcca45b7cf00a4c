"""What a person sees of a picking: how many micrographs are done, how many picks they have, and the time left."""

from __future__ import annotations

from pickery.terminal.training import Terminal


class PickingTerminal(Terminal):
    """Tells of a picking (a `pickery.picking.audience.Audience`)."""

    _picking_told = -1

    def picking(self, done: int, total: int, picks: int, left_s: float | None) -> None:
        """Show how many micrographs are done, and how many picks they have so far."""
        if not self._plain:
            self._bar(f"picking, {picks} picks so far", done, total, left_s if done < total else None)
            return
        if self._picking_told < 0:
            self._picking_told = done  # scored before: nothing to tell
        elif done == total or done * 10 // total > self._picking_told * 10 // total:
            self.say(f"picked {done} of {total} micrographs, {picks} picks so far")
            self._picking_told = done
