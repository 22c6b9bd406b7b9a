"""django-celery-beat: entries of spec.beat.schedule are rows that bear a mark, and only such rows are ours to change.

Its scheduler writes entries over whatever row has their name, and leaves rows enabled that nobody wants any more.
"""

from __future__ import annotations

import logging
from typing import Any, Dict, FrozenSet, Mapping

from .beat_news import ENTRY_NOT_WRITTEN
from .beat_state import BeatState

logger = logging.getLogger("celery.beat")

_WANTED = "celery-operator:%s: made from spec.beat.schedule; change it there"
_UNWANTED = "celery-operator:%s: disabled, because it is not in spec.beat.schedule any more"


class KeepsRows:
    """Comes before django_celery_beat.schedulers.DatabaseScheduler; names of its own begin with _operator."""

    _operator_state: BeatState

    def setup_schedule(self: Any) -> None:
        parent: Any = super()
        # First: what the parent reads for its first schedule has them disabled already.
        if _has_marks(self.Model) and self._operator_disable():
            self.Changes.update_changed()
        parent.setup_schedule()

    def update_from_dict(self: Any, mapping: Mapping[str, Any]) -> None:
        parent: Any = super()
        ours = self._operator_wanted() if _has_marks(self.Model) else frozenset()
        parent.update_from_dict({name: entry for name, entry in mapping.items() if name not in ours})
        for name, entry in mapping.items():
            if name in ours:
                self._operator_write(parent, name, entry)

    def _operator_write(self: Any, parent: Any, name: str, entry: Dict[str, Any]) -> None:
        """Create or update a row of ours; one that somebody else made is left as it is, and told."""
        mark, disabled = _WANTED % self._operator_state.scope, _UNWANTED % self._operator_state.scope
        rows = self.Model.objects.filter(name=name)
        row = rows.first()
        if row is not None and row.description not in (mark, disabled):
            self._operator_tell(
                'beat entry "%s": a row with that name is in the database which was not made from it; it is left as '
                "it is: delete it in the admin and then beat's pod, or rename the entry" % name
            )
            return
        if row is not None and row.description == disabled:
            rows.update(enabled=True)
        # A row that people disabled in the admin keeps that: the parent writes everything else.
        parent.update_from_dict({name: entry})
        if not rows.update(description=mark):
            self._operator_tell('beat entry "%s": the database did not take it, the log says why' % name)

    def _operator_tell(self, said: str) -> None:
        logger.warning("beat: %s", said)
        self._operator_state.warnings.append(said)
        self._operator_state.news.add(ENTRY_NOT_WRITTEN, said)

    def _operator_disable(self: Any) -> int:
        """Disable rows of ours that are not wanted; the number of them."""
        unwanted = self.Model.objects.filter(description=_WANTED % self._operator_state.scope)
        unwanted = unwanted.filter(enabled=True).exclude(name__in=self._operator_wanted())
        names = list(unwanted.values_list("name", flat=True))
        for name in names:
            logger.warning("beat: entry %s is disabled: it is not in spec.beat.schedule any more", name)
        # Only enabled ones: what people disabled before keeps its mark, and stays so should it be wanted again.
        unwanted.update(enabled=False, last_run_at=None, description=_UNWANTED % self._operator_state.scope)
        return len(names)

    def _operator_wanted(self) -> FrozenSet[str]:
        """Names of the enabled entries of spec.beat.schedule."""
        return frozenset(item.name for item in self._operator_state.settings.beat.schedule if item.enabled)


def _has_marks(model: Any) -> bool:
    """A model of the application's own may have no description: its entries are written as its scheduler does."""
    return hasattr(model, "description")
